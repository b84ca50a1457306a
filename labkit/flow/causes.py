"""What led to what: by owner, by uid, by resourceVersion; never by closeness in time alone."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from labkit.flow.actors import API_SERVER, ETCD, Actor
from labkit.flow.bodies import dig, mapping
from labkit.flow.draft import Draft
from labkit.flow.members import Member, Watch
from labkit.flow.model import EvidenceId, ObjectName
from labkit.flow.names import Key
from labkit.flow.relations import ABOUT, ENDPOINTS, KIN, OWNED, OWNER, SIBLING, Relation, tells, tells_of, watches
from labkit.flow.runtime import Runtime
from labkit.flow.storage import based_on
from labkit.language import gettext

# It acts on what its watches tell, even of its own deeds (pkg/controller/garbagecollector/graph_builder.go).
_GRAPHS = frozenset({"generic-garbage-collector"})
_SLICES = frozenset({"endpointslices", "endpoints"})
# What a kubelet's Event tells of (pkg/kubelet/events/event.go of Kubernetes 1.34).
_REASONS = {
    "Pulling": "PullImage",
    "Pulled": "PullImage",
    "Created": "CreateContainer",
    "Started": "StartContainer",
    "Killing": "StopContainer",
}


def key_of(name: ObjectName) -> Key:
    """Return what tells an object apart, without its subresource."""
    return (name.resource, name.namespace, name.name)


class Causes:
    """Links the hops of a flow, and infers the notifications in between.

    Parameters
    ----------
    watches, owners : mapping
        Who watches what, and who owns what, see `Members`.
    runtime : Runtime
        When kubelets began to work on a pod.

    Attributes
    ----------
    notifies : list of Draft
        The notifications that explain something: etcd tells the API server, the API server tells a watcher.
    """

    def __init__(
        self, watches: Mapping[tuple[str, str], Watch], owners: Mapping[Key, set[Key]], runtime: Runtime
    ) -> None:
        self.notifies: list[Draft] = []
        self._watches = watches
        self._runtime = runtime
        self._requests: list[tuple[Member, Draft]] = []
        self._asked: dict[Key, list[Draft]] = defaultdict(list)
        self._persists: dict[Key, list[Draft]] = defaultdict(list)
        self._calls: dict[str, list[Draft]] = defaultdict(list)
        self._owners = owners
        self._owned: dict[Key, set[Key]] = defaultdict(set)
        for owned, its in owners.items():
            for owner in its:
                self._owned[owner].add(owned)
        self._told: dict[tuple[int, str], Draft] = {}

    def add_request(self, member: Member, request: Draft, persists: list[Draft]) -> None:
        """Make known a request and what it stored."""
        self._requests.append((member, request))
        if request.kind == "request":
            self._asked[key_of(member.name)].append(request)
        self._persists[key_of(member.name)] += persists

    def add_call(self, call: Draft) -> None:
        """Make known a call of a runtime."""
        self._calls[call.object.uid].append(call)

    def link(self) -> None:
        """Find the cause of each hop that has one."""
        for member, request in self._requests[1:]:
            if request.kind == "record":
                self._link_record(member, request)
            elif request.source.kind == "kubelet" and member.name.resource in {"pods", "serviceaccounts"}:
                self._link_kubelet(member, request)
            elif request.verb == "get":
                self._link_second_look(member, request)
            elif request.source == API_SERVER:
                request.cause = self._requests[0][1]
            elif request.source.kind != "client":
                self._link_write(member, request)
        for calls in self._calls.values():
            self._link_calls(calls)

    def tell_proxies(self) -> None:
        """Infer that kube-proxies are told of a Service and of its endpoint slices, which cause no further request."""
        for (_, resource), watch in sorted(self._watches.items()):
            if watch.watcher.kind == "kube-proxy" and resource in {"services", "endpointslices"}:
                for key, persists in list(self._persists.items()):
                    for persist in persists if key[0] == resource else ():
                        self._told_proxy(persist, watch)

    def _told_proxy(self, persist: Draft, watch: Watch) -> None:
        proxy = watch.watcher
        self.notifies.append(
            Draft(
                "notify",
                API_SERVER,
                proxy,
                _watch_event(persist),
                persist.object,
                persist.end,
                persist.end,
                tells(proxy.name, persist, _watch_event(persist)),
                tells_of(persist),
                (*persist.evidence[-1:], watch.evidence),
                observed=False,
                rule=gettext(
                    "{name} watches {resource} ({verb} request in the audit log); it answers nothing, so that only "
                    "the earliest moment is known"
                ).format(name=proxy.name, resource=persist.object.resource, verb=watch.verb),
                cause=self._heard_by_api_server(persist, _watch_event(persist), persist.end, persist.end),
                revision=persist.revision,
            )
        )

    def _link_second_look(self, member: Member, request: Draft) -> None:
        earlier = self._own_deeds(request, [key_of(member.name)])
        refused = [draft for draft in earlier if draft.code == 409]
        request.cause = refused[-1] if refused else None

    def _own_deeds(self, effect: Draft, keys: Iterable[Key]) -> list[Draft]:
        """Return what an actor had asked for before, about some objects, in order."""
        found = [
            draft
            for key in keys
            for draft in self._asked[key]
            if draft.source == effect.source and draft.start < effect.start
        ]
        return sorted(found, key=lambda draft: (draft.start, draft.end))

    def _link_write(self, member: Member, request: Draft) -> None:
        """Link a controller's or the scheduler's write to what it must have been told before."""
        own = key_of(member.name)
        base = based_on(member)
        named = [draft for draft in self._persists[own] if draft.revision == base and base is not None]
        others = self._news(request, self._related(member), base) or self._news(request, self._replaced(member), base)
        if request.source.kind == "scheduler":  # what it has judged already does not explain another look
            judged = self._own_deeds(request, [own])
            others = [item for item in others if not judged or item[0].start > judged[-1].start]
        if others:
            numbered = all(draft.revision is not None for draft, _ in others)
            told, relation = max(
                others, key=lambda item: (item[0].revision if numbered else 0, item[0].start, item[0].end, str(item[1]))
            )
            rule = gettext("its next write is {relation}").format(relation=relation.told)
            if len(others) > 1:
                rule = gettext(
                    "{rule}; of {count} changes that could explain it, the latest stored before it was received"
                ).format(rule=rule, count=len(others))
            self._notify(told, request, rule)
        elif named and named[0].cause is not None and named[0].cause.source != request.source:
            self._notify(
                named[0],
                request,
                gettext("its next write rests on resourceVersion {base}, which this stored").format(base=base),
            )
        else:
            self._link_own(member, request, named)

    def _news(
        self, request: Draft, related: Iterable[tuple[Key, Relation]], base: int | None
    ) -> list[tuple[Draft, Relation]]:
        """Return the changes of some objects that others had made before, and that the writer had not read yet."""
        return [
            (draft, relation)
            for key, relation in related
            for draft in self._persists[key]
            if draft.start < request.start
            and draft.cause is not None
            and (draft.cause.source != request.source or request.source.id in _GRAPHS)
            and (base is None or draft.revision is None or draft.revision > base)
        ]

    def _replaced(self, member: Member) -> list[tuple[Key, Relation]]:
        """Return the pods in whose place a pod can have been made: those of the same owner."""
        if member.name.resource != "pods" or member.event.verb != "create":
            return []
        own = key_of(member.name)
        kin = {key for owner in self._owners.get(own, ()) for key in self._owned[owner]} - {own}
        return [(key, Relation(SIBLING, f"{key[0]}/{key[2]}")) for key in sorted(kin)]

    def _link_own(self, member: Member, request: Draft, named: list[Draft]) -> None:
        """Link a write to the same actor's earlier write, whose answer told it."""
        if named:
            request.cause = named[0].cause
            return
        earlier = self._own_deeds(request, {key_of(member.name), *(key for key, _ in self._related(member))})
        request.cause = earlier[-1] if earlier else None

    def _related(self, member: Member) -> list[tuple[Key, Relation]]:
        """Return the objects whose changes make an actor write this, each with how it is related."""
        own, name = key_of(member.name), member.name
        if member.source.kind == "scheduler":
            return [(own, Relation(ABOUT, f"{name.resource}/{name.name}"))]
        if name.resource in _SLICES:
            kin = [(key_of(thing), Relation(ENDPOINTS, str(thing))) for thing in member.refers]
            service = dig(member.event.response, "metadata", "labels", "kubernetes.io/service-name") or name.name
            return [*kin, (("services", name.namespace, str(service)), Relation(ENDPOINTS, f"services/{service}"))]
        owners = [(key, Relation(OWNED, f"{key[0]}/{key[2]}")) for key in sorted(self._owners.get(own, ()))]
        if name.resource == "pods":
            changed = (
                []
                if member.event.verb in {"create", "delete"}
                else [(own, Relation(ABOUT, f"{name.resource}/{name.name}"))]
            )
            return owners + changed
        if member.event.verb == "delete":
            return owners
        if name.subresource or not owners:
            return [(key, Relation(OWNER, f"{key[0]}/{key[2]}")) for key in sorted(self._owned[own])]
        siblings = {kin for key, _ in owners for kin in self._owned[key]}
        return owners + [(key, Relation(KIN, f"{key[0]}/{key[2]}")) for key in sorted(siblings)]

    def _link_kubelet(self, member: Member, request: Draft) -> None:
        """Link a kubelet's report to its runtime's latest work for the pod, or to what it was told of the pod."""
        pod = member.refers[0] if member.name.resource == "serviceaccounts" and member.refers else member.name
        calls = [call for call in self._calls[pod.uid] if call.end <= request.start and call.source == request.source]
        told = self._told_of(pod, request.source, request.start)
        if calls and member.name.resource == "pods" and (told is None or calls[-1].start >= told.start):
            request.cause = calls[-1]
        elif told is not None:
            self._notify(told, request, gettext("its next write is about {pod}").format(pod=pod))

    def _link_calls(self, calls: list[Draft]) -> None:
        """Link a runtime's work for a pod: what the kubelet was told, or what it did before."""
        before: Draft | None = None
        for call in calls:
            told = self._told_of(call.object, call.source, call.start)
            if told is not None and (before is None or told.start > before.start):
                self._notify(told, call, gettext("it then has its runtime work for {thing}").format(thing=call.object))
            else:
                call.cause = before
            before = call

    def _told_of(self, pod: ObjectName, kubelet: Actor, until: datetime) -> Draft | None:
        """Return the latest change of a pod that its kubelet did not make itself and that it can have heard of.

        A runtime's work that is known by the second alone is taken to start with the binding itself.
        """
        changes = [
            draft
            for draft in self._persists[key_of(pod)]
            if draft.start <= until
            and draft.cause is not None
            and draft.cause.source != kubelet
            and draft.cause.source.kind != "kubelet"
        ]
        placed = [draft for draft in changes if draft.cause is not None and not _makes(draft.cause)]
        known = placed or changes  # a pod that was made with a node is never bound
        return known[-1] if known else None

    def _link_record(self, member: Member, record: Draft) -> None:
        """Link an Event to the deed of its writer that it tells of."""
        body = mapping(member.event.request)
        body = body if "reason" in body else mapping(member.event.response)
        about = member.refers[0] if member.refers else None
        if about is None:
            return
        call = _REASONS.get(str(body.get("reason", "")))
        calls = [draft for draft in self._calls[about.uid] if draft.source == record.source]
        same = [draft for draft in calls if draft.verb == call]
        for candidates in (same, calls) if record.source.kind == "kubelet" else ():
            if earlier := [draft for draft in candidates if draft.start <= record.start]:
                record.cause = earlier[-1]
                return
        mentioned = set(re.findall(r"[a-z0-9][-a-z0-9.]*", str(body.get("message") or body.get("note") or "")))
        keys = {key_of(about), *self._owned[key_of(about)]}
        for some in ({key for key in keys if key[-1] in mentioned}, keys):
            done = [draft for draft in self._own_deeds(record, some) if draft.verb != "get"]
            if done:
                record.cause = done[-1]
                return
        heard = [d for d in self._persists[key_of(about)] if d.start <= record.start and d.cause is not None]
        heard = [draft for draft in heard if draft.cause is not None and draft.cause.source != record.source]
        if heard:
            self._notify(heard[-1], record, gettext("its next Event is about {thing}").format(thing=about))

    def _notify(self, persist: Draft, effect: Draft, rule: str) -> None:
        """Make the notification by which a stored change led to something, or let one explain more."""
        told = self._told.get((id(persist), effect.source.id))
        if told is None:
            told = self._new_notify(persist, effect, rule)
        elif effect.start < told.end:
            told.end = effect.start
            told.start = _not_before(persist, told.end)
            told.evidence = (*told.evidence, *effect.evidence[:1])
        effect.cause = told

    def _new_notify(self, persist: Draft, effect: Draft, rule: str) -> Draft:
        verb = _watch_event(persist)
        end, evidence = effect.start, effect.evidence[:1]
        if effect.source.kind == "kubelet":
            for began, span in self._runtime.syncs(persist.object.uid):
                if persist.start <= began < end:
                    end, evidence = began, (span, *evidence)
        start = _not_before(persist, end)
        heard = self._heard_by_api_server(persist, verb, start, end)
        watch, words = self._watch(effect.source, persist.object)
        told = Draft(
            "notify",
            API_SERVER,
            effect.source,
            verb,
            persist.object,
            start,
            end,
            tells(effect.source.name, persist, verb),
            tells_of(persist),
            (*persist.evidence[-1:], *watch, *evidence),
            observed=False,
            rule=f"{words}; {rule}",
            cause=heard,
            revision=persist.revision,
        )
        self._told[id(persist), effect.source.id] = told
        self.notifies.append(told)
        return told

    def _heard_by_api_server(self, persist: Draft, verb: str, start: datetime, end: datetime) -> Draft:
        """Return how etcd told the API server, whose watch cache feeds all watchers."""
        heard = self._told.get((id(persist), ETCD.id))
        if heard is not None:
            if end < heard.end:
                heard.start, heard.end = start, end
            return heard
        heard = Draft(
            "notify",
            ETCD,
            API_SERVER,
            verb,
            persist.object,
            start,
            end,
            gettext("tells the API server of {thing} ({verb})").format(thing=persist.object, verb=verb),
            tells_of(persist),
            persist.evidence[-1:],
            observed=False,
            rule=gettext(
                "the API server's watch cache learns of every change by its watch on etcd (KEP-2340), and feeds all "
                "watchers; one of them acted on this change"
            ),
            cause=persist,
            revision=persist.revision,
        )
        self._told[id(persist), ETCD.id] = heard
        self.notifies.append(heard)
        return heard

    def _watch(self, watcher: Actor, name: ObjectName) -> tuple[tuple[EvidenceId, ...], str]:
        """Return the evidence that somebody watches a resource, and that in words."""
        shared = "kube-controller-manager" if watcher.kind == "controller" else watcher.id
        for holder in dict.fromkeys((watcher.id, shared)):
            watch = self._watches.get((holder, name.resource))
            if watch is not None:
                return (watch.evidence,), watches(watcher, name.resource, watch)
        return (), watches(watcher, name.resource, None)


def _makes(request: Draft) -> bool:
    return request.verb == "create" and not request.object.subresource


def _watch_event(persist: Draft) -> str:
    """Return what watchers are told of a change (kubernetes.io/docs/reference/using-api/api-concepts)."""
    if persist.verb == "remove":
        return "DELETED"
    asked = persist.cause
    return "ADDED" if asked is not None and asked.code == 201 and not asked.object.subresource else "MODIFIED"


def _not_before(persist: Draft, until: datetime) -> datetime:
    """Return the earliest moment of a notification: etcd tells watchers before its answer has left, if it is busy."""
    return persist.end if persist.end <= until else min(persist.start, until)
