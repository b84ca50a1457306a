"""Each exercise of notebook 06: its solution is right, and a wrong answer is explained without naming the right one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from labkit.checks import kube_proxy
from labkit.lab import Lab, replay
from tests.notebooks import cell
from tests.proxy.captured import rules as rules_of

WAITING = cell("06_kube_proxy", "waiting = ")["waiting"]


def test_the_share_of_a_rule() -> None:
    rules = replay("kube-proxy").proxy.rules(mode="iptables")
    assert kube_proxy.share(rules, "tomcat", 2, None).right is None
    for answer in ("33", "33.3 %", "33,4%"):
        assert kube_proxy.share(rules, "tomcat", 2, answer).right, answer
    assert kube_proxy.share(rules, "tomcat", 3, "33").right
    own = kube_proxy.share(rules, "tomcat", 2, "50")
    assert own.right is False
    assert own.why.startswith("That is the number in rule 2.")
    told = [line.partition(",")[0] for line in own.evidence]
    assert told[1:] == ["rule 2: --probability 0.50000000000", "rule 3: no probability"]
    assert "33%" not in repr(own)
    assert kube_proxy.share(rules, "tomcat", 2, "12").right is False
    assert kube_proxy.share(rules, "tomcat", 2, "half").why == "'half' is no number of percent."
    assert kube_proxy.share(rules, "tomcat", 4, "25").right is None
    assert kube_proxy.share(replay("kube-proxy").proxy.rules(mode="nftables"), "tomcat", 2, "33").right is None


def test_whose_rules_they_are() -> None:
    recorded = replay("kube-proxy").proxy
    rules = recorded.rules(mode="iptables").of("tomcat")
    assert kube_proxy.written_by(rules, None).right is None
    assert kube_proxy.written_by(rules, "iptables").right
    for answer in ("nftables", "ipvs"):
        wrong = kube_proxy.written_by(rules, answer)
        assert wrong.right is False
        assert wrong.why.startswith(f"In {answer} mode there would be")
        assert wrong.evidence[0].startswith("-A KUBE-SERVICES")
        assert "iptables" not in wrong.why
    assert kube_proxy.written_by(rules, "ebpf").right is False
    assert kube_proxy.written_by(recorded.rules(mode="nftables"), "nftables").right
    assert kube_proxy.written_by(rules_of("node-01", "ipvs"), "ipvs").right


@pytest.fixture(scope="module")
def shares(lab: Lab) -> Iterator[Callable[..., None]]:
    """A deployment ``shares`` of two pods, and a Service of it and of others; yields what waits for their rules."""

    def follow(*services: str) -> None:
        end = time.monotonic() + 20
        while not all(lab.proxy.rules().of(service).ports for service in services) or not lab.proxy.check().agrees:
            assert time.monotonic() < end
            time.sleep(0.1)

    lab.kubectl("create deployment shares --image=nginx --replicas=2")
    lab.kubectl("expose deployment shares --port=80")
    lab.kubectl("expose deployment shares --name=closed --port=80 --target-port=8080")
    lab.kubectl("create service clusterip nobody --tcp=80")
    lab.kubectl("create service clusterip headless --clusterip=None")
    lab.kubectl("apply --filename -", stdin=WAITING)
    lab.kubectl("expose deployment waiting --port=80")
    lab.kubectl("wait --for=condition=Available deployment/shares --timeout=60s")
    yield follow
    lab.kubectl("delete services shares closed nobody headless waiting --ignore-not-found")
    lab.kubectl("delete deployments shares waiting")


@pytest.mark.cluster
def test_which_pod_a_packet_reached(lab: Lab, shares: Callable[..., None]) -> None:
    shares("shares")
    packet = lab.proxy.trace("svc/shares", from_node="node-01")
    right = packet.path.endpoint_name.removeprefix("pod/")
    listed = lab.kubectl("get pods --selector app=shares --output jsonpath={.items[*].metadata.name}").split()
    (other,) = set(listed) - {right}
    assert kube_proxy.reached(lab, packet, None).right is None
    assert kube_proxy.reached(lab, packet, right).right
    assert kube_proxy.reached(lab, packet, str(packet.path.endpoint)).right
    wrong = kube_proxy.reached(lab, packet, other)
    assert wrong.right is False
    assert wrong.evidence[0].startswith(f"{other} has the address ")
    assert right not in repr(wrong)
    service = kube_proxy.reached(lab, packet, packet.path.request.destination.ip)
    assert "the client asked for" in service.why
    assert kube_proxy.reached(lab, packet, "<b>nobody</b>").right is False


@pytest.mark.cluster
def test_why_a_service_refuses(lab: Lab, shares: Callable[..., None]) -> None:
    shares("shares", "closed", "nobody", "waiting")
    assert kube_proxy.refused(lab, "waiting", None).right is None
    real = {
        "waiting": kube_proxy.NOT_READY,
        "nobody": kube_proxy.NO_POD,
        "closed": kube_proxy.NO_PORT,
        "headless": kube_proxy.NO_RULES,
    }
    for service, reason in real.items():
        assert kube_proxy.refused(lab, service, reason).right, service
        for other in set(kube_proxy.REASONS) - {reason}:
            wrong = kube_proxy.refused(lab, service, other)
            assert wrong.right is False
            assert reason not in wrong.why
    wrong = kube_proxy.refused(lab, "waiting", kube_proxy.NO_POD)
    assert wrong.why == "2 pods have these labels."
    assert wrong.evidence[1:] == ("pods with that: 2, Ready: 0", "the rules on master: cluster IP: reject")
    assert kube_proxy.refused(lab, "waiting", "it is tired").right is False
    assert kube_proxy.refused(lab, "shares", kube_proxy.NO_PORT).right is None
    assert kube_proxy.refused(lab, "none-such", kube_proxy.NO_PORT).right is None


@pytest.mark.cluster
def test_a_service_leads_to_a_deployment(lab: Lab, shares: Callable[..., None]) -> None:
    shares("shares", "closed", "waiting")
    assert kube_proxy.leads_to(lab, "shares", "shares").right
    assert "no answer comes back" in kube_proxy.leads_to(lab, "closed", "shares").why
    assert kube_proxy.leads_to(lab, "shares", "waiting").why == "No pod of waiting is Ready."
    elsewhere = kube_proxy.leads_to(lab, "waiting", "shares")
    assert elsewhere.right is False
    assert elsewhere.evidence[-1] == "master's rules lead to: nowhere"
    assert kube_proxy.leads_to(lab, "none-such", "shares").right is None
