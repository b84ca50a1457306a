"""Who answers, and who asks: run in the network namespaces of the virtual machine. An answer says who gave it to whom.

usage: traffic.py serve ADDRESS… | traffic.py ask tcp|udp ADDRESS PORT TIMES [FROM_PORT]
"""

from __future__ import annotations

import collections
import contextlib
import json
import socket
import sys
import threading

_SECONDS = 5.0
PORTS = {"tcp": 80, "udp": 53}


def serve(addresses: list[str]) -> None:
    """Answer at every address, for ever."""
    for address in addresses:
        listener = socket.create_server((address, PORTS["tcp"]), backlog=512)
        threading.Thread(target=_serve_tcp, args=(listener, address)).start()
        datagrams = socket.socket(type=socket.SOCK_DGRAM)
        datagrams.bind((address, PORTS["udp"]))
        threading.Thread(target=_serve_udp, args=(datagrams, address)).start()
    print("ready", flush=True)


def _serve_tcp(listener: socket.socket, address: str) -> None:
    while True:
        connection, (client, _) = listener.accept()
        with connection:
            connection.sendall(f"{address} {client}".encode())


def _serve_udp(datagrams: socket.socket, address: str) -> None:
    while True:
        _, client = datagrams.recvfrom(16)
        datagrams.sendto(f"{address} {client[0]}".encode(), client)


def ask(protocol: str, address: str, port: int, times: int, from_port: int = 0) -> dict[str, int]:
    """Ask again and again, each time from a new port or once from one; return how often each answer or error came."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    answers: collections.Counter[str] = collections.Counter()
    with contextlib.ExitStack() as to_the_end:
        for _ in range(times):
            with contextlib.ExitStack() as once:
                # A datagram's port stays taken: ipvs leads one that asks again to the endpoint it led to before.
                client = (once if protocol == "tcp" else to_the_end).enter_context(socket.socket(type=kind))
                answers[_ask(client, address, port, from_port)] += 1
    return dict(answers)


def _ask(client: socket.socket, address: str, port: int, from_port: int) -> str:
    client.settimeout(_SECONDS)
    try:
        client.bind(("", from_port))
        client.connect((address, port))
        if client.type == socket.SOCK_DGRAM:
            client.send(b"?")
        return client.recv(64).decode()
    except OSError as error:
        return type(error).__name__


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", *where]:
            serve(where)
        case ["ask", protocol, address, *numbers]:
            print(json.dumps(ask(protocol, address, *map(int, numbers))))
