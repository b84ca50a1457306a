"""Exec, attach and port-forward over SPDY/3.1, as kubectl's requests reach us."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from labkit.cri.streaming import portforward, remotecommand
from labkit.cri.streaming.calls import Attach, Call, Exec, PortForward
from labkit.cri.streaming.remotecommand import RemoteStreams
from labkit.cri.streaming.spdy import SpdyConnection, SpdyStream
from labkit.cri.streaming.streams import CREATION_TIMEOUT
from labkit.cri.streaming.upgrade import Request, refusal, switch

if TYPE_CHECKING:
    from labkit.cri.backend import StreamingBackend

_log = logging.getLogger(__name__)

REMOTE_COMMAND = "v4.channel.k8s.io"
PORT_FORWARD = "portforward.k8s.io"


async def serve(
    backend: StreamingBackend, call: Call, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Agree on the protocol above SPDY, then serve the call until it or the client is done."""
    protocol = PORT_FORWARD if isinstance(call, PortForward) else REMOTE_COMMAND
    offered = request.listed("x-stream-protocol-version")
    if protocol not in offered:
        accepted = ("X-Accepted-Stream-Protocol-Versions", protocol)
        writer.write(refusal(403, f"The client offers {offered}, this server speaks {protocol}.", accepted))
        return
    writer.write(switch("SPDY/3.1", ("X-Stream-Protocol-Version", protocol)))
    if isinstance(call, PortForward):
        pairs = _Pairs(backend, call.sandbox_id)
        await SpdyConnection(reader, writer, pairs.accept).run(pairs.serve())
    else:
        collector = _Collector(call)
        await SpdyConnection(reader, writer, collector.accept).run(collector.serve(backend))


class _Collector:
    """Waits until the client has opened every stream that an exec or attach needs."""

    def __init__(self, call: Exec | Attach) -> None:
        self._call = call
        wanted = {"error": True, "stdin": call.stdin, "stdout": call.stdout, "stderr": call.stderr, "resize": call.tty}
        self._missing = {name for name, is_wanted in wanted.items() if is_wanted}
        self._streams: dict[str, SpdyStream] = {}
        self._complete = asyncio.Event()

    def accept(self, stream: SpdyStream) -> bool:
        name = stream.headers.get("streamtype", "")
        if name not in self._missing:
            return False
        self._missing.remove(name)
        self._streams[name] = stream
        if not self._missing:
            self._complete.set()
        return True

    async def serve(self, backend: StreamingBackend) -> None:
        try:
            async with asyncio.timeout(CREATION_TIMEOUT):
                await self._complete.wait()
        except TimeoutError:
            _log.info("A client did not open the streams %s in time", sorted(self._missing))
            return
        await remotecommand.run(backend, self._call, RemoteStreams(**self._streams))


class _Pairs:
    """Joins the data and the error stream of each forwarded connection by their request id."""

    def __init__(self, backend: StreamingBackend, sandbox_id: str) -> None:
        self._backend = backend
        self._sandbox_id = sandbox_id
        self._halves: dict[str, SpdyStream] = {}
        self._arrived: asyncio.Queue[SpdyStream] = asyncio.Queue()

    def accept(self, stream: SpdyStream) -> bool:
        port = stream.headers.get("port", "")
        if stream.headers.get("streamtype") not in {"data", "error"} or not port.isdecimal() or len(port) > 5:
            return False
        if not 0 < int(port) < 65536:
            return False
        self._arrived.put_nowait(stream)
        return True

    async def serve(self) -> None:
        async with asyncio.TaskGroup() as connections:
            while True:
                stream = await self._arrived.get()
                key = stream.headers.get("requestid", "")
                other = self._halves.get(key)
                if other is None:
                    self._halves[key] = stream
                    asyncio.get_running_loop().call_later(CREATION_TIMEOUT, self._expire, key, stream)
                elif other.headers["streamtype"] == stream.headers["streamtype"]:
                    stream.reset()
                else:
                    del self._halves[key]
                    connections.create_task(self._forward(stream, other))

    async def _forward(self, one: SpdyStream, other: SpdyStream) -> None:
        data, error = (one, other) if one.headers["streamtype"] == "data" else (other, one)
        port = int(data.headers["port"])
        if not await portforward.forward(self._backend, self._sandbox_id, port, data, error):
            data.reset()

    def _expire(self, key: str, stream: SpdyStream) -> None:
        if self._halves.get(key) is stream:
            del self._halves[key]
            stream.reset()
