"""SPDY/3.1 frames and their bytes, with no I/O.

Only what Kubernetes' streaming needs is here, and that is nearly all of the draft: SYN_STREAM, SYN_REPLY, RST_STREAM,
SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE and DATA. Control frames of other types are skipped, as the draft's
section 2.2.1 asks. Source: SPDY Protocol, Draft 3.1, section 2.6.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from labkit.cri.streaming.header_block import HeaderPacker, HeaderUnpacker
from labkit.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VERSION = 3
MAX_CONTROL = 64 * 1024
"""Bytes of the longest control frame that is accepted; the draft asks for 8 KiB at least."""

PROTOCOL_ERROR = 1
REFUSED_STREAM = 3
CANCEL = 5
FLOW_CONTROL_ERROR = 7
"""RST_STREAM status codes (section 2.6.3)."""

INITIAL_WINDOW_SIZE = 7
"""The SETTINGS id (section 2.6.4)."""

_CONTROL = 0x80000000
_ID = 0x7FFFFFFF
_FIN = 0x01
_UNIDIRECTIONAL = 0x02
_HEAD = struct.Struct(">II")
_SYN_STREAM = struct.Struct(">IIBB")
_WORD = struct.Struct(">I")
_WORDS = struct.Struct(">II")


class SynStream(NamedTuple):
    """A peer opens a stream."""

    stream_id: int
    headers: Mapping[str, str]
    fin: bool = False
    unidirectional: bool = False
    associated_to: int = 0
    priority: int = 0


class SynReply(NamedTuple):
    """The other side takes the stream."""

    stream_id: int
    headers: Mapping[str, str]
    fin: bool = False


class RstStream(NamedTuple):
    """The stream is over at once, in both directions."""

    stream_id: int
    status: int


class Settings(NamedTuple):
    """Settings as triples of flags, id and value."""

    values: tuple[tuple[int, int, int], ...]


class Ping(NamedTuple):
    """To be sent back as it is, when the other side made the id."""

    ping_id: int


class GoAway(NamedTuple):
    """The sender takes no further streams."""

    last_stream_id: int
    status: int


class Headers(NamedTuple):
    """Further headers of a stream."""

    stream_id: int
    headers: Mapping[str, str]
    fin: bool = False


class WindowUpdate(NamedTuple):
    """The peer may send so many bytes more on a stream; stream 0 is the whole connection."""

    stream_id: int
    delta: int


class Data(NamedTuple):
    """Bytes of a stream. A long frame arrives as several of these: only the last has its `fin`."""

    stream_id: int
    data: bytes
    fin: bool = False


Frame = SynStream | SynReply | RstStream | Settings | Ping | GoAway | Headers | WindowUpdate | Data

_TYPES = {SynStream: 1, SynReply: 2, RstStream: 3, Settings: 4, Ping: 6, GoAway: 7, Headers: 8, WindowUpdate: 9}


class Encoder:
    """Frames to bytes, in the order they are sent (the headers' compression depends on it)."""

    def __init__(self) -> None:
        self._packer = HeaderPacker()

    def encode(self, frame: Frame) -> bytes:
        """Return the bytes of one frame."""
        if isinstance(frame, Data):
            return _HEAD.pack(frame.stream_id, frame.fin << 24 | len(frame.data)) + frame.data
        flags = 0
        match frame:
            case SynStream():
                flags = frame.fin * _FIN | frame.unidirectional * _UNIDIRECTIONAL
                body = _SYN_STREAM.pack(frame.stream_id, frame.associated_to, frame.priority << 5, 0)
                body += self._packer.pack(frame.headers)
            case SynReply() | Headers():
                flags = frame.fin * _FIN
                body = _WORD.pack(frame.stream_id) + self._packer.pack(frame.headers)
            case Settings():
                triples = (_WORDS.pack(flag << 24 | key, value) for flag, key, value in frame.values)
                body = _WORD.pack(len(frame.values)) + b"".join(triples)
            case Ping():
                body = _WORD.pack(frame.ping_id)
            case RstStream() | GoAway() | WindowUpdate():
                body = _WORDS.pack(*frame)
        return _HEAD.pack(_CONTROL | VERSION << 16 | _TYPES[type(frame)], flags << 24 | len(body)) + body


class Decoder:
    """Bytes, however they are cut, to frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._unpacker = HeaderUnpacker()
        self._data: tuple[int, int, bool] | None = None  # the DATA frame under way: stream, bytes left, FIN

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that these bytes complete.

        Raises
        ------
        ClusterError
            The bytes are not SPDY/3.1. The connection cannot go on: the headers' compression is lost.
        """
        self._buffer += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        """Return the next whole frame or piece of a DATA frame, if there is one."""
        while True:
            if self._data is not None:
                return self._piece(*self._data)
            if len(self._buffer) < _HEAD.size:
                return None
            first, second = _HEAD.unpack_from(self._buffer)
            flags, length = second >> 24, second & 0xFFFFFF
            if not first & _CONTROL:
                del self._buffer[: _HEAD.size]
                self._data = _stream(first), length, bool(flags & _FIN)
                continue
            if first >> 16 & 0x7FFF != VERSION:
                raise ClusterError("The peer does not speak SPDY/3.1.", why=f"a frame begins with {first:08x}")
            if length > MAX_CONTROL:
                raise ClusterError("The peer sent a SPDY control frame that is too long.", why=f"{length} bytes")
            end = _HEAD.size + length
            if len(self._buffer) < end:
                return None
            body = bytes(self._buffer[_HEAD.size : end])
            del self._buffer[:end]
            frame = self._control(first & 0xFFFF, flags, body)
            if frame is not None:
                return frame

    def _piece(self, stream_id: int, left: int, fin: bool) -> Data | None:
        """Return what has arrived of the DATA frame under way, so that none is held back until it is whole."""
        if left and not self._buffer:
            return None
        piece = bytes(self._buffer[:left])
        del self._buffer[:left]
        left -= len(piece)
        self._data = (stream_id, left, fin) if left else None
        return Data(stream_id, piece, fin and not left)

    def _control(self, kind: int, flags: int, body: bytes) -> Frame | None:
        try:
            return self._parse(kind, flags, body)
        except struct.error as error:
            why = f"type {kind} with {len(body)} bytes: {error}"
            raise ClusterError("The peer sent a SPDY control frame of the wrong length.", why=why) from error

    def _parse(self, kind: int, flags: int, body: bytes) -> Frame | None:
        fin = bool(flags & _FIN)
        frame: Frame | None = None  # of a type that is not ours to know
        match kind:
            case 1:
                stream_id, associated_to, priority, _ = _SYN_STREAM.unpack_from(body)
                headers = self._unpacker.unpack(body[_SYN_STREAM.size :])
                unidirectional = bool(flags & _UNIDIRECTIONAL)
                frame = SynStream(_stream(stream_id), headers, fin, unidirectional, associated_to & _ID, priority >> 5)
            case 2 | 8:
                (stream_id,) = _WORD.unpack_from(body)
                headers = self._unpacker.unpack(body[_WORD.size :])
                frame = (SynReply if kind == 2 else Headers)(_stream(stream_id), headers, fin)
            case 3:
                stream_id, status = _WORDS.unpack(body)
                frame = RstStream(_stream(stream_id), status)
            case 4:
                (count,) = _WORD.unpack_from(body)
                if len(body) != _WORD.size + count * _WORDS.size:
                    raise struct.error(f"{count} settings")
                pairs = _WORDS.iter_unpack(body[_WORD.size :])
                frame = Settings(tuple((key >> 24, key & 0xFFFFFF, value) for key, value in pairs))
            case 6:
                frame = Ping(*_WORD.unpack(body))
            case 7:
                last_stream_id, status = _WORDS.unpack(body)
                frame = GoAway(last_stream_id & _ID, status)
            case 9:
                stream_id, delta = _WORDS.unpack(body)
                frame = WindowUpdate(stream_id & _ID, delta & _ID)
        return frame


def _stream(stream_id: int) -> int:
    if not stream_id & _ID:
        raise ClusterError("The peer sent a SPDY frame for stream 0.", why="only WINDOW_UPDATE may name it")
    return stream_id & _ID
