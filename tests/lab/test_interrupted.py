"""`up` ended half-way, by Ctrl-C and by SIGKILL, in each of its phases: the next `up` finds its way."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

import labkit
from labkit.cluster.state import LabFolder
from labkit.progress import Progress
from tests import traces

NAME = "interrupted"
PHASES = ("preflight", "nodes", "kubeadm init", "kubeadm join node-01", "add-ons", "system pods")

#: Starts a lab and says each phase on a line of its own: in one write, for phases run side by side.
PROGRAM = f"""
import os
import labkit
from labkit.progress import Progress
labkit.up({NAME!r}, workers=1, progress=Progress(lambda e: os.write(1, f"{{e.state}} {{e.phase}}\\n".encode())))
"""


@pytest.mark.cluster
def test_up_can_be_interrupted_in_any_phase_and_tried_again() -> None:
    folder = LabFolder.of(NAME).path
    for phase in PHASES:
        _interrupt(phase, signal.SIGINT)
        traces.eventually(lambda: not traces.processes(folder))
        _interrupt(phase, signal.SIGKILL)
    with labkit.up(NAME, workers=1, progress=Progress()) as lab:
        assert [node.ready for node in lab.status().nodes] == [True, True]
    traces.eventually(lambda: not traces.processes(folder))
    assert not folder.exists()


def _interrupt(phase: str, signal_number: signal.Signals) -> None:
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        seen = []
        for line in up.stdout:
            seen.append(line)
            if line == f"started {phase}\n":
                up.send_signal(signal_number)
                break
        _, errors = up.communicate(timeout=60)
    assert f"started {phase}\n" in seen, f"`up` never came to {phase}: {seen} {errors}"
    assert up.returncode != 0
