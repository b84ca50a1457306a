"""What the streaming server needs from the runtime: processes and ports it can pass bytes to and from."""

from __future__ import annotations

import asyncio
from typing import Protocol


class ExecSession(Protocol):
    """One process in a container, attached to streams.

    Attributes
    ----------
    stdin : asyncio.StreamWriter or None
        The process's input; None where the client asked for none. Close it to end the input.
    stdout : asyncio.StreamReader or None
        The process's output; with a terminal, everything that appears on it.
    stderr : asyncio.StreamReader or None
        The process's errors; None with a terminal.
    """

    stdin: asyncio.StreamWriter | None
    stdout: asyncio.StreamReader | None
    stderr: asyncio.StreamReader | None

    def resize(self, columns: int, rows: int) -> None:
        """Tell the terminal its size in characters; without a terminal, do nothing."""

    async def wait(self) -> int:
        """Return the process's exit code once it has ended: 0 to 255, 128 + number after a signal."""

    async def close(self) -> None:
        """Let go when the client has gone: an exec's process is ended, an attached container runs on."""


class StreamingBackend(Protocol):
    """The runtime as the streaming server sees it.

    Every method raises `labkit.errors.ClusterError` where the container or sandbox is unknown or not running.
    """

    async def open_exec(self, container_id: str, command: list[str], *, tty: bool, stdin: bool) -> ExecSession:
        """Start a process in a container."""

    async def open_attach(self, container_id: str, *, tty: bool, stdin: bool) -> ExecSession:
        """Join the streams of a container's main process, from now on."""

    async def open_port(self, sandbox_id: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to localhost:port by TCP inside a pod's network namespace."""
