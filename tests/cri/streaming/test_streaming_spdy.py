"""Exec, attach and port-forward over SPDY with real processes and ports."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import struct
import time
from typing import TYPE_CHECKING, Any

import pytest

from labkit.cri.streaming import calls, over_spdy, streams
from tests.cri.streaming.host_backend import HostBackend, echo, listening, serving
from tests.cri.streaming.spdy_client import SpdyClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from labkit.cri.streaming import StreamingServer

pytestmark = pytest.mark.programs


@contextlib.asynccontextmanager
async def forwarding() -> AsyncIterator[SpdyClient]:
    async with serving() as (server, _), connected(server.port_forward_url("p1"), "portforward.k8s.io") as client:
        yield client


@contextlib.asynccontextmanager
async def connected(url: str, protocol: str = "v5.channel.k8s.io, v4.channel.k8s.io") -> AsyncIterator[SpdyClient]:
    client = await SpdyClient().connect(url, protocol)
    try:
        yield client
    finally:
        await client.close()


def url_for(server: StreamingServer, *command: str, tty: bool = False, stdin: bool = False) -> str:
    return server.exec_url("c1", command, tty=tty, stdin=stdin, stdout=True, stderr=not tty)


def status_of(client: SpdyClient, stream_id: int) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(client.received[stream_id])
    return status


async def run(*command: str) -> tuple[bytes, bytes, dict[str, Any]]:
    """Run a command without input; return its outputs and status."""
    async with serving() as (server, _), connected(url_for(server, *command)) as client:
        error, out, err = (client.open(streamtype=name) for name in ("error", "stdout", "stderr"))
        await client.until_ended(error, out, err)
        await client.gone()
        assert client.goaway == 0
        return bytes(client.received[out]), bytes(client.received[err]), status_of(client, error)


def test_both_outputs_and_success() -> None:
    out, err, status = asyncio.run(run("sh", "-c", "echo out; echo err >&2"))
    assert (out, err) == (b"out\n", b"err\n")
    assert status["status"] == "Success"


@pytest.mark.parametrize(("script", "code"), [("exit 3", "3"), ("kill -9 $$", "137")])
def test_the_exit_code_is_a_cause_in_the_status(script: str, code: str) -> None:
    status = asyncio.run(run("sh", "-c", script))[2]
    assert status["reason"] == "NonZeroExitCode"
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": code}]


def test_a_command_that_is_not_there_is_an_error_with_its_name() -> None:
    out, _, status = asyncio.run(run("no-such-command"))
    assert out == b""
    assert status["reason"] == "InternalError"
    assert "executing command in container" in status["message"]
    assert "no-such-command" in status["message"]


def test_output_held_open_by_an_orphan_does_not_hold_the_exit_status() -> None:
    begin = time.monotonic()
    out, _, status = asyncio.run(run("sh", "-c", "sleep 20 & echo done; exit 4"))
    assert out == b"done\n"
    assert status["details"]["causes"][0]["message"] == "4"
    assert time.monotonic() - begin < 10


def test_input_ends_when_the_client_ends_its_half() -> None:
    async def main() -> None:
        async with serving() as (server, _), connected(url_for(server, "tr", "a-z", "A-Z", stdin=True)) as client:
            names = ("error", "stdin", "stdout", "stderr")
            error, stdin, out, _ = (client.open(streamtype=name) for name in names)
            await client.send(stdin, b"half ")
            await client.send(stdin, b"close")
            await client.send(stdin, b"", fin=True)
            await client.until_ended(error, out)
            assert client.received[out] == b"HALF CLOSE"
            assert status_of(client, error)["status"] == "Success"

    asyncio.run(main())


def test_input_that_nobody_reads_does_not_hold_the_session() -> None:
    async def main() -> None:
        async with serving() as (server, _), connected(url_for(server, "true", stdin=True)) as client:
            error, stdin, *_ = (client.open(streamtype=name) for name in ("error", "stdin", "stdout", "stderr"))
            with contextlib.suppress(ConnectionError):
                for _ in range(64):
                    await client.send(stdin, bytes(65536))
            await client.until_ended(error)
            assert status_of(client, error)["status"] == "Success"

    asyncio.run(main())


def test_a_terminal_and_its_size() -> None:
    async def main() -> None:
        script = "stty size; read line; stty size; echo got $line"
        async with serving() as (server, _), connected(url_for(server, "sh", "-c", script, tty=True, stdin=True)) as c:
            error, stdin, out, resize = (c.open(streamtype=name) for name in ("error", "stdin", "stdout", "resize"))
            await c.until(out, b"0 0")
            await c.send(resize, b'{"Width":132,"Hei')
            await c.send(resize, b'ght":43}\n{"Width":"x"} {"Width":100,"Height":30}\n')
            await c.settled()
            await c.send(stdin, b"hello\n")
            await c.until_ended(error, out)
            assert b"30 100" in c.received[out]
            assert b"got hello" in c.received[out]
            assert status_of(c, error)["status"] == "Success"

    asyncio.run(main())


def test_attach() -> None:
    async def main() -> None:
        async with serving() as (server, _):
            url = server.attach_url("c1", tty=False, stdin=True, stdout=True, stderr=True)
            async with connected(url) as client:
                names = ("error", "stdin", "stdout", "stderr")
                error, stdin, out, _ = (client.open(streamtype=name) for name in names)
                await client.send(stdin, b"ping")
                await client.until(out, b"ping")
                await client.send(stdin, b"", fin=True)
                await client.until_ended(error, out)
            gone = server.attach_url("gone", tty=False, stdin=False, stdout=True, stderr=True)
            async with connected(gone) as client:
                error, *_ = (client.open(streamtype=name) for name in ("error", "stdout", "stderr"))
                await client.until_ended(error)
                assert "attaching to container: Container gone" in status_of(client, error)["message"]

    asyncio.run(main())


def test_a_client_that_goes_away_ends_its_session() -> None:
    async def main() -> None:
        async with serving() as (server, backend):
            async with connected(url_for(server, "sleep", "1000")) as client:
                for name in ("error", "stdout", "stderr"):
                    client.open(streamtype=name)
                await client.settled()
                await until(lambda: len(backend.sessions) == 1)
            await until(lambda: backend.sessions[0].closed == 1)
            assert backend.sessions[0].process.returncode == -9

    asyncio.run(main())


def test_a_client_that_goes_away_while_its_process_starts_leaves_none() -> None:
    async def main() -> None:
        async with serving() as (server, backend):
            for _ in range(30):
                async with connected(url_for(server, "sleep", "1000")) as client:
                    for name in ("error", "stdout", "stderr"):
                        client.open(streamtype=name)
                    async with client.changed:
                        await client.changed.wait_for(lambda: client.replied)
            await until(lambda: not server._connections)
            assert all(session.process.returncode == -9 for session in backend.sessions)

    asyncio.run(main())


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("windows", [False, True], ids=["a peer like spdystream", "a peer that keeps windows"])
def test_a_large_transfer_both_ways(windows: bool) -> None:
    """50 MB through `cat` arrive whole, whether the peer knows of windows (and is held to ours) or not."""
    size = 50_000_000

    async def main() -> None:
        async with serving() as (server, _), connected(url_for(server, "cat", stdin=True)) as client:
            error, stdin, out, _ = (client.open(streamtype=name) for name in ("error", "stdin", "stdout", "stderr"))
            sent, got = hashlib.sha256(), hashlib.sha256()
            block = os.urandom(50_000)

            async def send() -> None:
                for count in range(size // len(block)):
                    sent.update(block)
                    if windows:
                        async with client.changed:
                            allowed = lambda: 65536 + client.updates[stdin] >= (count + 1) * len(block)  # noqa: B023, E731
                            await client.changed.wait_for(allowed)
                    await client.send(stdin, block)
                await client.send(stdin, b"", fin=True)

            async def receive() -> None:
                total = 0
                while total < size:
                    async with client.changed:
                        await client.changed.wait_for(lambda: client.received[out])
                        piece = bytes(client.received[out])
                        client.received[out].clear()
                    got.update(piece)
                    total += len(piece)
                    if windows:
                        assert len(piece) <= 65536
                        for stream_id in (0, out):
                            client.control(9, struct.pack(">II", stream_id, len(piece)))

            if windows:
                client.control(4, struct.pack(">III", 1, 7, 65536))
                await client.settled()
            await asyncio.gather(send(), receive())
            await client.until_ended(error, out)
            assert got.digest() == sent.digest()
            assert status_of(client, error)["status"] == "Success"

    asyncio.run(main())


def test_a_reader_that_pauses_stops_the_process_not_the_memory() -> None:
    async def main() -> None:
        async with serving() as (server, backend), connected(url_for(server, "cat", "/dev/zero")) as client:
            for name in ("error", "stdout", "stderr"):
                client.open(streamtype=name)
            await client.settled()
            client.paused.clear()
            before = resident()
            await asyncio.sleep(1)
            assert resident() - before < 16 * 1024 * 1024
            stalled = io_of(backend)
            await asyncio.sleep(0.3)
            assert io_of(backend) == stalled

    def io_of(backend: HostBackend) -> str:
        with open(f"/proc/{backend.sessions[0].process.pid}/io") as file:  # noqa: PTH123
            return file.read()

    asyncio.run(main())


def resident() -> int:
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_forwarded_connections_side_by_side() -> None:
    async def main() -> None:
        async with listening(echo) as port, forwarding() as client:
            pairs = []
            for number in range(20):
                headers = {"port": str(port), "requestid": str(number)}
                error = client.open(streamtype="error", **headers)
                await client.send(error, b"", fin=True)
                pairs.append((client.open(streamtype="data", **headers), error))
            for data, _ in pairs:
                await client.send(data, b"hello %d" % data)
            for data, _ in reversed(pairs):
                await client.send(data, b" bye", fin=True)
            await client.until_ended(*(stream for pair in pairs for stream in pair))
            for data, error in pairs:
                assert client.received[data] == b"hello %d bye" % data
                assert client.received[error] == b""

    asyncio.run(main())


def test_a_refused_port_is_told_on_the_error_stream_and_others_go_on() -> None:
    async def main() -> None:
        async with listening(echo) as closed:
            pass
        async with listening(echo) as port, forwarding() as client:
            good = client.open(streamtype="data", port=str(port), requestid="1")
            client.open(streamtype="error", port=str(port), requestid="1")
            data = client.open(streamtype="data", port=str(closed), requestid="2")
            error = client.open(streamtype="error", port=str(closed), requestid="2")
            await client.until_ended(data, error)
            assert b"error forwarding port %d to pod p1" % closed in client.received[error]
            assert b"Connection refused" in client.received[error]
            assert data in client.resets
            await client.send(good, b"still here")
            await client.until(good, b"still here")

    asyncio.run(main())


def test_a_client_that_resets_a_forwarded_connection_closes_the_port() -> None:
    ends: list[bytes] = []

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.append(await reader.read())
        writer.close()

    async def main() -> None:
        async with listening(swallow) as port, forwarding() as client:
            data = client.open(streamtype="data", port=str(port), requestid="1")
            error = client.open(streamtype="error", port=str(port), requestid="1")
            await client.send(data, b"abc")
            await client.settled()
            await until(lambda: data in client.replied)
            client.control(3, struct.pack(">II", data, 5))
            await client.until_ended(error)
            await until(lambda: len(ends) == 1)

    asyncio.run(main())


def test_unwanted_streams_are_refused() -> None:
    async def main() -> None:
        async with serving() as (server, _), connected(url_for(server, "cat", stdin=False)) as client:
            refused = [
                client.open(streamtype="stdin"),
                client.open(streamtype="sideways"),
                client.open(),
                (client.open(streamtype="stdout"), client.open(streamtype="stdout"))[1],
            ]
            await client.settled()
            assert client.resets == dict.fromkeys(refused, 3)
        async with forwarding() as client:
            for port in ("", "0", "65536", "-1", "x", "1e3"):
                client.open(streamtype="data", port=port, requestid="1")
            client.open(streamtype="error", requestid="1")
            client.open(streamtype="stdin", port="80", requestid="1")
            await client.settled()
            assert len(client.resets) == 8

    asyncio.run(main())


def test_streams_that_never_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_spdy, "CREATION_TIMEOUT", 0.2)

    async def main() -> None:
        async with serving() as (server, backend), connected(url_for(server, "cat")) as client:
            client.open(streamtype="stdout")
            await client.gone()
            assert client.goaway == 0
            assert backend.sessions == []
        async with forwarding() as client:
            alone = client.open(streamtype="data", port="80", requestid="1")
            await client.until_ended(alone)
            assert alone in client.resets

    asyncio.run(main())


def test_an_idle_connection_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "IDLE_TIMEOUT", 0.3)

    async def main() -> None:
        async with serving() as (server, _), connected(url_for(server, "sleep", "1000")) as client:
            for name in ("error", "stdout", "stderr"):
                client.open(streamtype=name)
            await client.gone()
            assert client.goaway is not None

    asyncio.run(main())


@pytest.mark.parametrize(
    "wire",
    [
        b"\x00" * 64,
        bytes.fromhex("80020006 00000004 00000001"),
        bytes.fromhex("80030001 0000000c 00000002 00000000 0000 ffff"),
        bytes.fromhex("80030009 00000008 00000000 00000000"),
        bytes.fromhex("80030009 00000008 00000000 7fffffff"),
        bytes.fromhex("80030004 0000000c 00000001 00000007 ffffffff"),
    ],
)
def test_a_hostile_client_is_told_and_dropped_and_the_server_lives(wire: bytes) -> None:
    async def main() -> None:
        async with serving() as (server, _):
            async with connected(url_for(server, "cat")) as client:
                client.writer.write(wire)
                await client.gone()
                assert client.goaway == 1
            async with connected(url_for(server, "true")) as client:
                error, *_ = (client.open(streamtype=name) for name in ("error", "stdout", "stderr"))
                await client.until_ended(error)

    asyncio.run(main())


def test_a_used_stream_id_ends_the_connection() -> None:
    async def main() -> None:
        async with serving() as (server, _), connected(url_for(server, "cat")) as client:
            client.open(streamtype="error")
            client._next_id = 1
            client.open(streamtype="stdout")
            await client.gone()
            assert client.goaway == 1

    asyncio.run(main())


def test_a_stream_window_that_overflows_resets_the_stream() -> None:
    async def main() -> None:
        async with serving() as (server, _), connected(url_for(server, "cat")) as client:
            stream = client.open(streamtype="error")
            client.control(9, struct.pack(">II", stream, 2**31 - 1))
            await client.settled()
            assert client.resets == {stream: 7}

    asyncio.run(main())


def test_urls_work_once_and_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with serving() as (server, _):
            url = url_for(server, "true")
            for used, status in enumerate((101, 404)):
                async with connected(url) as client:
                    assert (used, client.status) == (used, status)
            monkeypatch.setattr(calls, "LIFETIME", -1.0)
            for bad in (url_for(server, "true"), url.replace("/exec/", "/attach/"), url.rpartition("/")[0] + "/x"):
                async with connected(bad) as client:
                    assert client.status == 404

    asyncio.run(main())


def test_a_protocol_we_do_not_speak_is_refused_with_what_we_do() -> None:
    async def main() -> None:
        async with serving() as (server, _), connected(url_for(server, "true"), "channel.k8s.io") as client:
            assert client.status == 403
            assert "X-Accepted-Stream-Protocol-Versions: v4.channel.k8s.io" in client.head

    asyncio.run(main())
