"""The API server's audit log: who asked for what, when, and what came of it.

The format is ``audit.k8s.io/v1``, one JSON object a line (kubernetes.io/docs/tasks/debug/debug-cluster/audit;
staging/src/k8s.io/apiserver/pkg/apis/audit/v1/types.go).
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from labkit.errors import EvidenceError

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """What a request was about, as its URL and body say.

    Attributes
    ----------
    resource, subresource : str
        Plural, lower case: ``"pods"``, and ``"binding"``, ``"status"`` or empty.
    namespace, name : str
        Empty where the request has none: a created object's name may be generated, see `AuditEvent.response`.
    uid, resource_version : str
        Those the request itself named; mostly empty for creates and patches.
    group, version : str
        The API group, empty for the core group, and its version.
    """

    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    resource_version: str = ""
    group: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One stage of one request, as the API server recorded it.

    Attributes
    ----------
    audit_id : str
        Unique for the request; its stages share it, and so do the API server's trace spans.
    stage : str
        ``"RequestReceived"``, ``"ResponseStarted"``, ``"ResponseComplete"`` or ``"Panic"``.
    level : str
        How much was recorded: ``"Metadata"``, ``"Request"`` or ``"RequestResponse"``.
    received, staged : datetime.datetime
        When the request arrived and when this stage was reached, by the API server's clock, UTC, to the microsecond.
    user : str
        Who asked, as authenticated: this is authoritative.
    user_agent : str
        What the client calls itself: a hint, anybody may claim anything.
    verb : str
        The API verb: ``"create"``, ``"update"``, ``"patch"``, ``"get"``, ``"watch"``, ...
    uri : str
        The path and query of the request.
    object : ObjectReference or None
        None for requests that are about no object (``/readyz``).
    request, response : mapping or None
        The bodies, where the level has them: as decoded, before admission; and as stored and answered.
    code : int or None
        The HTTP status; None before the response.
    source_ips : tuple of str
        The addresses the request came through.
    annotations : mapping of str to str
        What authorization and admission noted.
    """

    audit_id: str
    stage: str
    level: str
    received: datetime
    staged: datetime
    user: str
    user_agent: str
    verb: str
    uri: str
    object: ObjectReference | None
    request: Json | None
    response: Json | None
    code: int | None
    source_ips: tuple[str, ...]
    annotations: Mapping[str, str]


def parse(line: str | bytes) -> AuditEvent:
    """Read one line of an audit log.

    Raises
    ------
    ValueError
        The line is no JSON, or no ``audit.k8s.io/v1`` event, or lacks what every event has.
    """
    raw = json.loads(line)
    if not isinstance(raw, dict) or raw.get("apiVersion") != "audit.k8s.io/v1" or raw.get("kind") != "Event":
        raise ValueError("not an event of audit.k8s.io/v1")
    try:
        return AuditEvent(
            audit_id=raw["auditID"],
            stage=raw["stage"],
            level=raw["level"],
            received=datetime.fromisoformat(raw["requestReceivedTimestamp"]),
            staged=datetime.fromisoformat(raw["stageTimestamp"]),
            user=raw["user"]["username"],
            user_agent=raw.get("userAgent", ""),
            verb=raw["verb"],
            uri=raw["requestURI"],
            object=_reference(raw.get("objectRef")),
            request=raw.get("requestObject"),
            response=raw.get("responseObject"),
            code=raw.get("responseStatus", {}).get("code"),
            source_ips=tuple(raw.get("sourceIPs", ())),
            annotations=raw.get("annotations", {}),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"an audit event without {error}") from error


def _reference(raw: Json | None) -> ObjectReference | None:
    if raw is None:
        return None
    return ObjectReference(
        resource=raw.get("resource", ""),
        subresource=raw.get("subresource", ""),
        namespace=raw.get("namespace", ""),
        name=raw.get("name", ""),
        uid=raw.get("uid", ""),
        resource_version=raw.get("resourceVersion", ""),
        group=raw.get("apiGroup", ""),
        version=raw.get("apiVersion", ""),
    )


class AuditLog:
    """An audit log to iterate over, event by event, holding none of it.

    Parameters
    ----------
    source : Path or iterable of str or bytes
        The file (``.gz`` is unpacked on the way), which may still be written to, or the lines themselves.

    Attributes
    ----------
    unreadable : int
        How many lines of the last iteration were no events and were left out.
    torn : bool
        Whether its last line was cut off, as while the API server writes it; it is not counted as unreadable.
    """

    def __init__(self, source: Path | Iterable[str | bytes]) -> None:
        self._source = source
        self.unreadable = 0
        self.torn = False

    def __iter__(self) -> Iterator[AuditEvent]:
        """Yield the events in the order they were written.

        Raises
        ------
        EvidenceError
            The file is missing or cannot be read.
        """
        self.unreadable, self.torn = 0, False
        if not isinstance(self._source, Path):
            yield from self._events(self._source)
            return
        opener = gzip.open if self._source.suffix == ".gz" else open
        try:
            with opener(self._source, "rb") as lines:
                yield from self._events(lines)
        except (OSError, EOFError, zlib.error) as error:
            raise EvidenceError(
                f"The audit log {self._source} cannot be read.",
                why=str(error),
                fix="See whether the lab runs (labkit status): its API server writes the log.",
            ) from error

    def _events(self, lines: Iterable[str | bytes]) -> Iterator[AuditEvent]:
        for line in lines:
            if self.torn:  # it was not the last line after all
                self.unreadable, self.torn = self.unreadable + 1, False
            if not line.strip():
                continue
            try:
                event = parse(line)
            except (ValueError, RecursionError):
                self.torn = line[-1:] not in {"\n", b"\n"}
                self.unreadable += not self.torn
                continue
            yield event
