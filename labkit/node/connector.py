"""The program that connects to an address from a node, again and again, and tells how that went, as JSON.

- ``time ADDRESS,ADDRESS PORT COUNT`` measures COUNT connections to each address, which take turns: for each a list of
  seconds, from the first packet to the answer to it.
- ``until - PORT SECONDS`` tries as soon as it reads an address from standard input: the time of the first connection
  that succeeds, in seconds since the epoch, or null.
- ``steady ADDRESS PORT RATE`` asks RATE times a second until standard input ends, each time by HTTP, and counts:
  ``asked``, ``failed``, and ``longest``, the seconds of the longest stretch in which all failed; ``answers`` has when
  each was asked, in seconds since the epoch, and whether it was answered.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

_PATIENCE = 1.0  # seconds for a connection, and for an answer
_SHORT = 0.05  # seconds, while rules are awaited
_PAUSE = 0.005  # seconds between two tries
#: Closing sends a reset (socket(7), SO_LINGER), so that no port stays taken.
_NO_LINGER = struct.pack("ii", 1, 0)


def _connect(address: tuple[str, int], patience: float) -> socket.socket:
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    connection.settimeout(patience)
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def measured(addresses: list[tuple[str, int]], count: int) -> list[list[float]]:
    """Return for each address the seconds of each of so many connections; the addresses take turns."""
    found: list[list[float]] = [[] for _ in addresses]
    for _ in range(count):
        for address, times in zip(addresses, found, strict=True):
            began = time.perf_counter()
            connection = _connect(address, _PATIENCE)
            times.append(time.perf_counter() - began)
            connection.close()
    return found


def until(address: tuple[str, int], seconds: float) -> float | None:
    """Return when a connection first succeeded, None where none did in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            _connect(address, _SHORT).close()
        except OSError:
            time.sleep(_PAUSE)
        else:
            return time.time()
    return None


def _answered(address: tuple[str, int]) -> bool:
    try:
        with _connect(address, _PATIENCE) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: labkit\r\nConnection: close\r\n\r\n")
            return bool(connection.recv(1))
    except OSError:
        return False


def steady(address: tuple[str, int], rate: float) -> dict[str, object]:
    """Ask at a steady rate, whether or not earlier requests were answered; count until standard input ends."""
    ended = threading.Event()

    def listen() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    asked: list[Future[bool]] = []
    times: list[float] = []
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=int(2 * rate * _PATIENCE) + 1) as pool:
        while not ended.wait(max(0.0, began + len(asked) / rate - time.monotonic())):
            times.append(time.time())
            asked.append(pool.submit(_answered, address))
    answers = [future.result() for future in asked]
    longest = run = 0
    for answered in answers:
        run = 0 if answered else run + 1
        longest = max(longest, run)
    told = list(zip(times, answers, strict=True))
    return {"asked": len(answers), "failed": answers.count(False), "longest": longest / rate, "answers": told}


def main() -> None:
    """Do what the arguments say."""
    do, ips, port, number = sys.argv[1:]
    addresses = [(ip, int(port)) for ip in ips.split(",")]
    found: object
    if do == "time":
        found = measured(addresses, int(number))
    elif do == "until":
        print("ready", flush=True)
        found = until((sys.stdin.readline().strip(), int(port)), float(number))
    else:
        found = steady(addresses[0], float(number))
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
