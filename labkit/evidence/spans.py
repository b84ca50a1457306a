"""Trace spans: what the lab's receiver kept of what components exported.

The receiver (labkit.node.receiver) keeps requests as they came: files ``spans-<number>.otlp`` of records, each four
bytes of length, little-endian, and an ExportTraceServiceRequest (opentelemetry-proto, trace_service.proto).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from labkit.evidence.model import Loss, Span
from labkit.evidence.tail import Tail

_LENGTH = struct.Struct("<I")
_ERROR = 2  # STATUS_CODE_ERROR, trace.proto


def records(data: bytes) -> tuple[list[bytes], bytes]:
    """Cut into whole records without their lengths, and the rest."""
    found, at = [], 0
    while at + _LENGTH.size <= len(data):
        end = at + _LENGTH.size + _LENGTH.unpack_from(data, at)[0]
        if end > len(data):
            break
        found.append(data[at + _LENGTH.size : end])
        at = end
    return found, data[at:]


def parse(record: bytes) -> Iterator[Span]:
    """Yield the spans of one exported request.

    Raises
    ------
    ValueError
        It is none.
    """
    try:
        request = ExportTraceServiceRequest.FromString(record)
    except DecodeError as error:
        raise ValueError(str(error)) from error
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes)
        service, node = str(resource.get("service.name", "")), str(resource.get("host.name", ""))
        for scope in group.scope_spans:
            for span in scope.spans:
                yield Span(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    service=service,
                    node=node,
                    name=span.name,
                    start=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                    attributes=_attributes(span.attributes),
                    events=tuple((event.time_unix_nano, event.name) for event in span.events),
                    error=(span.status.message or "failed") if span.status.code == _ERROR else "",
                )


class SpanTail:
    """The spans that the lab's receiver kept, followed.

    Parameters
    ----------
    folder : Path or None
        Where the receiver keeps them; None where the cluster has none.
    since : datetime or None
        Spans that ended before are left out; None takes all.
    """

    def __init__(self, folder: Path | None, since: datetime | None = None) -> None:
        self._folder = folder
        self._tail = Tail(self._files, records, since=since.timestamp() if since else 0.0)
        self._since = int(since.timestamp() * 1e9) if since else 0
        self._losses: list[Loss] = []
        self._first_read = True
        self._told_missing = False

    @property
    def at_end(self) -> bool:
        """Whether the last read came to the end of what was received."""
        return self._tail.at_end

    def read(self) -> list[Span]:
        """Return what was received since the last call."""
        if self._first_read:
            self._first_read = False
            self._look_for_removed()
        spans: list[Span] = []
        for record in self._tail.read():
            try:
                spans += (span for span in parse(record) if span.end >= self._since)
            except ValueError as error:
                self._losses.append(Loss("span", "a record holds no spans", str(error)))
        if self.at_end:
            self._since = 0  # from here on all is new, whatever the clock does
        return spans

    def take_losses(self) -> list[Loss]:
        """Return what was lost since the last call."""
        losses = self._losses + [Loss("span", *loss) for loss in self._tail.take_losses()]
        self._losses = []
        if not self._tail.found and not self._told_missing:
            self._told_missing = True
            losses.append(Loss("span", "no trace spans were received", f"nothing in {self._folder or 'this cluster'}"))
        return losses

    def close(self) -> None:
        """Close the file."""
        self._tail.close()

    def _files(self) -> Sequence[Path]:
        return sorted(self._folder.glob("spans-*.otlp")) if self._folder is not None else []

    def _look_for_removed(self) -> None:
        """Tell of older files that the receiver removed to keep within its bound, if they may hold what is asked."""
        files = self._files()
        if not files or int(files[0].stem.removeprefix("spans-")) == 1:
            return
        if self._since < _first_end(files[0]):
            self._losses.append(Loss("span", "older spans are gone", "the receiver keeps the latest 128 MB"))


def _first_end(path: Path) -> int:
    """Return when the first span of a file ended, in nanoseconds since the epoch."""
    with path.open("rb") as file:
        head = file.read(_LENGTH.size)
        record = file.read(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else b""
    try:
        return min((span.end for span in parse(record)), default=0)
    except ValueError:
        return 0


def _attributes(values: Any) -> dict[str, str | int | float | bool]:
    found: dict[str, str | int | float | bool] = {}
    for item in values:
        kind = item.value.WhichOneof("value")
        if kind in {"string_value", "int_value", "double_value", "bool_value"}:
            found[item.key] = getattr(item.value, kind)
        elif kind is not None:
            found[item.key] = str(getattr(item.value, kind)).strip()
    return found
