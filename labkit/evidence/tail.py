"""Following a log across its rotations: every piece once, and a word where one may be missing."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Sequence
from io import FileIO
from pathlib import Path

from labkit.language import gettext

#: Bytes that one read takes at most, so that whoever paints a picture meanwhile is not held up.
_BUDGET = 4 << 20

Split = Callable[[bytes], tuple[list[bytes], bytes]]


def lines(data: bytes) -> tuple[list[bytes], bytes]:
    """Cut into whole lines without their ends, and the rest."""
    *whole, rest = data.split(b"\n")
    return whole, rest


class Tail:
    """The pieces of a log: those that are there, then those that are added.

    A rotation renames the file that is written and makes a new one (`lumberjack`, which the API server uses; kubelet
    for containers' logs). The file stays open here, so its end is read whatever became of its name.

    Parameters
    ----------
    files : callable
        Returns the log's files, the oldest first; the last one is written to. ``.gz`` is unpacked.
    split : callable
        Cuts bytes into whole pieces and a rest.
    since : float
        Seconds since the epoch: files that were last written before are passed over.

    Attributes
    ----------
    at_end : bool
        Whether the last read came to the end of what is there.
    found : bool
        Whether there ever was a file.
    """

    def __init__(self, files: Callable[[], Sequence[Path]], split: Split = lines, *, since: float = 0.0) -> None:
        self._files = files
        self._split = split
        self._since = since
        self._file: gzip.GzipFile | FileIO | None = None
        self._path = Path()
        self._names: set[str] = set()
        self._offset = 0
        self._rest = b""
        self._leaving = False
        self._losses: list[tuple[str, str]] = []
        self.at_end = False
        self.found = False

    def read(self) -> list[bytes]:
        """Return the pieces completed since the last call, a few megabytes of them at most."""
        pieces: list[bytes] = []
        budget = _BUDGET
        self.at_end = False
        while budget > 0:
            if self._file is None and not self._open_first():
                self.at_end = True
                break
            data = self._read(budget)
            budget -= len(data)
            if data:
                whole, self._rest = self._split(self._rest + data)
                pieces += whole
            elif not self._move_on():
                self.at_end = True
                break
        return pieces

    def take_losses(self) -> list[tuple[str, str]]:
        """Return what was lost since the last call: what, and why."""
        losses, self._losses = self._losses, []
        return losses

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open_first(self) -> bool:
        files = list(self._files())
        for path in files:
            try:
                if path == files[-1] or path.stat().st_mtime >= self._since:
                    return self._open(path, files)
            except FileNotFoundError:
                return False  # rotated at this very moment: next time
        return False

    def _open(self, path: Path, files: Sequence[Path]) -> bool:
        try:
            opened = gzip.GzipFile(path) if path.suffix == ".gz" else path.open("rb", buffering=0)
        except FileNotFoundError:
            return False
        except OSError as error:
            self._lose(gettext("{file} cannot be read").format(file=path.name), str(error))
            return False
        self.close()
        if self._rest.strip(b"\0"):
            what = gettext("the end of {file} is cut off").format(file=self._path.name)
            self._lose(what, gettext("its writer ended in the middle of it"))
        self._file, self._path, self._names = opened, path, {file.name for file in files}
        self._offset, self._rest, self._leaving, self.found = 0, b"", False, True
        return True

    def _read(self, size: int) -> bytes:
        assert self._file is not None  # noqa: S101 - read() opened it
        try:
            data = self._file.read(size)
        except (OSError, EOFError, zlib.error) as error:
            self._lose(gettext("the rest of {file} cannot be read").format(file=self._path.name), str(error))
            return b""
        self._offset += len(data)
        return data

    def _move_on(self) -> bool:
        """At the end of a file: tell whether there is more, there or in the file after it."""
        assert self._file is not None  # noqa: S101 - read() opened it
        here = os.fstat(self._file.fileno())
        files = list(self._files())
        place = next((n for n, path in enumerate(files) if _is(path, here)), None)
        if not files or place == len(files) - 1:
            # Whoever writes may still hold a file that was removed open.
            return self._begin_again(here.st_size)
        if not self._leaving:
            self._leaving = True  # what came before the rotation but after the last read
            return True
        if place is not None:
            return self._open(files[place + 1], files)
        if {path.name for path in files} != self._names:
            self._lose(
                gettext("a part of the log between {first} and {last} may be missing").format(
                    first=self._path.name, last=files[-1].name
                ),
                gettext("it was rotated, and the rotated file removed, while nobody read it"),
            )
        return self._open(files[-1], files)

    def _begin_again(self, size: int) -> bool:
        """Go back to the start of a file that became shorter."""
        if self._path.suffix == ".gz" or size >= self._offset:
            return False
        assert self._file is not None  # noqa: S101 - read() opened it
        what = gettext("{file} became shorter").format(file=self._path.name)
        self._lose(what, gettext("somebody emptied it while it was written"))
        self._file.seek(0)
        self._offset, self._rest = 0, b""
        return size > 0

    def _lose(self, what: str, why: str) -> None:
        self._losses.append((what, why))


def _is(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), status)
    except OSError:
        return False
