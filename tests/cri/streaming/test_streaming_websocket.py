"""Exec, attach and port-forward over WebSocket: the official Python client's stream, and raw clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes.client import Configuration
from kubernetes.stream.ws_client import PortForward, WSClient, create_websocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.protocol import State
from websockets.typing import Subprotocol

from tests.cri.streaming.host_backend import echo, listening, serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.cri.streaming import StreamingServer

V4 = [Subprotocol("v4.channel.k8s.io")]
V5 = [Subprotocol("v5.channel.k8s.io")]


def with_server(use: Callable[[StreamingServer], None]) -> None:
    """Run a blocking client in a thread beside the server."""

    async def main() -> None:
        async with serving() as (server, _):
            await asyncio.to_thread(use, server)

    asyncio.run(main())


def ws(url: str) -> str:
    return url.replace("http://", "ws://")


def python_client(url: str, *, binary: bool = False) -> WSClient:
    return WSClient(Configuration(), ws(url), {}, capture_all=True, binary=binary)


def finish(client: WSClient) -> None:
    client.close()
    client.sock.shutdown()  # after the server's close frame, close() leaves the socket open


def test_the_python_client_runs_a_command() -> None:
    def use(server: StreamingServer) -> None:
        command = ["sh", "-c", "echo out; echo err >&2; exit 5"]
        client = python_client(server.exec_url("c1", command, tty=False, stdin=False, stdout=True, stderr=True))
        client.run_forever(timeout=20)
        assert client.read_stdout() == "out\n"
        assert client.read_stderr() == "err\n"
        assert client.returncode == 5
        finish(client)

    with_server(use)


def test_the_python_client_talks_to_a_process() -> None:
    def use(server: StreamingServer) -> None:
        command = ["sh", "-c", "read a; echo got $a; read b; echo and $b"]
        client = python_client(server.exec_url("c1", command, tty=False, stdin=True, stdout=True, stderr=True))
        client.write_stdin("text\n")
        assert client.readline_stdout(timeout=20) == "got text"
        client.write_stdin(b"bytes\n")
        client.run_forever(timeout=20)
        assert client.read_stdout() == "and bytes\n"
        assert client.returncode == 0
        finish(client)

    with_server(use)


def test_the_python_client_gets_a_terminal_and_attaches() -> None:
    def use(server: StreamingServer) -> None:
        # Size and input are two streams: which is taken first, nobody promises.
        command = ["sh", "-c", "read line; until stty size | grep -v '^0 0'; do sleep 0.1; done"]
        client = python_client(server.exec_url("c1", command, tty=True, stdin=True, stdout=True, stderr=False))
        client.write_channel(4, json.dumps({"Width": 90, "Height": 20}))
        client.write_stdin("\n")
        client.run_forever(timeout=20)
        assert "20 90" in client.read_stdout()
        finish(client)
        client = python_client(server.attach_url("c1", tty=False, stdin=True, stdout=True, stderr=True))
        client.write_stdin("to the main process\n")
        assert client.readline_stdout(timeout=20) == "to the main process"
        finish(client)

    with_server(use)


def test_the_python_client_is_told_of_a_missing_command() -> None:
    def use(server: StreamingServer) -> None:
        url = server.exec_url("c1", ["no-such-command"], tty=False, stdin=False, stdout=True, stderr=True)
        client = python_client(url)
        client.run_forever(timeout=20)
        status = json.loads(client.read_channel(3))
        assert status["reason"] == "InternalError"
        assert "no-such-command" in status["message"]
        finish(client)

    with_server(use)


def test_the_python_client_reads_much() -> None:
    def use(server: StreamingServer) -> None:
        command = ["head", "-c", "50000000", "/dev/zero"]
        url = server.exec_url("c1", command, tty=False, stdin=False, stdout=True, stderr=True)
        client = WSClient(Configuration(), ws(url), {}, capture_all=False, binary=True)
        total = 0
        while client.is_open():
            client.update(timeout=20)
            total += len(client.read_channel(1))
        assert total == 50_000_000
        finish(client)

    with_server(use)


def test_the_python_client_forwards_ports() -> None:
    async def main() -> None:
        async with listening(echo) as one, listening(echo) as two, serving() as (server, _):
            async with listening(echo) as closed:
                pass
            await asyncio.to_thread(use, server, one, two, closed)

    def use(server: StreamingServer, one: int, two: int, closed: int) -> None:
        ports = [one, two, closed]
        websocket = create_websocket(Configuration(), ws(server.port_forward_url("p1", ports)))
        forward = PortForward(websocket, ports)
        for port in (one, two):
            connection = forward.socket(port)
            connection.settimeout(20)
            connection.sendall(b"to %d" % port)
            assert connection.recv(100) == b"to %d" % port
        refused = forward.socket(closed)
        refused.settimeout(20)
        assert refused.recv(100) == b""
        assert "Connection refused" in forward.error(closed)
        assert forward.error(one) is None
        forward.close()
        while websocket.connected:
            time.sleep(0.01)

    asyncio.run(main())


def test_v5_ends_the_input_by_its_close_signal() -> None:
    async def main() -> None:
        async with serving() as (server, _):
            url = server.exec_url("c1", ["tr", "a-z", "A-Z"], tty=False, stdin=True, stdout=True, stderr=True)
            async with connect(ws(url), subprotocols=V5) as client:
                assert await client.recv() == b"\x01"
                await client.send(b"\x00half ")
                await client.send([b"\x00cl", b"", b"o", b"se"])
                await client.send(b"\xff\x00")
                assert await collected(client) == {1: b"HALF CLOSE", 3: b'{"metadata": {}, "status": "Success"}'}
                assert client.close_code == 1000

    asyncio.run(main())


async def collected(client: ClientConnection) -> dict[int, bytes]:
    """Return what arrives until the end, by channel."""
    channels: dict[int, bytes] = {}
    async for message in client:
        assert isinstance(message, bytes)
        channels[message[0]] = channels.get(message[0], b"") + message[1:]
    return channels


def test_messages_for_no_channel_are_dropped() -> None:
    async def main() -> None:
        async with serving() as (server, _):
            url = server.exec_url("c1", ["cat"], tty=False, stdin=True, stdout=True, stderr=True)
            async with connect(ws(url), subprotocols=V5) as client:
                for message in (b"", b"\x09nine", b"\x04{}", b"\xff", b"\xff\x09", b"\x01" + bytes(10_000_000), b""):
                    await client.send(message)
                await client.send([b"", b"\x00never"])
                await client.send(b"\x00input")
                await client.send(b"\xff\x00")
                assert (await collected(client))[1] == b"input"

    asyncio.run(main())


def test_a_client_that_goes_away_ends_its_session() -> None:
    async def main() -> None:
        async with serving() as (server, backend):
            url = server.exec_url("c1", ["sleep", "1000"], tty=False, stdin=False, stdout=True, stderr=True)
            async with connect(ws(url), subprotocols=V4) as client:
                await client.recv()
            async with asyncio.timeout(20):
                while not (backend.sessions and backend.sessions[0].closed):
                    await asyncio.sleep(0.01)

    asyncio.run(main())


@pytest.mark.parametrize("wire", [b"\x82\x01x", b"\xff" * 20, b"\x82\xff\x7f" + b"\xff" * 11])
def test_a_hostile_client_is_dropped_and_the_server_lives(wire: bytes) -> None:
    async def main() -> None:
        async with serving() as (server, _):
            url = server.exec_url("c1", ["cat"], tty=False, stdin=True, stdout=True, stderr=True)
            async with connect(ws(url), subprotocols=V4) as client:
                client.transport.write(wire)
                with contextlib.suppress(ConnectionClosed):
                    await collected(client)
                assert client.state is State.CLOSED
            url = server.exec_url("c1", ["true"], tty=False, stdin=False, stdout=True, stderr=True)
            async with connect(ws(url), subprotocols=V4) as client:
                assert 3 in await collected(client)

    asyncio.run(main())


@pytest.mark.parametrize("subprotocols", [None, [Subprotocol("channel.k8s.io")]])
def test_a_client_without_our_subprotocol_is_refused(subprotocols: Any) -> None:
    async def main() -> None:
        async with serving() as (server, backend):
            url = server.exec_url("c1", ["cat"], tty=False, stdin=True, stdout=True, stderr=True)
            with pytest.raises(InvalidStatus) as refusal:
                async with connect(ws(url), subprotocols=subprotocols):
                    pass
            assert refusal.value.response.status_code == 400
            assert backend.sessions == []

    asyncio.run(main())
