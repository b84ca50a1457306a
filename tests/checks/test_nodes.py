"""The exercises on nodes of notebook 07: a solution is right, a wrong answer is explained without naming it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from labkit.checks import nodes
from labkit.errors import ClusterError, UsageError
from labkit.lab import Lab
from labkit.lab.installation.preparation import Preparation, PreparedLine
from labkit.lab.installation.restart import Restart
from labkit.progress import Progress

SWAP = PreparedLine("kubelet", "swapoff -a", "swap", "met", "required", "no swap", "memory is counted")
CLOCK = PreparedLine("clock", "chronyd", "time sync", "met", "recommended", "right", "certificates have an end")
NODE = "node-02"


def test_what_a_check_protects() -> None:
    prepared = Preparation("node-01", (SWAP, CLOCK))
    assert nodes.protects(prepared, "swap", None).right is None
    assert nodes.protects(prepared, "swap", "Kubelet").right
    wrong = nodes.protects(prepared, "swap", "clock")
    assert wrong.right is False
    assert wrong.evidence == ("clock: time sync", "memory is counted")
    assert "kubelet" not in repr(wrong)
    assert nodes.protects(prepared, "swap", "<b>").right is False
    with pytest.raises(UsageError, match="'rain'"):
        nodes.protects(prepared, "rain", "clock")


def test_how_a_node_is_registered_again() -> None:
    now = datetime.now(UTC)
    moments = (
        (4.0, "kubelet", "asks to be registered", "kubelet's log"),
        (4.1, "kube-apiserver", "create Node node-01: 409, there is one", "audit log"),
        (4.2, "kubelet", "is told that its Node is there already", "kubelet's log"),
    )
    seen = Restart("node-01", "", now, now, 1.0, 2.0, moments, ())
    assert nodes.registered(seen, None).right is None
    assert nodes.registered(seen, 409).right
    assert nodes.registered(seen, " 409 ").right
    wrong = nodes.registered(seen, 201)
    assert wrong.right is False
    assert "409" not in repr(wrong)
    assert nodes.registered(Restart("m", "", now, now, 1.0, 2.0, (), ()), 409).right is None


@pytest.mark.cluster
def test_a_node_is_repaired(lab: Lab) -> None:
    lab.nodes[NODE].exec("echo 0 > /proc/sys/net/ipv4/ip_forward")
    try:
        assert nodes.repaired(lab, NODE, None).right is None
        wrong = nodes.repaired(lab, NODE, "true")
        assert wrong.right is False
        assert wrong.evidence == ("ip_forward: net.ipv4.ip_forward is 0",)
        assert nodes.repaired(lab, NODE, "no-such-program").right is False
        assert nodes.repaired(lab, NODE, "sysctl -w net.ipv4.ip_forward=1").right
    finally:
        lab.nodes[NODE].exec("echo 1 > /proc/sys/net/ipv4/ip_forward")


@pytest.fixture
def guarded(lab: Lab) -> Iterator[str]:
    """Make a pod on the node that a budget guards."""
    lab.deploy("guarded", image="labkit/standin", progress=Progress())
    lab.kubectl("create poddisruptionbudget guarded --selector=app=guarded --min-available=1")
    lab.kubectl(
        "wait poddisruptionbudget guarded --for=jsonpath={.status.currentHealthy}=1 --timeout=30s",
    )
    yield lab.kubectl("get pods --selector app=guarded --output jsonpath={.items[0].spec.nodeName}")
    lab.kubectl("delete poddisruptionbudget,deployment guarded")


@pytest.mark.cluster
def test_who_refused_an_eviction(lab: Lab, guarded: str) -> None:
    since = datetime.now(UTC)
    assert nodes.refused_by(lab, since, "etcd").right is None
    try:
        with pytest.raises(ClusterError) as caught:
            lab.kubectl(
                f"drain {guarded} --ignore-daemonsets --delete-emptydir-data --pod-selector=app=guarded --timeout=2s"
            )
        assert "disruption budget" in caught.value.why
        assert nodes.refused_by(lab, since, None).right is None
        assert nodes.refused_by(lab, since, "the API server").right
        for answer in ("kubectl", "kubelet", "the weather"):
            wrong = nodes.refused_by(lab, since, answer)
            assert wrong.right is False
            assert "create guarded-" in wrong.evidence[0] or answer == "the weather"
    finally:
        lab.kubectl(f"uncordon {guarded}")
