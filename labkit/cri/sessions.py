"""Processes and ports that clients are attached to: what `labkit.cri.backend` asks for.

Sources: pty(7) and ioctl_tty(2) for a terminal of the container's own devpts; pipe(7) for ``F_SETPIPE_SZ``.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import struct
import termios
from collections.abc import Awaitable
from pathlib import Path

from labkit.cri import netns, processes
from labkit.cri.containers import Container, Containers
from labkit.cri.errors import StateError
from labkit.cri.execution import Execution, kill
from labkit.cri.logs import Listener
from labkit.cri.processes import Identity
from labkit.cri.sandboxes import Sandboxes

_TIOCSPTLCK = 0x40045431  # not in Python 3.11's termios
_TIOCGPTPEER = 0x5441
_BUFFER = 1024 * 1024  # bytes that a slow client may lag behind a container's output


class Session:
    """A process attached to streams, as `labkit.cri.backend.ExecSession` says.

    Parameters
    ----------
    exit_code : awaitable of int
        How the process ended.
    ending : contextlib.ExitStack
        What to do when the client has gone.
    stdin, stdout, stderr
        The streams; None where there is none.
    terminal : int or None
        The terminal's master side.
    """

    def __init__(
        self,
        exit_code: Awaitable[int],
        ending: contextlib.ExitStack,
        *,
        stdin: asyncio.StreamWriter | None,
        stdout: asyncio.StreamReader | None,
        stderr: asyncio.StreamReader | None = None,
        terminal: int | None = None,
    ) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self._terminal = terminal
        self._exit_code = asyncio.ensure_future(exit_code)
        self._ending = ending

    def resize(self, columns: int, rows: int) -> None:
        """Tell the terminal its size."""
        if self._terminal is not None:
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def wait(self) -> int:
        """Return the exit code once the process has ended."""
        return await asyncio.shield(self._exit_code)

    async def close(self) -> None:
        """Let go of the process and close what the session holds."""
        self._terminal = None
        self._ending.close()
        self._exit_code.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._exit_code


class Sessions:
    """The streaming server's backend.

    Parameters
    ----------
    execution : Execution
        Knows how a process joins a container.
    sandboxes, containers
        What exists on the node.
    """

    def __init__(self, execution: Execution, sandboxes: Sandboxes, containers: Containers) -> None:
        self._execution = execution
        self._sandboxes = sandboxes
        self._containers = containers

    async def open_exec(self, container_id: str, command: list[str], *, tty: bool, stdin: bool) -> Session:
        """Start a process in a container."""
        argv, env = self._execution.command(container_id, command, tty=tty)
        if tty:
            return await self._open_terminal(self._containers.get(container_id).program(), argv, env, stdin=stdin)
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *argv, env=env, stdin=pipe if stdin else null, stdout=pipe, stderr=pipe, start_new_session=True
        )
        ending = contextlib.ExitStack()
        ending.callback(_end, process)
        if process.stdin:
            ending.callback(process.stdin.close)
        return Session(
            processes.wait(process), ending, stdin=process.stdin, stdout=process.stdout, stderr=process.stderr
        )

    async def _open_terminal(self, main: Identity, argv: list[str], env: dict[str, str], *, stdin: bool) -> Session:
        with contextlib.ExitStack() as ending:
            master, slave = _terminal(main)
            ending.callback(os.close, master)
            try:
                process = await asyncio.create_subprocess_exec(
                    *argv, env={"TERM": "xterm"} | env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
                )
            finally:
                os.close(slave)
            ending.callback(_end, process)
            writer = await _writer(os.dup(master), ending) if stdin else None
            reader = await _reader(os.dup(master), ending)
            return Session(processes.wait(process), ending.pop_all(), stdin=writer, stdout=reader, terminal=master)

    async def open_attach(self, container_id: str, *, tty: bool, stdin: bool) -> Session:
        """Join the streams of a container's main process."""
        container = self._containers.get(container_id)
        container.program()
        if not container.streams or not container.pump:
            raise StateError(f"The streams of container {container.config.metadata.name} are closed")
        with contextlib.ExitStack() as ending:
            taps: dict[str, int] = {}
            readers: dict[str, asyncio.StreamReader] = {}
            ending.callback(_close, taps)
            for stream in ["stdout"] if tty else ["stdout", "stderr"]:
                read, taps[stream] = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
                with contextlib.suppress(OSError):  # beyond what the user may have in pipes
                    fcntl.fcntl(taps[stream], fcntl.F_SETPIPE_SZ, _BUFFER)
                readers[stream] = await _reader(read, ending)
            ending.callback(container.pump.attach(_tap(taps)))
            terminal = None
            if container.streams and container.streams.terminal is not None:
                terminal = os.dup(container.streams.terminal)
                ending.callback(os.close, terminal)
            writer = await _input(container, ending) if stdin else None
            return Session(
                _container_exit_code(container),
                ending.pop_all(),
                stdin=writer,
                stdout=readers["stdout"],
                stderr=readers.get("stderr"),
                terminal=terminal,
            )

    async def open_port(self, sandbox_id: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to localhost:port in a pod's network namespace."""
        sandbox = self._sandboxes.get(sandbox_id)
        name = sandbox.config.metadata.name
        if not sandbox.ready or not sandbox.record.holder:
            raise StateError(f"The sandbox of pod {name} is not ready")
        try:
            connected = await netns.connect(sandbox.record.holder.pid, port)
        except OSError as error:
            raise StateError(f"Nothing in pod {name} answers on port {port}", why=str(error)) from error
        return await asyncio.open_connection(sock=connected)


class _Protocol(asyncio.StreamReaderProtocol):
    """A stream's protocol to which a terminal without processes is at its end, not broken."""

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(None if isinstance(error, OSError) and error.errno == errno.EIO else error)


async def _reader(descriptor: int, ending: contextlib.ExitStack) -> asyncio.StreamReader:
    """Return a stream that reads a descriptor and closes it in the end."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: _Protocol(reader), os.fdopen(descriptor, "rb", buffering=0))
    ending.callback(transport.close)
    return reader


async def _writer(descriptor: int, ending: contextlib.ExitStack) -> asyncio.StreamWriter:
    """Return a stream that writes a descriptor and closes it in the end."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        lambda: _Protocol(asyncio.StreamReader()), os.fdopen(descriptor, "wb", buffering=0)
    )
    ending.callback(transport.close)
    return asyncio.StreamWriter(transport, protocol, None, loop)


async def _input(container: Container, ending: contextlib.ExitStack) -> asyncio.StreamWriter | None:
    """Return a container's input; the first client of a ``stdinOnce`` container takes it, and ends it with its own."""
    streams = container.streams
    if not streams or streams.stdin is None:
        return None
    if not container.config.stdin_once:
        return await _writer(os.dup(streams.stdin), ending)
    descriptor, streams.stdin = streams.stdin, None
    return await _writer(descriptor, ending)


def _close(ends: dict[str, int]) -> None:
    for descriptor in ends.values():
        os.close(descriptor)
    ends.clear()


def _tap(ends: dict[str, int]) -> Listener:
    """Return a listener that copies output into pipes; what a slow client leaves no room for is lost to it alone."""

    def listen(stream: str, data: bytes) -> None:
        if stream not in ends:
            return
        if data:
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                os.write(ends[stream], data)
        else:
            os.close(ends.pop(stream))

    return listen


def _terminal(main: Identity) -> tuple[int, int]:
    """Return both sides of a new terminal among a container's own."""
    path = Path(f"/proc/{main.pid}/root/dev/pts/ptmx")
    master = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    slave = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    return master, slave


async def _container_exit_code(container: Container) -> int:
    await container.exited.wait()
    return container.record.exit_code


def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        kill(process.pid)
