"""Port-forward: each of the client's connections to one to a port of the pod."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from typing import TYPE_CHECKING

from labkit.cri.streaming.streams import CHUNK, ByteStream, cancel
from labkit.errors import LabkitError

if TYPE_CHECKING:
    from labkit.cri.backend import StreamingBackend

_log = logging.getLogger(__name__)

FAREWELL = 1.0
"""Seconds in which a client may still send after the pod's end has closed (as containerd gives)."""


async def forward(backend: StreamingBackend, sandbox_id: str, port: int, data: ByteStream, error: ByteStream) -> bool:
    """Connect a client to a port of a pod until one of them is done.

    Parameters
    ----------
    backend : StreamingBackend
    sandbox_id : str
    port : int
    data : ByteStream
        The connection's bytes, both ways.
    error : ByteStream
        Where the client reads what went wrong.

    Returns
    -------
    bool
        Whether the connection to the port was made.
    """
    error.ignore_input()
    try:
        reader, writer = await backend.open_port(sandbox_id, port)
    except Exception as problem:
        expected = isinstance(problem, LabkitError | OSError)
        reason = os.strerror(problem.errno) if isinstance(problem, OSError) and problem.errno else problem
        message = f"error forwarding port {port} to pod {sandbox_id}: {reason}"
        _log.log(logging.INFO if expected else logging.ERROR, message, exc_info=None if expected else problem)
        with contextlib.suppress(ConnectionResetError):
            await error.write(message.encode())
        error.close()
        return False
    try:
        await _splice(data, reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    error.close()
    return True


async def _splice(data: ByteStream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes both ways until the pod's end has closed or the client has given up.

    A client that has sent all still waits for the answer. One that gets no more has little left to say.
    """
    outward = asyncio.create_task(_from_port(reader, data))
    inward = asyncio.create_task(_to_port(data, writer))
    try:
        await asyncio.wait({outward, inward}, return_when=asyncio.FIRST_COMPLETED)
        if outward.done():
            await asyncio.wait({inward}, timeout=FAREWELL)
        elif inward.exception() is None:
            await outward
    finally:
        await cancel([outward, inward])


async def _from_port(reader: asyncio.StreamReader, data: ByteStream) -> None:
    with contextlib.suppress(OSError):  # the pod's program or the client dropped the connection
        while chunk := await reader.read(CHUNK):
            await data.write(chunk)
    data.close()


async def _to_port(data: ByteStream, writer: asyncio.StreamWriter) -> None:
    """Raise ConnectionResetError when the client has given up; what the port no longer takes is dropped."""
    wanted = True
    while chunk := await data.read():
        if wanted:
            try:
                writer.write(chunk)
                await writer.drain()
            except OSError:
                wanted = False
    if wanted:
        with contextlib.suppress(OSError):
            writer.write_eof()
