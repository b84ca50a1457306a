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
    drafts = list(drafts)
    places = _places(drafts)
    ordered = sorted(drafts, key=lambda draft: (*places[id(draft)], *_identity(draft)))
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
            end=max(draft.start, draft.end),  # a clock may be set back meanwhile
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


def _places(drafts: Iterable[Draft]) -> dict[int, tuple[datetime, int]]:
    """Return where each hop stands: its start, or its cause's place if that is later, which bounds and clocks allow."""
    places: dict[int, tuple[datetime, int]] = {}
    for draft in drafts:
        chain, step = [], draft
        while id(step) not in places and step.cause is not None:
            chain.append(step)
            step = step.cause
        places.setdefault(id(step), (step.start, 0))
        for effect in reversed(chain):
            start, depth = places[id(effect.cause)]
            places[id(effect)] = (start, depth + 1) if start >= effect.start else (effect.start, 0)
    return places


def _identity(draft: Draft) -> tuple[datetime, str, str, str, str]:
    """Return what orders hops of the same moment, in every run alike."""
    evidence = " ".join(map(str, draft.evidence))
    return (draft.end, draft.source.id, draft.target.id, str(draft.object), evidence)
