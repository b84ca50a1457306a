"""Bodies of any shape in the evidence: a recording may come from anywhere, and nothing in it may break a flow."""

from __future__ import annotations

import copy
import dataclasses
import random
from collections.abc import Iterator
from typing import Any

import pytest

from labkit.errors import LabkitError
from labkit.evidence.audit import AuditEvent, from_json
from labkit.flow import tell, trace
from labkit.flow.completeness import completeness
from labkit.flow.export import to_json
from tests.flow.lessons import CRASH, CREATE, EXPOSE, evidence

JUNK: tuple[Any, ...] = (None, 3, "x", [], {}, ["a"], {"a": 1}, True)
Path = tuple[str | int, ...]


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from paths(item, (*path, key))


def spoiled(event: AuditEvent, chance: random.Random) -> AuditEvent:
    """Return an event with something odd at any place of its bodies."""
    raw = copy.deepcopy(dict(event.raw))
    places = [path for path in paths(raw) if path[0] in {"requestObject", "responseObject"}]
    if not places:
        return event
    *way, last = chance.choice(places)
    part: Any = raw
    for key in way:
        part = part[key]
    part[last] = chance.choice(JUNK)
    return from_json(raw)


@pytest.mark.parametrize("seed", range(8))
def test_nothing_in_a_body_breaks_a_flow(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    audit = [spoiled(event, chance) if chance.random() < 0.4 else event for event in evidence().audit]
    odd = dataclasses.replace(evidence(), audit=audit)
    told = 0
    for subject, number in (CREATE, EXPOSE, CRASH):
        try:
            flow = trace(odd, subject, action=number)
        except LabkitError:  # the action itself was spoiled
            continue
        completeness(flow, odd)
        assert to_json(flow, tell(flow, odd))
        assert all(hop.evidence for hop in flow.hops)
        told += 1
    assert told
