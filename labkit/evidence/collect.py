"""All the evidence of a stretch of time, gathered now."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from labkit.cluster.protocol import Cluster
from labkit.evidence.audit import AuditEvent
from labkit.evidence.live import LiveEvidence
from labkit.evidence.model import TRANSACTION, ClusterFacts, Evidence, Loss, Span
from labkit.language import gettext

_POLL_SECONDS = 0.01
_TIMEOUT = 30.0
#: Components export their spans in batches: what was written this long ago has either arrived or never will.
_SPANS_LATE = timedelta(seconds=2)
_REFUSED = 300  # HTTP's lowest status that is no success
_STORED = {"create", "update", "patch", "delete", "deletecollection"}


def collect(cluster: Cluster, *, since: datetime | None = None) -> Evidence:
    """Gather what a cluster's components left.

    It waits, up to two seconds, for the spans of the latest writes: the API server's, and etcd's of its transactions.

    Parameters
    ----------
    cluster : Cluster
        Whose.
    since : datetime, optional
        From when on; by default all that is still there.

    Returns
    -------
    Evidence
        Every sequence in order of time. What is missing is told by its losses.
    """
    parts: list[Evidence] = []
    awaited = AwaitedSpans()
    deadline = time.monotonic() + _TIMEOUT
    with LiveEvidence(cluster, since) as live:
        while time.monotonic() < deadline:
            new = live.poll()
            parts.append(new)
            awaited.take(new)
            if live.at_end and (cluster.span_folder is None or not awaited.since(datetime.now(UTC) - _SPANS_LATE)):
                break
            time.sleep(_POLL_SECONDS)
    found = gathered(live.facts, parts)
    return found if cluster.span_folder is None else checked(found, since)


class AwaitedSpans:
    """Which spans are still to come, by the evidence that has.

    The API server and etcd export theirs each at its own time, so that either may come first.
    """

    def __init__(self) -> None:
        self._writes: list[AuditEvent] = []
        self._sent: dict[str, int] = {}  # span id of a transaction that the API server sent → its end
        self._done: set[str] = set()  # those that etcd has told of

    def take(self, new: Evidence) -> None:
        """Take in evidence, none of it twice."""
        self._writes = without_spans([*self._writes, *new.audit], new.spans)
        transactions = [span for span in new.spans if span.name == TRANSACTION]
        self._done |= {span.parent_id for span in transactions if span.service == "etcd"}
        self._sent |= {span.span_id: span.end for span in transactions if span.service != "etcd"}
        self._sent = {span_id: end for span_id, end in self._sent.items() if span_id not in self._done}

    def since(self, moment: datetime) -> bool:
        """Whether any is awaited of what ended at or after a moment."""
        nanoseconds = moment.timestamp() * 1e9
        return any(event.staged >= moment for event in self._writes) or any(
            end >= nanoseconds for end in self._sent.values()
        )


def gathered(cluster: ClusterFacts, parts: Sequence[Evidence]) -> Evidence:
    """Return batches of evidence as one, every sequence in order of time."""
    return Evidence(
        cluster=cluster,
        audit=sorted((event for part in parts for event in part.audit), key=lambda event: event.received),
        spans=sorted((span for part in parts for span in part.spans), key=lambda span: span.start),
        revisions=[revision for part in parts for revision in part.revisions],
        scheduler=[line for part in parts for line in part.scheduler],
        runtime=sorted((call for part in parts for call in part.runtime), key=lambda call: call.time),
        changes=[change for part in parts for change in part.changes],
        losses=[loss for part in parts for loss in part.losses],
    )


def checked(evidence: Evidence, since: datetime | None = None, until: datetime | None = None) -> Evidence:
    """Return evidence with a loss added if the API server wrote what no span tells of.

    Parameters
    ----------
    evidence : Evidence
        Gathered two seconds or more after the last write, so that all its spans have arrived.
    since : datetime, optional
        Spans were gathered from then on.
    until : datetime, optional
        Of what was written later, spans may still be to come.
    """
    missing = [
        event
        for event in without_spans(evidence.audit, evidence.spans)
        if (since is None or event.received >= since) and (until is None or event.staged < until)
    ]
    if not missing:
        return evidence
    loss = Loss(
        "span",
        gettext("{count} of the API server's writes have no span").format(count=len(missing)),
        gettext("it ended before it had exported them, had too many at once, or nobody received them"),
    )
    return dataclasses.replace(evidence, losses=[*evidence.losses, loss])


def without_spans(audit: Iterable[AuditEvent], spans: Iterable[Span]) -> list[AuditEvent]:
    """Return the writes of which no span tells; the API server's carry its ``audit-id``, unless it refused them."""
    known = {span.attributes.get("audit-id") for span in spans}
    return [
        event
        for event in audit
        if event.verb in _STORED and event.code is not None and event.code < _REFUSED and event.audit_id not in known
    ]
