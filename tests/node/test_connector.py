"""Connections to a server of this machine: how long each takes, when it first answers, how many are not answered."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

PROGRAM = [sys.executable, "-I", "-m", "labkit.node.connector"]


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A server that says a byte to whoever connects."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(ConnectionError):  # it measures and goes
                    connection.sendall(b"!")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def closed_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def test_each_address_is_measured_as_often(server: socket.socket) -> None:
    command = [*PROGRAM, "time", "127.0.0.1,127.0.0.2", str(server.getsockname()[1]), "3"]
    with pytest.raises(subprocess.CalledProcessError):  # nobody listens at the second address
        subprocess.run(command, check=True, capture_output=True)
    command[-3] = "127.0.0.1,127.0.0.1"
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert [len(times) for times in found] == [3, 3]
    assert all(0 < seconds < 1 for times in found for seconds in times)


def test_the_moment_at_which_an_address_first_answers() -> None:
    port = closed_port()
    with subprocess.Popen(
        [*PROGRAM, "until", "-", str(port), "10"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        print("127.0.0.1", file=program.stdin, flush=True)
        time.sleep(0.1)
        before = time.time()
        with socket.create_server(("127.0.0.1", port)):
            found = json.loads(program.stdout.readline())
    assert before <= found <= time.time()


def test_an_address_that_never_answers() -> None:
    done = subprocess.run(
        [*PROGRAM, "until", "-", str(closed_port()), "0.1"],
        input="127.0.0.1\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "ready\nnull\n"


def test_requests_at_a_steady_rate(server: socket.socket) -> None:
    began = time.time()
    found = _steady(server.getsockname()[1])
    assert found["failed"] == 0
    assert [answered for _, answered in found["answers"]] == [True] * found["asked"]
    times = [at for at, _ in found["answers"]]
    assert began < times[0] < times[-1] < time.time()


def test_requests_that_nobody_answers() -> None:
    found = _steady(closed_port())
    assert found["failed"] == found["asked"]
    assert found["longest"] == pytest.approx(found["asked"] / 50)


def _steady(port: int) -> dict[str, Any]:
    with subprocess.Popen(
        [*PROGRAM, "steady", "127.0.0.1", str(port), "50"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        time.sleep(1)
        printed, _ = program.communicate()
    found: dict[str, Any] = json.loads(printed)
    assert 5 <= found["asked"] <= 60
    return found
