"""Whether a flow has all that the evidence has about its objects; counted another way than the flow was made."""

from __future__ import annotations

from dataclasses import dataclass

from labkit.evidence.audit import AuditEvent
from labkit.evidence.model import Evidence
from labkit.flow.actions import READS
from labkit.flow.bodies import text
from labkit.flow.model import Flow
from labkit.flow.names import name_of, references


@dataclass(frozen=True, slots=True)
class Completeness:
    """What of the evidence is in a flow.

    Attributes
    ----------
    writes : int
        The audited writes about the flow's objects, Events among them, while it lasted.
    missing : tuple of str
        The audit ids of those that are no hop.
    unfounded : tuple of int
        The numbers of the hops without evidence.
    persists, observed : int
        The persist hops, and how many of them etcd's own span or a revision shows.
    """

    writes: int
    missing: tuple[str, ...]
    unfounded: tuple[int, ...]
    persists: int
    observed: int

    @property
    def complete(self) -> bool:
        """Whether every write is a hop, every hop has evidence, and every persist hop was observed."""
        return not self.missing and not self.unfounded and self.persists == self.observed


def completeness(flow: Flow, evidence: Evidence) -> Completeness:
    """Compare a flow with the evidence it was made from.

    The flow's objects are found by ownership alone: the subject, and whatever any answer in the evidence says it owns,
    directly or not.
    """
    owned = _owned(flow, evidence)
    begin, until = flow.hops[0].start, flow.until
    writes = [
        event.audit_id
        for event in evidence.audit
        if event.stage == "ResponseComplete"
        and event.verb not in READS
        and event.received >= begin
        and (until is None or event.received < until)
        and _is_about(event, owned)
    ]
    shown = {item.id for hop in flow.hops if hop.kind in {"request", "record"} for item in hop.evidence}
    persists = [hop for hop in flow.hops if hop.kind == "persist"]
    return Completeness(
        writes=len(writes),
        missing=tuple(audit_id for audit_id in writes if audit_id not in shown),
        unfounded=tuple(hop.number for hop in flow.hops if not hop.evidence),
        persists=len(persists),
        observed=sum(hop.observed for hop in persists),
    )


def _owned(flow: Flow, evidence: Evidence) -> dict[str, tuple[str, str, str]]:
    """Return the subject and all that it owns, by uid."""
    names, owners = {}, {}
    for event in evidence.audit:
        uid = text(event.response, "metadata", "uid")
        if uid and event.object is not None and event.object.resource != "events":
            name = name_of(event)
            names[uid] = (name.resource, name.namespace, name.name)
            owners[uid] = {owner for how, owner in references("", event.response) if how == "owned by"}
    subject = flow.subject
    found = {subject.uid: (subject.resource, subject.namespace, subject.name)}
    while more := {uid for uid, its in owners.items() if uid not in found and its & found.keys()}:
        found |= {uid: names[uid] for uid in more}
    return found


def _is_about(event: AuditEvent, owned: dict[str, tuple[str, str, str]]) -> bool:
    if event.object is None:
        return False
    name = name_of(event)
    if event.object.resource == "events":
        told = (*references("events", event.response), *references("events", event.request))
        return any(uid in owned for how, uid in told if how == "tells of")
    if name.uid:
        return name.uid in owned
    return (name.resource, name.namespace, name.name) in owned.values()
