"""From audit events to the flow of one deployment: its own requests, its replica sets', its pods' and their records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from labkit.errors import EvidenceError
from labkit.evidence.audit import AuditEvent, ObjectReference
from labkit.flow.actors import API_SERVER, Actor, actor
from labkit.flow.describe import describe, target_node
from labkit.flow.model import EvidenceId, Flow, Hop, ObjectName

_READS = frozenset({"get", "list", "watch"})


def deployment_flow(events: Iterable[AuditEvent], name: str, namespace: str = "default") -> Flow:
    """Return what the last creation of a deployment caused.

    A request belongs to the flow if it names an object of the flow, if it creates an object that one of them owns
    (``ownerReferences``), or if it refers to one of them by uid (an Event, an endpoint slice). An object is of the flow
    from its creation on. Reads are left out, but for one: a controller's own fresh look at an object whose update was
    refused because it had changed.

    Parameters
    ----------
    events : iterable of AuditEvent
        In any order; only answered requests count.
    name, namespace : str
        The deployment.

    Raises
    ------
    EvidenceError
        No such deployment was created while these events were recorded.
    """
    answered = [event for event in events if event.stage == "ResponseComplete" and event.object is not None]
    answered.sort(key=lambda event: (event.received, event.staged, event.audit_id))
    first = _creation(answered, name, namespace)
    tracker = _Tracker()
    for event in answered[first:]:
        tracker.take(event)
    nodes = {actor(event.user).node for event in answered} | set(tracker.pods.values())
    return Flow(tracker.hops[0].object, tuple(tracker.hops), tracker.pods, tuple(sorted(nodes - {""})))


def _creation(events: Sequence[AuditEvent], name: str, namespace: str) -> int:
    """Return the index of the last request that made the deployment: a create, or an apply (RFC 9110: 201)."""
    for index in range(len(events) - 1, -1, -1):
        event = events[index]
        ref = event.object
        if event.code == 201 and ref and (ref.resource, ref.subresource) == ("deployments", ""):
            made = _name(event, ref)
            if (made.namespace, made.name) == (namespace, name):
                return index
    raise EvidenceError(
        f"No deployment {namespace}/{name} was created in this audit log.",
        why=f"Among its {len(events)} answered requests none made one.",
        fix=f"Create it while the lab runs: labkit deploy {name} --image IMAGE",
    )


class _Tracker:
    """The objects that belong to a flow so far, and its hops."""

    def __init__(self) -> None:
        self.hops: list[Hop] = []
        self.pods: dict[str, str] = {}
        self._uids: dict[str, ObjectName] = {}
        self._names: dict[tuple[str, str, str], ObjectName] = {}
        self._stale: set[tuple[Actor, str, str, str]] = set()  # who was refused for an old version, and of what

    def take(self, event: AuditEvent) -> None:
        """Add the event as a hop if it belongs to the flow."""
        if event.object is None:
            return
        name = _name(event, event.object)
        source = actor(event.user, event.user_agent)
        because = self._reason(event, name) if self.hops else "starts the flow"
        if not because:
            return
        if event.verb in _READS:
            key = (source, name.resource, name.namespace, name.name)
            if key not in self._stale:
                return
            self._stale.discard(key)
            because = f"{because}, after its update was refused"
        self._learn(event, name, source)
        number = len(self.hops) + 1
        self.hops.append(
            Hop(
                number=number,
                source=source,
                target=API_SERVER,
                verb=event.verb,
                object=name,
                start=event.received,
                end=event.staged,
                code=event.code,
                kind="record" if name.resource == "events" else "request",
                what=describe(event, name),
                because=because,
                evidence=(EvidenceId("audit", event.audit_id),),
            )
        )

    def _reason(self, event: AuditEvent, name: ObjectName) -> str:
        """Return why an event belongs to the flow, or an empty string."""
        known = self._names.get((name.resource, name.namespace, name.name))
        if known is not None and name.uid in {"", known.uid}:
            return f"names {name.resource}/{name.name}"
        for body in (event.response, event.request):
            for relation, uid in _references(name.resource, body):
                if uid in self._uids:
                    return f"{relation} {self._uids[uid]}"
        return ""

    def _learn(self, event: AuditEvent, name: ObjectName, source: Actor) -> None:
        """Remember what the event made, bound or was refused."""
        if event.code == 409:
            self._stale.add((source, name.resource, name.namespace, name.name))
        if event.code is None or event.code >= 400:
            return
        plain = ObjectName(name.resource, name.namespace, name.name, uid=name.uid)
        if event.code == 201 and not name.subresource and name.resource != "events":
            self._names[name.resource, name.namespace, name.name] = plain
            if name.uid:
                self._uids[name.uid] = plain
            if name.resource == "pods":
                self.pods[name.name] = ""
        if name.subresource == "binding":
            self.pods[name.name] = target_node(event)


def _name(event: AuditEvent, ref: ObjectReference) -> ObjectName:
    """Return what a request was about; the answer knows a generated name and the uid."""
    stored = _metadata(event.response) if (event.response or {}).get("kind") != "Status" else {}
    sent = _metadata(event.request)
    return ObjectName(
        ref.resource,
        ref.namespace or stored.get("namespace", ""),
        ref.name or stored.get("name", "") or sent.get("name", "") or sent.get("generateName", ""),
        ref.subresource,
        ref.uid or stored.get("uid", ""),
    )


def _metadata(body: Mapping[str, Any] | None) -> Mapping[str, str]:
    return (body or {}).get("metadata") or {}


def _references(resource: str, body: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return the uids that a body refers to, each with how."""
    body = body or {}
    found = [("owned by", owner.get("uid", "")) for owner in (body.get("metadata") or {}).get("ownerReferences") or ()]
    if resource == "events":  # v1 calls it involvedObject, events.k8s.io/v1 regarding
        about = body.get("involvedObject") or body.get("regarding") or {}
        found.append(("tells of", about.get("uid", "")))
    elif resource == "endpointslices":
        addresses = body.get("endpoints") or ()
        found += [("leads to", (address.get("targetRef") or {}).get("uid", "")) for address in addresses]
    elif resource == "endpoints":
        subsets = body.get("subsets") or ()
        addresses = [item for subset in subsets for kind in _ADDRESSES for item in subset.get(kind) or ()]
        found += [("leads to", (address.get("targetRef") or {}).get("uid", "")) for address in addresses]
    return found


_ADDRESSES = ("addresses", "notReadyAddresses")
