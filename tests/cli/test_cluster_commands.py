"""The commands on a real cluster."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.lab import Lab
from tests.cli.command import LABKIT, in_terminal, labkit, without_escapes

pytestmark = pytest.mark.cluster


@pytest.fixture(autouse=True)
def _the_lab(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKIT_NAME", lab.name)


@pytest.fixture(scope="module")
def web(lab: Lab) -> Iterator[str]:
    """A deployment made by the command line."""
    done = labkit("deploy", "cli-web", "--image", "nginx", LABKIT_NAME=lab.name)
    assert done.returncode == 0, done.stderr
    assert "deployment.apps/cli-web created" in done.stdout
    assert re.search(r"^✓ deployment cli-web +[0-9.]+ s$", done.stderr, re.MULTILINE)
    yield "cli-web"
    lab.kubectl("delete deployment,service cli-web")


def test_status_of_a_running_lab(lab: Lab) -> None:
    found = {each["name"]: each for each in json.loads(labkit("status", "--json").stdout)}[lab.name]
    assert found["state"] == "running"
    assert [node["name"] for node in found["nodes"]] == [node.name for node in lab.nodes]
    assert all(node["ready"] for node in found["nodes"])
    done = labkit("status")
    assert f"API server {found['api_server']}" in done.stdout
    assert "kube-scheduler" in done.stdout


def test_up_of_a_lab_that_runs_changes_nothing_and_a_different_one_is_refused(lab: Lab) -> None:
    assert labkit("up").returncode == 0
    done = labkit("up", "--service-cidr", "10.97.0.0/16")
    assert done.returncode == 2
    assert "exists and is different" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["get", "nodes", "-o", "name"],
        ["--", "get", "nodes", "-o", "name"],
        ["get", "-o=name", "nodes"],
        ["-n", "default", "get", "nodes", "--output", "name"],
        ["--request-timeout=20s", "get", "nodes", "-oname"],
    ],
)
def test_every_option_is_kubectls_own(lab: Lab, arguments: list[str]) -> None:
    done = labkit("kubectl", *arguments)
    assert done.stdout.split() == [f"node/{node.name}" for node in lab.nodes]
    assert done.stderr == ""


def test_the_exit_code_and_the_error_are_kubectls_own() -> None:
    done = labkit("kubectl", "get", "pod", "nothing-of-that-name")
    assert done.returncode == 1
    assert done.stderr == 'Error from server (NotFound): pods "nothing-of-that-name" not found\n'


def test_kubectl_reads_what_is_piped_into_it(lab: Lab) -> None:
    manifest = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "piped"}})
    subprocess.run([*LABKIT, "kubectl", "apply", "-f", "-"], input=manifest, text=True, check=True, capture_output=True)
    assert lab.kubectl("delete configmap piped") == 'configmap "piped" deleted from default namespace'


def test_kubectl_exec_in_a_pod_and_in_a_terminal(web: str) -> None:
    script = 'printf "%s|" "$@"; exit 7'
    done = labkit("kubectl", "exec", f"deployment/{web}", "--", "sh", "-c", script, "-", "-x", "--help", "a b")
    assert (done.returncode, done.stdout) == (7, "-x|--help|a b|")
    code, shown = in_terminal([*LABKIT, "kubectl", "exec", "-it", f"deployment/{web}", "--", "tty"])
    assert code == 0
    assert shown.startswith("/dev/")


def test_a_service_is_opened(web: str) -> None:
    done = labkit("open", f"svc/{web}")
    assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+\n", done.stdout)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(done.stdout.strip(), timeout=20) as page:
        assert page.status == 200
    assert labkit("open", f"svc/{web}").stdout == done.stdout, "the same port again"
    refused = labkit("open", f"svc/{web}", "--port", "1")
    assert refused.returncode == 2
    assert "has no port 1" in refused.stderr


def test_a_flow_is_told_and_drawn(web: str, tmp_path: Path) -> None:
    done = labkit("flow", web, "--svg", str(tmp_path / "new" / "flow.svg"))
    assert done.returncode == 0, done.stderr
    order = [f"creates deployment {web}", f"creates replica set {web}-", f"creates pod {web}-", f"binds pod {web}-"]
    places = [done.stdout.index(step) for step in order]
    assert places == sorted(places)
    assert "<svg" in (tmp_path / "new" / "flow.svg").read_text()
    _, shown = in_terminal([*LABKIT, "flow", web], columns=90)
    lines = without_escapes(shown).splitlines()
    assert max(map(len, lines)) <= 90
    assert len(lines) >= 10
    assert labkit("flow", web, "--svg", "/proc/nowhere/flow.svg").returncode == 2
    assert labkit("flow", "never-deployed").returncode == 1


def test_an_image_that_is_not_there(lab: Lab) -> None:
    done = labkit("deploy", "cli-none", "--image", "example.com/none:1")
    lab.kubectl("delete deployment cli-none")
    assert done.returncode == 1
    assert re.search(r"Error: .*(ErrImagePull|ImagePullBackOff)", done.stderr)
    assert "✗ deployment cli-none" in done.stderr


def test_a_command_on_a_node() -> None:
    script = 'hostname; printf "%s|" "$@"; exit 7'
    for dashes in ([], ["--"]):
        done = labkit("node", "exec", "node-01", *dashes, "sh", "-c", script, "-", "-x", "--help", "a b")
        assert (done.returncode, done.stdout) == (7, "node-01\n-x|--help|a b|")


def test_a_shell_on_a_node() -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(LABKIT[0], [*LABKIT, "node", "shell", "node-01"])  # noqa: S606 - no shell is meant
    _type(terminal, "echo at-$(hostname)\n", until="at-node-01")
    _type(terminal, "sleep 100\n", until="sleep 100")
    time.sleep(0.5)
    _type(terminal, "\x03", until="^C")
    _type(terminal, "exit 5\n", until="exit")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    os.close(terminal)


def _type(terminal: int, keys: str, *, until: str, seconds: float = 20) -> None:
    os.write(terminal, keys.encode())
    seen, deadline = "", time.monotonic() + seconds
    while until not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0, deadline - time.monotonic()))
        assert ready, f"{until!r} did not come: {seen!r}"
        seen += os.read(terminal, 4096).decode(errors="replace")


def test_the_log_of_a_node_is_followed_until_ctrl_c() -> None:
    command = [*LABKIT, "node", "logs", "node-01", "kubelet", "--follow", "--tail", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT
    assert "Traceback" not in errors
    assert labkit("node", "logs", "node-01", "runtime").returncode == 0


def test_the_demo_of_a_lab_that_was_there_leaves_it(lab: Lab, tmp_path: Path) -> None:
    done = labkit("demo", "--name", lab.name, "--svg", str(tmp_path / "flow.svg"))
    lab.kubectl("delete deployment,service tomcat")
    assert done.returncode == 0, done.stderr
    assert f"labkit down --name {lab.name}" in done.stdout
    assert lab.status().state == "running"


def test_a_node_is_restarted_and_a_master_does_not_rejoin() -> None:
    done = labkit("node", "restart", "node-01", "--away", "2")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"node-01 was off for 2\.\d s, and Ready \d+\.\d s after it was switched on\.", lines[0])
    assert any("create Node node-01: 409, there is one" in line for line in lines)
    refused = labkit("node", "rejoin", "master")
    assert refused.returncode == 2
    assert "master cannot join again" in refused.stderr
