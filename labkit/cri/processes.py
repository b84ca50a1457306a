"""Processes by pid and start time, so that a reused pid is never taken for one of ours.

Sources: proc(5) for ``/proc/PID/stat``, pidfd_open(2), pidfd_send_signal(2), pid_namespaces(7).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = "/proc"
_PAUSE = 0.001


def stat(pid: int) -> list[str] | None:
    """Return what follows the command's name in ``/proc/PID/stat``: state, parent, group, session and so on."""
    try:
        text = Path(f"{_PROC}/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, for ever: a pid can be reused, a pid with its start time cannot.

    Attributes
    ----------
    pid : int
        The process id in the runtime's pid namespace.
    started : int
        Clock ticks between the machine's start and the process's.
    """

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """Identify a running process; None if there is none."""
        fields = stat(pid)
        return None if fields is None or fields[0] == "Z" else cls(pid, int(fields[19]))

    def alive(self) -> bool:
        """Tell whether the process still runs (a zombie does not)."""
        return Identity.of(self.pid) == self

    def open(self) -> int:
        """Return a pidfd of the process, which the caller closes.

        Raises
        ------
        ProcessLookupError
            If the process has ended.
        """
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError as error:
            # After a node's restart the number may be that of a thread: ENOENT, in some kernels EINVAL.
            if error.errno not in {errno.ENOENT, errno.EINVAL, errno.ESRCH}:
                raise
            raise ProcessLookupError(self.pid) from error
        if not self.alive():
            os.close(descriptor)
            raise ProcessLookupError(self.pid)
        return descriptor

    def signal(self, number: int) -> bool:
        """Send a signal to exactly this process; False if it has ended."""
        try:
            descriptor = self.open()
        except ProcessLookupError:
            return False
        try:
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)
        return True


def on_exit(process: Identity, callback: Callable[[], None]) -> None:
    """Call back from the running event loop once a process has ended, at once if it has."""
    loop = asyncio.get_running_loop()
    try:
        descriptor = process.open()
    except ProcessLookupError:
        loop.call_soon(callback)
        return

    def ended() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        callback()

    loop.add_reader(descriptor, ended)


async def ended(process: Identity) -> None:
    """Wait until a process has ended."""
    done = asyncio.Event()
    on_exit(process, done.set)
    await done.wait()


def pids() -> Iterator[int]:
    """Yield the pids that exist now."""
    return (int(entry) for entry in os.listdir(_PROC) if entry.isdigit())  # noqa: PTH208 - a thousand Paths per second


def parent(pid: int) -> int | None:
    """Return a process's parent; None if the process has ended."""
    fields = stat(pid)
    return int(fields[1]) if fields else None


def children(pid: int) -> list[int]:
    """Return a process's children, eldest first.

    The kernel lists them where it was built to (CONFIG_PROC_CHILDREN); else every process is asked for its parent.
    """
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"{_PROC}/{pid}/task/{pid}/children").read_text().split()]
    found = [(int(fields[19]), child) for child in pids() if (fields := stat(child)) and int(fields[1]) == pid]
    return [child for _, child in sorted(found)]


def descendants(pid: int) -> list[Identity]:
    """Return a process's children, their children and so on, and who else is in their sessions."""
    family, sessions, grew = {pid}, {pid}, True
    table = {other: fields for other in pids() if (fields := stat(other)) and fields[0] != "Z"}
    while grew:
        more = {p for p, fields in table.items() if int(fields[1]) in family or int(fields[3]) in sessions} - family
        sessions |= {int(table[p][3]) for p in more if int(table[p][3]) in family | more}
        family |= more
        grew = bool(more)
    return [Identity(p, int(table[p][19])) for p in family if p in table]


def namespace(pid: int, kind: str) -> str | None:
    """Return a namespace's name, as in ``mnt:[4026531841]``; None if the process has ended."""
    try:
        return os.readlink(f"{_PROC}/{pid}/ns/{kind}")  # noqa: PTH115 - asked for every process at once
    except OSError:
        return None


class MountNamespace:
    """A mount namespace that is held open: so long, its number is no other's; afterwards the kernel gives it out again.

    Parameters
    ----------
    pid : int
        A process that lives in it.

    Raises
    ------
    OSError
        If the process has ended.
    """

    def __init__(self, pid: int) -> None:
        self._descriptor = os.open(f"{_PROC}/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        self.name = f"mnt:[{os.fstat(self._descriptor).st_ino}]"

    @classmethod
    def of(cls, process: Identity) -> MountNamespace | None:
        """Hold a process's mount namespace; None if it has ended."""
        try:
            held = cls(process.pid)
        except OSError:
            return None
        if process.alive():
            return held
        held.close()
        return None

    @classmethod
    def named(cls, name: str) -> MountNamespace | None:
        """Hold the mount namespace of a name; None if nobody lives in it."""
        for pid in pids():
            process = Identity.of(pid) if namespace(pid, "mnt") == name else None
            held = cls.of(process) if process else None
            if held and held.name == name:
                return held
            if held:
                held.close()
        return None

    def members(self) -> list[Identity]:
        """Return every process in it: for a container, all that runs in it (never the runtime's own)."""
        if self.name == namespace(os.getpid(), "mnt"):
            return []
        found = (Identity.of(pid) for pid in pids() if namespace(pid, "mnt") == self.name)
        return [process for process in found if process]

    def close(self) -> None:
        """Let it go."""
        os.close(self._descriptor)


def executable(pid: int) -> str | None:
    """Return the path of the program that a process runs; None if it has ended."""
    try:
        return os.readlink(f"{_PROC}/{pid}/exe")  # noqa: PTH115 - asked every millisecond
    except OSError:
        return None


def exit_code(returncode: int) -> int:
    """Return an exit code as a shell shows it: 128 + number after a signal."""
    return 128 - returncode if returncode < 0 else returncode


async def wait(process: asyncio.subprocess.Process) -> int:
    """Return a child's exit code as soon as it ends; asyncio's own ``wait`` waits for whoever holds its pipes, too."""
    if identity := Identity.of(process.pid):
        await ended(identity)
    while process.returncode is None:  # until asyncio has reaped it
        await asyncio.sleep(_PAUSE)
    return exit_code(process.returncode)


async def run(argv: list[str], *, env: dict[str, str], stdin: bytes, timeout: float) -> tuple[int, bytes, bytes]:
    """Run a short-lived program to its end.

    Returns
    -------
    tuple of int, bytes, bytes
        Its exit code, output and errors.

    Raises
    ------
    TimeoutError
        If it took longer than `timeout` seconds; it has been killed.
    """
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, env=env, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(timeout):
            out, err = await process.communicate(stdin)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    return exit_code(process.returncode or 0), out, err
