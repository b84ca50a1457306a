"""The audit log, followed: what is there, then what is added, across rotations, restarts and removal."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from labkit.evidence.audit import AuditEvent, parse
from labkit.evidence.model import Loss
from labkit.evidence.tail import Tail
from labkit.language import gettext

_STAGED = b'"stageTimestamp":"'
_BEGINNING = b'{"kind":"Event","apiVersion":"audit.k8s.io/v1"'
_WRITES = (b'"verb":"create"', b'"verb":"update"', b'"verb":"patch"')
_WATCHES = (b'"verb":"watch"', b'"verb":"list"')


class AuditTail:
    """The events of an API server's audit log, in the order written.

    Parameters
    ----------
    path : Path
        The file that is written; rotated ones lie beside it as ``audit-<time>.log``
        (gopkg.in/natefinch/lumberjack.v2, which the API server writes its log by).
    since : datetime or None
        Events that ended before are left out, but for watches and the lists with which watches begin: they tell who
        was watching. None takes all.

    Attributes
    ----------
    revision_before : int
        A resourceVersion stored before `since`, as late as the log tells; 0 where it tells none.
    """

    def __init__(self, path: Path, since: datetime | None = None) -> None:
        self._path = path
        self._tail = Tail(self._files, since=since.timestamp() if since else 0.0)
        self._since = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode() if since else b""
        self._before: deque[bytes] = deque(maxlen=8)
        self._losses: list[Loss] = []
        self._told_missing = False
        self.revision_before = 0

    @property
    def at_end(self) -> bool:
        """Whether the last read came to the end of the log."""
        return self._tail.at_end

    def read(self) -> list[AuditEvent]:
        """Return what was added since the last call."""
        events: list[AuditEvent] = []
        unreadable = 0
        for raw in self._tail.read():
            line = raw.lstrip(b"\0")  # where somebody emptied the file under its writer
            if not line or (self._since and self._is_before(line)):
                continue
            found = _parse(line)
            unreadable += len(found) != 1 or found[0] is None
            events += [event for event in found if event is not None]
        if unreadable:
            self._losses.append(
                Loss(
                    "audit",
                    gettext("{count} lines are no audit events").format(count=unreadable),
                    gettext("in {file}").format(file=self._path),
                )
            )
        if self.at_end and self._since:
            # From here on all is new, whatever the clock does.
            self._since = b""
            self.revision_before = max((_revision(line) for line in self._before), default=0)
            self._before.clear()
        return events

    def take_losses(self) -> list[Loss]:
        """Return what was lost since the last call."""
        losses = self._losses + [Loss("audit", *loss) for loss in self._tail.take_losses()]
        self._losses = []
        if not self._tail.found and not self._told_missing:
            self._told_missing = True
            losses.append(
                Loss(
                    "audit", gettext("there is no audit log"), gettext("{path} does not exist").format(path=self._path)
                )
            )
        return losses

    def close(self) -> None:
        """Close the file."""
        self._tail.close()

    def _files(self) -> Sequence[Path]:
        rotated = sorted(self._path.parent.glob(f"{self._path.stem}-*{self._path.suffix}"))
        return [*rotated, self._path] if self._path.exists() else rotated

    def _is_before(self, line: bytes) -> bool:
        at = line.rfind(_STAGED) + len(_STAGED)
        if at < len(_STAGED) or line[at : at + len(self._since)] >= self._since:
            return False
        if any(verb in line for verb in _WATCHES):
            return False
        if any(verb in line for verb in _WRITES):
            self._before.append(line)
        return True


def _parse(line: bytes) -> list[AuditEvent | None]:
    """Return a line's events, None in place of what is none.

    An API server that was killed in the middle of a line leaves its beginning; its successor's first event follows on
    the same line.
    """
    try:
        return [parse(line)]
    except (ValueError, RecursionError):
        second = line.rfind(_BEGINNING)
        return [None, *_parse(line[second:])] if second > 0 else [None]


def _revision(line: bytes) -> int:
    try:
        return int(((parse(line).response or {}).get("metadata") or {}).get("resourceVersion") or 0)
    except (ValueError, RecursionError, AttributeError):
        return 0
