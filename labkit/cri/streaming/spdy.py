"""A SPDY/3.1 connection as its server: streams, windows, pings.

What Kubernetes speaks is moby/spdystream, which neither sends WINDOW_UPDATE nor heeds it (its connection.go handles no
such frame), so a server that insisted on SPDY's windows would stop for ever after 64 KiB. Windows bind us therefore
from the moment the peer shows that it keeps them; until then TCP alone holds a writer back, as between spdystreams.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from labkit.cri.streaming.frames import (
    CANCEL,
    FLOW_CONTROL_ERROR,
    INITIAL_WINDOW_SIZE,
    REFUSED_STREAM,
    Data,
    Decoder,
    Encoder,
    Frame,
    GoAway,
    Headers,
    Ping,
    RstStream,
    Settings,
    SynReply,
    SynStream,
    WindowUpdate,
)
from labkit.cri.streaming.streams import CHUNK, ByteStream, Connection
from labkit.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WINDOW = 64 * 1024
"""Bytes that may be under way on a stream, and on a connection, before either side says otherwise (section 2.6.8)."""

MAX_WINDOW = 2**31 - 1
MAX_STREAMS = 1024
"""Streams that a peer may have open: 512 forwarded connections."""

_GOAWAY_OK = 0
_GOAWAY_PROTOCOL_ERROR = 1


class SpdyStream(ByteStream):
    """A stream that the client opened.

    Attributes
    ----------
    stream_id : int
    headers : Mapping[str, str]
        What the client opened it with; names in lower case.
    window : int
        Bytes the client is ready to take; meaningless if it keeps no windows.
    """

    def __init__(self, connection: SpdyConnection, frame: SynStream, window: int) -> None:
        super().__init__(connection)
        self._spdy = connection
        self._closed = frame.unidirectional
        self.stream_id = frame.stream_id
        self.headers: Mapping[str, str] = frame.headers
        self.window = window

    @property
    def finished(self) -> bool:
        """Whether both halves are over."""
        return self._closed and self._ended

    @property
    def receiving(self) -> bool:
        """Whether the client may send more."""
        return not self._ended

    async def write(self, data: bytes) -> None:
        """See `ByteStream.write`."""
        rest = memoryview(data)
        while rest:
            allowed = await self._spdy.allowance(self)
            if self._closed:
                raise ConnectionResetError("the client reset the stream")
            piece = bytes(rest[:allowed])
            self.window -= len(piece)
            self._spdy.send_frame(Data(self.stream_id, piece))
            rest = rest[allowed:]
            await self._spdy.drain()

    def close(self) -> None:
        """See `ByteStream.close`."""
        if not self._closed:
            self._closed = True
            self._spdy.send_frame(Data(self.stream_id, b"", fin=True))
            self._spdy.forget(self)

    def reset(self, status: int = CANCEL) -> None:
        """Give the stream up, both halves."""
        if not self.finished:
            self._spdy.send_frame(RstStream(self.stream_id, status))
        self.lose()

    def feed_eof(self) -> None:
        """See `ByteStream.feed_eof`."""
        super().feed_eof()
        self._spdy.forget(self)

    def lose(self) -> None:
        """See `ByteStream.lose`."""
        super().lose()
        self._closed = True
        self._spdy.forget(self)


class SpdyConnection(Connection):
    """The server's side of a SPDY/3.1 connection.

    Parameters
    ----------
    reader : asyncio.StreamReader
    writer : asyncio.StreamWriter
        The socket, after the upgrade's response was written.
    accept : Callable[[SpdyStream], bool]
        Called with each stream that the client opens; says whether it is wanted.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, accept: Callable[[SpdyStream], bool]
    ) -> None:
        super().__init__(reader, writer)
        self._accept = accept
        self._encoder = Encoder()
        self._decoder = Decoder()
        self._streams: dict[int, SpdyStream] = {}
        self._last_id = 0
        self._peer_keeps_windows = False
        self._initial_window = WINDOW
        self._window = WINDOW
        self._credited = asyncio.Event()
        self._uncredited: dict[int, int] = {}  # bytes consumed per stream that the client was not told of

    def send_frame(self, frame: Frame) -> None:
        """Give a frame to the socket without waiting."""
        if isinstance(frame, Data):
            self._window -= len(frame.data)
        self.send(self._encoder.encode(frame))

    async def allowance(self, stream: SpdyStream) -> int:
        """Wait until the client is ready for bytes of a stream; return how many it takes now."""
        while self._peer_keeps_windows and min(stream.window, self._window) <= 0 and stream.stream_id in self._streams:
            self._credited.clear()
            await self._credited.wait()
        return min(stream.window, self._window, CHUNK) if self._peer_keeps_windows else CHUNK

    def forget(self, stream: SpdyStream) -> None:
        """Drop a stream when both its halves are over; wake those who wait to write to it."""
        if stream.finished:
            self._streams.pop(stream.stream_id, None)
            self._uncredited.pop(stream.stream_id, None)
        self._credited.set()

    def consumed(self, stream: ByteStream, count: int) -> None:
        """See `Connection.consumed`; let the client send as much again."""
        super().consumed(stream, count)
        if isinstance(stream, SpdyStream) and stream.receiving:
            self._credit(stream.stream_id, count)

    def received(self, data: bytes) -> None:
        """See `Connection.received`."""
        for frame in self._decoder.feed(data):
            self._handle(frame)

    def goodbye(self, problem: ClusterError | None) -> None:
        """See `Connection.goodbye`."""
        self.send_frame(GoAway(self._last_id, _GOAWAY_PROTOCOL_ERROR if problem else _GOAWAY_OK))

    def _handle(self, frame: Frame) -> None:
        match frame:
            case Data():
                self._credit(0, len(frame.data))  # memory is bounded by the streams' windows and by BUFFER_LIMIT
                self._deliver(frame.stream_id, frame.data, frame.fin)
            case SynStream():
                self._open(frame)
            case Headers():
                self._deliver(frame.stream_id, b"", frame.fin)
            case RstStream():
                if stream := self._streams.get(frame.stream_id):
                    stream.lose()
            case WindowUpdate():
                self._widen(frame)
            case Settings():
                for _, key, value in frame.values:
                    if key == INITIAL_WINDOW_SIZE:
                        self._resize_windows(value)
            case Ping():
                if frame.ping_id % 2:  # the client's own; an even one would answer a ping that we never send
                    self.send_frame(frame)
            case SynReply() | GoAway():
                pass  # we open no streams, so nothing answers ours and none is refused

    def _deliver(self, stream_id: int, data: bytes, fin: bool) -> None:
        stream = self._streams.get(stream_id)
        if stream is None:
            return  # it was reset while these bytes were on their way
        stream.feed(data)
        if fin:
            stream.feed_eof()

    def _open(self, frame: SynStream) -> None:
        if frame.stream_id % 2 == 0 or frame.stream_id <= self._last_id:
            why = f"stream {frame.stream_id} after stream {self._last_id}"
            raise ClusterError("The client opened a SPDY stream with an id that it may not use.", why=why)
        self._last_id = frame.stream_id
        stream = SpdyStream(self, frame, self._initial_window)
        if len(self._streams) >= MAX_STREAMS or not self._accept(stream):
            self.send_frame(RstStream(frame.stream_id, REFUSED_STREAM))
            return
        self._streams[frame.stream_id] = stream
        self.send_frame(SynReply(frame.stream_id, {}))
        if frame.fin:
            stream.feed_eof()

    def _widen(self, frame: WindowUpdate) -> None:
        self._peer_keeps_windows = True
        stream = self._streams.get(frame.stream_id)
        if frame.stream_id == 0:
            self._window += frame.delta
        elif stream is not None:
            stream.window += frame.delta
        if frame.delta == 0 or self._window > MAX_WINDOW:
            raise ClusterError("The client sent an impossible SPDY window.", why=f"{frame}")
        if stream is not None and stream.window > MAX_WINDOW:
            stream.reset(FLOW_CONTROL_ERROR)
        self._credited.set()

    def _resize_windows(self, size: int) -> None:
        if size > MAX_WINDOW:
            raise ClusterError("The client sent an impossible SPDY window.", why=f"{size} bytes")
        self._peer_keeps_windows = True
        for stream in self._streams.values():
            stream.window += size - self._initial_window
        self._initial_window = size
        self._credited.set()

    def _credit(self, stream_id: int, count: int) -> None:
        """Tell the client of consumed bytes, half a window at a time; stream 0 is the connection."""
        total = self._uncredited.get(stream_id, 0) + count
        if total >= WINDOW // 2:
            self.send_frame(WindowUpdate(stream_id, total))
            total = 0
        self._uncredited[stream_id] = total
