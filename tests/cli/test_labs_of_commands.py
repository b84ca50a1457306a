"""Commands that make a lab, change its nodes and end it, each with a lab of its own."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pytest

import labkit as package
from labkit.cluster.state import LabFolder
from tests import traces
from tests.cli.command import LABKIT, labkit

pytestmark = pytest.mark.cluster


def test_nodes_are_listed_stopped_started_and_added() -> None:
    name = "cli-nodes"
    try:
        assert labkit("up", "--name", name, "--node-names", "cp").returncode == 0
        assert "worker-a has joined" in labkit("node", "add", "worker-a", "-n", name).stdout
        assert labkit("node", "stop", "worker-a", "-n", name).returncode == 0
        assert _state(name, "worker-a") == "stopped"
        assert labkit("node", "start", "worker-a", "-n", name).returncode == 0
        assert _state(name, "worker-a") in {"Ready", "NotReady"}
        assert _state(name, "cp") == "Ready"
    finally:
        assert labkit("down", "-n", name).returncode == 0
    assert name not in package.lab_names()


def _state(lab: str, node: str) -> str:
    rows = [line.split() for line in labkit("node", "list", "-n", lab).stdout.splitlines()]
    return next(row[3] for row in rows if row[0] == node)


def test_the_demo_shows_it_all_and_leaves_nothing_but_the_picture(tmp_path: Path) -> None:
    done = labkit("demo", "--name", "cli-demo", "--svg", str(tmp_path / "flow.svg"), KEEP="")
    assert done.returncode == 0, done.stderr
    assert "creates deployment tomcat" in done.stdout
    assert "Apache Tomcat/" in done.stdout
    assert re.search(r"pod tomcat-\w+-\w+, address 192\.168\.\d+\.\d+, node (master|node-0[12])", done.stdout)
    assert "<svg" in (tmp_path / "flow.svg").read_text()
    assert "cli-demo" not in package.lab_names()


def test_ctrl_c_during_up_is_one_word_and_leaves_no_process() -> None:
    name = "cli-interrupted"
    try:
        with subprocess.Popen([*LABKIT, "up", "--name", name], stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            while "kubeadm init" not in process.stderr.readline():
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=30)[1]
        assert process.returncode == 130
        assert said.rstrip().endswith("Interrupted.")
        assert "✗ kubeadm init" in said
        assert "Traceback" not in said
        traces.eventually(lambda: not traces.processes(LabFolder.of(name).path))
    finally:
        assert labkit("down", "--name", name).returncode == 0
