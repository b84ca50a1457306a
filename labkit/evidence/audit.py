"""The API server's audit log: who asked for what, when, and what came of it.

The format is ``audit.k8s.io/v1``, one JSON object a line (kubernetes.io/docs/tasks/debug/debug-cluster/audit;
staging/src/k8s.io/apiserver/pkg/apis/audit/v1/types.go).
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import orjson

from labkit.errors import EvidenceError
from labkit.language import gettext

Json = Mapping[str, Any]


class ObjectReference(NamedTuple):
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
    raw : mapping
        The whole event, as it was written: the other attributes read it.
    received, staged : datetime.datetime
        When the request arrived and when this stage was reached, by the API server's clock, UTC, to the microsecond.
    object : ObjectReference or None
        None for requests that are about no object (``/readyz``).
    """

    raw: Json
    received: datetime
    staged: datetime
    object: ObjectReference | None

    @property
    def audit_id(self) -> str:
        """Unique for the request; its stages share it, and so do the API server's trace spans."""
        return cast("str", self.raw["auditID"])

    @property
    def stage(self) -> str:
        """``"RequestReceived"``, ``"ResponseStarted"``, ``"ResponseComplete"`` or ``"Panic"``."""
        return cast("str", self.raw["stage"])

    @property
    def level(self) -> str:
        """How much was recorded: ``"Metadata"``, ``"Request"`` or ``"RequestResponse"``."""
        return cast("str", self.raw["level"])

    @property
    def user(self) -> str:
        """Who asked, as authenticated: this is authoritative."""
        return cast("str", self.raw["user"]["username"])

    @property
    def user_agent(self) -> str:
        """What the client calls itself: a hint, anybody may claim anything."""
        return cast("str", self.raw.get("userAgent", ""))

    @property
    def verb(self) -> str:
        """The API verb: ``"create"``, ``"update"``, ``"patch"``, ``"get"``, ``"watch"``, ..."""
        return cast("str", self.raw["verb"])

    @property
    def uri(self) -> str:
        """The path and query of the request."""
        return cast("str", self.raw["requestURI"])

    @property
    def request(self) -> Json | None:
        """The request's body, where the level has it: as decoded, before admission."""
        return self.raw.get("requestObject")

    @property
    def response(self) -> Json | None:
        """The answer's body, where the level has it: as stored and answered."""
        return self.raw.get("responseObject")

    @property
    def code(self) -> int | None:
        """The HTTP status; None before the response."""
        return (self.raw.get("responseStatus") or _NOTHING).get("code")

    @property
    def inferred(self) -> str:
        """The rule by which a request is inferred from what a watch told; empty where the API server recorded it."""
        return cast("str", self.raw.get("inferred", ""))

    @property
    def source_ips(self) -> tuple[str, ...]:
        """The addresses the request came through."""
        return tuple(self.raw.get("sourceIPs", ()))

    @property
    def annotations(self) -> Mapping[str, str]:
        """What authorization and admission noted."""
        return cast("Mapping[str, str]", self.raw.get("annotations", _NOTHING))


_NOTHING: Mapping[str, Any] = {}
_BUFFER = 1 << 20  # bytes; a line may have tens of thousands


def parse(line: str | bytes) -> AuditEvent:
    """Read one line of an audit log.

    Raises
    ------
    ValueError
        The line is no JSON, or no ``audit.k8s.io/v1`` event, or lacks what every event has.
    """
    return from_json(orjson.loads(line))


def from_json(raw: Any) -> AuditEvent:
    """Read an event that is JSON already.

    Raises
    ------
    ValueError
        It is no ``audit.k8s.io/v1`` event, or lacks what every event has, or has something else in its place.
    """
    if not isinstance(raw, dict) or raw.get("apiVersion") != "audit.k8s.io/v1" or raw.get("kind") != "Event":
        raise ValueError("not an event of audit.k8s.io/v1")
    try:
        texts = (raw["auditID"], raw["stage"], raw["level"], raw["verb"], raw["requestURI"], raw["user"]["username"])
        if {*map(type, texts)} != {str}:
            raise ValueError("an audit event with something else in place of a text")
        (raw.get("responseStatus") or _NOTHING).get("code")
        return AuditEvent(
            raw,
            datetime.fromisoformat(raw["requestReceivedTimestamp"]),
            datetime.fromisoformat(raw["stageTimestamp"]),
            _reference(raw.get("objectRef")),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"an audit event without {error}") from error


def _reference(raw: Json | None) -> ObjectReference | None:
    if raw is None:
        return None
    get = raw.get
    return ObjectReference(
        get("resource", ""),
        get("subresource", ""),
        get("namespace", ""),
        get("name", ""),
        get("uid", ""),
        get("resourceVersion", ""),
        get("apiGroup", ""),
        get("apiVersion", ""),
    )


class AuditLog:
    """An audit log to iterate over, event by event, holding none of it.

    Parameters
    ----------
    source : Path or iterable of bytes
        The file (``.gz`` is unpacked on the way), which may still be written to, or the lines themselves.
    only : callable, optional
        A quick look at a line before it is parsed: False leaves it out, unread. Parsing is what costs time.

    Attributes
    ----------
    unreadable : int
        How many lines of the last iteration were no events and were left out.
    torn : bool
        Whether its last line was cut off, as while the API server writes it; it is not counted as unreadable.
    """

    def __init__(self, source: Path | Iterable[bytes], *, only: Callable[[bytes], object] | None = None) -> None:
        self._source = source
        self._only = only
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
        try:
            with self._open(self._source) as lines:
                yield from self._events(lines)
        except (OSError, EOFError, zlib.error) as error:
            raise EvidenceError(
                gettext("The audit log {source} cannot be read.").format(source=self._source),
                why=str(error),
                fix=gettext("See whether the lab runs (labkit status): its API server writes the log."),
            ) from error

    def _open(self, path: Path) -> IO[bytes]:
        return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else path.open("rb", buffering=_BUFFER)

    def _events(self, lines: Iterable[bytes]) -> Iterator[AuditEvent]:
        for line in lines if self._only is None else filter(self._only, lines):
            if self.torn:  # it was not the last line after all
                self.unreadable, self.torn = self.unreadable + 1, False
            if not line.strip():
                continue
            try:
                event = parse(line)
            except ValueError:
                self.torn = not line.endswith(b"\n")
                self.unreadable += not self.torn
                continue
            yield event
