"""Which audit events belong to what one person's action caused."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from labkit.evidence.audit import AuditEvent
from labkit.flow.actions import READS, Action, action, who
from labkit.flow.actors import Actor
from labkit.flow.bodies import Json, dig, mapping, mappings, metadata, text
from labkit.flow.describe import target_node
from labkit.flow.model import EvidenceId, ObjectName
from labkit.flow.names import Key, name_of, references
from labkit.language import gettext

_KUBE_PROXY = "system:serviceaccount:kube-system:kube-proxy"
_WAITING = 4096
"""How many answered writes may be logged before one that was received earlier."""


@dataclass(frozen=True, slots=True)
class Member:
    """An audit event that belongs to a flow.

    Attributes
    ----------
    event : AuditEvent
        The event.
    name : ObjectName
        What it is about, the uid filled in where another event has it.
    source : Actor
        Who asked.
    because : str
        Why it belongs.
    refers : tuple of ObjectName
        The flow's other objects that it refers to, or that own its object.
    """

    event: AuditEvent
    name: ObjectName
    source: Actor
    because: str
    refers: tuple[ObjectName, ...] = ()


@dataclass(slots=True)
class Window:
    """What one action caused: from the action to the next one about the same object."""

    action: Action
    members: list[Member] = field(default_factory=list)
    pods: dict[str, str] = field(default_factory=dict)
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """That somebody watches a resource: its watch request, or the list with which a watch begins.

    Attributes
    ----------
    watcher : Actor
        Who.
    evidence : EvidenceId
        The request.
    verb : str
        ``"watch"`` or ``"list"``.
    uri : str
        Its path and query, where a field selector is.
    """

    watcher: Actor
    evidence: EvidenceId
    verb: str
    uri: str


def in_order(audit: Iterable[AuditEvent]) -> Iterator[AuditEvent]:
    """Yield answered requests as the API server received them; it logs them as it answers.

    Memory is bounded: an event is held back for at most 4,096 others.
    """
    waiting: list[tuple[datetime, datetime, str, AuditEvent]] = []
    for event in audit:
        if event.object is None or event.stage != "ResponseComplete":
            continue
        item = (event.received, event.staged, event.audit_id, event)
        if len(waiting) < _WAITING:
            heapq.heappush(waiting, item)
        else:
            yield heapq.heappushpop(waiting, item)[3]
    while waiting:
        yield heapq.heappop(waiting)[3]


class Members:
    """Follows one object through audit events, and keeps those that belong to it and to what it owns.

    An event belongs if it names one of the objects, if an object that it makes or shows is owned by one
    (``ownerReferences``), or if it refers to one by uid (an Event, an endpoint slice). Reads are left out, but for a
    controller's own fresh look at an object whose update was refused because it had changed. Anything else costs two
    look-ups and is forgotten.

    Parameters
    ----------
    subject : ObjectName
        What to follow.
    addresses : mapping of str to str
        Nodes by address, see `ClusterFacts`.
    heritage : mapping of str to sequence of ObjectName
        What was owned before the first event, by the owner's uid.

    Attributes
    ----------
    windows : list of Window
        One for each action by a person about the subject, in order.
    owners : dict
        Who owns what, by the resource, namespace and name of the owned.
    watches : dict
        The watches of components, by actor's id and resource.
    """

    def __init__(
        self,
        subject: ObjectName,
        addresses: Mapping[str, str] | None = None,
        heritage: Mapping[str, Sequence[ObjectName]] | None = None,
    ) -> None:
        self.windows: list[Window] = []
        self.owners: dict[Key, set[Key]] = {}
        self.watches: dict[tuple[str, str], Watch] = {}
        self._addresses = addresses or {}
        self._heritage = heritage or {}
        self._subject: Key = (subject.resource, subject.namespace, subject.name)
        self._names: dict[Key, ObjectName] = {self._subject: subject}
        self._uids: dict[str, ObjectName] = {}
        self._nodes: dict[str, str] = {}
        self._accounts: dict[ObjectName, str] = {}  # the service account that a pod runs as
        self._tokenless: dict[tuple[str, str, str], list[ObjectName]] = {}  # pods by node, namespace and account
        self._stale: set[tuple[Actor, Key]] = set()  # who was refused for an old version, and of what
        self._exposed: set[tuple[str, str]] = set()  # Services that a person wrote meanwhile: another action
        self._selector: Json = {}  # of a Service that is followed
        self._labels: dict[Key, Json] = {}  # of the pods of workloads that people wrote
        self._kept: set[str] = set()  # audit ids: a log that was followed anew may tell things twice
        self._heirs: dict[str, ObjectName] = {}  # the owner of a pod that a person deleted makes another
        self._open = False

    def take(self, event: AuditEvent) -> None:
        """Keep the event if it belongs; events come as `in_order` yields them."""
        ref = event.object
        if ref is None:
            return
        if event.verb in READS:
            self._read(event)
            return
        key = (ref.resource, ref.namespace, ref.name)
        source = who(event.user, event.user_agent)
        if source.kind == "client":
            key = self._write_by_person(event, key)
        known = self._names.get(key)
        reason, refers = self._reason(event, known)
        if not reason:
            return
        self._keep(event, known, reason, refers)

    def _write_by_person(self, event: AuditEvent, key: Key) -> Key:
        """Start a flow, or end one, if the write does; return its key with the name as stored."""
        name = name_of(event)
        key = (name.resource, name.namespace, name.name)
        if key == self._subject and event.audit_id not in self._kept:
            done = action(event)
            if done.kind == "create" and not done.refused:
                self._forget()
            if self.windows and self.windows[-1].until is None:
                self.windows[-1].until = event.received
            self.windows.append(Window(done))
            self._open = True
            if (done.kind, name.resource) == ("delete", "pods"):
                self._expect_heir(event, key)
        elif name.resource == "services":
            self._exposed.add((name.namespace, name.name))
        elif self._selector and self._open and self._selected(event, key):
            self.windows[-1].until = event.received
            self._open = False
        return key

    def _expect_heir(self, event: AuditEvent, key: Key) -> None:
        """Know the owner of a deleted pod, which will make another in its place."""
        for owner in mappings(event.response, "metadata", "ownerReferences"):
            if owner.get("controller"):
                resource = f"{text(owner, 'kind').lower()}s"
                thing = ObjectName(resource, key[1], text(owner, "name"), uid=text(owner, "uid"))
                self._heirs[thing.uid] = thing
                self._names[thing.resource, thing.namespace, thing.name] = thing
                self.owners.setdefault(key, set()).add((thing.resource, thing.namespace, thing.name))

    def _selected(self, event: AuditEvent, key: Key) -> bool:
        """Whether a workload's pods are those that the followed Service selects; then its changes are another flow."""
        labels = mapping(event.response, "spec", "template", "metadata", "labels")
        if not labels and (chosen := text(event.response, "status", "selector")):  # a Scale
            labels = dict(part.partition("=")[::2] for part in chosen.split(","))
        if labels:
            self._labels[key] = labels
        labels = self._labels.get(key, {})
        return key[1] == self._subject[1] and bool(labels) and self._selector.items() <= labels.items()

    def _forget(self) -> None:
        """Forget the objects of a namesake that was here before."""
        self._names = {self._subject: ObjectName(*self._subject)}
        self._uids, self._nodes, self._accounts, self._tokenless, self.owners = {}, {}, {}, {}, {}
        self._stale, self._exposed, self._heirs = set(), set(), {}

    def _reason(self, event: AuditEvent, known: ObjectName | None) -> tuple[str, tuple[ObjectName, ...]]:
        """Return why an event belongs, or an empty string, and the known objects that it refers to."""
        found: dict[str, tuple[str, ObjectName]] = {}
        ref = event.object
        assert ref is not None  # noqa: S101 - `take` has seen to it
        if self._uids:
            for body in (event.response, event.request):
                for relation, uid in references(ref.resource, body):
                    if uid in self._uids:
                        found[uid] = (relation, self._uids[uid])
        refers = tuple(thing for _, thing in found.values())
        made = event.verb == "create" and not ref.subresource and found
        if known is not None and not made and (not ref.uid or not known.uid or ref.uid == known.uid):
            return gettext("names {thing}").format(thing=f"{known.resource}/{known.name}"), refers
        if found:
            relation, thing = next(iter(found.values()))
            if relation == "leads to" and event.verb == "create" and self._of_exposed(event):
                return "", ()
            return f"{gettext(relation)} {thing}", refers
        if self._heirs and ref.resource == "pods" and event.verb == "create" and not ref.subresource:
            for _, uid in references("pods", event.response):
                if uid in self._heirs:
                    owner = self._heirs[uid]
                    return gettext("owned by {owner}, as the pod that was deleted").format(owner=owner), (owner,)
        return self._by_convention(event)

    def _of_exposed(self, event: AuditEvent) -> bool:
        """Whether new endpoints are there because a person wrote a Service: they are of that action's flow."""
        meta = metadata(event.response)
        service = text(meta, "labels", "kubernetes.io/service-name") or text(meta, "name")
        return (text(meta, "namespace"), service) in self._exposed

    def _by_convention(self, event: AuditEvent) -> tuple[str, tuple[ObjectName, ...]]:
        """Return a reason that rests on names which Kubernetes itself gives."""
        ref = event.object
        if ref is None or not self._open:
            return "", ()
        if ref.subresource == "token":  # its body is not in the log: it says whose node and account, not which pod
            waiting = self._tokenless.get((who(event.user).node, ref.namespace, ref.name))
            if waiting:
                pod = waiting.pop(0)
                said = gettext("a token of service account {name}, as which {pod} runs on this node")
                return said.format(name=ref.name, pod=pod), (pod,)
        if self._subject[0] == "services":
            service = self._names[self._subject]
            if ref.resource == "endpoints" and (ref.namespace, ref.name) == self._subject[1:]:
                return gettext("the endpoints of {service}").format(service=service), (service,)
            parent = mapping(event.request, "spec", "parentRef")
            if (parent.get("resource"), parent.get("namespace"), parent.get("name")) == self._subject:
                return gettext("an address for {service}").format(service=service), (service,)
        return "", ()

    def _keep(self, event: AuditEvent, known: ObjectName | None, reason: str, refers: tuple[ObjectName, ...]) -> None:
        source = who(event.user, event.user_agent)
        if event.audit_id in self._kept:
            return
        self._kept.add(event.audit_id)
        name = name_of(event)
        if known is not None and not name.uid:
            name = ObjectName(name.resource, name.namespace, name.name, name.subresource, known.uid)
        self._learn(event, name, source)
        owners = {uid for relation, uid in references(name.resource, event.response) if relation == "owned by"}
        things = {**self._uids, **self._heirs} if self._heirs else self._uids
        for owner in owners & things.keys():
            thing = things[owner]
            owned = (name.resource, name.namespace, name.name)
            self.owners.setdefault(owned, set()).add((thing.resource, thing.namespace, thing.name))
        if not self._open:
            return
        window = self.windows[-1]
        if not window.members:
            reason = gettext("starts the flow")
        window.members.append(Member(event, name, source, reason, refers))
        if name.resource == "pods" and name.name in self._nodes:
            window.pods[name.name] = self._nodes[name.name]

    def _learn(self, event: AuditEvent, name: ObjectName, source: Actor) -> None:
        """Remember what the event made, bound or was refused."""
        key = (name.resource, name.namespace, name.name)
        if event.code == 409:
            self._stale.add((source, key))
        if event.code is None or event.code >= 400 or name.resource == "events" or name.subresource == "token":
            return
        plain = ObjectName(name.resource, name.namespace, name.name, uid=name.uid)
        if name.uid or key not in self._names:
            self._names[key] = plain
        if name.uid and name.uid not in self._heirs and name.resource not in {"endpointslices", "endpoints"}:
            self._uids[name.uid] = plain
            self._inherit(plain)
        if key == self._subject and key[0] == "services":
            self._selector = mapping(event.response, "spec", "selector") or self._selector
        if name.resource == "pods":
            self._place(event, plain)

    def _inherit(self, owner: ObjectName) -> None:
        """Know what an object owned before the evidence begins."""
        for thing in self._heritage.get(owner.uid, ()):
            if thing.uid not in self._uids:
                key = (thing.resource, thing.namespace, thing.name)
                self._names.setdefault(key, thing)
                self.owners.setdefault(key, set()).add((owner.resource, owner.namespace, owner.name))
                if thing.resource not in {"endpointslices", "endpoints"}:
                    self._uids[thing.uid] = thing
                    self._inherit(thing)

    def _place(self, event: AuditEvent, pod: ObjectName) -> None:
        bound = target_node(event) if event.object and event.object.subresource == "binding" else ""
        spec = mapping(event.response, "spec")
        node = bound or text(spec, "nodeName") or self._nodes.get(pod.name, "")
        if account := text(spec, "serviceAccountName"):
            self._accounts[pod] = account
        self._nodes[pod.name] = node
        if bound and pod in self._accounts:
            self._tokenless.setdefault((node, pod.namespace, self._accounts[pod]), []).append(pod)

    def _read(self, event: AuditEvent) -> None:
        """Remember a component's watch; keep a look again after a refused update."""
        ref = event.object
        if ref is None:
            return
        if event.verb != "get":
            if event.user.startswith("system:"):
                self._watch(event)
            return
        if self._stale:
            key = (ref.resource, ref.namespace, ref.name)
            source = who(event.user, event.user_agent)
            if (source, key) in self._stale:
                self._stale.discard((source, key))
                known = self._names[key]
                thing = f"{known.resource}/{known.name}"
                reason = gettext("names {thing}, after its update was refused").format(thing=thing)
                self._keep(event, known, reason, ())

    def _watch(self, event: AuditEvent) -> None:
        ref = event.object
        source = who(event.user, event.user_agent)
        if ref is None or source.kind == "client":
            return
        if event.user == _KUBE_PROXY:  # one name for all of them
            node = self._node_of(event)
            of_node = (f"kube-proxy/{node}", f"kube-proxy on {node}") if node else ("kube-proxy", "kube-proxy")
            source = Actor(of_node[0], "kube-proxy", of_node[1], node)
        key = (source.id, ref.resource)
        known = self.watches.get(key)
        if known is None or (known.verb, event.verb) == ("list", "watch"):
            self.watches[key] = Watch(source, EvidenceId.of(event), event.verb, event.uri)

    def _node_of(self, event: AuditEvent) -> str:
        """Return the node that a component spoke from: its token names it (KEP-4193), else its address does."""
        named = dig(event.raw, "user", "extra", "authentication.kubernetes.io/node-name")
        if isinstance(named, list) and named:
            return str(named[0])
        return next((self._addresses[address] for address in event.source_ips if address in self._addresses), "")
