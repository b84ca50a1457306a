"""Byte streams that share one upgraded connection, whatever its protocol.

Two directions of back-pressure: what arrives is read from the socket only while little is waiting to be consumed, and
a writer waits until the socket has taken what was written before.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any

from labkit.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

_log = logging.getLogger(__name__)

CHUNK = 64 * 1024
"""Bytes that are read or written at once."""

BUFFER_LIMIT = 1024 * 1024
"""Bytes of one connection that may wait to be consumed before its socket is left unread."""

IDLE_TIMEOUT = 4 * 3600.0
"""Seconds without a byte in either direction after which a connection ends (CRI's StreamIdleTimeout)."""

CREATION_TIMEOUT = 30.0
"""Seconds a client has to send its request and to open its streams (CRI's StreamCreationTimeout)."""

LAST_INPUT = 5.0
"""Seconds that the input of a peer that has gone has to reach its reader."""

LINGER = 60.0
"""Seconds a finished connection waits for its peer, that may still be reading, to close."""


async def cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they have cleaned up, even if we are cancelled ourselves meanwhile."""
    for task in tasks:
        task.cancel()
    interruption = None
    while running := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(running)
        except asyncio.CancelledError as error:
            interruption = error
    for task in tasks:
        if not task.cancelled():
            task.exception()  # seen, or asyncio would report it
    if interruption is not None:
        raise interruption


class ByteStream(ABC):
    """One of several byte streams over a connection; either side may end its own half.

    Parameters
    ----------
    connection : Connection
        What carries it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._chunks: deque[bytes] = deque()
        self._ended = False
        self._lost = False
        self._ignoring = False
        self._changed = asyncio.Event()

    async def read(self) -> bytes:
        """Return all that has arrived, at least a byte; nothing once the peer has ended its half.

        Raises
        ------
        ConnectionResetError
            The peer has given the stream up.
        """
        while not self._chunks:
            if self._lost:
                raise ConnectionResetError("the client reset the stream")
            if self._ended:
                return b""
            self._changed.clear()
            await self._changed.wait()
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._connection.consumed(self, len(data))
        return data

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Send bytes; wait while the peer does not take them.

        Raises
        ------
        ConnectionResetError
            The peer has given up the stream or the connection.
        """

    @abstractmethod
    def close(self) -> None:
        """End our half: the peer reads what was written, then the end."""

    def ignore_input(self) -> None:
        """Drop whatever the peer sends on this stream, on which only we have something to say."""
        self._ignoring = True

    def feed(self, data: bytes) -> None:
        """Take bytes from the connection."""
        if data and not self._ended and not self._ignoring:
            self._chunks.append(data)
            self._connection.buffered += len(data)
            self._changed.set()

    def feed_eof(self) -> None:
        """Take the end of the peer's half from the connection."""
        self._ended = True
        self._changed.set()

    def lose(self) -> None:
        """Take the peer's reset from the connection: nothing more goes either way."""
        self._connection.consumed(self, sum(map(len, self._chunks)))
        self._chunks.clear()
        self._lost = self._ended = True
        self._changed.set()


class Connection(ABC):
    """An upgraded connection that carries byte streams.

    Parameters
    ----------
    reader : asyncio.StreamReader
    writer : asyncio.StreamWriter
        The socket, after the upgrade's response was written.

    Attributes
    ----------
    buffered : int
        Bytes that have arrived and were not consumed.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._relieved = asyncio.Event()
        self._active = asyncio.get_running_loop().time()
        self.buffered = 0

    @abstractmethod
    def received(self, data: bytes) -> None:
        """Take bytes from the socket.

        Raises
        ------
        ClusterError
            They break the protocol.
        EOFError
            The peer has said goodbye.
        """

    @abstractmethod
    def goodbye(self, problem: ClusterError | None) -> None:
        """Tell the peer that the connection ends, and why if something was wrong."""

    def send(self, data: bytes) -> None:
        """Give bytes to the socket without waiting."""
        self._active = asyncio.get_running_loop().time()
        if not self._writer.is_closing():
            self._writer.write(data)

    async def drain(self) -> None:
        """Wait while the socket has not taken what was sent.

        Raises
        ------
        ConnectionResetError
            The peer is gone.
        """
        await self._writer.drain()

    def consumed(self, stream: ByteStream, count: int) -> None:  # noqa: ARG002 - subclasses need the stream
        """Note that a stream's bytes were consumed."""
        self.buffered -= count
        if self.buffered <= BUFFER_LIMIT:
            self._relieved.set()

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Serve a connection until the work is done, or until the peer is gone, which cancels the work.

        Parameters
        ----------
        work : Coroutine
            What uses the streams.
        """
        working = asyncio.create_task(work)
        tasks = [working, asyncio.create_task(self._receive()), asyncio.create_task(self._idle())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            problem = next((error for error in (task.exception() for task in done) if error), None)
            if isinstance(problem, ClusterError):
                _log.info("A streaming connection ends: %s", problem)
            elif problem and not isinstance(problem, OSError | EOFError):
                _log.error("A streaming connection failed", exc_info=problem)
            self.goodbye(problem if isinstance(problem, ClusterError) else None)
            if working in done:
                await self._finish(tasks[1])
            elif not isinstance(problem, ClusterError):
                await self._deliver_the_last(working)
        finally:
            await cancel(tasks)

    async def _receive(self) -> None:
        while data := await self._reader.read(CHUNK):
            self._active = asyncio.get_running_loop().time()
            self.received(data)
            while self.buffered > BUFFER_LIMIT:
                self._relieved.clear()
                await self._relieved.wait()
            # Writers wait for themselves; this is for a peer that makes us answer and does not read the answers.
            if self._writer.transport.get_write_buffer_size() > BUFFER_LIMIT:
                await self.drain()

    async def _idle(self) -> None:
        while (left := self._active + IDLE_TIMEOUT - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(left)
        raise ClusterError("A streaming connection was idle for too long.", why=f"{IDLE_TIMEOUT:.0f} s with no byte")

    async def _deliver_the_last(self, working: asyncio.Task[None]) -> None:
        """Let what a peer sent before it went reach its reader: many a client says one line and leaves."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_INPUT):
                while self.buffered and not working.done():
                    await asyncio.sleep(0.005)

    async def _finish(self, receiving: asyncio.Task[None]) -> None:
        """Let the peer read all: closing a socket with unread input resets it and loses what is on its way."""
        await cancel([receiving])
        self._writer.transport.set_write_buffer_limits(0)  # so that drain() waits for the last byte
        try:
            async with asyncio.timeout(IDLE_TIMEOUT):
                await self.drain()
            self._writer.write_eof()
            async with asyncio.timeout(LINGER):
                while await self._reader.read(CHUNK):
                    pass
        except (OSError, TimeoutError):
            return
