"""What happens on a real cluster, by commands: recorded, explained, held still."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from labkit.evidence.recording import load
from labkit.lab import Lab
from tests.cli.command import LABKIT, labkit

pytestmark = pytest.mark.cluster
_SECONDS = 30


@pytest.fixture(autouse=True)
def _the_lab(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKIT_NAME", lab.name)


@pytest.fixture(scope="module")
def recorded(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A recording that the command line made of a command."""
    path = tmp_path_factory.mktemp("recorded") / "deploy.labtrace"
    deploy = ["labkit", "deploy", "cli-seen", "--image", "nginx"]
    environment = {"LABKIT_NAME": lab.name, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = labkit("record", str(path), "--title", "An nginx", "--", *deploy, **environment)
    assert done.returncode == 0, done.stderr
    assert "deployment.apps/cli-seen created" in done.stdout
    assert f"Recorded: {path}, " in done.stderr
    yield path
    lab.kubectl("delete deployment,service cli-seen")


def test_a_recording_says_what_was_done_and_is_private(recorded: Path) -> None:
    found = load(recorded)
    assert found.title == "An nginx"
    assert [mark.what for mark in found.marks] == ["labkit deploy cli-seen --image nginx"]
    assert recorded.stat().st_mode & 0o777 == 0o600


def test_the_lab_and_its_recording_tell_the_same(recorded: Path, tmp_path: Path) -> None:
    page = tmp_path / "flow.html"
    live = labkit("flow", "cli-seen", "--action", "create", "--json", "--html", str(page))
    again = labkit("replay", str(recorded), "--of", "deployment/cli-seen", "--action", "create", "--json")
    hops, hops_again = (_done(each.stdout) for each in (live, again))
    assert hops == hops_again
    assert ("kubectl", "create", "deployments") in hops
    assert page.read_text().startswith("<!doctype html>")
    assert page.stat().st_size > 50_000


def _done(flow: str) -> list[tuple[str, str, str]]:
    """Return who wrote what; what a running lab has seen since may be more."""
    document = json.loads(flow)
    actors = {key: actor["name"] for key, actor in document["actors"].items()}
    hops = document["flow"]["hops"]
    return [(actors[h["source"]], h["verb"], h["object"]["resource"]) for h in hops if h["verb"] == "create"]


def test_the_schedulers_why_of_a_lab_and_of_its_recording(recorded: Path, lab: Lab) -> None:
    pod = lab.kubectl("get pods --selector app=cli-seen -o jsonpath={.items[0].metadata.name}")
    live, again = labkit("why", pod), labkit("why", pod, "--in", str(recorded))
    assert live.returncode == again.returncode == 0, live.stderr + again.stderr
    assert live.stdout == again.stdout
    assert "untolerated taint" in live.stdout, "of the control plane"


@pytest.mark.parametrize(
    ("command", "code"),
    [(["kubectl", "get", "nodes", "-o", "name"], 0), (["sh", "-c", "exit 7"], 7), (["sh", "-c", "kill $$"], 143)],
    ids=str,
)
def test_the_commands_own_exit_code(lab: Lab, tmp_path: Path, command: list[str], code: int) -> None:
    path = tmp_path / "x.labtrace"
    done = labkit("record", str(path), "--", *command)
    assert done.returncode == code, done.stderr
    assert load(path).evidence.audit is not None
    if not code:
        assert done.stdout.split() == [f"node/{node.name}" for node in lab.nodes], "its kubeconfig is the lab's"


def test_what_cannot_be_recorded_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "kept.labtrace"
    path.write_bytes(b"kept")
    done = labkit("record", str(path), "--", "no-such-program")
    assert done.returncode == 2
    assert "There is no command 'no-such-program'" in done.stderr
    assert path.read_bytes() == b"kept"
    done = labkit("record", str(tmp_path / "none" / "x.labtrace"), "--", "true")
    assert done.returncode == 1
    assert "no folder" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "number", "code"),
    [
        ([], signal.SIGINT, 0),
        ([], signal.SIGTERM, 143),
        (["--", "sh", "-c", "echo begun; exec sleep 60"], signal.SIGINT, 130),
    ],
    ids=str,
)
def test_whatever_ends_it_nothing_is_lost(
    lab: Lab, tmp_path: Path, arguments: list[str], number: int, code: int
) -> None:
    path = tmp_path / "x.labtrace"
    with _running("record", str(path), *arguments) as process:
        _read_until(process, "begun" if arguments else "Recording;")
        lab.kubectl(f"create configmap last-moment-{code}")
        os.killpg(process.pid, number)
        said, _ = process.communicate(timeout=_SECONDS)
    lab.kubectl(f"delete configmap last-moment-{code}")
    assert process.returncode == code, said
    assert "Traceback" not in said
    evidence = load(path).evidence
    assert [each.key for each in evidence.revisions].count(f"/registry/configmaps/default/last-moment-{code}") == 1
    assert any(event.object and event.object.name == f"last-moment-{code}" for event in evidence.audit)
    assert evidence.losses == ()


def test_a_component_is_held_until_ctrl_c(lab: Lab) -> None:
    with _running("freeze", "kube-scheduler") as process:
        _read_until(process, "is frozen for 60 s")
        assert lab.frozen == ("kube-scheduler",)
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=_SECONDS)
    assert process.returncode == 0, said
    assert "kube-scheduler goes on." in said
    assert not lab.frozen


def test_a_component_is_held_until_another_command_lets_it_go(lab: Lab) -> None:
    with _running("freeze", "kubelet/node-01", "--for", "30") as process:
        _read_until(process, "is frozen for 30 s")
        assert labkit("thaw").stdout == "Goes on: kubelet/node-01\n"
        said, _ = process.communicate(timeout=_SECONDS)
    assert (process.returncode, said) == (0, "kubelet/node-01 goes on.\n")
    assert labkit("thaw").stdout == "Nothing was frozen.\n"


def test_a_component_is_held_until_its_time_is_over(lab: Lab) -> None:
    done = labkit("freeze", "kube-proxy/node-02", "--for", "0.5")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "kube-proxy/node-02 goes on.")
    assert not lab.frozen


@pytest.mark.parametrize(
    "arguments",
    [
        ["freeze", "kubelet"],
        ["freeze", "nginx"],
        ["freeze", "kubelet/node-77"],
        *(["freeze", "etcd", "--for", seconds] for seconds in ("0", "601", "nan", "-1")),
        ["thaw", "nginx"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_held(lab: Lab, arguments: list[str]) -> None:
    done = labkit(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "What to do: " in done.stderr
    assert not lab.frozen


@contextmanager
def _running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run labkit in a process group of its own, as a terminal does, with all that it says in one pipe."""
    process = subprocess.Popen(
        [*LABKIT, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def _read_until(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if words in line:
            return
    raise AssertionError(f"{words!r} was not said: {seen}")
