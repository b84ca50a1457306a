"""A WebSocket connection as its server: each message's first byte names the channel of the bytes after it.

The subprotocols are Kubernetes' `v4.channel.k8s.io` and `v5.channel.k8s.io`; the latter adds the client's CLOSE signal,
255 and a channel, by which it ends that channel (apimachinery/pkg/util/httpstream/wsstream/doc.go).

Importing this module costs about 5 MB (the websockets library), so the server does it when a client first needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from websockets.exceptions import InvalidState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from labkit.cri.streaming.streams import CHUNK, ByteStream, Connection

if TYPE_CHECKING:
    import asyncio

    from labkit.errors import ClusterError

V4 = "v4.channel.k8s.io"
V5 = "v5.channel.k8s.io"
CLOSE_CHANNEL = 255

MAX_MESSAGE = 32 * 1024 * 1024
"""Bytes of the largest message, as for Kubernetes' own servers (golang.org/x/net/websocket's default)."""


class Channel(ByteStream):
    """One channel of a WebSocket connection.

    Parameters
    ----------
    connection : WebSocketConnection
    number : int
        The byte before its messages' content.
    """

    def __init__(self, connection: WebSocketConnection, number: int) -> None:
        super().__init__(connection)
        self._socket = connection
        self._prefix = bytes([number])

    async def write(self, data: bytes) -> None:
        """See `ByteStream.write`."""
        for start in range(0, len(data), CHUNK):
            self.announce(data[start : start + CHUNK])
            await self._socket.drain()

    def announce(self, data: bytes = b"") -> None:
        """Send a message without waiting; an empty one tells the client that the channel is there."""
        self._socket.send_message(self._prefix + data)

    def close(self) -> None:
        """See `ByteStream.close`; no version of the protocol tells a client that one channel has ended."""


class WebSocketConnection(Connection):
    """The server's side of a WebSocket connection.

    Parameters
    ----------
    reader : asyncio.StreamReader
    writer : asyncio.StreamWriter
        The socket, after the request's head was read.
    head : bytes
        The request's head.
    subprotocols : list[str]
        Those that will do, the best first.

    Attributes
    ----------
    opened : bool
        Whether the handshake succeeded; if not, the client has been told why.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes, subprotocols: list[str]
    ) -> None:
        super().__init__(reader, writer)
        self._protocol = ServerProtocol(subprotocols=[Subprotocol(s) for s in subprotocols], max_size=MAX_MESSAGE)
        self._channels: dict[int, Channel] = {}
        self._current: Channel | None = None
        self._protocol.receive_data(head)
        for request in self._protocol.events_received():
            self._protocol.send_response(self._protocol.accept(request))  # type: ignore[arg-type]
        self._flush()
        self.opened = self._protocol.state is State.OPEN

    def channel(self, number: int) -> Channel:
        """Make the channel with this number."""
        self._channels[number] = Channel(self, number)
        return self._channels[number]

    def send_message(self, message: bytes) -> None:
        """Give one binary message to the socket without waiting.

        Raises
        ------
        ConnectionResetError
            The client has closed the connection.
        """
        try:
            self._protocol.send_binary(message)
        except InvalidState as error:
            raise ConnectionResetError("the client closed the connection") from error
        self._flush()

    def received(self, data: bytes) -> None:
        """See `Connection.received`."""
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._message(event)
        self._flush()
        if self._protocol.state is not State.OPEN:
            raise EOFError("the client closed the connection")

    def goodbye(self, problem: ClusterError | None) -> None:
        """See `Connection.goodbye`."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(CloseCode.PROTOCOL_ERROR if problem else CloseCode.NORMAL_CLOSURE)
            self._flush()

    def _message(self, frame: Frame) -> None:
        """Take a message or a fragment of one; bytes for a channel that is not there are dropped, as upstream does."""
        data = bytes(frame.data)
        if frame.opcode in {Opcode.TEXT, Opcode.BINARY}:
            if self._protocol.subprotocol == V5 and data[:1] == bytes([CLOSE_CHANNEL]):
                channel = self._channels.get(data[1]) if len(data) == 2 else None
                if channel is not None:
                    channel.feed_eof()
                return
            self._current = self._channels.get(data[0]) if data else None
            data = data[1:]
        if self._current is not None and frame.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
            self._current.feed(data)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:  # an empty one asks for the end of our half, which `Connection.run` or the server brings about
                self.send(data)
