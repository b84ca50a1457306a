"""Requests inferred from what watches told: for a cluster whose audit log nobody can read.

A watch tells of each change of an object, one for each write (kubernetes.io/docs/reference/using-api/api-concepts). So
each change stands for an answered request: what it was about and what was stored is seen, who asked is inferred
(`labkit.flow.writers`). Requests that change nothing, that were refused, or that only read leave no change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from labkit.evidence.audit import AuditEvent, ObjectReference
from labkit.evidence.model import Change, Evidence
from labkit.flow.bodies import Json, dig, text
from labkit.flow.writers import Written, changed, made, removed, reported

_TICK = timedelta(microseconds=1)


def understood(evidence: Evidence) -> Evidence:
    """Return evidence with the requests that its changes stand for, if it has no audit events that tell of them."""
    if evidence.audit or not evidence.changes:
        return evidence
    return replace(evidence, audit=requests(evidence.changes))


def requests(changes: Sequence[Change]) -> tuple[AuditEvent, ...]:
    """Return the requests that changes stand for, in order of time.

    An object's changes are in the order of its versions. Those of others are as well, Events excepted, which may be
    stored elsewhere: a change was stored before any of a later version was told.
    """
    objects: dict[str, Json] = {}
    for change in changes:
        if change.kind == "LISTED":
            objects.setdefault(_uid(change), change.object)
    found = []
    for change, time in _in_order([change for change in changes if change.kind != "LISTED"]):
        uid, before = _uid(change), objects.get(_uid(change))
        written = _written(change, before, objects)
        if written is not None:
            found.append(_event(change, written, time))
        if change.kind == "DELETED":
            objects.pop(uid, None)
        elif change.resource != "events":
            objects[uid] = change.object
    return tuple(found)


def _in_order(changes: Iterable[Change]) -> list[tuple[Change, datetime]]:
    """Return changes with the moment by which each was stored, no two the same."""
    stored = sorted((change for change in changes if change.resource != "events"), key=lambda item: item.number)
    if all(_version(change).isdigit() for change in stored):
        stored.sort(key=lambda change: int(_version(change)))
    found: list[tuple[Change, datetime]] = []
    for change in reversed(stored):
        found.append((change, min(change.time, found[-1][1] - _TICK) if found else change.time))
    found += [(change, change.time) for change in changes if change.resource == "events"]
    return sorted(found, key=lambda item: (item[1], item[0].number))


def _written(change: Change, before: Json | None, objects: dict[str, Json]) -> Written | None:
    item = change.object
    if change.resource == "events":  # one goes when its time to live ends, which nobody asks for
        return None if change.kind == "DELETED" else reported(item, again=change.kind == "MODIFIED")
    if change.kind == "DELETED":
        return removed(change.resource, item, objects, gone=True)
    if before is None:
        return made(change.resource, item) if change.kind == "ADDED" else None
    if text(item, "metadata", "deletionTimestamp") and not text(before, "metadata", "deletionTimestamp"):
        return removed(change.resource, item, objects, gone=False)
    if _grace(item) != _grace(before):
        return None  # the first half of the deletion that follows: a pod is removed once nobody has to wait for it
    return changed(change.resource, before, item)


def _event(change: Change, written: Written, time: datetime) -> AuditEvent:
    item = change.object
    meta = item["metadata"]
    version = text(written.request, "metadata", "resourceVersion") if written.verb != "create" else ""
    group, _, number = text(item, "apiVersion").rpartition("/")
    reference = ObjectReference(
        change.resource,
        written.subresource,
        text(meta, "namespace"),
        text(meta, "name"),
        "" if written.verb == "create" and not written.subresource else text(meta, "uid"),
        version,
        group,
        number,
    )
    gone = change.kind == "DELETED"
    details = {"name": reference.name, "uid": reference.uid, "kind": change.resource}
    return AuditEvent(
        {
            "auditID": f"{change.number:09}",
            "stage": "ResponseComplete",
            "level": "RequestResponse",
            "verb": written.verb,
            "requestURI": "",
            "user": {"username": written.user},
            "userAgent": written.agent,
            "responseStatus": {"code": 201 if written.verb == "create" else 200},
            "requestObject": written.request,
            "responseObject": {"kind": "Status", "details": details} if gone else item,
            "inferred": written.rule,
            "watch": change.kind,
        },
        time,
        time,
        reference,
    )


def _grace(item: Json) -> object:
    return dig(item, "metadata", "deletionGracePeriodSeconds")


def _uid(change: Change) -> str:
    return text(change.object, "metadata", "uid")


def _version(change: Change) -> str:
    return text(change.object, "metadata", "resourceVersion")
