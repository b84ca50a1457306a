"""Hops while they are worked out: they know each other before they have numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from labkit.flow.actors import Actor
from labkit.flow.model import EvidenceId, Hop, HopKind, ObjectName


@dataclass(eq=False, slots=True)
class Draft:
    """A hop to be; see `Hop` for what its attributes mean."""

    kind: HopKind
    source: Actor
    target: Actor
    verb: str
    object: ObjectName
    start: datetime
    end: datetime
    what: str
    because: str
    evidence: tuple[EvidenceId, ...]
    code: int | None = None
    observed: bool = True
    rule: str = ""
    cause: Draft | None = None
    revision: int | None = None


def number(drafts: Iterable[Draft]) -> tuple[Hop, ...]:
    """Return the hops in order of time, a cause before what it led to, numbered from 1."""
    ordered = sorted(drafts, key=_order)
    numbers = {id(draft): place for place, draft in enumerate(ordered, 1)}
    return tuple(
        Hop(
            number=place,
            kind=draft.kind,
            source=draft.source,
            target=draft.target,
            verb=draft.verb,
            object=draft.object,
            start=draft.start,
            end=draft.end,
            code=draft.code,
            what=draft.what,
            because=draft.because,
            evidence=draft.evidence,
            observed=draft.observed,
            rule=draft.rule,
            cause=None if draft.cause is None else numbers[id(draft.cause)],
            revision=draft.revision,
        )
        for place, draft in enumerate(ordered, 1)
    )


def _order(draft: Draft) -> tuple[datetime, int, datetime, str, str, str, str]:
    depth, cause = 0, draft.cause
    while cause is not None and cause.start == draft.start:  # the only ones that time does not order
        depth, cause = depth + 1, cause.cause
    identity = " ".join(map(str, draft.evidence))
    return (draft.start, depth, draft.end, draft.source.id, draft.target.id, str(draft.object), identity)
