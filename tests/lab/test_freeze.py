"""Real components held still and let go: by hand, by the clock, by the holder's end; a deployment in slow motion."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

import labkit
from labkit.errors import ClusterError, UsageError
from labkit.lab import Lab
from labkit.lab.slow_motion import PARTS
from tests import traces

pytestmark = pytest.mark.cluster
NODE = "jsonpath={.items[*].spec.nodeName}"


@pytest.fixture
def name(lab: Lab) -> Iterator[str]:
    """A deployment's name; what is called so is removed in the end, and nothing is left frozen."""
    yield "held"
    assert lab.frozen == ()
    lab.kubectl("delete deployment held --ignore-not-found --cascade=foreground --wait")


def _pods(lab: Lab, output: str) -> str:
    return lab.kubectl(["get", "pods", "--selector=app=held", "-o", output])


def test_without_the_scheduler_a_pod_gets_no_node(lab: Lab, name: str) -> None:
    with lab.freeze("kube-scheduler") as held:
        assert held.active
        assert lab.frozen == ("kube-scheduler",)
        lab.kubectl(f"create deployment {name} --image=labkit/standin")
        traces.eventually(lambda: _pods(lab, "name"))
        time.sleep(1)
        assert _pods(lab, NODE) == ""
    assert not held.active
    traces.eventually(lambda: _pods(lab, NODE))


def test_what_is_frozen_goes_on_when_its_time_is_over(lab: Lab, name: str) -> None:
    held = lab.freeze("kubelet/node-01", limit=1)
    assert lab.frozen == ("kubelet/node-01",)
    assert 0 < held.left <= 1
    traces.eventually(lambda: not held.active, timeout=5)
    traces.eventually(lambda: not lab.frozen)
    held.thaw()


def test_what_is_frozen_goes_on_when_its_kernel_is_killed(lab: Lab, name: str) -> None:
    freeze = f"held = labkit.attach({lab.name!r}).freeze('kube-controller-manager')"
    program = f"import labkit, time; {freeze}; print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as kernel:
        assert kernel.stdout is not None
        assert kernel.stdout.readline() == "held\n"
        assert lab.frozen == ("kube-controller-manager",)
        kernel.send_signal(signal.SIGKILL)
        kernel.wait()
    traces.eventually(lambda: lab.frozen == ())


def test_another_process_can_let_it_go(lab: Lab, name: str) -> None:
    held, other = lab.freeze("kube-scheduler"), lab.freeze("kube-proxy/node-02")
    command = [sys.executable, "-m", "labkit", "thaw", "kube-scheduler", "--name", lab.name]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    assert "kube-scheduler" in done.stdout
    assert lab.frozen == ("kube-proxy/node-02",)
    traces.eventually(lambda: not held.active)
    assert labkit.attach(lab.name).thaw() == ("kube-proxy/node-02",)
    traces.eventually(lambda: not other.active)
    for each in (held, other):
        each.thaw()


def test_who_forgets_it_does_not_let_it_go(lab: Lab, name: str) -> None:
    lab.freeze("kube-scheduler")
    gc.collect()
    assert lab.frozen == ("kube-scheduler",)
    assert lab.thaw() == ("kube-scheduler",)


def test_a_deployment_in_slow_motion(lab: Lab, name: str) -> None:
    with lab.slow_motion(name, image="labkit/standin", replicas=2) as steps:
        assert steps.next() == PARTS[0]
        assert lab.kubectl("get replicasets --selector=app=held -o name") == ""
        steps.next()
        assert len(_pods(lab, "name").split()) == 2
        assert _pods(lab, NODE) == ""
        steps.next()
        assert set(_pods(lab, NODE).split()) <= {"node-01", "node-02"}
        assert len(_pods(lab, NODE).split()) == 2
        assert set(_pods(lab, "jsonpath={.items[*].status.phase}").split()) == {"Pending"}
        assert "kubelet/node-01" in steps.held
        steps.next()
        assert set(_pods(lab, "jsonpath={.items[*].status.phase}").split()) == {"Running"}
        assert lab.frozen == ("kube-controller-manager", "kube-scheduler")
        assert "4 of 5" in repr(steps)
        steps.next()
        assert steps.upcoming is None
        with pytest.raises(UsageError):
            steps.next()
    with pytest.raises(UsageError, match="already"):
        lab.slow_motion(name)


def test_a_part_that_fails_lets_everything_go_on(lab: Lab, name: str) -> None:
    with lab.slow_motion("Bad_Name") as steps, pytest.raises(ClusterError):
        steps.next()
    assert lab.frozen == ()
