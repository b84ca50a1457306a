"""The file of a session: every call that was made of a lab, in order, with its answer.

A tar archive, compressed by xz: ``manifest.json`` says what it is, ``calls.jsonl`` has a line per call (what was asked,
and the answer or the error), ``files/`` what is a file of its own, such as evidence (a recording, see
`labkit.evidence.recording`). Secrets are redacted, in what was asked as well.
"""

from __future__ import annotations

import difflib
import io
import lzma
import sys
import tarfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from labkit import errors
from labkit.errors import EvidenceError, LabkitError, NotRecordedError
from labkit.evidence.redaction import redacted_text, redacted_value
from labkit.lab.session import values
from labkit.language import gettext
from labkit.paths import cache_dir, state_dir

FORMAT = "labkit session"
FORMAT_VERSION = 1
SUFFIX = ".labsession"

_MANIFEST, _CALLS, _FILES = "manifest.json", "calls.jsonl", "files/"
_MAX_BYTES = 1 << 28  # a session unpacks to some 10 MB
_MOST_NAMED, _LONGEST = 8, 200
_ELSEWHERE = "\N{HORIZONTAL ELLIPSIS}"
_DAMAGE = (tarfile.TarError, lzma.LZMAError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError)


class Name(str):
    """Stands for an answer that is no value, such as a node: questions to it begin so, ``nodes['master']``."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class About:
    """What a session is.

    Attributes
    ----------
    notebook : str
        Which notebook ran: ``"00_start_here"``.
    recorded : datetime.datetime
        When it began, UTC.
    kubernetes_version, provider : str
        Of the cluster: ``"v1.34.3"``, ``"rootless"``.
    """

    notebook: str
    recorded: datetime
    kubernetes_version: str
    provider: str


class Tape:
    """Takes down calls while they are made, by whichever thread."""

    def __init__(self) -> None:
        self._calls: list[dict[str, Any]] = []
        self._files: values.Files = {}
        self._named: set[tuple[str, str]] = set()
        self._late: dict[str, Callable[[], Any]] = {}
        self._lock = threading.Lock()
        self._began = time.monotonic()

    def keep(self, call: str, answer: Any) -> None:
        """Take down what a call gave.

        Raises
        ------
        values.NoValueError
            That is no value; nothing was taken down.
        """
        with self._lock:
            self._add(call, {"answer": values.encode(answer, self._files)})

    def keep_object(self, call: str, name: str) -> None:
        """Take down that a call gave something that is no value, and as what: questions to it begin with that name."""
        with self._lock:
            if (call, name) not in self._named:  # it is the same each time
                self._named.add((call, name))
                self._add(call, {"object": name})

    def keep_error(self, call: str, error: LabkitError) -> None:
        """Take down how a call failed."""
        said = {"type": type(error).__name__, "what": error.what, "why": error.why, "fix": error.fix}
        with self._lock:
            self._add(call, {"error": said})

    def keep_late(self, call: str, answer: Callable[[], Any]) -> None:
        """Take down what a call gives once the end has come, as of a panel that changes until then."""
        self._late[call] = answer

    def end(self) -> None:
        """Take down what was left for the end; the lab still runs."""
        late, self._late = self._late, {}
        for call, answer in late.items():
            self.keep(call, answer())

    def _add(self, call: str, outcome: dict[str, Any]) -> None:
        seconds = round(time.monotonic() - self._began, 3)
        self._calls.append({"call": redacted_text(call), "at": seconds, **redacted_value(outcome)})

    def save(self, path: Path, about: About) -> None:
        """Write the file."""
        self.end()
        with self._lock:
            lines = b"".join(orjson.dumps(call, option=orjson.OPT_APPEND_NEWLINE) for call in self._calls)
            for folder in (
                sys.prefix,
                str(state_dir()),
                str(cache_dir()),
            ):  # of who recorded
                lines = lines.replace(folder.encode(), _ELSEWHERE.encode())
            files = dict(self._files)
        manifest = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "labkit": version("labkit"),
            **{field: getattr(about, field) for field in ("notebook", "recorded", "kubernetes_version", "provider")},
        }
        inside = {_MANIFEST: orjson.dumps(manifest, option=orjson.OPT_INDENT_2), _CALLS: lines}
        with tarfile.open(path, "w:xz", preset=9) as archive:  # recordings that are alike lie megabytes apart
            for name, content in (inside | {_FILES + name: content for name, content in files.items()}).items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


class Session:
    """A session as it was recorded: each call gets its answers in order, and the last one from then on.

    Parameters
    ----------
    about : About
        What it is.
    calls : sequence of dict
        The lines of the file.
    files : dict
        By name.
    """

    def __init__(self, about: About, calls: Sequence[dict[str, Any]], files: values.Files) -> None:
        self.about = about
        self._files = files
        self._answers: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for call in calls:
            self._answers[call["call"]].append(call)
        self._given: defaultdict[str, int] = defaultdict(int)
        self._lock = threading.Lock()

    @property
    def calls(self) -> tuple[str, ...]:
        """What was asked, each once, in order of the first time."""
        return tuple(self._answers)

    def has(self, call: str) -> bool:
        """Whether a call was recorded."""
        return redacted_text(call) in self._answers

    def is_method(self, name: str) -> bool:
        """Whether something of that name was called while it was recorded, with whatever arguments."""
        return any(call.startswith(f"{name}(") for call in self._answers)

    def answer(self, call: str) -> Any:
        """Return a call's next answer; a `Name` for one that is no value.

        Raises
        ------
        NotRecordedError
            It was never asked while this was recorded.
        LabkitError
            The call failed when it was recorded.
        """
        key = redacted_text(call)
        if key not in self._answers:
            raise self.unknown(call)
        with self._lock:
            answers = self._answers[key]
            found = answers[min(self._given[key], len(answers) - 1)]
            self._given[key] += 1
        if "error" in found:
            said = found["error"]
            raise getattr(errors, said["type"], LabkitError)(said["what"], why=said["why"], fix=said["fix"])
        return Name(found["object"]) if "object" in found else values.decode(found["answer"], self._files)

    def unknown(self, call: str) -> NotRecordedError:
        """Return the error that says that a call was not recorded, and which were that are like it."""
        near = difflib.get_close_matches(call, self._answers, n=_MOST_NAMED, cutoff=0.5)
        alike = (
            gettext("; what is like it and was asked: {calls}").format(calls="; ".join(map(_brief, near)))
            if near
            else ""
        )
        return NotRecordedError(
            gettext("This lab is a recording, and has no answer to: {call}").format(call=_brief(call)),
            why=gettext("that was not asked when notebook {notebook} was recorded{alike}").format(
                notebook=self.about.notebook, alike=alike
            ),
            fix=gettext("a lab that runs answers everything; labkit.doctor() tells what this machine lacks for one"),
        )


def _brief(call: str) -> str:
    return call if len(call) <= _LONGEST else f"{call[:_LONGEST]} …"


def load(path: Path) -> Session:
    """Read a session.

    Raises
    ------
    EvidenceError
        There is no such file, or it is damaged, no session, or made by a newer labkit.
    """
    try:
        inside = _members(path)
        manifest = orjson.loads(inside[_MANIFEST])
        if manifest["format"] != FORMAT:
            raise ValueError(gettext("its {file} does not say {format!r}").format(file=_MANIFEST, format=FORMAT))
        if manifest["version"] > FORMAT_VERSION:
            newer = gettext("a newer labkit made it ({version}); update labkit")
            raise ValueError(newer.format(version=manifest["labkit"]))
        calls = [orjson.loads(line) for line in inside[_CALLS].splitlines()]
        files = {name.removeprefix(_FILES): content for name, content in inside.items() if name.startswith(_FILES)}
        fields = {name: manifest[name] for name in ("notebook", "kubernetes_version", "provider")}
        about = About(recorded=datetime.fromisoformat(manifest["recorded"]), **fields)
        return Session(about, calls, files)
    except _DAMAGE as error:
        raise EvidenceError(
            gettext("The session {path} cannot be read").format(path=path),
            why=f"{error}" or type(error).__name__,
            fix=gettext("name a {suffix} file that labkit wrote, or install labkit anew").format(suffix=SUFFIX),
        ) from error


def _members(path: Path) -> dict[str, bytes]:
    inside: dict[str, bytes] = {}
    room = _MAX_BYTES
    with tarfile.open(path, "r:xz") as archive:
        for member in archive:
            room -= member.size
            if room < 0:
                raise ValueError(f"it unpacks to more than {_MAX_BYTES:,} bytes")
            content = archive.extractfile(member)
            if content is None:
                raise ValueError(f"{member.name} is no file")
            inside[member.name] = content.read()
    return inside
