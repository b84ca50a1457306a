"""A backend for the tests: real processes, terminals and ports of this machine instead of containers."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import shutil
import signal
import struct
import termios
from typing import TYPE_CHECKING

from labkit.cri.streaming import StreamingServer
from labkit.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class HostSession:
    """One process of this machine."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.stdin = process.stdin
        self.stdout = process.stdout
        self.stderr = process.stderr
        self.terminal: int | None = None
        self.closed = 0
        self.transports: list[asyncio.BaseTransport] = []

    def resize(self, columns: int, rows: int) -> None:
        if self.terminal is not None:
            fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def wait(self) -> int:
        # Not process.wait(): asyncio's ends only when the outputs have ended too.
        while (code := self.process.returncode) is None:
            await asyncio.sleep(0.005)
        return code if code >= 0 else 128 - code

    async def close(self) -> None:
        self.closed += 1
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.wait()
        for transport in self.transports:
            transport.close()
        if self.terminal is not None:
            os.close(self.terminal)
            self.terminal = None
        self.process._transport.close()  # type: ignore[attr-defined]
        await asyncio.sleep(0)


class HostBackend:
    """Runs commands on this machine; keeps every session for the tests to look at."""

    def __init__(self) -> None:
        self.sessions: list[HostSession] = []

    async def open_exec(self, container_id: str, command: list[str], *, tty: bool, stdin: bool) -> HostSession:
        if container_id == "gone":
            raise ClusterError("Container gone is not running.")
        if shutil.which(command[0]) is None:  # asyncio would leave the pipes of its failed start open
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
        session = await (_on_terminal(command) if tty else _on_pipes(command, stdin))
        self.sessions.append(session)
        return session

    async def open_attach(self, container_id: str, *, tty: bool, stdin: bool) -> HostSession:
        return await self.open_exec(container_id, ["cat"], tty=tty, stdin=stdin)

    async def open_port(self, sandbox_id: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if sandbox_id == "gone":
            raise ClusterError("Pod sandbox gone is not running.")
        return await asyncio.open_connection("127.0.0.1", port)


async def _on_pipes(command: list[str], stdin: bool) -> HostSession:
    pipe = asyncio.subprocess.PIPE
    return HostSession(
        await asyncio.create_subprocess_exec(
            *command,
            stdin=pipe if stdin else asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            start_new_session=True,
        )
    )


async def _on_terminal(command: list[str]) -> HostSession:
    ours, theirs = os.openpty()
    process = await asyncio.create_subprocess_exec(
        "setsid", "-wc", *command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    session = HostSession(process)
    loop = asyncio.get_running_loop()
    session.stdout = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(session.stdout)
    reading, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(os.dup(ours), "rb", buffering=0))
    writing, mixin = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(os.dup(ours), "wb", buffering=0)
    )
    session.stdin = asyncio.StreamWriter(writing, mixin, None, loop)
    session.terminal = ours
    session.transports = [reading, writing]
    return session


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[tuple[StreamingServer, HostBackend]]:
    """Give a running server over this machine."""
    backend = HostBackend()
    server = StreamingServer(backend)
    await server.start()
    try:
        yield server, backend
    finally:
        await server.close()
        assert all(session.closed == 1 for session in backend.sessions)


@contextlib.asynccontextmanager
async def listening(
    serve: asyncio.streams._ClientConnectedCallback,
) -> AsyncIterator[int]:
    """Give the port of a TCP server."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back all, then the end."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
