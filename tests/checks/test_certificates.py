"""The exercises about certificates: a solution is right, and a wrong answer is explained without the right one."""

from __future__ import annotations

import pytest

from labkit.checks import certificates
from labkit.lab import Lab

pytestmark = pytest.mark.cluster

CLIENT = "apiserver-etcd-client"


def test_who_signed_a_certificate(lab: Lab) -> None:
    assert certificates.signed_by(lab, CLIENT, None).right is None
    assert certificates.signed_by(lab, CLIENT, "etcd-ca").right
    for wrong in ("ca", "etcd-server", "nothing"):
        verdict = certificates.signed_by(lab, CLIENT, wrong)
        assert verdict.right is False
        assert verdict.evidence
    assert "etcd-ca" not in repr(certificates.signed_by(lab, CLIENT, "ca"))
    assert "is no authority" in certificates.signed_by(lab, CLIENT, "etcd-server").why


def test_an_annotation_reached_the_pod(lab: Lab) -> None:
    key = "example.com/lesson"
    pod = f"kube-scheduler-{lab.nodes[0].name}"
    assert certificates.annotated(lab, "kube-scheduler", key).right is None
    lab.kubectl(["annotate", "pod", pod, "--namespace", "kube-system", f"{key}=done"])
    picture = certificates.annotated(lab, "kube-scheduler", key)
    assert picture.right is False
    assert "you edited the picture" in picture.why
    edited = lab.static_pods.annotate("kube-scheduler", key, "done")
    try:
        assert certificates.annotated(lab, "kube-scheduler", key).right
        assert edited.pids[0] != edited.pids[1]
    finally:
        lab.static_pods.restore("kube-scheduler")
