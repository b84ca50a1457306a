"""A deployment's pods over time: when each was made, ready, marked and gone, while one action was carried out.

All of it is observed: it is what the API server answered to those who wrote about the pods (audit log). A pod about
which nobody wrote before is shown from the action on as the first write found it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from labkit.errors import EvidenceError, UsageError
from labkit.evidence.audit import AuditEvent
from labkit.evidence.model import Evidence, Revision
from labkit.flow.actions import READS
from labkit.flow.bodies import mapping, mappings, metadata, text
from labkit.flow.model import EvidenceId, Flow, ObjectName
from labkit.language import gettext, gettext_noop

Phase = Literal["not ready", "ready", "terminating"]
_NOT_READY: Phase = gettext_noop("not ready")
_READY: Phase = gettext_noop("ready")
_TERMINATING: Phase = gettext_noop("terminating")

_REVISION = "deployment.kubernetes.io/revision"  # pkg/controller/deployment/util, RevisionAnnotation


@dataclass(frozen=True, slots=True)
class Version:
    """One of a deployment's replica sets.

    Attributes
    ----------
    replica_set, revision, images : str
        Its name, the number that the deployment gave it, what its pods run.
    """

    replica_set: str
    revision: str
    images: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which a pod stayed as it was.

    Attributes
    ----------
    phase : {"not ready", "ready", "terminating"}
        How it was.
    start, end : float
        ms since the action.
    evidence : EvidenceId
        The write that shows its begin.
    """

    phase: Phase
    start: float
    end: float
    evidence: EvidenceId


@dataclass(frozen=True, slots=True)
class PodLife:
    """What became of a pod.

    Attributes
    ----------
    name : str
        The pod's.
    version : Version
        Its replica set.
    stretches : tuple of Stretch
        In order of time.
    gone : bool
        Whether it was removed in the end, or taken out of the replica set.
    """

    name: str
    version: Version
    stretches: tuple[Stretch, ...]
    gone: bool

    def phase(self, at: float) -> Phase | None:
        """Return how it was at a moment, ms; None before it was made and after it was removed."""
        return next((each.phase for each in self.stretches if each.start <= at < each.end), None)


@dataclass(frozen=True, slots=True)
class Count:
    """How many pods there were from a moment on.

    Attributes
    ----------
    at : float
        ms since the action.
    alive, ready : int
        Those that nobody had deleted, and of these the ready ones.
    """

    at: float
    alive: int
    ready: int


@dataclass(frozen=True, slots=True)
class Rollout:
    """A deployment's pods during one action.

    Attributes
    ----------
    action : str
        What the person did.
    versions : tuple of Version
        The replica sets that had pods, the oldest first.
    lives : tuple of PodLife
        By version, then in order of time.
    end : float
        When what the action caused had ended, ms since the action.
    most, least : int or None
        How many pods may exist, and how many have to be ready, as long as several versions have pods; None where the
        deployment says nothing of it.
    """

    action: str
    versions: tuple[Version, ...]
    lives: tuple[PodLife, ...]
    end: float
    most: int | None = None
    least: int | None = None

    def counts(self) -> tuple[Count, ...]:
        """Return how many pods there were, for each moment at which that changed."""
        found: list[Count] = []
        begins = {each.start for life in self.lives for each in life.stretches}
        ends = {life.stretches[-1].end for life in self.lives if life.gone and life.stretches[-1].end < self.end}
        for at in sorted({0.0} | begins | ends):
            phases = [life.phase(at) for life in self.lives]
            count = Count(at, phases.count("ready") + phases.count("not ready"), phases.count("ready"))
            if not found or (found[-1].alive, found[-1].ready) != (count.alive, count.ready):
                found.append(count)
        return tuple(found)


def rollout(flow: Flow, evidence: Evidence) -> Rollout:
    """Return what became of a deployment's pods while a flow went on.

    Parameters
    ----------
    flow : Flow
        Of an action about a deployment.
    evidence : Evidence
        What it was computed from.

    Raises
    ------
    UsageError
        The flow is about something else.
    EvidenceError
        No write about a pod of the deployment was recorded.
    """
    if flow.subject.resource != "deployments":
        raise UsageError(
            gettext("{subject} is no deployment").format(subject=flow.subject),
            fix=gettext("name one, for example deployment/tomcat"),
        )
    writes = list(_writes(evidence.audit, flow.until))
    answers = [event.response for event in writes if text(event.response, "kind") == "ReplicaSet"]
    versions = _versions([*_stored(evidence.revisions), *answers], flow.subject)
    began = flow.hops[0].start
    end = max(_milliseconds(hop.end - began) for hop in flow.hops)
    changes: dict[str, list[tuple[AuditEvent, Phase | None]]] = {}
    owners: dict[str, Version] = {}
    for event in writes:
        if text(event.response, "kind") == "Pod":
            uid, owner = text(event.response, "metadata", "uid"), versions.get(_owner(event.response))
            if owner:
                owners[uid] = owner
            if uid in owners:
                changes.setdefault(uid, []).append((event, _phase(event) if owner else None))
    lives = [_life(each, owners[uid], began, end) for uid, each in changes.items()]
    shown = [life for life in lives if life.stretches]
    if not shown:
        raise EvidenceError(
            gettext("Nothing is known of the pods of {subject}").format(subject=flow.subject),
            why=gettext("nobody wrote about one of them while it was recorded"),
            fix=gettext("scale or update it, or look at an earlier action"),
        )
    ordered = [version for version in versions.values() if any(life.version == version for life in shown)]
    shown.sort(key=lambda life: (ordered.index(life.version), _times(life), life.name))
    most, least = _limits(writes, flow.subject, began) if len(ordered) > 1 else (None, None)
    return Rollout(flow.action, tuple(ordered), tuple(shown), end, most, least)


def _writes(audit: Sequence[AuditEvent], until: datetime | None) -> Iterator[AuditEvent]:
    """Return what was written with success, in the order of the answers."""
    for event in sorted(audit, key=lambda event: event.staged):
        if until is not None and event.received >= until:
            continue
        if event.verb not in READS and event.stage == "ResponseComplete" and (event.code or 0) < 400:
            yield event


def _stored(revisions: Iterable[Revision]) -> Iterator[Any]:
    """Return the replica sets that etcd's revisions changed or removed, as they were before."""
    for revision in revisions:
        if revision.key.startswith("/registry/replicasets/"):
            yield revision.previous or revision.value


def _versions(bodies: Iterable[Any], subject: ObjectName) -> dict[str, Version]:
    """Return a deployment's replica sets by uid, as they were last, the oldest first."""
    found: dict[str, Mapping[str, Any]] = {}
    for body in bodies:
        owners = mappings(body, "metadata", "ownerReferences")
        mine = any((each.get("kind"), each.get("name")) == ("Deployment", subject.name) for each in owners)
        if mine and text(body, "metadata", "namespace") == subject.namespace:
            found[text(body, "metadata", "uid")] = body
    ordered = sorted(found.items(), key=lambda item: text(item[1], "metadata", "creationTimestamp"))
    return {uid: _version(body) for uid, body in ordered}


def _version(body: Mapping[str, Any]) -> Version:
    containers = mappings(body, "spec", "template", "spec", "containers")
    return Version(
        text(body, "metadata", "name"),
        text(body, "metadata", "annotations", _REVISION),
        ", ".join(text(each, "image") for each in containers),
    )


def _owner(body: Any) -> str:
    """Return the uid of an object's controller; empty where it has none."""
    owners = mappings(body, "metadata", "ownerReferences")
    return next((text(each, "uid") for each in owners if each.get("controller")), "")


def _phase(event: AuditEvent) -> Phase | None:
    """Return how a pod is after a write; None where the write removed it."""
    about = metadata(event.response)
    if about.get("deletionTimestamp"):
        gone = event.verb == "delete" and about.get("deletionGracePeriodSeconds") == 0
        return None if gone else _TERMINATING
    return _readiness(event.response)


def _readiness(body: Any) -> Phase:
    conditions = mappings(body, "status", "conditions")
    ready = any((each.get("type"), each.get("status")) == ("Ready", "True") for each in conditions)
    return _READY if ready else _NOT_READY


def _life(changes: Sequence[tuple[AuditEvent, Phase | None]], version: Version, began: datetime, end: float) -> PodLife:
    """Return what became of a pod from the action on; without stretches where it was gone before, or was not known."""
    stretches: list[Stretch] = []
    times = [_milliseconds(event.staged - began) for event, _ in changes]
    for (event, phase), start, following in zip(changes, times, [*times[1:], max(end, times[-1])], strict=True):
        if phase is None or following <= 0:
            continue
        if stretches and stretches[-1].phase == phase:
            before = stretches.pop()
            stretches.append(Stretch(phase, before.start, following, before.evidence))
        else:
            stretches.append(Stretch(phase, max(0.0, start), following, EvidenceId.of(event)))
    first, _ = changes[0]
    if stretches and first.verb != "create" and stretches[0].start > 0:
        found = Stretch(_readiness(first.response), 0.0, stretches[0].start, stretches[0].evidence)
        stretches.insert(0, found)
    return PodLife(text(first.response, "metadata", "name"), version, tuple(stretches), changes[-1][1] is None)


def _limits(writes: Sequence[AuditEvent], subject: ObjectName, began: datetime) -> tuple[int | None, int | None]:
    """Return how many pods an update may have, and how many it must keep ready.

    As the deployment controller computes it (pkg/controller/deployment/util, ResolveFenceposts): a share of the pods
    that may be more is rounded up, one that may be missing down, and both together are never nothing.
    """
    for event in writes:
        body = event.response
        about = (text(body, "kind"), text(body, "metadata", "namespace"), text(body, "metadata", "name"))
        if about != ("Deployment", subject.namespace, subject.name) or event.received < began:
            continue
        wanted = mapping(body, "spec").get("replicas")
        rolling = mapping(body, "spec", "strategy", "rollingUpdate")
        if not isinstance(wanted, int) or not rolling:
            break
        more = _pods(rolling.get("maxSurge"), wanted, math.ceil)
        fewer = _pods(rolling.get("maxUnavailable"), wanted, math.floor)
        return wanted + more, wanted - (fewer if more or fewer else 1)
    return None, None


def _pods(share: Any, wanted: int, rounded: Callable[[float], int]) -> int:
    """Return a number of pods that is given as one or as a share, ``"25%"``."""
    if isinstance(share, str) and share.endswith("%"):
        return rounded(int(share[:-1]) * wanted / 100)
    return int(share or 0)


def _times(life: PodLife) -> tuple[float, ...]:
    return tuple(each.start for each in life.stretches)


def _milliseconds(time: timedelta) -> float:
    return time.total_seconds() * 1000
