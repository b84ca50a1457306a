"""Each exercise of notebook 00: its solution is right, and a wrong answer is explained without naming the right one."""

from __future__ import annotations

import pytest

from labkit.checks import start
from labkit.lab import Lab, replay
from tests import traces

#: A pod that is deleted and stays, on no node, until its finalizer is taken away.
_NEVER_GONE = '{"metadata": {"finalizers": ["example.com/stays"]}, "spec": {"nodeSelector": {"nowhere": "yes"}}}'
RIGHT = {
    "the deployment": "kubectl",
    "the replica set": "deployment-controller",
    "the pod": "replicaset-controller",
    "the pod's node": "kube-scheduler",
}


def test_who_asked_for_what() -> None:
    flow = replay("deploy-tomcat").explain("tomcat").flow
    assert start.asked_for(flow, dict.fromkeys(start.THINGS)).right is None
    assert start.asked_for(flow, RIGHT).right
    assert start.asked_for(flow, {**RIGHT, "the pod's node": "scheduler "}).right
    wrong = start.asked_for(flow, {**RIGHT, "the replica set": "kubectl", "the pod": "kubelet"})
    assert wrong.right is False
    assert wrong.why.startswith("2 of your 4 ")
    assert wrong.evidence[0].startswith("kubectl sent hop 1: ")
    assert wrong.evidence[1].startswith("'kubelet' sent nothing; these did: ")
    scaled = replay("scale-tomcat").explain("tomcat").flow
    assert start.asked_for(scaled, RIGHT).right is None


def test_which_nodes_got_no_points() -> None:
    recording = replay("deploy-tomcat")
    decision = recording.why(next(iter(recording.explain("tomcat").flow.pods)))
    assert start.without_points(decision, None).right is None
    right = start.without_points(decision, "master")
    assert right.right
    assert "untolerated taint" in right.evidence[0]
    wrong = start.without_points(decision, {"master", "node-01"})
    assert wrong.right is False
    assert wrong.evidence[0].startswith("node-01: feasible, ")
    assert "master" not in repr(wrong)
    assert start.without_points(decision, set()).right is False
    assert start.without_points(decision, "node-77").why == "There is no node node-77."


@pytest.mark.cluster
def test_a_deployment_that_is_served(lab: Lab) -> None:
    assert start.served(lab, "mine", 2).right is None
    lab.kubectl("create deployment mine --image=nginx")
    try:
        lab.kubectl(["run", "leaving", "--image=nginx", "--labels=app=mine", f"--overrides={_NEVER_GONE}"])
        lab.kubectl("delete pod leaving --wait=false")
        few = start.served(lab, "mine", 2)
        assert few.right is False
        assert "another number of pods than 2" in few.why
        lab.kubectl("scale deployment mine --replicas=2")
        lab.kubectl("wait deployment mine --for=jsonpath={.status.readyReplicas}=2 --timeout=60s")
        alone = start.served(lab, "mine", 2)
        assert alone.why == "No Service is called mine: the pods have no common address."
        assert alone.evidence[0] == "deployment mine: 2 of 2 pods are Ready"
        assert all(line.endswith(": Running") for line in alone.evidence[1:]), "of the pod that leaves nothing is said"
        lab.kubectl("create service clusterip mine --tcp=80 --clusterip=None")
        lab.kubectl(["patch", "service", "mine", "--patch", '{"spec": {"selector": {"app": "another"}}}'])
        # EndpointSlices follow a Service and its pods a moment later.
        traces.eventually(lambda: start.served(lab, "mine", 2).evidence[-1].endswith("leads to nobody"))
        assert start.served(lab, "mine", 2).right is False
        lab.kubectl("delete service mine")
        lab.deploy("mine", image="nginx", replicas=2)
        traces.eventually(lambda: start.served(lab, "mine", 2).right, timeout=20)
    finally:
        lab.kubectl(["patch", "pod", "leaving", "--patch", '{"metadata": {"finalizers": null}}'])
        lab.kubectl("delete deployment,service mine --ignore-not-found")
