"""The links from a request to changed rules, out of the audit log and of what the nodes' kernels told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from labkit.evidence.audit import AuditEvent
from labkit.flow.actors import actor
from labkit.flow.bodies import Json, dig, mapping, mappings, metadata, text
from labkit.flow.describe import describe
from labkit.flow.model import ObjectName
from labkit.flow.names import name_of
from labkit.language import gettext
from labkit.proxy.cause import Link
from labkit.proxy.rule_changes import Difference

_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_SERVICE_LABEL = "kubernetes.io/service-name"  # discovery.k8s.io/v1, LabelServiceName
_WORKLOADS = frozenset({"deployments", "replicasets", "statefulsets", "daemonsets"})
_RULE = (
    "kube-proxy watches Services and EndpointSlices: the last write before the rules changed after which they must "
    "lead where they do now"
)


class ServiceWrites:
    """The writes that lead to a Service's rules.

    Parameters
    ----------
    service : str
        ``"default/web"``.
    before : sequence of dict
        The Service and its EndpointSlices as they were, or nothing.
    events : sequence of AuditEvent
        What the API server answered since.

    Attributes
    ----------
    versions : list of dict
        The Service object in every version that is known.
    writes : list of AuditEvent
        Those that count, by the time at which the API server received them.
    """

    def __init__(self, service: str, before: Sequence[Json], events: Sequence[AuditEvent]) -> None:
        self._namespace, _, self._name = service.partition("/")
        self._slices = [found for found in before if "endpoints" in found]
        done = [event for event in events if _is_done(event)]
        names = [(event, name_of(event)) for event in done]
        self.versions = [found for found in before if "spec" in found]
        self.versions += [mapping(event.response) for event, name in names if self._is_service(event, name)]
        self._owners: set[tuple[str, str]] = set()
        self._ready: dict[str, bool] = {}
        self._made = {name.name for event, name in names if (name.resource, event.verb) == ("pods", "create")}
        for event, name in names:
            self._learn(event, name)
        chosen = sorted((event for event, name in names if self._counts(event, name)), key=lambda each: each.received)
        first = next((at for at, each in enumerate(chosen) if _by_person(each)), 0)
        self.writes = chosen[first:]

    def endpoints(self) -> list[frozenset[str]]:
        """Return the addresses that new connections may lead to: before all writes, and after each of them."""
        slices = {text(metadata(found), "name"): _usable(found) for found in self._slices}
        found = [frozenset[str]().union(*slices.values())]
        for event in self.writes:
            name = name_of(event)
            if name.resource == "endpointslices":
                slices[name.name] = frozenset() if event.verb == "delete" else _usable(event.response)
            found.append(frozenset[str]().union(*slices.values()))
        return found

    def selects(self, labels: Mapping[str, Any] | None) -> bool:
        """Whether the Service's selector, in one of its versions, selects these labels."""
        selectors = [dict(dig(found, "spec", "selector") or {}) for found in self.versions]
        return any(wanted and wanted.items() <= dict(labels or {}).items() for wanted in selectors)

    def _is_service(self, event: AuditEvent, name: ObjectName) -> bool:
        ours = (name.resource, name.namespace, name.name) == ("services", self._namespace, self._name)
        return ours and bool(mapping(event.response, "spec"))

    def _learn(self, event: AuditEvent, name: ObjectName) -> None:
        """Take note of who owns the Service's pods, so that a request that has no labels is known, too."""
        body = event.response
        labels = dig(body, "spec", "template", "metadata", "labels") if name.resource in _WORKLOADS else None
        if name.namespace != self._namespace or not (
            self.selects(labels) or (name.resource == "pods" and self.selects(dig(body, "metadata", "labels")))
        ):
            return
        self._owners.add((name.resource, name.name))
        for owner in mappings(metadata(body), "ownerReferences"):
            self._owners.add((f"{text(owner, 'kind').lower()}s", text(owner, "name")))

    def _counts(self, event: AuditEvent, name: ObjectName) -> bool:
        if name.resource in {"events", "leases", "endpoints"}:
            return False
        if _by_person(event) or name.namespace != self._namespace:
            return _by_person(event) and name.namespace in {self._namespace, ""}
        if name.resource == "endpointslices":
            labels = mapping(metadata(event.response), "labels") or mapping(metadata(event.request), "labels")
            return text(labels, _SERVICE_LABEL) == self._name or name.name.startswith(f"{self._name}-")
        if name.resource == "pods" and name.subresource == "status":
            return (name.resource, name.name) in self._owners and self._turns(event, name)
        if name.subresource == "status":
            return False
        return (name.resource, name.name) in self._owners or (name.resource == "services" and name.name == self._name)

    def _turns(self, event: AuditEvent, name: ObjectName) -> bool:
        """Whether a pod's status says that it became ready or ceased to be."""
        conditions = mappings(event.response, "status", "conditions")
        ready = any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
        turned = ready != self._ready.get(name.name, name.name not in self._made)
        self._ready[name.name] = ready
        return turned


def _is_done(event: AuditEvent) -> bool:
    answered = event.stage == "ResponseComplete" and event.code is not None and event.code < 400
    return answered and event.verb in _WRITES and event.object is not None


def _by_person(event: AuditEvent) -> bool:
    return actor(event.user, event.user_agent).kind == "client"


def links(writes: ServiceWrites, changed: Mapping[str, Sequence[Difference]]) -> tuple[Link, ...]:
    """Return the links in order of time.

    Parameters
    ----------
    writes : ServiceWrites
        The requests.
    changed : mapping
        By node, what its kernel told.
    """
    found = [_request(event) for event in writes.writes]
    for node, differences in changed.items():
        led = writes.endpoints()[0]
        for difference in differences:
            led = difference.endpoints(led)
            at = datetime.fromtimestamp(difference.at, UTC)
            told = _told(writes, difference, led, at)
            if told is not None:
                found.append(_notify(node, found[told], told, at))
            found.append(_rules(node, difference, at, None if told is None else len(found) - 1))
    order = sorted(range(len(found)), key=lambda index: found[index].start)
    places: dict[int | None, int] = {index: place for place, index in enumerate(order, 1)}
    return tuple(replace(found[index], number=places[index], after=places.get(found[index].after)) for index in order)


def _told(writes: ServiceWrites, difference: Difference, led: frozenset[str], at: datetime) -> int | None:
    """Return the place of the write that a change follows from, None where there is none."""
    endpoints = writes.endpoints()
    resources = [event.object.resource if event.object else "" for event in writes.writes]
    earlier = [place for place, event in enumerate(writes.writes) if event.received <= at]
    slices = [place for place in earlier if resources[place] == "endpointslices"]
    services = [place for place in earlier if resources[place] == "services"]
    if services and writes.writes[services[-1]].verb == "delete":
        return services[-1]
    to_these = [place for place in slices if endpoints[place] != endpoints[place + 1] == led]
    fitting = (to_these or slices or services) if difference.of_endpoints else (services or slices)
    return fitting[-1] if fitting else None


def _usable(body: Any) -> frozenset[str]:
    """Return the addresses of an EndpointSlice that kube-proxy uses (KEP-1669): the ready ones.

    Without any, those that terminate and still serve.
    """
    found: dict[str, set[str]] = {"ready": set(), "serving": set()}
    for endpoint in mappings(body, "endpoints"):
        for condition, addresses in found.items():
            if mapping(endpoint, "conditions").get(condition):
                addresses.update(str(each) for each in endpoint.get("addresses", ()))
    return frozenset(found["ready"] or found["serving"])


def _request(event: AuditEvent) -> Link:
    name = name_of(event)
    return Link(
        number=0,
        kind="request",
        source=actor(event.user, event.user_agent).name,
        target="API server",
        what=describe(event, name) + (_endpoints(event.response) if name.resource == "endpointslices" else ""),
        start=event.received,
        end=event.staged,
        observed=True,
        evidence=f"audit:{event.audit_id}",
    )


def _endpoints(body: Any) -> str:
    """Return how many endpoints an EndpointSlice has, and how many of them serve no new connections."""
    if text(body, "kind") != "EndpointSlice":
        return ""
    conditions = [mapping(each, "conditions") for each in mappings(body, "endpoints")]
    ready = sum(bool(each.get("ready")) for each in conditions)
    terminating = sum(bool(each.get("terminating")) for each in conditions)
    rest = len(conditions) - ready - terminating
    counts = (
        (ready, gettext("{count} ready")),
        (terminating, gettext("{count} terminating")),
        (rest, gettext("{count} not ready")),
    )
    said = ", ".join(words.format(count=count) for count, words in counts if count)
    return f": {said or gettext('no endpoints')}"


def _notify(node: str, write: Link, number: int, at: datetime) -> Link:
    return Link(
        number=0,
        kind="notify",
        source="API server",
        target=f"kube-proxy on {node}",
        what=gettext("tells what {source} wrote").format(source=write.source),
        start=min(write.end, at),
        end=at,
        observed=False,
        evidence=gettext(_RULE),
        node=node,
        after=number,
    )


def _rules(node: str, difference: Difference, at: datetime, after: int | None) -> Link:
    counts = [(difference.came, gettext("{count} came")), (difference.went, gettext("{count} went"))]
    said = ", ".join(words.format(count=len(rules)) for rules, words in counts if rules)
    again = ""
    if difference.rewritten:
        again = gettext("; {count} written anew as they were").format(count=difference.rewritten)
    return Link(
        number=0,
        kind="rules",
        source=f"kube-proxy on {node}",
        target=f"rules of {node}",
        what=gettext("changes rules: {said}").format(said=f"{said}{again}"),
        start=at,
        end=at,
        observed=True,
        evidence="nft monitor",
        node=node,
        after=after,
        came=difference.came,
        went=difference.went,
        rewritten=difference.rewritten,
    )
