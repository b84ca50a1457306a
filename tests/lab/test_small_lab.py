"""A small lab: it says what it is, all of Kubernetes' usual work is done in it, and it can grow."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

import labkit
from labkit.errors import UsageError
from labkit.lab import Lab
from labkit.progress import Progress
from tests import traces

pytestmark = pytest.mark.cluster

NAME = "one-worker"


@pytest.fixture(scope="module")
def small() -> Iterator[Lab]:
    with labkit.up(NAME, small=True, progress=Progress()) as running:
        yield running


def _status() -> dict[str, object]:
    command = [sys.executable, "-m", "labkit", "status", "--name", NAME]
    found: dict[str, object] = json.loads(subprocess.check_output([*command, "--json"]))[0]
    found["said"] = subprocess.check_output(command, text=True)
    return found


def test_it_says_that_it_is_small_and_is_found_again_as_such(small: Lab) -> None:
    status = _status()
    assert (status["small"], [node.name for node in small.nodes]) == (True, ["master", "node-01"])
    assert "(rootless, small)" in str(status["said"])
    assert 'lab.add_node("node-02"), or labkit node add node-02 --name one-worker' in str(status["said"])
    assert small.status().missing == ()
    for asked in (None, True):
        assert labkit.up(NAME, small=asked, progress=Progress()).spec == small.spec
    with pytest.raises(UsageError, match="its small is True, not False"):
        labkit.up(NAME, small=False, progress=Progress())


def test_kubernetes_works_in_it_as_usual(small: Lab) -> None:
    assert small.kubectl("get deployment coredns -n kube-system -o jsonpath={.status.readyReplicas}") == "1"
    small.deploy("web", image="labkit/standin", progress=Progress())
    (pod,) = small.kubectl("get pods -l app=web -o name").split()
    assert "10.96." in small.kubectl(f"exec {pod} -- nslookup web.default.svc.cluster.local")
    small.kubectl(f"delete {pod} --now")
    small.kubectl("rollout status deployment/web --timeout=20s")
    small.kubectl("create namespace short-lived")
    small.kubectl("create job --namespace short-lived once --image=labkit/standin -- true")
    small.kubectl("wait --namespace short-lived job/once --for=condition=Complete --timeout=20s")
    small.kubectl("delete namespace short-lived --timeout=20s")
    small.kubectl("delete deployment,service web")
    traces.eventually(lambda: not small.kubectl("get endpointslices -l kubernetes.io/service-name=web -o name"))


def test_a_lesson_that_needs_a_second_worker_gets_one(small: Lab) -> None:
    with pytest.raises(UsageError, match="add_node"):
        small.nodes["node-02"]
    small.add_node("node-02", progress=Progress())
    assert small.nodes["node-02"].running
    assert small.status().advice() == []
    assert labkit.up(NAME, small=True, progress=Progress()).spec.node_names == ("master", "node-01", "node-02")
