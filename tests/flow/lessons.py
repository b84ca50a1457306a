"""The evidence of a real session on a rootless lab, see data/README.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path

from labkit.evidence.model import Evidence
from labkit.evidence.recording import load
from labkit.flow import Flow, trace
from labkit.flow.model import Hop

CREATE, SCALE, UPDATE, DELETE = (("deployment/tomcat", number) for number in range(4))
EXPOSE, MISSING, CRASH = ("service/tomcat", 0), ("deployment/missing", 0), ("deployment/crash", 0)
NOWHERE, JOB = ("deployment/nowhere", 0), ("job/once", 0)
ALL = (CREATE, SCALE, UPDATE, DELETE, EXPOSE, MISSING, CRASH, NOWHERE, JOB)


@cache
def evidence() -> Evidence:
    return load(Path(__file__).parent / "data" / "lessons.labtrace").evidence


def bare() -> Evidence:
    """Return the audit events alone, as another provider may have no more."""
    return dataclasses.replace(evidence(), spans=(), revisions=(), scheduler=(), runtime=())


def until(end: datetime) -> Evidence:
    """Return what there was at a moment."""
    whole = evidence()
    return dataclasses.replace(
        whole,
        audit=[event for event in whole.audit if event.staged < end],
        spans=[span for span in whole.spans if span.end < end.timestamp() * 1e9],
        runtime=[call for call in whole.runtime if call.time < end],
    )


@cache
def flow(subject: str, number: int) -> Flow:
    return trace(evidence(), subject, action=number)


def arrows(hops: Sequence[Hop]) -> list[tuple[str, str, str, str]]:
    """Return hops as (from, to, verb, object), with no name that a run invents."""
    return [(hop.source.id, hop.target.id, hop.verb, resource(hop)) for hop in hops]


def resource(hop: Hop) -> str:
    return "/".join(part for part in (hop.object.resource, hop.object.subresource) if part)


def chain(flow: Flow, hop: Hop) -> list[Hop]:
    """Return what led to a hop, from the first on, and the hop."""
    found = [hop]
    while found[0].cause is not None:
        found.insert(0, flow.hops[found[0].cause - 1])
    return found
