"""How things that go wrong end: words for people, the right exit code, and never a traceback."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import filelock
import pytest

from labkit.cluster.state import LabFolder
from labkit.components import pins
from tests.cli.command import LABKIT, here, in_terminal, labkit, without_escapes

pytestmark = pytest.mark.programs

FAULT = "from labkit.cli import app, main; app.run = lambda: [][0]; main()"


@pytest.mark.parametrize(
    "arguments",
    [
        "nonsense",
        "up --nonsense",
        "up --workers many",
        "up --workers -1",
        "up --workers 2 --node-names a,b",
        "up --node-names=",
        "up --node-names a,a",
        "up --name Bad_Name",
        "up --provider cloud",
        "up --api-port 70000",
        "up --service-cidr 192.168.0.0/20",
        "up --pod-network-cidr nowhere",
        "up --kubernetes-version v1.2.3",
        "up --image-repository UPPER",
        "up --token-ttl soon",
        "up --apiserver-advertise-address 1.2.3.4",
        "status --name none",
        "stop",
        "start",
        "kubectl get nodes",
        "kubeconfig",
        "node",
        "node list",
        "node exec",
        "node exec master --",
        "node shell master",
        "node logs",
        "node add",
        "deploy",
        "deploy web --replicas -1",
        "open",
        "open svc/tomcat",
        "flow tomcat",
        "components",
    ],
)
def test_what_cannot_be_right_is_a_usage_error_before_anything_starts(no_lab: Path, arguments: str) -> None:
    done = here(*arguments.split())
    assert done.exit_code == 2, done.stderr
    assert done.stdout == ""
    assert re.search(r"^(Error: |Usage: )", done.stderr, re.MULTILINE)
    assert "Traceback" not in done.stderr
    assert not no_lab.exists()


def test_an_error_says_what_why_and_what_to_do(no_lab: Path) -> None:
    done = labkit("up", "--service-cidr", "192.168.0.0/20")
    assert done.stderr.splitlines() == [
        "Error: The service range 192.168.0.0/20 and the pod range 192.168.0.0/16 overlap",
        "Why:        an address in both would mean two things, and a packet to it would go astray",
        "What to do: choose ranges that share none: 10.96.0.0/16 and 192.168.0.0/16",
    ]


def test_other_labs_are_named_where_the_one_asked_for_is_not_there(stopped_lab: LabFolder) -> None:
    done = labkit("node", "list")
    assert done.returncode == 2
    assert "There is no lab 'lab'" in done.stderr
    assert "--name resting" in done.stderr


def test_what_this_machine_lacks_has_an_exit_code_of_its_own(no_lab: Path, tmp_path: Path) -> None:
    done = labkit("up", "--name", "lacking", PATH=str(tmp_path))
    assert done.returncode == 3, done.stderr
    assert "bwrap" in done.stderr
    assert "What to do: " in done.stderr


def test_lines_of_a_cause_stand_below_each_other(no_lab: Path, tmp_path: Path) -> None:
    why = (
        labkit("up", "--name", "lacking", PATH=str(tmp_path))
        .stderr.partition("Why: ")[2]
        .partition("\nWhat to do:")[0]
        .splitlines()
    )
    assert len(why) > 1
    assert all(re.match(r" {12}\S", line) for line in why[1:])


def test_escape_sequences_in_an_error_do_not_reach_the_terminal(no_lab: Path) -> None:
    code, shown = in_terminal([*LABKIT, "open", "svc/\x1b[2J", "--name", "\x1b]0;owned\x07"])
    assert code == 2
    assert "\x1b[2J" not in shown
    assert "\x1b]0;" not in shown


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_lacks_characters_still_gets_its_words(no_lab: Path, encoding: str) -> None:
    done = labkit("doctor", PYTHONIOENCODING=encoding)
    assert done.returncode in {0, 3}
    assert "user namespaces" in done.stdout
    done = labkit("up", "--name", "größe→", PYTHONIOENCODING=encoding)
    assert done.returncode == 2
    assert "What to do" in done.stderr


def test_colour_in_a_terminal_unless_NO_COLOR(no_lab: Path) -> None:  # noqa: N802 - the variable's name
    _, coloured = in_terminal([*LABKIT, "stop"])
    _, plain = in_terminal([*LABKIT, "stop"], environment={"NO_COLOR": "1"})
    assert "\x1b[1;31m" in coloured
    assert "\x1b[1;31m" not in plain
    assert "31m" not in plain
    assert without_escapes(plain) == without_escapes(coloured)


def test_an_unexpected_fault_is_one_line_and_the_details_are_in_a_file(tmp_path: Path) -> None:
    done = _python(FAULT, LABKIT_CACHE=str(tmp_path))
    assert done.returncode == 1
    match = re.fullmatch(
        r"Unexpected error: IndexError: list index out of range \(the details are in (.*)\)\n", done.stderr
    )
    assert match
    log = Path(match[1])
    assert log.is_relative_to(tmp_path)
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert "Traceback" in log.read_text()
    assert "IndexError" in log.read_text()


def test_an_unexpected_fault_is_told_where_the_cache_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    done = _python(FAULT, LABKIT_CACHE=str(file), TMPDIR=str(tmp_path))
    assert done.returncode == 1
    log = Path(done.stderr.rpartition("are in ")[2].strip().removesuffix(")"))
    assert log.parent == tmp_path


def test_tracebacks_are_shown_to_who_asks(no_lab: Path, tmp_path: Path) -> None:
    assert "Traceback" in _python(FAULT, LABKIT_CACHE=str(tmp_path), LABKIT_DEBUG="1").stderr
    assert "Traceback" in labkit("stop", LABKIT_DEBUG="1").stderr


def test_a_reader_that_goes_away_is_no_error_to_speak_of() -> None:
    for arguments in (["--help"], ["components", "list"]):
        with subprocess.Popen([*LABKIT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait() in {0, 1}


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A labkit that waits for a component which, so the lock says, another process is about to get."""
    pin = pins()["etcd"]
    (tmp_path / "components").mkdir()
    environment = {**os.environ, "LABKIT_CACHE": str(tmp_path), "LABKIT_COMPONENTS": ""}
    locks = [filelock.FileLock(tmp_path / "components" / f"{each.folder_name}.lock") for each in pins().values()]
    for lock in locks:
        lock.acquire()
    command = [*LABKIT, "components", "fetch"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.endswith(" …\n"), line
        yield process
    for lock in locks:
        lock.release()
    assert not (tmp_path / "components" / pin.folder_name).exists()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=str
)
def test_a_signal_ends_it_cleanly(waiting: subprocess.Popen[str], number: signal.Signals, code: int) -> None:
    waiting.send_signal(number)
    _, said = waiting.communicate(timeout=30)
    assert waiting.returncode == code
    assert "Traceback" not in said
    assert ("Interrupted." in said) == (number == signal.SIGINT)


def test_ctrl_c_while_it_still_loads() -> None:
    program = "import signal; from labkit.cli import app, main; app.run = lambda: signal.raise_signal(2); main()"
    done = _python(program)
    assert done.returncode == 130
    assert done.stderr == "\nInterrupted.\n"


def _python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
