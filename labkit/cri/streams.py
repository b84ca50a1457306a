"""A container's standard streams, made so that they outlive the runtime.

Output goes to FIFOs that the container's side holds open for reading too: with no runtime there, a writer waits once
the pipe is full, and never gets a broken pipe. A terminal's other end is held by bubblewrap's init (``--sync-fd``);
there a restarted runtime finds it again.

Sources: fifo(7), pty(7), pidfd_getfd(2), bwrap(1) ``--sync-fd``.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path

from labkit.cri.processes import Identity

_SYS_PIDFD_GETFD = 438  # the same on every architecture


@dataclass(slots=True)
class Streams:
    """The runtime's ends.

    Attributes
    ----------
    sources : dict of str to int
        Stream name → non-blocking descriptor to read.
    stdin : int or None
        Non-blocking descriptor to write; with a terminal, the same terminal.
    terminal : int or None
        The terminal's master side.
    """

    sources: dict[str, int]
    stdin: int | None
    terminal: int | None = None


@dataclass(slots=True)
class ChildStreams:
    """The container's ends, closed by the runtime once the container has started.

    Attributes
    ----------
    standard : tuple of int
        Standard input, output and errors.
    keep : int or None
        What bubblewrap's init holds.
    """

    standard: tuple[int, int, int]
    keep: int | None

    def close(self) -> None:
        """Close the runtime's copies."""
        for descriptor in self.standard:
            os.close(descriptor)
        if self.keep is not None:
            os.close(self.keep)


def make(folder: Path, *, tty: bool, stdin: bool, stdin_once: bool) -> tuple[Streams, ChildStreams]:
    """Make a new container's streams in its folder.

    Without a terminal, input that ends with the first client (`stdin_once`) is held by the runtime alone, so that
    closing it is seen; other input is held by bubblewrap's init too.
    """
    if tty:
        return _make_terminal(stdin=stdin)
    sources = {}
    for name in ("stdout", "stderr"):
        os.mkfifo(folder / name)
        (folder / name).chmod(0o666)  # a program of another user may open /dev/stdout again; the folder is private
        sources[name] = os.open(folder / name, os.O_RDONLY | os.O_NONBLOCK)
    out, err = os.open(folder / "stdout", os.O_RDWR), os.open(folder / "stderr", os.O_RDWR)
    if not stdin:
        return Streams(sources, None), ChildStreams((os.open(os.devnull, os.O_RDONLY), out, err), None)
    os.mkfifo(folder / "stdin")
    reader = os.open(folder / "stdin", os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(folder / "stdin", os.O_WRONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    keep = None if stdin_once else os.open(folder / "stdin", os.O_WRONLY)
    return Streams(sources, writer), ChildStreams((reader, out, err), keep)


def _make_terminal(*, stdin: bool) -> tuple[Streams, ChildStreams]:
    master, slave = os.openpty()
    keep = os.dup(master)
    os.set_blocking(master, False)
    streams = Streams({"stdout": master}, os.dup(master) if stdin else None, os.dup(master))
    return streams, ChildStreams((slave, os.dup(slave), os.dup(slave)), keep)


def reopen(folder: Path, *, tty: bool, stdin: bool, init: Identity, keep: int | None) -> Streams:
    """Open a running container's streams again, after a restart of the runtime.

    Raises
    ------
    OSError
        If the container has ended meanwhile.
    """
    if tty and keep is not None:
        master = _take(init, keep)
        os.set_blocking(master, False)
        return Streams({"stdout": master}, os.dup(master) if stdin else None, os.dup(master))
    sources = {name: os.open(folder / name, os.O_RDONLY | os.O_NONBLOCK) for name in ("stdout", "stderr")}
    return Streams(sources, os.open(folder / "stdin", os.O_WRONLY | os.O_NONBLOCK) if stdin else None)


def _take(process: Identity, number: int) -> int:
    """Return a copy of another process's descriptor."""
    pidfd = process.open()
    try:
        taken = ctypes.CDLL(None, use_errno=True).syscall(_SYS_PIDFD_GETFD, pidfd, number, 0)
        if taken < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(pidfd)
    os.set_inheritable(taken, False)
    return int(taken)
