"""The receiver of trace spans: it keeps what it is sent, within its bound, whatever happens to it."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import psutil
import pytest

from labkit.errors import ClusterError
from labkit.evidence.spans import records
from labkit.node import network, outer, receive
from labkit.node.forward import listen
from labkit.node.outer import OuterSandbox
from labkit.node.process import run
from labkit.node.receiver import SERVES, TAKEN, SpanFiles
from tests import traces

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[OuterSandbox]:
    started = outer.start(tmp_path)
    network.create_bridge(started, "192.168.0.0/16")
    yield started
    started.kill()


def _program(folder: Path, address: str) -> list[str]:
    return [sys.executable, "-I", "-m", "labkit.node.receiver", str(folder), address]


def _free_address() -> str:
    with listen() as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def _wait_until_it_serves(folder: Path) -> None:
    deadline = time.monotonic() + 20
    while not (folder / SERVES).exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _kept(folder: Path) -> list[bytes]:
    files = sorted(folder.glob("spans-*.otlp"))
    return [record for path in files for record in records(path.read_bytes())[0]]


def test_requests_are_kept_as_they_came_across_its_death(tmp_path: Path) -> None:
    address = _free_address()
    sent = [b"first", bytes(range(256)) * 400, b"", b"after its death"]
    for batch in (sent[:3], sent[3:]):
        with subprocess.Popen(_program(tmp_path, address)) as receiver:
            _wait_until_it_serves(tmp_path)
            with grpc.insecure_channel(address) as channel:
                export = channel.unary_unary(METHOD)
                for request in batch:
                    assert export(request, timeout=10, wait_for_ready=True) == b""
            receiver.kill()
        (tmp_path / SERVES).unlink()
        with sorted(tmp_path.glob("spans-*.otlp"))[-1].open("ab") as file:
            file.write(b"\xff\0\0\0cut")  # as a crash would leave it
    assert _kept(tmp_path) == sent
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("spans-*")} == {0o600}


def test_somebody_else_at_its_port(tmp_path: Path) -> None:
    with listen() as listener:
        program = _program(tmp_path, f"127.0.0.1:{listener.getsockname()[1]}")
        done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == TAKEN
    assert "cannot listen at" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_files_stay_within_their_bound(tmp_path: Path) -> None:
    files = SpanFiles(tmp_path, limit=1000, kept=1000)
    for number in range(100):
        files.append(b"%090d" % number)
    kept = [int(record) for record in _kept(tmp_path)]
    assert kept == list(range(kept[0], 100))
    assert 10 < len(kept) <= 20
    for _ in range(5):  # its starts alone cost no evidence
        SpanFiles(tmp_path, limit=1000, kept=1000)
    assert [int(record) for record in _kept(tmp_path)][-10:] == kept[-10:]


def test_a_full_disk_keeps_every_record_whole(tmp_path: Path) -> None:
    program = f"""
import resource, signal
from pathlib import Path
from labkit.node.receiver import SpanFiles
files = SpanFiles(Path({str(tmp_path)!r}))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
files.append(b"a" * 50)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
for _ in range(3):
    try:
        files.append(b"b" * 50)
    except OSError as error:
        print(error.strerror)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
files.append(b"c" * 50)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.count("No space left on device") == 3
    assert _kept(tmp_path) == [b"a" * 50, b"c" * 50]


def test_in_a_lab_it_is_started_again_and_ends_with_the_lab(sandbox: OuterSandbox, tmp_path: Path) -> None:
    folder, log = tmp_path / "spans", tmp_path / "log"
    address = f"{network.GATEWAY}:4317"
    supervisor = receive.start(sandbox, folder, address, log=log)
    receive.wait(supervisor, folder, log=log)
    client = (
        f"import grpc; channel = grpc.insecure_channel({address!r})\n"
        f"channel.unary_unary({METHOD!r})(b'a span', timeout=20, wait_for_ready=True)"
    )
    run(sandbox.command([sys.executable, "-c", client]), what="export")
    first = _receivers(folder)
    first[0].send_signal(signal.SIGKILL)
    run(sandbox.command([sys.executable, "-c", client]), what="export again")
    assert _kept(folder) == [b"a span"] * 2
    assert _receivers(folder) != first
    assert "starting it again" in log.read_text()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    sandbox.kill()
    traces.eventually(lambda: not _receivers(folder) and not supervisor.alive)


def test_in_a_lab_a_taken_port_is_a_clear_error(sandbox: OuterSandbox, tmp_path: Path) -> None:
    run(
        sandbox.command(["sh", "-c", f"setsid busybox httpd -f -p {network.GATEWAY}:4317 >/dev/null 2>&1 &"]),
        what="take the port",
    )
    folder, log = tmp_path / "spans", tmp_path / "log"
    supervisor = receive.start(sandbox, folder, f"{network.GATEWAY}:4317", log=log)
    with pytest.raises(ClusterError, match="receiver of trace spans does not start") as raised:
        receive.wait(supervisor, folder, log=log)
    assert f"cannot listen at {network.GATEWAY}:4317" in raised.value.why
    assert "labkit stop" in raised.value.fix


def _receivers(folder: Path) -> list[psutil.Process]:
    """Return the receivers themselves, not the shell that keeps them running nor what entered the sandbox."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or [""]
        if words[0] == sys.executable and "labkit.node.receiver" in words and str(folder) in words:
            found.append(process)
    return found
