"""The words of a flow: objects, hops, and the flow itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from labkit.evidence.audit import AuditEvent
from labkit.evidence.model import SourceName
from labkit.flow.actors import Actor


@dataclass(frozen=True, slots=True)
class ObjectName:
    """What a hop is about; as a string it reads as in a URL, ``pods/tomcat-5c8-x7k2p/binding``.

    Attributes
    ----------
    resource, subresource : str
        ``"pods"``, and ``"status"``, ``"binding"`` or empty.
    namespace, name : str
        The name as stored: a generated one is known.
    uid : str
        Empty where no evidence has it.
    """

    resource: str
    namespace: str
    name: str
    subresource: str = ""
    uid: str = ""

    def __str__(self) -> str:
        """Return resource, name and subresource."""
        return "/".join(part for part in (self.resource, self.name, self.subresource) if part)


@dataclass(frozen=True, slots=True)
class EvidenceId:
    """Where to find one piece of evidence; as a string ``"audit:8ce1…"``.

    Attributes
    ----------
    source : {"audit", "span", "etcd", "scheduler", "runtime", "watch", "file"}
        Who left it.
    id : str
        The audit id, ``TRACE/SPAN``, the etcd revision, the number of the scheduler's line, of the runtime's call or of
        the change that a watch told, ``NODE:PATH``.
    """

    source: SourceName | Literal["file"]
    id: str

    @classmethod
    def of(cls, event: AuditEvent) -> EvidenceId:
        """Return where a request is found: in the audit log, or in the change that it is inferred from."""
        return cls("watch" if event.inferred else "audit", event.audit_id)

    def __str__(self) -> str:
        """Return source and id."""
        return f"{self.source}:{self.id}"


HopKind = Literal["request", "persist", "notify", "runtime", "record"]


@dataclass(frozen=True, slots=True)
class Hop:
    """One arrow of a flow: somebody asked or told somebody something.

    Attributes
    ----------
    number : int
        Its place in the flow, from 1.
    kind : {"request", "persist", "notify", "runtime", "record"}
        An actor asks the API server; the API server stores in etcd; etcd tells the API server, or this a watcher; a
        kubelet asks its container runtime; an actor writes an Event, which tells of the flow and moves nothing.
    source, target : Actor
        From whom to whom.
    verb : str
        ``"create"``, ``"update"``, ``"patch"``, ``"delete"``, ``"get"``; of a persist ``"store"`` or ``"remove"``; of
        a notify ``"ADDED"``, ``"MODIFIED"`` or ``"DELETED"``; of a runtime hop CRI's name, ``"RunPodSandbox"``.
    object : ObjectName
        What it was about.
    start, end : datetime.datetime
        When it began and had ended, UTC. Of an inferred hop: the bounds between which it must have happened.
    code : int or None
        The HTTP status of the answer; None where there is none.
    what : str
        What happened, for people: ``"binds pod tomcat-5c8-x7k2p to node-02"``.
    because : str
        The rule by which it belongs to the flow: ``"owned by replicasets/tomcat-5c8"``. Never closeness in time.
    evidence : tuple of EvidenceId
        What it rests on; never empty.
    observed : bool
        Whether evidence shows it, rather than a rule inferring it.
    rule : str
        The rule that inferred it; empty where it was observed.
    cause : int or None
        The number of the hop that led to it; None for the first, and where no evidence links it to one.
    revision : int or None
        The etcd revision that a persist hop made and that a notify hop tells of.
    """

    number: int
    kind: HopKind
    source: Actor
    target: Actor
    verb: str
    object: ObjectName
    start: datetime
    end: datetime
    code: int | None
    what: str
    because: str
    evidence: tuple[EvidenceId, ...]
    observed: bool = True
    rule: str = ""
    cause: int | None = None
    revision: int | None = None

    @property
    def failed(self) -> bool:
        """Whether the answer was a refusal."""
        return self.code is not None and self.code >= 400


@dataclass(frozen=True, slots=True)
class Flow:
    """The hops that one action caused, in order.

    Attributes
    ----------
    subject : ObjectName
        What the flow is about.
    hops : tuple of Hop
        In the order in which the API server received them.
    pods : mapping of str to str
        The pods by name, each with the node that it was bound to, or an empty string.
    nodes : tuple of str
        Every node of the cluster that is known, whether or not it got a pod.
    action : str
        What the person did, ``"create deployment tomcat"``.
    control_plane : str
        The node of the API server, etcd, the scheduler and the controllers.
    losses : tuple of str
        What the evidence lacks, for people; a hop that rests on it is less certain.
    until : datetime.datetime or None
        When the next action about the same object began; None if there was none.
    """

    subject: ObjectName
    hops: tuple[Hop, ...]
    pods: Mapping[str, str] = field(default_factory=dict)
    nodes: tuple[str, ...] = ()
    action: str = ""
    control_plane: str = "master"
    losses: tuple[str, ...] = ()
    until: datetime | None = None

    @property
    def requests(self) -> tuple[Hop, ...]:
        """The hops without Events."""
        return tuple(hop for hop in self.hops if hop.kind == "request")

    def milliseconds(self, hop: Hop) -> float:
        """Return how long after the flow's first hop this one started, in ms."""
        return (hop.start - self.hops[0].start).total_seconds() * 1000
