"""Check the streaming server against Kubernetes' own client code: `python -m tests.cri.streaming.peer.check`.

Builds main.go (client-go's remotecommand and portforward packages; needs Go and the module cache or a module proxy) and
uses it as kubectl would. Not a test of the suite, because the build takes a minute and more where Go's build cache is
cold. Prints what was checked and the throughput, and fails on the first difference.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cri.streaming.host_backend import echo, listening, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HERE = Path(__file__).parent
SIZE = 50_000_000


async def peer(program: str, *arguments: str, data: bytes | None = None) -> tuple[int, bytes, bytes]:
    """Run the client; return its exit code and outputs."""
    pipe = asyncio.subprocess.PIPE
    stdin = asyncio.subprocess.DEVNULL if data is None else pipe
    process = await asyncio.create_subprocess_exec(program, *arguments, stdin=stdin, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(60):
        out, err = await process.communicate(data)
    assert process.returncode is not None
    return process.returncode, out, err


async def check_exec(program: str, protocol: str) -> None:
    async with serving() as (server, _):

        def url(*command: str, tty: bool = False, stdin: bool = False) -> str:
            return server.exec_url("c1", command, tty=tty, stdin=stdin, stdout=True, stderr=not tty)

        mixed = await peer(program, "exec", protocol, url("sh", "-c", "echo out; echo err >&2; exit 7"))
        assert mixed == (7, b"out\n", b"err\n"), mixed
        quiet = await peer(program, "exec", protocol, url("true"))
        assert quiet == (0, b"", b""), quiet
        missing = await peer(program, "exec", protocol, url("no-such-command"))
        assert missing[0] == 99, missing
        assert b"no-such-command" in missing[2], missing
        upper = await peer(program, "exec", protocol, "-stdin", url("tr", "a-z", "A-Z", stdin=True), data=b"half close")
        assert upper == (0, b"HALF CLOSE", b""), upper
        script = "sleep 0.3; stty size; read line; echo got $line"
        terminal = url("sh", "-c", script, tty=True, stdin=True)
        typed = await peer(program, "exec", protocol, "-tty", "-stdin", terminal, data=b"hello\n")
        assert typed[0] == 0, typed
        assert b"22 111" in typed[1], typed
        assert b"got hello" in typed[1], typed
        for _ in range(20):  # an exit status must not overtake output, nor the connection's end either of them
            race = await peer(program, "exec", protocol, url("sh", "-c", "head -c 300000 /dev/zero; exit 3"))
            assert race[0] == 3, race
            assert len(race[1]) == 300_000, len(race[1])
        block = os.urandom(SIZE)
        begin = time.perf_counter()
        code, out, err = await peer(program, "exec", protocol, "-stdin", url("cat", stdin=True), data=block)
        seconds = time.perf_counter() - begin
        assert (code, err) == (0, b""), (code, err)
        assert hashlib.sha256(out).digest() == hashlib.sha256(block).digest(), len(out)
        print(f"exec over {protocol}: all right; 50 MB through cat in {seconds:.2f} s, {SIZE / seconds / 1e6:.0f} MB/s")


async def check_port_forward(program: str) -> None:
    async with serving() as (server, _), listening(echo) as remote:
        async with forwarding(program, server.port_forward_url("p1"), remote) as (port, _):
            begin = time.perf_counter()
            await asyncio.gather(*(round_trip(port, 1_000_000) for _ in range(50)))
            seconds = time.perf_counter() - begin
            print(f"port-forward: 50 connections at once, 1 MB each, echoed in {seconds:.2f} s")
        async with listening(echo) as closed:
            pass
        async with forwarding(program, server.port_forward_url("p1"), closed) as (port, errors):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.read() == b""
            writer.close()
            told = await errors.read()
            assert b"Connection refused" in told, told
            print("port-forward: a refused port is told")


@contextlib.asynccontextmanager
async def forwarding(program: str, url: str, remote: int) -> AsyncIterator[tuple[int, asyncio.StreamReader]]:
    """Run the client as `kubectl port-forward`; give its port and its error output."""
    async with listening(echo) as local:
        pass  # a port that is free from now on
    pipe = asyncio.subprocess.PIPE
    client = await asyncio.create_subprocess_exec(
        program, "forward", f"{local}:{remote}", url, stdin=pipe, stdout=pipe, stderr=pipe
    )
    assert client.stdin
    assert client.stdout
    assert client.stderr
    assert await client.stdout.readline() == b"ready\n"
    yield local, client.stderr
    client.stdin.close()
    await client.wait()


async def round_trip(port: int, size: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    block = os.urandom(size)

    async def send() -> None:
        writer.write(block)
        await writer.drain()
        writer.write_eof()

    async with asyncio.timeout(60):
        _, echoed = await asyncio.gather(send(), reader.read(-1))
    writer.close()
    assert echoed == block, len(echoed)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder, "streamingpeer")) if len(sys.argv) < 2 else sys.argv[1]
        if len(sys.argv) < 2:
            begin = time.perf_counter()
            asyncio.run(build(program))
            print(f"built in {time.perf_counter() - begin:.0f} s")
        for protocol in ("spdy", "websocket"):
            asyncio.run(check_exec(program, protocol))
        asyncio.run(check_port_forward(program))


async def build(program: str) -> None:
    """Build the client with Go."""
    go = await asyncio.create_subprocess_exec("go", "build", "-trimpath", "-o", program, ".", cwd=HERE)
    if await go.wait():
        raise SystemExit("The client does not build.")


if __name__ == "__main__":
    main()
