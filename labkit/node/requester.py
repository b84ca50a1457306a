"""The program that sends one TCP request from a node or from a pod's network, when it is told to.

It prints its port as soon as it has one, so that whoever started it can watch for the request; a line on standard input
lets it go on, and the end of standard input ends it. Then it prints what came back, as JSON: ``status`` (of the
HTTP answer, or null) and ``error``. It imports as little as it can: somebody waits for it.

Source: proc(5), /proc/PID/net is the network of that process's namespace.
"""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import sys
from pathlib import Path

from labkit.node.netns import join

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
_ERRORS = {
    errno.ECONNREFUSED: "connection refused",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "network is unreachable",
}


def enter(address: str) -> None:
    """Join the network namespace that has an address of its own.

    Raises
    ------
    OSError
        No process is in such a namespace.
    """
    local = re.compile(rf"\|-- {re.escape(address)}\n\s+/32 host LOCAL\n")
    seen: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            namespace = str((process / "ns/net").readlink())
            if namespace in seen or not local.search((process / "net/fib_trie").read_text()):
                seen.add(namespace)
                continue
            join(process / "ns/net")
        except OSError:  # it has just ended
            continue
        return
    raise OSError(errno.EADDRNOTAVAIL, "no process has this address", address)


def request(connection: socket.socket, address: str, port: int) -> dict[str, object]:
    """Connect, ask for ``/`` by HTTP, and return what came back."""
    status, error = None, ""
    try:
        connection.connect((address, port))
    except TimeoutError:
        error = "no answer"
    except OSError as failure:
        error = _ERRORS.get(failure.errno or 0) or os.strerror(failure.errno or 0)
    else:
        match = _STATUS.match(_get(connection, address))
        status = int(match[1]) if match else None
    return {"status": status, "error": error}


def _get(connection: socket.socket, address: str) -> bytes:
    """Return the beginning of the answer, empty where the other side speaks no HTTP or says nothing."""
    try:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
        return connection.recv(64)
    except OSError:
        return b""


def main() -> None:
    """Send the request: arguments are address, port, seconds to wait, and the pod's address, empty for the node."""
    address, port, patience, pod = sys.argv[1:]
    if pod:
        enter(pod)
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.settimeout(float(patience))
    connection.bind(("", 0))
    print(connection.getsockname()[1], flush=True)
    if sys.stdin.readline():
        print(json.dumps(request(connection, address, int(port))), flush=True)


if __name__ == "__main__":
    main()
