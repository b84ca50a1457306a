"""The server itself: URLs, clients that ask for no upgrade, and its cost."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from labkit.cri.streaming import calls
from labkit.errors import ClusterError, UsageError
from tests.cri.streaming.host_backend import echo, listening, serving
from tests.cri.streaming.spdy_client import SpdyClient


async def answer(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(20):
        response = await reader.read()
    writer.close()
    await writer.wait_closed()
    return response


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"GET {path} HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", b"400"),
        (b"GET /exec/unknown HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n", b"404"),
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"\x16\x03\x01 a TLS client\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000, b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
    ],
)
def test_clients_that_ask_for_something_else_are_told(request_bytes: bytes, status: bytes) -> None:
    async def main() -> None:
        async with serving() as (server, _):
            url = server.exec_url("c1", ["true"], tty=False, stdin=False, stdout=True, stderr=True)
            port, path = int(url.split(":")[2].split("/")[0]), "/" + url.split("/", 3)[3]
            response = await answer(port, request_bytes.replace(b"{path}", path.encode()))
            assert response.startswith(b"HTTP/1.1 " + status)

    asyncio.run(main())


def test_a_server_listens_on_loopback_with_long_random_paths() -> None:
    async def main() -> None:
        async with serving() as (server, _):
            one, two = server.port_forward_url("p1"), server.port_forward_url("p1")
            assert one.startswith("http://127.0.0.1:")
            assert one != two
            assert len(one.rpartition("/")[2]) == 32

    asyncio.run(main())


def test_requests_that_make_no_sense_are_refused() -> None:
    async def main() -> None:
        async with serving() as (server, _):
            for tty, stdout, stderr, container, command in (
                (True, True, True, "c1", ["true"]),
                (False, False, False, "c1", ["true"]),
                (False, True, True, "", ["true"]),
                (False, True, True, "c1", []),
            ):
                with pytest.raises(UsageError):
                    server.exec_url(container, command, tty=tty, stdin=False, stdout=stdout, stderr=stderr)
            with pytest.raises(UsageError):
                server.attach_url("", tty=False, stdin=True, stdout=True, stderr=True)
            for sandbox, ports in (("", [80]), ("p1", [0]), ("p1", [65536]), ("p1", list(range(1, 200)))):
                with pytest.raises(UsageError):
                    server.port_forward_url(sandbox, ports)

    asyncio.run(main())


def test_only_so_many_urls_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with serving() as (server, _):
            for _ in range(calls.MAX_WAITING):
                server.port_forward_url("p1")
            with pytest.raises(ClusterError, match="Too many"):
                server.port_forward_url("p1")

    asyncio.run(main())
    waiting = calls.Calls()
    monkeypatch.setattr(calls, "LIFETIME", -1.0)
    paths = {waiting.add(calls.PortForward("p1", [])) for _ in range(calls.MAX_WAITING + 1)}
    assert len(paths) == calls.MAX_WAITING + 1


def test_closing_the_server_ends_sessions_and_connections() -> None:
    async def main() -> None:
        async with listening(echo) as port, serving() as (server, backend):
            url = server.exec_url("c1", ["sleep", "1000"], tty=False, stdin=False, stdout=True, stderr=True)
            exec_client = await SpdyClient().connect(url)
            for name in ("error", "stdout", "stderr"):
                exec_client.open(streamtype=name)
            forward_client = await SpdyClient().connect(server.port_forward_url("p1"), "portforward.k8s.io")
            data = forward_client.open(streamtype="data", port=str(port), requestid="1")
            forward_client.open(streamtype="error", port=str(port), requestid="1")
            await forward_client.send(data, b"x")
            await forward_client.until(data, b"x")
            async with asyncio.timeout(20):
                while not backend.sessions:
                    await asyncio.sleep(0.01)
            await server.close()
            assert backend.sessions[0].closed == 1
            for client in (exec_client, forward_client):
                await client.gone()
                await client.close()

    asyncio.run(main())


def test_closing_the_server_does_not_wait_for_a_client_that_reads_nothing() -> None:
    async def main() -> None:
        async with serving() as (server, _):
            url = server.exec_url("c1", ["cat", "/dev/zero"], tty=False, stdin=False, stdout=True, stderr=True)
            client = await SpdyClient().connect(url)
            for name in ("error", "stdout", "stderr"):
                client.open(streamtype=name)
            await client.settled()
            client.paused.clear()
            await asyncio.sleep(0.5)
            async with asyncio.timeout(2):
                await server.close()
            await client.close()

    asyncio.run(main())


def test_a_node_does_not_pay_for_websockets_until_one_comes() -> None:
    """Beside asyncio, json and errors, which the runtime needs anyway, the package costs its own modules only."""
    script = (
        "import asyncio, json, logging, sys, labkit.errors; before = set(sys.modules); import labkit.cri.streaming;"
        "print(*sorted(name for name in set(sys.modules) - before if not name.startswith('labkit')))"
    )
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert set(run.stdout.split()) <= {"zlib", "__future__"}
