"""Each task of the exam: its solution is right, and a wrong answer is explained without naming the right one."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from labkit.checks import architecture, exam, kube_proxy, pods, scheduling, steps
from labkit.lab import Lab

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module", autouse=True)
def _prepared(lab: Lab) -> Iterator[None]:
    exam.prepare(lab)
    yield
    lab.kubectl("delete --filename - --grace-period=1", stdin=exam.OBJECTS)


def test_the_shop_is_repaired(lab: Lab) -> None:
    broken = exam.repaired(lab, "shop")
    assert broken.right is False
    assert broken.why.startswith("0 of 2 pods are Ready")
    assert broken.evidence[0] == "the deployment asks for: 2 pods of ngnix"
    assert "nginx" not in broken.why
    lab.kubectl("scale deployment shop --replicas=0")
    assert exam.repaired(lab, "shop").why.startswith("A deployment of no pods")
    lab.kubectl("scale deployment shop --replicas=1")
    lab.kubectl("set image deployment/shop web=labkit/standin")
    lab.kubectl("rollout status deployment shop --timeout=60s")
    _until_old_pods_are_gone(lab)
    assert "another program" in exam.repaired(lab, "shop").why
    lab.kubectl("set image deployment/shop web=nginx")
    lab.kubectl("rollout status deployment shop --timeout=60s")
    _until_old_pods_are_gone(lab)
    assert exam.repaired(lab, "shop").right
    assert exam.repaired(lab, "none-such").right is False


def _until_old_pods_are_gone(lab: Lab) -> None:
    end = time.monotonic() + 20
    while len(lab.kubectl("get pods --selector app=shop --output name").split()) > 1:
        assert time.monotonic() < end
        time.sleep(0.2)


def test_the_service_leads_to_its_pods(lab: Lab) -> None:
    broken = kube_proxy.leads_to(lab, "front", "front")
    assert broken.right is False
    assert broken.evidence[:2] == ("Service front asks for: app=front, tier=wep", "pods with that: 0, Ready: 0")
    lab.kubectl(["patch", "service", "front", "--patch", '{"spec": {"selector": {"tier": "web"}}}'])
    right = kube_proxy.leads_to(lab, "front", "front")
    assert right.right, right
    assert right.evidence[-1].endswith("HTTP 200")


def test_which_pod_the_packet_reached(lab: Lab) -> None:
    packet = lab.proxy.trace("svc/side", from_node="node-01")
    names = lab.kubectl("get pods --selector app=front --output jsonpath={.items[*].metadata.name}").split()
    verdicts = {name: kube_proxy.reached(lab, packet, name).right for name in names}
    assert list(verdicts.values()).count(True) == 1
    assert list(verdicts.values()).count(False) == 2


def test_the_order_of_the_steps(lab: Lab) -> None:
    flow = lab.explain("front").flow
    assert steps.order(flow, "DEBAC").right
    wrong = steps.order(flow, "DEABC")
    assert wrong.right is False
    assert len(wrong.evidence) == 2


def test_what_twins_share(lab: Lab) -> None:
    assert pods.shared(lab, "twins", {"net", "ipc", "uts", "pid"}).right
    assert "1 more" in pods.shared(lab, "twins", {"net", "ipc", "uts"}).why
    wrong = pods.shared(lab, "twins", {"net", "mnt"})
    assert wrong.right is False
    assert "left is in mnt:[" in wrong.evidence[0]


def test_as_whom_kube_proxy_is_known(lab: Lab) -> None:
    assert architecture.known_as(lab, "kube-proxy", "system:serviceaccount:kube-system:kube-proxy").right
    wrong = architecture.known_as(lab, "kube-proxy", "system:kube-scheduler")
    assert wrong.right is False
    assert "by kube-scheduler" in wrong.evidence[0]
    assert "none is called 'kube-proxy'" in architecture.known_as(lab, "kube-proxy", "kube-proxy").evidence[0]


def test_the_archive_is_on_its_node(lab: Lab) -> None:
    assert scheduling.sent_to(lab, "archive", "node-02").right is None
    lab.kubectl("create deployment archive --image=nginx --replicas=2")
    try:
        assert scheduling.sent_to(lab, "archive", "node-02").right is False
        lab.kubectl("label node node-02 disk=large")
        asks = '{"spec": {"template": {"spec": {"nodeSelector": {"disk": "large"}}}}}'
        lab.kubectl(["patch", "deployment", "archive", "--patch", asks])
        lab.kubectl("rollout status deployment archive --timeout=60s")
        end = time.monotonic() + 20
        while not scheduling.sent_to(lab, "archive", "node-02").right:  # until those of before are gone
            assert time.monotonic() < end
            time.sleep(0.2)
    finally:
        lab.kubectl("delete deployment archive")
        lab.kubectl("label node node-02 disk-")


def test_who_stands_still(lab: Lab) -> None:
    assert exam.stands_still(lab, None).right is None
    assert exam.stands_still(lab, "etcd").why.startswith("Nothing stands still")
    try:
        with exam.hide(lab, "kube-scheduler"):
            assert exam.stands_still(lab, "kube-scheduler").right
            at_work = exam.stands_still(lab, "kube-controller-manager")
            assert at_work.why.startswith("kube-controller-manager is at work")
            assert at_work.evidence[2:4] == ("a pod is made: yes", "the pod gets a node: no")
            assert exam.stands_still(lab, "kubelet").why.startswith("It is not yet the turn of kubelet")
            assert exam.stands_still(lab, "kube-proxy").why.startswith("kube-proxy has no part")
            assert exam.stands_still(lab, "kube-apiserver").right is False
    finally:
        lab.kubectl(f"delete deployment {exam.PROBE} --ignore-not-found")
    assert lab.frozen == ()
