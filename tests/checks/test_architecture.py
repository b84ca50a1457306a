"""Each exercise of notebook 01: its solution is right, and a wrong answer is explained without naming the right one."""

from __future__ import annotations

import pytest

from labkit.checks import architecture, outage
from labkit.checks.verdict import Verdict
from labkit.errors import UsageError
from labkit.lab import Lab

pytestmark = pytest.mark.cluster

STATIC = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}
#: What happens without a scheduler.
UNSCHEDULED = dict(zip(outage.HAPPENINGS, (True, True, True, False, False), strict=True))


def test_who_speaks_to_etcd(lab: Lab) -> None:
    assert architecture.speaks_to_etcd(lab, None).right is None
    right = architecture.speaks_to_etcd(lab, "kube-apiserver")
    assert right.right
    assert "etcd (127.0.0.1:2379)" in right.evidence[0]
    wrong = architecture.speaks_to_etcd(lab, "kube-scheduler")
    assert wrong.right is False
    assert "kube-scheduler on master" in wrong.evidence[0]
    assert ":2379" not in wrong.evidence[0]
    assert architecture.speaks_to_etcd(lab, "etcd").right is False
    unknown = architecture.speaks_to_etcd(lab, "<b>docker</b>")
    assert unknown.right is False
    assert "kube-proxy" in unknown.evidence[0]
    assert "<b>docker" not in unknown._repr_html_()


def test_which_are_static_pods(lab: Lab) -> None:
    assert architecture.static_pods(lab, None).right is None
    assert architecture.static_pods(lab, STATIC).right
    wrong = architecture.static_pods(lab, {*STATIC, "kube-proxy"})
    assert wrong.right is False
    assert wrong.evidence == ("kube-proxy: started by kubelet, for DaemonSet kube-proxy",)
    few = architecture.static_pods(lab, "etcd")
    assert few.right is False
    assert "3 more" in few.why
    assert not _names(few, STATIC - {"etcd"})


def test_as_whom_a_component_is_known(lab: Lab) -> None:
    assert architecture.known_as(lab, "kube-scheduler", None).right is None
    right = architecture.known_as(lab, "kube-scheduler", "system:kube-scheduler")
    assert right.right
    assert "by kube-scheduler" in right.evidence[0]
    other = architecture.known_as(lab, "kube-scheduler", "system:kube-controller-manager")
    assert other.right is False
    assert "kube-controller-manager" in other.evidence[0]
    nobody = architecture.known_as(lab, "kube-scheduler", "scheduler")
    assert nobody.right is False
    assert not _names(nobody, {"system:kube-scheduler"})


def test_what_stops_when_the_scheduler_stops(lab: Lab) -> None:
    assert architecture.stopped(lab, "kube-scheduler", dict.fromkeys(outage.HAPPENINGS)).right is None
    assert architecture.stopped(lab, "kube-scheduler", UNSCHEDULED).right
    wrong = architecture.stopped(lab, "kube-scheduler", {**UNSCHEDULED, outage.POD: False})
    assert wrong.right is False
    assert wrong.why.startswith("1 of your 5")
    assert wrong.evidence[3].startswith("the pod gets a node: not in 4 s; ")
    assert wrong.evidence[3].endswith("after it went on, by scheduler")
    with pytest.raises(UsageError, match="'it rains'"):
        architecture.stopped(lab, "kube-scheduler", {"it rains": True})
    assert lab.frozen == ()


def _names(verdict: Verdict, words: set[str]) -> set[str]:
    return {word for word in words if word in repr(verdict)}
