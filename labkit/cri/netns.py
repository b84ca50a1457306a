"""Connect in a pod's network namespace, from a thread that joins it and then ends.

Source: setns(2): a thread may join a network namespace by itself.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import threading

_CLONE_NEWNET = 0x40000000
_PATIENCE = 5.0


async def connect(pid: int, port: int) -> socket.socket:
    """Connect to localhost by TCP in the network namespace of a process, first by IPv4.

    Raises
    ------
    OSError
        If the namespace is gone or nothing answers on the port.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[socket.socket] = loop.create_future()

    def work() -> None:
        try:
            connected = _connect(pid, port)
        except OSError as error:
            loop.call_soon_threadsafe(result.set_exception, error)
        else:
            loop.call_soon_threadsafe(result.set_result, connected)

    # A thread of its own, never a pool's: it stays in the pod's namespace until it ends.
    threading.Thread(target=work, name=f"connect to port {port}", daemon=True).start()
    return await result


def _connect(pid: int, port: int) -> socket.socket:
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(namespace)
    try:
        connected = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
    except ConnectionError:
        connected = socket.create_connection(("::1", port), timeout=_PATIENCE)
    connected.setblocking(False)
    return connected
