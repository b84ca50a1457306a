"""Each exercise of notebook 08: its solution is right, and a wrong answer is explained without naming the right one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from labkit.checks import drills, outage
from labkit.checks.outage import Finding, Outage, Outages, Times
from labkit.errors import UsageError
from labkit.evidence.model import ClusterFacts, Evidence, Span
from labkit.lab import Lab
from labkit.progress import Progress

WORKED = Finding(True, "118 of 118 requests were answered", "118 of 118")
FAILED = Finding(False, "0 of 118 requests were answered", "0 of 118")


@pytest.fixture(scope="module")
def shop(lab: Lab) -> Iterator[str]:
    lab.deploy("shop", image="labkit/standin", replicas=2, progress=Progress())
    yield "shop"
    lab.kubectl("delete deployment,service shop")


def _outages(**seen: Finding) -> list[Outage]:
    return [Outage(name, {}, {outage.ANSWERS: finding}) for name, finding in seen.items()]


def test_what_a_request_needs() -> None:
    spared = _outages(etcd=WORKED, kubelet=WORKED)
    assert drills.needed(spared, None).right is None
    right = drills.needed(spared, set())
    assert right.right
    assert right.evidence[1] == "while kubelet stood still: 118 of 118 requests were answered"
    wrong = drills.needed(spared, "etcd")
    assert wrong.right is False
    assert wrong.evidence == ("while etcd stood still: 118 of 118 requests were answered",)
    assert drills.needed(spared, {"<b>rain</b>"}).evidence == ("drills: etcd, kubelet",)
    mixed = _outages(etcd=WORKED, kubelet=FAILED)
    assert drills.needed(mixed, {"kubelet"}).right
    few = drills.needed(mixed, set())
    assert few.right is False
    assert "1 more" in few.why
    assert "kubelet" not in repr(few)


def test_where_the_runtime_keeps_no_log_the_kubelets_spans_tell_what_was_started() -> None:
    stopped = datetime(2026, 1, 1, tzinfo=UTC)
    at = int(stopped.timestamp()) * 10**9
    call = "runtime.v1.RuntimeService/StartContainer"
    spans = (
        Span("1", "2", "", "kubelet", "node-01", "syncPod", at, at + 10**9, {"k8s.pod.name": "ended-1"}),
        Span("1", "3", "2", "kubelet", "node-01", call, at + 10**9, at + 10**9),
        Span("1", "4", "", "kubelet", "node-02", "syncPod", at, at + 9 * 10**9, {"k8s.pod.name": "try-1-x"}),
        Span("1", "5", "4", "kubelet", "node-02", call, at + 9 * 10**9, at + 9 * 10**9),
    )
    times = Times(stopped, stopped + timedelta(seconds=4))
    facts = ClusterFacts("lab", "kind", "v1.34.3", "master", ("master", "node-01", "node-02"))
    found = outage.read(Evidence(facts, (), spans=spans), times, "try-1", "ended-1")
    assert found[outage.RESTARTED].worked
    assert found[outage.RESTARTED].observed == "after 1.00 s, by kubelet on node-01"
    assert not found[outage.RUNS].worked
    assert found[outage.RUNS].observed == "not in 4 s; 5.00 s after it went on, by kubelet on node-02"


def test_a_drill_says_what_was_predicted_and_what_was_seen() -> None:
    one = Outage("etcd", {outage.ANSWERS: False}, {outage.ANSWERS: WORKED, outage.KUBECTL: outage.replied("<timeout>")})
    assert one.caption() == "While etcd stood still; 0 of 1 predictions came true"
    assert one.rows()[0] == (f"A: {outage.ANSWERS}", "stops", "works", WORKED.observed)
    assert one.rows()[1] == (f"C: {outage.KUBECTL}", "", "stops", "<timeout>")
    assert "you: stops ≠" in one.to_svg()
    assert drills.worked(one) == "A"
    together = Outages([one])
    assert together.rows()[0][0] == "etcd"
    for shown in (one._repr_html_(), together._repr_html_()):
        assert "<timeout>" not in shown
        assert "&lt;timeout&gt;" in shown


@pytest.mark.cluster
def test_a_drill_without_the_api_server(lab: Lab, shop: str) -> None:
    seen = drills.drill(lab, "kube-apiserver", "A", service=shop)
    assert drills.worked(seen) == "AB"
    assert seen.caption().endswith("7 of 8 predictions came true")
    assert "kubelet on node-0" in seen.findings[outage.RESTARTED].observed
    assert seen.findings[outage.STORED].note == "never"
    assert lab.frozen == ()
    with pytest.raises(UsageError, match="'Z'"):
        drills.drill(lab, "etcd", "AZ", service=shop)
    with pytest.raises(UsageError, match="'nobody'"):
        drills.drill(lab, "etcd", "A", service="nobody")


@pytest.mark.cluster
def test_who_starts_a_killed_component_again(lab: Lab) -> None:
    killed = drills.kill(lab, "kube-scheduler")
    assert drills.started_again_by(lab, killed, None).right is None
    right = drills.started_again_by(lab, killed, "the kubelet")
    assert right.right
    assert "StartContainer kube-scheduler" in right.evidence[0]
    wrong = drills.started_again_by(lab, killed, "kube-controller-manager")
    assert wrong.right is False
    assert "kube-controller-manager on master calls: kube-apiserver" in wrong.evidence[-1]
    assert "kubelet" not in repr(wrong)
    told = drills.started_again_by(lab, killed, "container runtime")
    assert told.right is False
    assert "kubelet" not in repr(told)
    assert drills.started_again_by(lab, killed, "<b>docker</b>").right is False
    with pytest.raises(UsageError, match="'docker'"):
        drills.kill(lab, "docker")


@pytest.mark.cluster
def test_a_component_that_is_broken_is_found(lab: Lab) -> None:
    hidden = drills.hide(lab, "kube-scheduler")
    try:
        assert "scheduler" not in repr(hidden)
        assert drills.found(lab, hidden, None).right is None
        done = drills.found(lab, hidden, "kube-controller-manager")
        assert done.why == "kube-controller-manager has done its part: it has a pod."
        waits = drills.found(lab, hidden, "kubelet")
        assert waits.right is False
        assert waits.why == "It was not yet kubelet's turn. Who acts before?"
        assert waits.evidence[1:3] == ("it has a pod: yes", "the pod has a node: no")
        for wrong in (done, waits, drills.found(lab, hidden, "etcd")):
            assert "scheduler" not in repr(wrong)
        assert drills.found(lab, hidden, "docker").right is False
        assert "kube-scheduler" in lab.frozen
        assert drills.found(lab, hidden, "kube-scheduler").right
        assert not lab.frozen
    finally:
        hidden.end()
        lab.kubectl("delete deployment riddle --ignore-not-found")
