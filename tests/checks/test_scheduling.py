"""Each exercise of notebook 04: its solution is right, and a wrong answer is explained without naming the right one."""

from __future__ import annotations

import json

import pytest

from labkit.checks import scheduling
from labkit.checks.verdict import Verdict
from labkit.lab import Lab, replay


def test_who_turned_a_node_down() -> None:
    recording = replay("unschedulable")
    decision = recording.why(next(iter(recording.explain("nowhere").flow.pods)))
    assert scheduling.turned_down_by(decision, "master", None).right is None
    assert scheduling.turned_down_by(decision, "master", "TaintToleration").right
    other = scheduling.turned_down_by(decision, "master", "NodeUnschedulable")
    assert other.right is False
    assert other.why == "NodeUnschedulable turned another node down, not master."
    wrong = scheduling.turned_down_by(decision, "master", "NodeName")
    assert wrong.right is False
    assert "untolerated taint" in wrong.evidence[0]
    assert "TaintToleration" not in repr(wrong)
    assert scheduling.turned_down_by(decision, "node-77", "NodeName").right is None


@pytest.mark.cluster
def test_who_turned_down_a_node_without_the_label(lab: Lab) -> None:
    asks = json.dumps({"spec": {"nodeSelector": {"disk": "huge"}}})
    lab.kubectl(["run", "picky", "--image=nginx", f"--overrides={asks}"])
    try:
        lab.kubectl("wait --for=condition=PodScheduled=false pod/picky --timeout=20s")
        decision = lab.why("picky")
        assert scheduling.turned_down_by(decision, "node-01", "NodeAffinity").right
        other = scheduling.turned_down_by(decision, "node-01", "TaintToleration")
        assert other.why == "TaintToleration turned another node down, not node-01."
        assert "node-01: rejected" in "\n".join(other.evidence)
    finally:
        lab.kubectl("delete pod picky --grace-period=1")


@pytest.mark.cluster
def test_pods_sent_to_a_node(lab: Lab) -> None:
    assert scheduling.sent_to(lab, "mine", "node-02").right is None
    lab.kubectl("create deployment mine --image=nginx --replicas=2")
    try:
        chance = scheduling.sent_to(lab, "mine", "node-02")
        assert chance.right is False
        assert chance.evidence[0] == "the deployment asks for: no node"
        assert "passes the scheduler by" in _with(lab, nodeName="node-02").why
        named = {"kubernetes.io/hostname": "node-02"}
        assert "names the node itself" in _with(lab, nodeName=None, nodeSelector=named).why
        lacking = _with(lab, nodeSelector={"kubernetes.io/hostname": None, "mine": "yes"})
        assert lacking.right is False
        assert lacking.evidence[-1] == "node-02 has: no own label"
        lab.kubectl("label node node-02 mine=yes")
        lab.kubectl("rollout status deployment mine --timeout=60s")
        assert scheduling.sent_to(lab, "mine", "node-02").right
        lab.kubectl("label node node-01 mine=yes")
        elsewhere = scheduling.sent_to(lab, "mine", "node-01")
        assert elsewhere.right is False
        assert "2 pods run elsewhere" in elsewhere.why
    finally:
        lab.kubectl("delete deployment mine")
        lab.kubectl("label nodes node-01 node-02 mine-")


def _with(lab: Lab, **spec: object) -> Verdict:
    patch = json.dumps({"spec": {"template": {"spec": spec}}})
    lab.kubectl(["patch", "deployment", "mine", "--patch", patch])
    return scheduling.sent_to(lab, "mine", "node-02")
