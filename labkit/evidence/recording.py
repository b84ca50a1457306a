"""A recording: the evidence of one session in one file, readable on any machine and by every later labkit.

The file is a ZIP archive: ``manifest.json`` says what it is, and each source has one member of JSON lines. A source
that older labkits do not know has one only where there is something in it, and they pass over it. Equal content makes
equal bytes. Secrets are redacted on the way in (`labkit.evidence.redaction`).
"""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from labkit.errors import EvidenceError
from labkit.evidence import audit
from labkit.evidence.audit import AuditEvent
from labkit.evidence.model import (
    Change,
    ClusterFacts,
    Evidence,
    Loss,
    ProxyRecord,
    Revision,
    RuntimeCall,
    SchedulerLine,
    Span,
)
from labkit.evidence.redaction import redacted, redacted_text
from labkit.language import gettext

FORMAT = "labkit recording"
FORMAT_VERSION = 1
SUFFIX = ".labtrace"

_MANIFEST = "manifest.json"
# A lesson's recording unpacks to some 10 MB. Larger than this is no lesson, or is made to fill a reader's memory.
_MAX_BYTES = 1 << 30
_MAX_LINE = 1 << 26
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a ZIP can say
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, NotImplementedError),
    *(ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """What the learner did, and when.

    Attributes
    ----------
    time : datetime.datetime
        When it began, UTC.
    what : str
        ``"kubectl create deployment tomcat --image=tomcat8"``.
    """

    time: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording as read.

    Attributes
    ----------
    evidence : Evidence
        With every secret redacted.
    title : str
        What it shows, for people.
    recorded : datetime.datetime
        When it was saved, UTC.
    marks : tuple of Mark
        What the learner did, in order.
    format_version : int
        Of the file.
    labkit_version : str
        Of the labkit that saved it.
    """

    evidence: Evidence
    title: str
    recorded: datetime
    marks: tuple[Mark, ...]
    format_version: int
    labkit_version: str

    @property
    def kubernetes_version(self) -> str:
        """Of the cluster that was recorded: ``"v1.34.3"``."""
        return self.evidence.cluster.kubernetes_version

    @property
    def provider(self) -> str:
        """Where that cluster's nodes ran: ``"rootless"``."""
        return self.evidence.cluster.provider


def save(
    evidence: Evidence,
    path: Path | str,
    *,
    title: str = "",
    marks: Iterable[Mark] = (),
    recorded: datetime | None = None,
) -> Path:
    """Write a recording, without its secrets; what was at `path` stays until the new file is complete.

    Parameters
    ----------
    evidence : Evidence
        What to keep.
    path : Path or str
        The file to write; only its owner may read it (0600).
    title : str
        What it shows, for people.
    marks : iterable of Mark
        What the learner did.
    recorded : datetime.datetime, optional
        When, UTC; now, if not given.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    EvidenceError
        The file cannot be written.
    """
    path = Path(path)
    clean = redacted(evidence)
    manifest = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "labkit": version("labkit"),
        "recorded": recorded or datetime.now(UTC),
        "title": redacted_text(title),
        "marks": [Mark(mark.time, redacted_text(mark.what)) for mark in marks],
        "cluster": asdict(clean.cluster),
        "losses": clean.losses,
        "lines": {member.name: len(member.items(clean)) for member in _written(clean)},
    }
    try:
        _write(path, manifest, clean)
    except OSError as error:
        raise EvidenceError(
            gettext("The recording {path} cannot be written.").format(path=path),
            why=str(error),
            fix=gettext("Choose a folder that exists, that you may write to and that has room."),
        ) from error
    return path


def _write(path: Path, manifest: Mapping[str, Any], evidence: Evidence) -> None:
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".draft", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                _write_member(archive, _MANIFEST, [manifest])
                for member in _written(evidence):
                    _write_member(archive, member.name, map(member.encode, member.items(evidence)))
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(draft).unlink()
        raise


def _write_member(archive: zipfile.ZipFile, name: str, items: Iterable[Any]) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3  # Unix, on whatever machine
    info.external_attr = 0o600 << 16
    with archive.open(info, "w") as member:
        for item in items:
            member.write(orjson.dumps(item, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE))


def load(path: Path | str) -> Recording:
    """Read a recording.

    Raises
    ------
    EvidenceError
        There is no such file, or it is cut off, damaged, no recording, made by a newer labkit, or unreasonably large.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _manifest(archive, path)
            return _recording(archive, manifest)
    except EvidenceError:
        raise
    except FileNotFoundError as error:
        raise EvidenceError(
            gettext("There is no recording {path}.").format(path=path),
            why=str(error),
            fix=gettext("See the file's name and folder."),
        ) from error
    except (PermissionError, IsADirectoryError) as error:
        raise EvidenceError(
            gettext("The recording {path} cannot be read.").format(path=path),
            why=str(error),
            fix=gettext("Name a file that you may read."),
        ) from error
    except _TooLargeError as error:
        raise EvidenceError(
            gettext("The recording {path} is unreasonably large.").format(path=path),
            why=str(error),
            fix=gettext(
                "Recordings of labkit stay far below this: trust it only if you know who made it, and not with labkit."
            ),
        ) from error
    except _DAMAGE as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> EvidenceError:
    start = b""
    with contextlib.suppress(OSError), path.open("rb") as file:
        start = file.read(4)
    if start != b"PK\3\4":
        return _foreign(path, gettext("It is no ZIP archive."))
    return EvidenceError(
        gettext("The recording {path} is cut off or damaged.").format(path=path),
        why=f"{error}" or type(error).__name__,
        fix=gettext("Copy or download it again, and compare the size."),
    )


def _foreign(path: Path, why: str) -> EvidenceError:
    return EvidenceError(
        gettext("{path} is no recording of labkit.").format(path=path),
        why=why,
        fix=gettext("Name a {suffix} file, as `labkit record` writes it.").format(suffix=SUFFIX),
    )


def _manifest(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    if _MANIFEST not in archive.namelist():
        raise _foreign(path, gettext("It is a ZIP archive without {file}.").format(file=_MANIFEST))
    manifest = next(_lines(archive, _MANIFEST), None)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise _foreign(path, gettext("Its {file} does not say {format!r}.").format(file=_MANIFEST, format=FORMAT))
    number = manifest["version"]
    if not isinstance(number, int):
        raise TypeError(f"format version {number!r} is no number")
    if number > FORMAT_VERSION:
        raise EvidenceError(
            gettext("The recording {path} was made by a newer labkit ({version}).").format(
                path=path, version=manifest.get("labkit", "unknown version")
            ),
            why=gettext("Its format is version {number}; this labkit reads up to version {format_version}.").format(
                number=number, format_version=FORMAT_VERSION
            ),
            fix=gettext("Update labkit: pip install --upgrade labkit"),
        )
    return manifest


def _recording(archive: zipfile.ZipFile, manifest: Mapping[str, Any]) -> Recording:
    lines = manifest["lines"]
    members = [member for member in _MEMBERS if not member.optional or member.name in lines]
    room = _MAX_BYTES - sum(archive.getinfo(member.name).file_size for member in members)
    if room < 0:
        raise _TooLargeError(
            gettext("It unpacks to {size:,} bytes; {limit:,} are the limit.").format(
                size=_MAX_BYTES - room, limit=_MAX_BYTES
            )
        )
    read = {}
    for member in members:
        read[member.field] = tuple(map(member.decode, _lines(archive, member.name)))
        if len(read[member.field]) != lines[member.name]:
            raise ValueError(f"{member.name} has {len(read[member.field])} lines of {lines[member.name]}")
    cluster = manifest["cluster"]
    facts = ClusterFacts(**{**cluster, "nodes": tuple(cluster["nodes"])})
    return Recording(
        evidence=Evidence(facts, losses=tuple(Loss(**loss) for loss in manifest["losses"]), **read),
        title=manifest["title"],
        recorded=datetime.fromisoformat(manifest["recorded"]),
        marks=tuple(Mark(datetime.fromisoformat(mark["time"]), mark["what"]) for mark in manifest["marks"]),
        format_version=manifest["version"],
        labkit_version=manifest["labkit"],
    )


def _lines(archive: zipfile.ZipFile, name: str) -> Iterator[Any]:
    with archive.open(name) as member:
        while line := member.readline(_MAX_LINE):
            if len(line) >= _MAX_LINE:
                raise _TooLargeError(
                    gettext("A line of {name} is longer than {limit:,} bytes.").format(name=name, limit=_MAX_LINE)
                )
            yield orjson.loads(line)


class _TooLargeError(Exception):
    """A file that would fill the memory."""


@dataclass(frozen=True, slots=True)
class _Member:
    """One source in the archive: its member's name, its field of `Evidence`, and how one item becomes JSON and back.

    An optional one has no member where there is no item.
    """

    name: str
    field: str
    decode: Callable[[Any], Any]
    encode: Callable[[Any], Any] = lambda item: item
    optional: bool = False

    def items(self, evidence: Evidence) -> Sequence[Any]:
        items: Sequence[Any] = getattr(evidence, self.field)
        return items


def _written(evidence: Evidence) -> list[_Member]:
    return [member for member in _MEMBERS if not member.optional or member.items(evidence)]


def _raw(event: AuditEvent) -> Mapping[str, Any]:
    return event.raw


def _span(raw: dict[str, Any]) -> Span:
    return Span(**{**raw, "events": tuple((moment, what) for moment, what in raw["events"])})


def _scheduler_line(raw: dict[str, Any]) -> SchedulerLine:
    return SchedulerLine(**{**raw, "time": datetime.fromisoformat(raw["time"])})


def _runtime_call(raw: dict[str, Any]) -> RuntimeCall:
    return RuntimeCall(**{**raw, "time": datetime.fromisoformat(raw["time"])})


def _proxy_record(raw: dict[str, Any]) -> ProxyRecord:
    return ProxyRecord(**{**raw, "time": datetime.fromisoformat(raw["time"])})


def _change(raw: dict[str, Any]) -> Change:
    return Change(**{**raw, "time": datetime.fromisoformat(raw["time"])})


_MEMBERS = (
    _Member("audit.jsonl", "audit", audit.from_json, _raw),
    _Member("spans.jsonl", "spans", _span),
    _Member("etcd.jsonl", "revisions", lambda raw: Revision(**raw)),
    _Member("scheduler.jsonl", "scheduler", _scheduler_line),
    _Member("runtime.jsonl", "runtime", _runtime_call),
    _Member("kube-proxy.jsonl", "proxy", _proxy_record, optional=True),
    _Member("changes.jsonl", "changes", _change, optional=True),
)
