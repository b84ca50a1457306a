"""The scheduler's log: klog's structured lines inside the log files of its container.

Sources: the CRI's log format, ``<RFC 3339 time> <stream> <F or P> <text>`` (k8s.io/cri-client/pkg/logs/logs.go); klog's
header ``Lmmdd hh:mm:ss.uuuuuu threadid file:line]`` (github.com/kubernetes/klog, klog.go) and text format
``"message" key="value"`` (KEP-1602); kubelet's names of files, ``<attempt>.log``, rotated ``<attempt>.log.<time>``
and later ``.gz`` (pkg/kubelet/kuberuntime/helpers.go, pkg/kubelet/logs/container_log_manager.go).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from labkit.evidence.model import Loss, SchedulerLine
from labkit.evidence.tail import Tail

_LINE = re.compile(
    rb"(?P<date>\d{4}-\d\d-\d\d)T(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)\S*Z std\w+ F "
    rb"[IWEF]\d{4} (?P<clock>\d\d:\d\d:\d\d\.\d{6}) +\d+ (?P<file>[\w.-]+):\d+\] (?P<text>\".*)"
)
_STRING = r'"(?:[^"\\]|\\.)*"'
_MESSAGE = re.compile(_STRING)
_FIELD = re.compile(rf"([\w./-]+)=({_STRING}|[^\s<\"][^\s]*)")
# What any client of the API server logs at level 10 of its requests tells nothing about scheduling.
_CLIENT = {b"round_trippers.go", b"httplog.go", b"pathrecorder.go", b"type.go", b"reflector.go"}
_ROTATED = re.compile(r"(\d+)\.log(?:\.([\d-]+))?(?:\.gz)?")
_QUARTER = 15 * 60


def parse(line: bytes, number: int) -> SchedulerLine | None:
    """Read one line of the container's log; None where it is no structured line of the scheduler's own.

    A value of several lines (klog writes them below, indented) is left out of the fields.
    """
    match = _LINE.match(line)
    if match is None or match["file"] in _CLIENT:
        return None
    text = match["text"].decode(errors="replace")
    message = _MESSAGE.match(text)
    if message is None:
        return None
    fields = {key: _unquoted(value) for key, value in _FIELD.findall(text, message.end())}
    return SchedulerLine(number, _time(match), _unquoted(message[0]), fields)


class SchedulerTail:
    """The scheduler's structured lines, followed, across its restarts and its log's rotations.

    Parameters
    ----------
    pod_logs : Path
        The control plane node's ``/var/log/pods``, as the host sees it.
    since : datetime or None
        Lines from before are left out; None takes all.
    """

    def __init__(self, pod_logs: Path, since: datetime | None = None) -> None:
        self._folder = pod_logs
        self._tail = Tail(self._files, since=since.timestamp() if since else 0.0)
        self._number = 0
        self._since = since
        # The runtime stamps a line after klog did, so one stamped earlier need not be read: most of a long past.
        self._stamp = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S").encode() if since else b""
        self._told_missing = False

    @property
    def at_end(self) -> bool:
        """Whether the last read came to the end of the log."""
        return self._tail.at_end

    def read(self) -> list[SchedulerLine]:
        """Return what was added since the last call."""
        found = []
        for text in self._tail.read():
            self._number += 1
            if self._stamp and text[: len(self._stamp)] < self._stamp:
                continue
            line = parse(text, self._number)
            if line is not None and (self._since is None or line.time >= self._since):
                found.append(line)
        if self.at_end:
            self._since, self._stamp = None, b""  # from here on all is new, whatever the clock does
        return found

    def take_losses(self) -> list[Loss]:
        """Return what was lost since the last call."""
        losses = [Loss("scheduler", *loss) for loss in self._tail.take_losses()]
        if not self._tail.found and not self._told_missing:
            self._told_missing = True
            losses.append(Loss("scheduler", "there is no log of a scheduler", f"none below {self._folder}"))
        return losses

    def close(self) -> None:
        """Close the file."""
        self._tail.close()

    def _files(self) -> Sequence[Path]:
        places = []
        for path in self._folder.glob("kube-system_kube-scheduler-*/kube-scheduler/*.log*"):
            match = _ROTATED.fullmatch(path.name)
            if match is not None:  # not the temporary file while one is being compressed
                places.append((int(match[1]), match[2] or "~", path))
        return [path for _, _, path in sorted(places)]


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        return str(json.loads(value, strict=False))
    except ValueError:  # Go quotes a few characters in ways that JSON does not know
        return value[1:-1]


def _time(match: re.Match[bytes]) -> datetime:
    """Return when klog wrote a line: its clock, which may be any time zone's, and the date of the runtime's stamp.

    klog writes out what it has gathered every five seconds at the latest, so the two differ by little but the zone,
    which is a multiple of a quarter of an hour.
    """
    stamp = datetime.fromisoformat(
        f"{match['date'].decode()}T{match['hour'].decode()}:{match['minute'].decode()}:{match['second'].decode()}+00:00"
    )
    clock = datetime.strptime(match["clock"].decode(), "%H:%M:%S.%f").replace(
        year=stamp.year, month=stamp.month, day=stamp.day, tzinfo=UTC
    )
    zone = round((clock - stamp).total_seconds() / _QUARTER) * _QUARTER
    return clock - timedelta(seconds=zone)
