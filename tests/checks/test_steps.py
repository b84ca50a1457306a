"""Each exercise of notebook 03: its solution is right, and a wrong answer is explained without naming the right one."""

from __future__ import annotations

import pytest

from labkit.checks import steps
from labkit.lab import Lab, replay


def test_the_order_of_what_happens() -> None:
    flow = replay("deploy-tomcat").explain("tomcat").flow
    assert steps.order(flow, None).right is None
    assert steps.order(flow, "D, E, B, A, C").right
    wrong = steps.order(flow, "DBEAC")
    assert wrong.right is False
    assert [line[0] for line in wrong.evidence] == ["B", "E"]
    assert "audit:" in wrong.evidence[0]
    assert steps.order(flow, "DE").right is False
    scaled = replay("scale-tomcat").explain("tomcat").flow
    assert steps.order(scaled, "DEBAC").right is None


def test_what_was_inferred() -> None:
    story = replay("deploy-tomcat").explain("tomcat").story
    assert steps.inferred(story, None).right is None
    assert steps.inferred(story, {3, 4, 7, 10, 11}).right
    wrong = steps.inferred(story, {3, 9})
    assert wrong.right is False
    assert wrong.evidence[0].startswith("step 9: observed; hops ")
    few = steps.inferred(story, 3)
    assert few.right is False
    assert "4 more" in few.why
    assert not few.evidence
    assert steps.inferred(story, {77}).right is False


@pytest.mark.cluster
def test_a_cluster_held_between_two_steps(lab: Lab) -> None:
    assert steps.held(lab, "held").right is None
    try:
        with lab.freeze("kube-controller-manager"):
            lab.kubectl("create deployment held --image=nginx")
            early = steps.held(lab, "held")
        assert early.right is False
        assert early.evidence == ("frozen: kube-controller-manager",)
        lab.kubectl("wait --for=condition=Available deployment/held --timeout=30s")
        late = steps.held(lab, "held")
        assert late.right is False
        assert late.evidence[0] == "frozen: nobody"
        lab.kubectl("delete deployment held --cascade=foreground")
        with lab.freeze("kube-scheduler"):
            lab.kubectl("create deployment held --image=nginx")
            lab.kubectl("wait --for=create pods --selector=app=held --timeout=20s")
            right = steps.held(lab, "held")
        assert right.right
        assert right.evidence[1].endswith(": node none")
    finally:
        lab.kubectl("delete deployment held --ignore-not-found")
