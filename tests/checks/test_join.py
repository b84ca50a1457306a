"""The exercises about joining: a solution is right, and a wrong answer is explained without naming the right one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from labkit.checks import join
from labkit.flow import API_SERVER, EvidenceId, Flow, Hop, ObjectName
from labkit.flow.actors import Actor
from labkit.lab import Lab
from labkit.lab.installation.join import Joined

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CSR = "certificatesigningrequests"
CONTROLLER = Actor("certificate-controller", "controller", "certificate-controller")
KUBELET = Actor("kubelet/node-03", "kubelet", "kubelet on node-03", "node-03")


def _hop(number: int, source: Actor, verb: str, subresource: str, what: str) -> Hop:
    name = ObjectName(CSR, "", "csr-1", subresource)
    evidence = (EvidenceId("audit", str(number)),)
    return Hop(number, "request", source, API_SERVER, verb, name, NOW, NOW, 200, what, "the token's id", evidence)


def test_who_said_yes() -> None:
    hops = (
        _hop(1, KUBELET, "create", "", "asks for a certificate"),
        _hop(2, CONTROLLER, "update", "approval", "approves csr-1"),
    )
    joined = Joined("node-03", "abcdef", 1.0, (), Flow(ObjectName("nodes", "", "node-03"), hops))
    assert join.said_yes(joined, None).right is None
    right = join.said_yes(joined, "certificate-controller")
    assert right.right
    assert right.evidence == ("hop 2: certificate-controller approves csr-1",)
    wrong = join.said_yes(joined, "the kubelet on node-03")
    assert wrong.right is False
    assert wrong.evidence == ("hop 1: kubelet on node-03 asks for a certificate",)
    assert "certificate-controller" not in repr(wrong)
    assert join.said_yes(joined, "<b>nobody</b>").right is False


@pytest.mark.cluster
def test_which_token_lives_longest(lab: Lab) -> None:
    ages, short = lab.token.create(ttl=0), lab.token.create(ttl="10m")
    try:
        assert join.longest(lab, None).right is None
        assert join.longest(lab, ages.id).right
        assert join.longest(lab, str(ages)).right
        wrong = join.longest(lab, short.id)
        assert wrong.right is False
        assert wrong.why.startswith("2 of the cluster's tokens live longer")
        assert ages.id not in repr(wrong)
        assert join.longest(lab, "nobody").right is False
    finally:
        for token in (ages, short):
            lab.token.delete(token)
