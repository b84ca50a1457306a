"""The program that serves a lab's port: it inherits a listening socket and connects to an address inside.

The socket was made in the host's network namespace while the process itself is in the lab's: so 127.0.0.1 of the host
reaches an address that exists only inside. It imports as little as it can: one such process runs per open port.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

from labkit.node.netns import join

_CHUNK = 65536
_PATIENCE_SECONDS = 10.0
_RETRY_SECONDS = 0.1
# What is said of a pod whose program does not serve yet, and of a Service whose rules are not there yet.
_NOT_YET = {errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH}


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Write what is read until its end, and then that end; a connection that breaks ends it, too."""
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()


async def _connect(address: str, port: int, namespace: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect from a network namespace; it is looked up each time, because a node that restarts gets a new one."""
    if not namespace:
        return await asyncio.open_connection(address, port)
    join(Path(namespace))
    # A socket stays in the namespace in which it was made.
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(connection, (address, port))
    except OSError:
        connection.close()
        raise
    return await asyncio.open_connection(sock=connection)


async def _connect_patiently(
    address: str, port: int, namespace: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect, and try again for a while where nobody listens yet."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return await _connect(address, port, namespace)
        except OSError as error:
            if error.errno not in _NOT_YET or time.monotonic() > deadline:
                raise
            await asyncio.sleep(_RETRY_SECONDS)


async def _serve(listener: socket.socket, address: str, port: int, namespace: str) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inside_reader, inside_writer = await _connect_patiently(address, port, namespace)
        except OSError as error:
            print(f"{address}:{port}: {error}", flush=True)
            writer.close()
            return
        try:
            await asyncio.gather(copy(reader, inside_writer), copy(inside_reader, writer))
        finally:
            inside_writer.close()
            writer.close()

    server = await asyncio.start_server(connected, sock=listener)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Serve the inherited socket: arguments are its descriptor, then address, port and network namespace inside."""
    descriptor, address, port, namespace = sys.argv[1:]
    asyncio.run(_serve(socket.socket(fileno=int(descriptor)), address, int(port), namespace))


if __name__ == "__main__":
    main()
