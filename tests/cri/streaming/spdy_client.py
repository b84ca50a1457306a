"""A small SPDY/3.1 client of the tests' own: it shares nothing with the server but the published dictionary."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections import defaultdict
from urllib.parse import urlsplit

from labkit.cri.streaming.header_block import DICTIONARY


class SpdyClient:
    """One connection, upgraded or refused.

    Attributes
    ----------
    status : int
    head : str
        Of the response to the upgrade request.
    received : dict[int, bytearray]
        Bytes by stream.
    ended, replied : set[int]
    resets : dict[int, int]
        Status by stream.
    pings : list[int]
    goaway : int | None
        Its status.
    """

    def __init__(self) -> None:
        self.received: defaultdict[int, bytearray] = defaultdict(bytearray)
        self.ended: set[int] = set()
        self.replied: set[int] = set()
        self.resets: dict[int, int] = {}
        self.pings: list[int] = []
        self.goaway: int | None = None
        self.updates: defaultdict[int, int] = defaultdict(int)
        self.changed = asyncio.Condition()
        self.paused = asyncio.Event()
        self.paused.set()
        self._next_id = 1
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    async def connect(self, url: str, protocol: str = "v5.channel.k8s.io, v4.channel.k8s.io") -> SpdyClient:
        parts = urlsplit(url)
        assert parts.port
        self.reader, self.writer = await asyncio.open_connection(parts.hostname, parts.port)
        self.writer.write(
            f"POST {parts.path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
            f"X-Stream-Protocol-Version: {protocol}\r\n\r\n".encode()
        )
        self.head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        self.status = int(self.head.split()[1])
        self.reading = asyncio.create_task(self._read() if self.status == 101 else asyncio.sleep(0))
        return self

    async def close(self) -> None:
        self.reading.cancel()
        self.writer.close()
        await asyncio.gather(self.reading, self.writer.wait_closed(), return_exceptions=True)

    def control(self, kind: int, body: bytes) -> None:
        self.writer.write(struct.pack(">HHI", 0x8003, kind, len(body)) + body)

    def open(self, **headers: str) -> int:
        stream_id, self._next_id = self._next_id, self._next_id + 2
        block = struct.pack(">I", len(headers))
        for text in (text for item in headers.items() for text in item):
            block += struct.pack(">I", len(text)) + text.encode()
        packed = self._deflate.compress(block) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        self.control(1, struct.pack(">IIH", stream_id, 0, 0) + packed)
        return stream_id

    async def send(self, stream_id: int, data: bytes, fin: bool = False) -> None:
        self.writer.write(struct.pack(">II", stream_id, fin << 24 | len(data)) + data)
        await self.writer.drain()

    async def until_ended(self, *stream_ids: int) -> None:
        async with self.changed, asyncio.timeout(60):
            await self.changed.wait_for(lambda: all(i in self.ended or i in self.resets for i in stream_ids))

    async def until(self, stream_id: int, text: bytes) -> None:
        async with self.changed, asyncio.timeout(20):
            await self.changed.wait_for(lambda: text in self.received[stream_id])

    async def settled(self) -> None:
        """Wait until the server has handled all that was sent, by a ping."""
        ping = 2 * len(self.pings) + 1001
        self.control(6, struct.pack(">I", ping))
        async with self.changed, asyncio.timeout(20):
            await self.changed.wait_for(lambda: ping in self.pings)

    async def gone(self) -> None:
        """Wait until the server has closed the connection."""
        async with asyncio.timeout(20):
            await asyncio.gather(self.reading, return_exceptions=True)

    async def _read(self) -> None:
        while True:
            await self.paused.wait()
            first, second = struct.unpack(">II", await self.reader.readexactly(8))
            body = await self.reader.readexactly(second & 0xFFFFFF)
            async with self.changed:
                self._take(first, second >> 24, body)
                self.changed.notify_all()

    def _take(self, first: int, flags: int, body: bytes) -> None:
        if not first >> 31:
            self.received[first] += body
            self.ended |= {first} if flags & 1 else set()
            return
        assert first >> 16 == 0x8003
        words = struct.unpack_from(f">{len(body) // 4}I", body)
        match first & 0xFFFF:
            case 2:
                self._inflate.decompress(body[4:])
                self.replied.add(words[0])
            case 3:
                self.resets[words[0]] = words[1]
            case 6:
                self.pings.append(words[0])
            case 7:
                self.goaway = words[1]
            case 9:
                self.updates[words[0]] += words[1]
