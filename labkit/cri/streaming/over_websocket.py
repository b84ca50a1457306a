"""Exec, attach and port-forward over WebSocket, as the official Python client's requests reach us."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from labkit.cri.streaming import portforward, remotecommand
from labkit.cri.streaming.calls import Attach, Call, Exec, PortForward
from labkit.cri.streaming.remotecommand import RemoteStreams
from labkit.cri.streaming.websocket import V4, V5, Channel, WebSocketConnection

if TYPE_CHECKING:
    from labkit.cri.backend import StreamingBackend
    from labkit.cri.streaming.upgrade import Request


async def serve(
    backend: StreamingBackend, call: Call, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Shake hands, then serve the call until it or the client is done."""
    protocols = [V4] if isinstance(call, PortForward) else [V5, V4]
    connection = WebSocketConnection(reader, writer, request.head, protocols)
    if not connection.opened:
        return
    if isinstance(call, PortForward):
        await connection.run(_forward(backend, call, connection))
    else:
        await connection.run(remotecommand.run(backend, call, _streams(call, connection)))


def _streams(call: Exec | Attach, connection: WebSocketConnection) -> RemoteStreams:
    """Make the channels, numbered as the file descriptors, then 3 for errors and 4 for the terminal's size."""
    streams = RemoteStreams(
        stdin=connection.channel(0) if call.stdin else None,
        stdout=connection.channel(1) if call.stdout else None,
        stderr=connection.channel(2) if call.stderr else None,
        error=connection.channel(3),
        resize=connection.channel(4) if call.tty else None,
    )
    # Clients take an empty message as the sign that the connection is made (kubelet .../remotecommand/websocket.go).
    first = streams.stdout or streams.stderr or streams.error
    if isinstance(first, Channel):
        first.announce()
    return streams


async def _forward(backend: StreamingBackend, call: PortForward, connection: WebSocketConnection) -> None:
    """Connect each port by two channels, each beginning with its port (kubelet .../portforward/websocket.go)."""
    async with asyncio.TaskGroup() as ports:
        for index, port in enumerate(call.ports):
            data, error = connection.channel(2 * index), connection.channel(2 * index + 1)
            for channel in (data, error):
                channel.announce(port.to_bytes(2, "little"))
            ports.create_task(portforward.forward(backend, call.sandbox_id, port, data, error))
