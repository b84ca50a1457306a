"""Clients of running containers: logs, exec, attach, port-forward and cp, by kubectl and by the Python client."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pty
import re
import socket
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import stream
from kubernetes.client import ApiClient, CoreV1Api

from tests import traces
from tests.pods.space import Space, container, fetch, pod

pytestmark = pytest.mark.cluster

LONG = "sleep 1000"
MEGABYTES = 4


@pytest.fixture(scope="module", autouse=True)
def _pods(space: Space) -> None:
    lines = "for n in 1 2 3; do echo line $n; done; echo to stderr >&2; "
    tick = "n=0; while :; do echo tick $n; n=$((n + 1)); sleep 0.2; done"
    again = "n=$(($(cat /count/n 2>/dev/null) + 1)); echo $n >/count/n; echo start $n; [ $n -gt 1 ] || exit 1; " + LONG
    space.create(
        pod("talk", container("main", lines + LONG), container("other", "echo from the other; " + LONG)),
        pod("clock", container("main", tick)),
        pod("restarted", container("main", again, volumeMounts=[{"name": "count", "mountPath": "/count"}]),
            volumes=[{"name": "count", "emptyDir": {}}]),
        pod("listens", container("main", "echo ready; while read line; do echo got $line; done", stdin=True)),
        pod("terminal", container("main", "while read line; do echo got $line; done", stdin=True, tty=True)),
        pod("web", {"name": "main", "image": "labkit/standin"}, labels={"app": "web"}),
    )  # fmt: skip
    space.until_ready("talk", "clock", "listens", "terminal", "web")


def test_logs(space: Space) -> None:
    assert space.kubectl("logs", "talk", "-c", "main").splitlines() == ["line 1", "line 2", "line 3", "to stderr"]


def test_logs_of_another_container(space: Space) -> None:
    assert space.kubectl("logs", "talk", "-c", "other") == "from the other"


def test_logs_of_all_containers(space: Space) -> None:
    lines = space.kubectl("logs", "talk", "--all-containers", "--prefix").splitlines()
    assert "[pod/talk/main] line 1" in lines
    assert "[pod/talk/other] from the other" in lines


def test_logs_tail(space: Space) -> None:
    assert space.kubectl("logs", "talk", "-c", "main", "--tail=2").splitlines() == ["line 3", "to stderr"]


def test_logs_timestamps(space: Space) -> None:
    stamps = [line.split(" ", 1) for line in space.kubectl("logs", "talk", "--timestamps", "-c", "main").splitlines()]
    assert [text for _, text in stamps][:2] == ["line 1", "line 2"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d)", stamp) for stamp, _ in stamps)
    assert sorted(stamps) == stamps


def test_logs_follow(space: Space) -> None:
    follower = space.start("logs", "-f", "--tail=1", "clock", stdout=subprocess.PIPE, text=True)
    with _ended(follower):
        ticks = [int(_line(follower).split()[1]) for _ in range(4)]
    assert ticks == list(range(ticks[0], ticks[0] + 4))


def test_logs_follow_ends_with_the_container(space: Space) -> None:
    space.create(pod("short", container("main", "echo first; sleep 1; echo last"), restartPolicy="Never"))
    space.until("short", lambda status: not status.state.waiting)
    assert space.run("logs", "-f", "short", timeout=20).stdout.splitlines() == ["first", "last"]


def test_logs_previous(space: Space) -> None:
    space.until("restarted", lambda status: status.restart_count == 1 and status.state.running)
    assert space.kubectl("logs", "restarted") == "start 2"
    assert space.kubectl("logs", "restarted", "--previous") == "start 1"


def test_logs_previous_where_there_was_none(space: Space) -> None:
    done = space.run("logs", "talk", "-c", "main", "--previous")
    assert done.returncode == 1
    assert "previous terminated container" in done.stderr


def test_logs_since(space: Space) -> None:
    def count(*options: str) -> int:
        return len(space.kubectl("logs", "clock", *options).splitlines())

    traces.eventually(lambda: count() > 20)  # four seconds
    assert 1 <= count("--since=1s") <= 15


def test_exec_separates_output_and_errors(space: Space) -> None:
    done = space.run("exec", "talk", "-c", "main", "--", "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 0)


def test_exec_exit_code(space: Space) -> None:
    done = space.run("exec", "talk", "-c", "other", "--", "sh", "-c", "exit 42")
    assert done.returncode == 42
    assert "exit code 42" in done.stderr


def test_exec_of_a_program_that_is_not_there(space: Space) -> None:
    done = space.run("exec", "talk", "-c", "main", "--", "no-such-program")
    assert done.returncode in {126, 127}
    assert "no-such-program" in done.stderr


def test_exec_in_a_container_that_is_not_there(space: Space) -> None:
    done = space.run("exec", "talk", "-c", "nobody", "--", "true")
    assert done.returncode == 1
    assert "nobody" in done.stderr


def test_exec_reads_standard_input_to_its_end(space: Space) -> None:
    text = "".join(f"{number}\n" for number in range(100_000))
    done = space.run("exec", "-i", "talk", "-c", "main", "--", "md5sum", stdin=text)
    assert done.stdout.split()[0] == hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def test_exec_does_not_wait_for_a_background_child(space: Space) -> None:
    started = time.monotonic()
    assert space.run("exec", "talk", "-c", "main", "--", "sh", "-c", "sleep 30 & echo done", timeout=20).returncode == 0
    assert time.monotonic() - started < 15


def test_exec_in_a_terminal(space: Space) -> None:
    with _terminal(space, "exec", "-it", "talk", "-c", "main", "--", "sh") as (kubectl, screen):
        _type(screen, "tty; stty size; echo $TERM\n")
        text = _read(screen, until="xterm")
        assert "/dev/pts/" in text
        assert "37 111" in text
        _resize(screen, 40, 120)
        kubectl.send_signal(28)  # SIGWINCH, as the terminal's driver would send
        time.sleep(0.5)
        _type(screen, "stty size\n")
        assert "40 120" in _read(screen, until="40 120")
        _type(screen, "sleep 100\n")
        time.sleep(0.5)
        _type(screen, "\x03")  # Ctrl-C ends sleep, not the shell
        _type(screen, "echo still here; exit 7\n")
        _read(screen, until="\nstill here")
        assert kubectl.wait(20) == 7


def test_attach_shows_output_from_now_on(space: Space) -> None:
    attached = space.start("attach", "clock", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with _ended(attached):
        first = int(_line(attached).split()[1])
        assert _line(attached) == f"tick {first + 1}\n"
        assert first > 1


def test_attach_with_standard_input(space: Space) -> None:
    pipe = subprocess.PIPE
    attached = space.start("attach", "-i", "listens", stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
    with _ended(attached):
        assert attached.stdin
        attached.stdin.write("hello\n")
        attached.stdin.flush()
        assert _line(attached) == "got hello\n"
    traces.eventually(lambda: "got hello" in space.kubectl("logs", "listens"))
    assert space.status("listens").restart_count == 0, "the client's end was the container's"


def test_attach_to_a_terminal(space: Space) -> None:
    with _terminal(space, "attach", "-it", "terminal") as (_, screen):
        time.sleep(0.5)
        _type(screen, "hello\n")
        assert "got hello" in _read(screen, until="got hello")


def test_run_with_standard_input(space: Space) -> None:
    words = ["run", "once", "--rm", "-i", "--quiet", "--restart=Never", "--image=busybox"]
    done = space.run(*words, "--", "sh", "-c", "sleep 1; tr a-z A-Z", stdin="shout\n")
    assert done.returncode == 0, done.stderr
    assert "SHOUT" in done.stdout


def test_port_forward_several_connections(space: Space) -> None:
    with _forwarded(space, "pod/web", 8080) as port:
        sockets = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(5)]
        for connected in reversed(sockets):
            connected.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answers = [_all(connected) for connected in sockets]
        assert [b"pod web, " in answer for answer in answers] == [True] * len(sockets), answers
        assert "pod web" in fetch(f"http://127.0.0.1:{port}")


def test_port_forward_to_a_service(space: Space) -> None:
    space.kubectl("expose", "pod", "web", "--port=80", "--target-port=8080")
    with _forwarded(space, "service/web", 80) as port:
        assert "pod web" in fetch(f"http://127.0.0.1:{port}")


def test_port_forward_to_a_port_that_refuses(space: Space) -> None:
    process, port = _port_forward(space, "pod/web", 9)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connected:
            connected.sendall(b"hello")
            with contextlib.suppress(ConnectionResetError):
                assert connected.recv(1) == b""
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.terminate()
        _, errors = process.communicate()
    assert "Connection refused" in errors


def test_copy_there_and_back(space: Space, tmp_path: Path) -> None:
    original, returned = tmp_path / "original", tmp_path / "returned"
    original.write_bytes(os.urandom(MEGABYTES * 1024 * 1024))
    digest = hashlib.sha256(original.read_bytes()).hexdigest()
    space.kubectl("cp", str(original), "talk:/tmp/copy", "-c", "main")
    assert space.exec("talk/main", "sha256sum /tmp/copy").split()[0] == digest
    space.kubectl("cp", "talk:/tmp/copy", str(returned), "-c", "main")
    assert hashlib.sha256(returned.read_bytes()).hexdigest() == digest


def test_copy_a_folder(space: Space, tmp_path: Path) -> None:
    (tmp_path / "from/below").mkdir(parents=True)
    (tmp_path / "from/one").write_text("1")
    (tmp_path / "from/below/two").write_text("2")
    space.kubectl("cp", str(tmp_path / "from"), "talk:/tmp/folder", "-c", "main")
    assert space.exec("talk/main", "cd /tmp/folder && cat one below/two") == "12"
    space.kubectl("cp", "talk:/tmp/folder", str(tmp_path / "to"), "-c", "main")
    assert (tmp_path / "to/below/two").read_text() == "2"


@pytest.fixture
def own_client(space: Space) -> Iterator[CoreV1Api]:
    """A client of its own: while a stream is open, the client can do nothing else."""
    with ApiClient(space.lab.api.configuration) as client:
        yield CoreV1Api(client)


def test_python_client_exec(space: Space, own_client: CoreV1Api) -> None:
    session = _python_exec(space, own_client, ["sh", "-c", "echo out; echo err >&2; exit 3"])
    with _closed(session.sock):
        session.run_forever(timeout=20)
    assert (session.read_stdout(), session.read_stderr(), session.returncode) == ("out\n", "err\n", 3)


def test_python_client_exec_with_standard_input(space: Space, own_client: CoreV1Api) -> None:
    session = _python_exec(space, own_client, ["sh", "-c", "read line; echo got $line"], stdin=True)
    with _closed(session.sock):
        session.write_stdin("hello\n")
        session.run_forever(timeout=20)
    assert (session.read_stdout(), session.returncode) == ("got hello\n", 0)


def _python_exec(space: Space, client: CoreV1Api, command: list[str], *, stdin: bool = False) -> Any:
    return stream.stream(
        client.connect_get_namespaced_pod_exec, "talk", space.name, container="main", command=command,
        stdin=stdin, stdout=True, stderr=True, tty=False, _preload_content=False,
    )  # fmt: skip


def test_python_client_attach(space: Space, own_client: CoreV1Api) -> None:
    session = stream.stream(
        own_client.connect_get_namespaced_pod_attach, "clock", space.name, stdout=True, _preload_content=False
    )
    with _closed(session.sock):
        assert session.readline_stdout(timeout=20).startswith("tick ")


def test_python_client_port_forward(space: Space, own_client: CoreV1Api) -> None:
    forward = stream.portforward(own_client.connect_get_namespaced_pod_portforward, "web", space.name, ports="8080")
    with _closed(forward.websocket):
        connected = forward.socket(8080)
        connected.setblocking(True)
        connected.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b"pod web" in _all(connected)
        assert forward.error(8080) is None


@contextlib.contextmanager
def _closed(websocket: Any) -> Iterator[None]:
    """Close a connection of the Python client, which itself does not once the other side has ended."""
    try:
        yield
    finally:
        websocket.shutdown()


@contextlib.contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """End a process and close its pipes, whatever happens."""
    try:
        yield
    finally:
        process.terminate()
        process.communicate()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline()


@contextlib.contextmanager
def _terminal(space: Space, *arguments: str) -> Iterator[tuple[subprocess.Popen[Any], int]]:
    """Start kubectl in a terminal of 37 rows and 111 columns."""
    screen, inside = pty.openpty()
    _resize(screen, 37, 111)
    kubectl = space.start(*arguments, stdin=inside, stdout=inside, stderr=inside, start_new_session=True)
    os.close(inside)
    try:
        yield kubectl, screen
    finally:
        kubectl.kill()
        kubectl.wait()
        os.close(screen)


def _resize(screen: int, rows: int, columns: int) -> None:
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _type(screen: int, text: str) -> None:
    os.write(screen, text.encode())


def _read(screen: int, *, until: str) -> str:
    text = ""
    while until not in text:
        try:
            text += os.read(screen, 65536).decode()
        except OSError as error:  # the terminal's last process has gone
            raise AssertionError(f"{until!r} never came: {text!r}") from error
    return text


@contextlib.contextmanager
def _forwarded(space: Space, target: str, port: int) -> Iterator[int]:
    process, local = _port_forward(space, target, port)
    with _ended(process):
        yield local


def _port_forward(space: Space, target: str, port: int) -> tuple[subprocess.Popen[str], int]:
    pipe = subprocess.PIPE
    process = space.start(
        "port-forward", "--address=127.0.0.1", target, f":{port}", stdout=pipe, stderr=pipe, text=True
    )
    match = re.fullmatch(r"Forwarding from 127\.0\.0\.1:(\d+) -> \d+\n", _line(process))
    assert match, process.communicate()
    return process, int(match[1])


def _all(connected: socket.socket) -> bytes:
    data = b""
    with contextlib.closing(connected):
        while more := connected.recv(65536):
            data += more
    return data
