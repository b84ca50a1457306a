"""The outer sandbox, made for real: what it isolates, how it is found again, and that nothing stays behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from labkit.errors import UsageError
from labkit.node import forward, network, outer
from labkit.node.outer import OuterSandbox
from labkit.node.process import ProcessIdentity, run
from tests import traces

pytestmark = pytest.mark.programs


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[OuterSandbox]:
    started = outer.start(tmp_path)
    yield started
    started.kill()


def test_inside_one_is_root_with_a_network_and_processes_of_ones_own(sandbox: OuterSandbox) -> None:
    script = "id -u; ip -o link | wc -l; ps -e --no-headers | wc -l"
    uid, links, processes = run(sandbox.command(["sh", "-c", script]), what="look").split()
    assert uid == "0"
    assert links == "1", "only its own loopback"
    assert int(processes) < 8


def test_it_is_found_again_by_its_folder_alone(sandbox: OuterSandbox, tmp_path: Path) -> None:
    found = outer.find(tmp_path)
    assert found is not None
    assert found.holder == sandbox.holder
    assert outer.find(tmp_path / "other") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a privileged one")
def test_a_privileged_one_has_all_but_a_user_namespace_of_its_own(tmp_path: Path) -> None:
    started = outer.start(tmp_path, privileged=True)
    try:
        found = outer.find(tmp_path)
        assert found is not None
        assert (started.privileged, found.privileged) == (True, True)
        script = "readlink /proc/self/ns/user; ip -o link | wc -l; ps -e --no-headers | wc -l"
        users, links, processes = run(found.command(["sh", "-c", script]), what="look").split()
        assert users == str(Path("/proc/self/ns/user").readlink())
        assert links == "1", "only its own loopback"
        assert int(processes) < 8
    finally:
        started.kill()
    assert outer.find(tmp_path) is None


def test_only_root_can_have_a_privileged_one() -> None:
    program = "import os; from labkit.node import outer; os.geteuid() or os.setuid(65534); outer.require_root()"
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert "PreflightError: A privileged lab can only be made by root" in done.stderr
    assert "leave --privileged out" in done.stderr


def test_a_usual_one_is_not_privileged(sandbox: OuterSandbox) -> None:
    assert not sandbox.privileged


def test_killing_it_ends_all_that_was_started_in_it(sandbox: OuterSandbox, tmp_path: Path) -> None:
    mark = f"271.{os.getpid()}"
    run(sandbox.command(["sh", "-c", f"setsid sleep {mark} >/dev/null 2>&1 &"]), what="start a sleeper")
    assert _with_argument(mark)
    sandbox.kill()
    assert not sandbox.alive
    assert outer.find(tmp_path) is None
    traces.eventually(lambda: not _with_argument(mark))


def test_the_end_of_who_started_it_does_not_end_it(tmp_path: Path) -> None:
    program = f"import pathlib; from labkit.node import outer; outer.start(pathlib.Path({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", program], check=True)
    found = outer.find(tmp_path)
    assert found is not None
    found.kill()


def test_killed_while_starting_it_leaves_nothing_that_is_not_found(tmp_path: Path) -> None:
    """SIGKILL at moments spread over a start: what is left is either nothing, or found by the folder."""
    program = f"import pathlib; from labkit.node import outer; outer.start(pathlib.Path({str(tmp_path)!r}))"
    for milliseconds in range(0, 30, 3):
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.readline()\n" + program], stdin=subprocess.PIPE
        )
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
        time.sleep(0.12 + milliseconds / 1000)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdin.close()
        time.sleep(0.1)
        left = outer.find(tmp_path)
        if left is not None:
            left.kill()
        traces.eventually(lambda: not _with_argument(str(tmp_path / "netns")))


_STOPS_WHAT_IT_FINDS = """
import pathlib, sys
from labkit.node import outer
folder = pathlib.Path(sys.argv[1])
print("now", flush=True)
try:
    outer.start(folder)
except KeyboardInterrupt:
    if (left := outer.find(folder)) is not None:
        left.kill()
    sys.exit(130)
"""


def test_interrupted_while_starting_it_is_ended_or_found_at_once(tmp_path: Path) -> None:
    """SIGINT at moments spread over a start, while the processors have other work: who clears up, leaves nothing."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
    interrupted = 0
    try:
        for milliseconds in range(0, 45, 3):
            command = [sys.executable, "-c", _STOPS_WHAT_IT_FINDS, str(tmp_path)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
                assert child.stdout is not None
                assert child.stdout.readline() == "now\n"
                time.sleep(milliseconds / 1000)
                child.send_signal(signal.SIGINT)
            interrupted += child.returncode == 130
            if child.returncode == 130:
                traces.eventually(lambda: not _with_argument(str(tmp_path / "netns")), timeout=2)
            elif (whole := outer.find(tmp_path)) is not None:
                whole.kill()
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert interrupted


def test_user_namespaces_are_told_apart_from_other_failures(tmp_path: Path) -> None:
    assert outer.id_map() in {"full", "single"}


def test_a_port_of_the_host_leads_inside(sandbox: OuterSandbox, tmp_path: Path) -> None:
    network.create_bridge(sandbox, "192.168.0.0/16")
    (tmp_path / "index.html").write_text("from inside")
    script = f"cd {tmp_path} && setsid busybox httpd -f -p {network.GATEWAY}:8080 >/dev/null 2>&1 &"
    run(sandbox.command(["sh", "-c", script]), what="serve")
    with forward.listen() as listener:
        port = listener.getsockname()[1]
        process = forward.start(
            sandbox, listener, address=str(network.GATEWAY), port=8080, namespace=None, log=tmp_path / "log"
        )
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as page:
        assert page.read() == b"from inside"
    assert _listens_only_on_loopback(port)
    sandbox.kill()
    traces.eventually(lambda: not process.alive)


def test_a_node_that_starts_again_is_found_at_once_by_those_who_knew_it(sandbox: OuterSandbox, tmp_path: Path) -> None:
    network.create_bridge(sandbox, "192.168.0.0/16")
    namespaces = [tmp_path / "first", tmp_path / "second"]
    for index, namespace in enumerate(namespaces):
        network.connect_node(sandbox, namespace, index)
    inside = ["nsenter", f"--net={namespaces[1]}"]
    ask = sandbox.command([*inside, "busybox", "nc", "-w", "2", str(network.node_address(0)), "9"])
    assert "refused" in subprocess.run(ask, check=False, capture_output=True, text=True).stderr
    network.connect_node(sandbox, namespaces[0], 0)
    assert "refused" in subprocess.run(ask, check=False, capture_output=True, text=True).stderr, "nobody answered"


def test_each_of_many_connections_to_an_address_outside_is_refused_at_once(
    sandbox: OuterSandbox, tmp_path: Path
) -> None:
    network.create_bridge(sandbox, "192.168.0.0/16")
    network.connect_node(sandbox, tmp_path / "node", 0)
    ask = """
import errno, socket
for _ in range(20):
    with socket.socket() as connection:
        connection.settimeout(0.9)  # Linux sends a second time after a second, and is answered then
        print(errno.errorcode[connection.connect_ex(("192.0.2.10", 6443))])
"""
    command = sandbox.command(["nsenter", f"--net={tmp_path / 'node'}", sys.executable, "-c", ask])
    assert run(command, what="connect").split() == ["ENETUNREACH"] * 20


def test_a_taken_port_is_refused() -> None:
    with forward.listen() as listener, pytest.raises(UsageError, match="cannot be used"):
        forward.listen(listener.getsockname()[1])


def test_a_later_process_of_the_same_pid_is_not_the_same() -> None:
    identity = ProcessIdentity.of(os.getpid())
    assert identity.alive
    assert not ProcessIdentity(identity.pid, identity.started - 10).alive
    ProcessIdentity(identity.pid, identity.started - 10).kill()  # must not end this test


def _with_argument(argument: str) -> list[int]:
    return [p.pid for p in psutil.process_iter(["cmdline"]) if argument in (p.info["cmdline"] or [])]


def _listens_only_on_loopback(port: int) -> bool:
    listening = [c.laddr for c in psutil.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    return {address.ip for address in listening if address and address.port == port} == {"127.0.0.1"}


def test_eventually_can_fail() -> None:
    with pytest.raises(AssertionError):
        traces.eventually(lambda: False, timeout=0.05)


def test_a_socket_made_by_listen_is_on_loopback() -> None:
    with forward.listen() as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        assert listener.family == socket.AF_INET
