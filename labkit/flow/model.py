"""The words of a flow: objects, hops, and the flow itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

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
class Hop:
    """One arrow of a flow: somebody asked somebody for something.

    Attributes
    ----------
    number : int
        Its place in the flow, from 1.
    source, target : Actor
        Who asked whom.
    verb : str
        ``"create"``, ``"update"``, ``"patch"``, ``"delete"``, ``"get"``.
    object : ObjectName
        What it was about.
    start, end : datetime.datetime
        When the API server received the request and had answered it, by its own clock.
    code : int or None
        The HTTP status of the answer; None where the evidence has none.
    kind : {"request", "record"}
        A record is an Event: it tells of the flow and moves nothing.
    what : str
        What happened, for people: ``"binds pod tomcat-5c8-x7k2p to node-02"``.
    because : str
        The rule by which it belongs to the flow: ``"owned by replicasets/tomcat-5c8"``. Never closeness in time.
    evidence : str
        The audit id.
    observed : bool
        Whether evidence shows it, rather than a rule inferring it.
    """

    number: int
    source: Actor
    target: Actor
    verb: str
    object: ObjectName
    start: datetime
    end: datetime
    code: int | None
    kind: Literal["request", "record"]
    what: str
    because: str
    evidence: str
    observed: bool = True

    @property
    def failed(self) -> bool:
        """Whether the API server refused the request."""
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
        Every node whose kubelet spoke while the flow was recorded, whether or not it got a pod.
    """

    subject: ObjectName
    hops: tuple[Hop, ...]
    pods: Mapping[str, str] = field(default_factory=dict)
    nodes: tuple[str, ...] = ()

    @property
    def requests(self) -> tuple[Hop, ...]:
        """The hops without Events."""
        return tuple(hop for hop in self.hops if hop.kind == "request")

    def milliseconds(self, hop: Hop) -> float:
        """Return how long after the flow's first hop this one started, in ms."""
        return (hop.start - self.hops[0].start).total_seconds() * 1000
