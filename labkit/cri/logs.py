"""A container's output: from its pipes or terminal into a log file of the CRI's form, and to whoever is attached.

Sources: the format ``<RFC 3339 time> <stream> <tags> <text>`` with tag ``F`` for a whole line and ``P`` for a part
is in the Kubernetes design proposal "CRI: container logs" and in
``k8s.io/cri-client/pkg/logs/logs.go``; the limit of 16 KiB a line is containerd's default.
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

LINE_LIMIT = 16 * 1024
_CHUNK = 64 * 1024

Listener = Callable[[str, bytes], None]


def timestamp(nanoseconds: int) -> str:
    """Return a time since the epoch as RFC 3339 with nanoseconds, in UTC."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{fraction:09d}Z"


class Formatter:
    """Cuts one stream's bytes into CRI log lines.

    Parameters
    ----------
    stream : {"stdout", "stderr"}
        The stream's name in each line.
    """

    def __init__(self, stream: str) -> None:
        self._stream = stream.encode()
        self._rest = b""

    def feed(self, data: bytes, nanoseconds: int) -> bytes:
        """Return the log lines that a chunk completes; an unfinished line waits, a very long one is cut."""
        head = timestamp(nanoseconds).encode() + b" " + self._stream
        *lines, self._rest = (self._rest + data).split(b"\n")
        entries = []
        for line in lines:
            entries += [
                head + b" P " + line[at : at + LINE_LIMIT] for at in range(0, len(line) - LINE_LIMIT, LINE_LIMIT)
            ]
            entries.append(head + b" F " + line[(max(len(line) - 1, 0) // LINE_LIMIT) * LINE_LIMIT :])
        while len(self._rest) >= LINE_LIMIT:
            entries.append(head + b" P " + self._rest[:LINE_LIMIT])
            self._rest = self._rest[LINE_LIMIT:]
        return b"".join(entry + b"\n" for entry in entries)

    def flush(self, nanoseconds: int) -> bytes:
        """Return the unfinished line, if any, as a whole one: the stream has ended."""
        return self.feed(b"\n", nanoseconds) if self._rest else b""


class LogFile:
    """A log file that can be moved away and opened anew.

    Parameters
    ----------
    path : Path or None
        The file; its folder is made if it is missing. None discards everything.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._descriptor = -1
        self.reopen()

    def reopen(self) -> None:
        """Open the path again, as after a rotation."""
        self.close()
        if self._path:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)

    def write(self, data: bytes) -> None:
        """Append; a full disk loses lines, never the container."""
        if self._descriptor < 0:
            return
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EIO}:
                raise

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class LogPump:
    """Moves what a container writes into its log file, as it comes.

    Parameters
    ----------
    sources : dict of str to int
        Stream name → non-blocking descriptor to read; the pump closes them.
    log : LogFile
        Where the lines go; the pump closes it.
    """

    def __init__(self, sources: dict[str, int], log: LogFile) -> None:
        self._sources = dict(sources)
        self._formatters = {stream: Formatter(stream) for stream in sources}
        self._log = log
        self._listeners: list[Listener] = []

    def start(self) -> None:
        """Read whenever there is something to read, from the running event loop."""
        loop = asyncio.get_running_loop()
        for stream, descriptor in self._sources.items():
            loop.add_reader(descriptor, self._read, stream)

    def attach(self, listener: Listener) -> Callable[[], None]:
        """Pass every later chunk to a listener, an empty one at a stream's end; return what detaches it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def reopen(self) -> None:
        """Open the log file anew."""
        self._log.reopen()

    def poll(self) -> None:
        """Read all that is there now."""
        for stream in list(self._sources):
            while stream in self._sources and self._read(stream):
                pass

    def finish(self) -> None:
        """Read what is left, write it and close everything."""
        self.poll()
        for stream in list(self._sources):
            self._end(stream)
        self._log.close()

    def _read(self, stream: str) -> bool:
        """Read one chunk; tell whether there may be more."""
        try:
            data = os.read(self._sources[stream], _CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # a terminal whose other side is closed
            data = b""
        if not data:
            self._end(stream)
            return False
        self._log.write(self._formatters[stream].feed(data, time.time_ns()))
        for listener in tuple(self._listeners):
            listener(stream, data)
        return True

    def _end(self, stream: str) -> None:
        descriptor = self._sources.pop(stream, None)
        if descriptor is None:
            return
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        self._log.write(self._formatters[stream].flush(time.time_ns()))
        for listener in tuple(self._listeners):
            listener(stream, b"")
