"""The cluster's own birth, on every provider whose nodes are kubeadm's: what lets nodes in, and how they come back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from labkit.checks import nodes
from labkit.cluster import network_addon
from labkit.errors import ClusterError, UsageError
from labkit.lab import Lab
from labkit.progress import Progress
from tests import traces

from .conftest import NODES, skip_rootless


def test_tokens_are_made_listed_and_deleted_and_sign_cluster_info(any_lab: Lab) -> None:
    made = any_lab.token.create(ttl="5m", description="contract")
    assert made.token in [each.token for each in any_lab.token.list()]
    traces.eventually(lambda: made.id in any_lab.token.cluster_info().signatures)
    assert any_lab.token.verify(made).valid
    any_lab.token.delete(made)
    assert made.id not in [each.id for each in any_lab.token.list()]
    digest = any_lab.token.ca_hash()
    assert digest.agrees
    assert digest.text in any_lab.token.print_join_command(ttl="1m")


def test_the_certificates_are_kubeadms_and_the_kubelets(any_lab: Lab) -> None:
    found = any_lab.certificates.read()
    listed = re.findall(r"^(\S+) +\w+ \d+, \d+ \d+:\d+ UTC", any_lab.certificates.check_expiration(), re.MULTILINE)
    assert {"apiserver", "admin.conf", "etcd-ca"} <= set(listed)
    assert {each.name for each in found.found} - set(listed) == {
        f"{kind}@{node}" for kind in ("kubelet.conf", "kubelet-server", "kubelet-ca") for node in NODES
    }
    assert found["kubelet.conf@node-01"].who == "system:node:node-01 (system:nodes)"
    assert found["apiserver"].signed_by == "ca"
    assert all(each.private for each in found.found)
    opened = {each.name: each for each in any_lab.certificates.kubeconfigs().found}
    assert all(right.allowed for right in opened["admin.conf"].rights)
    assert not all(right.allowed for right in opened["kubelet.conf@node-01"].rights)
    renewed = any_lab.certificates.renew("apiserver")
    assert [each.serial for each in renewed.served] == [each.serial for each in renewed.files]
    assert len({each.serial for each in renewed.files}) == 2


def test_a_client_certificate_is_refused_after_its_end(any_lab: Lab) -> None:
    skip_rootless(any_lab, "tests/lab/installation/test_certificates.py")
    (_, before), (_, after) = any_lab.certificates.expire().asked
    assert json.loads(before)["username"] == "short-lived"
    assert "Unauthorized" in after


def test_the_textbooks_kubeconfig_works(any_lab: Lab) -> None:
    without, *done, last = any_lab.copy_kubeconfig().steps
    assert not without.worked
    assert all(step.worked for step in done)
    assert all(node in last.printed for node in NODES)


def test_an_edited_static_pod_is_another_process(any_lab: Lab) -> None:
    skip_rootless(any_lab, "tests/checks/test_certificates.py")
    before = {each.name: each.pid for each in any_lab.static_pods.read().found}
    edited = any_lab.static_pods.annotate("kube-scheduler", "example.com/edited", "once")
    assert edited.trouble is None
    assert edited.pids == (before.pop("kube-scheduler"), edited.pids[1])
    after = {each.name: each.pid for each in any_lab.static_pods.read().found}
    assert after.pop("kube-scheduler") == edited.pids[1] not in {0, edited.pids[0]}
    assert after == before


def test_what_the_kubelet_cannot_read_is_told_and_its_configuration_repaired(any_lab: Lab) -> None:
    skip_rootless(any_lab, "tests/lab/installation/test_static_pods.py")
    broken = any_lab.static_pods.write("kube-controller-manager", "spec: [")
    assert broken.trouble is not None
    assert "no Pod in YAML" in broken.trouble.cause
    restored = any_lab.static_pods.restore("kube-controller-manager")
    # The same process; or another, if the kubelet looked through the whole folder meanwhile, as it does every 20 s:
    # then a file that it cannot read is none (kubernetes/pkg/kubelet/config/file.go, extractFromDir).
    assert restored.trouble is None
    assert restored.pids[1] != 0
    kubelet = any_lab.kubelet("node-01")
    wrong = kubelet.configure(f"{kubelet.config}\nimageGCLowThresholdPercent: 300")
    assert wrong.trouble is not None
    assert "imageGCLowThresholdPercent" in wrong.trouble.cause
    assert kubelet.repair().trouble is None


def test_a_service_answers_while_the_master_is_away_and_its_return_is_told(any_lab: Lab) -> None:
    skip_rootless(any_lab, "tests/lab/installation/test_restart.py")
    any_lab.deploy("web", image="labkit/standin", replicas=2, progress=Progress())
    seen = any_lab.restart("master", away=2, service="web", progress=Progress())
    assert [at for at, _ in seen.answers if at < seen.away], "nobody asked while the master was off"
    assert seen.failed == 0, seen
    told = [what for _, _, what, _ in seen.moments]
    assert [what for what in told if what.startswith("answers again: ")]
    assert {"create Node master: 409, there is one", "tells its status: Ready"} <= set(told)
    assert "starts a container of etcd-master" in told
    any_lab.kubectl("delete deployment,service web --wait=false")


def test_a_worker_joins_and_is_reset_and_joins_again_watched(any_lab: Lab) -> None:
    skip_rootless(any_lab, "tests/lab/installation/test_join.py")
    added = any_lab.add_node("node-03", progress=Progress())
    assert added.running
    assert _ready(any_lab, added.name)
    with pytest.raises(ClusterError, match=r"already exists[\s\S]*has joined already"):
        any_lab.join(added.name, seconds=2, progress=Progress())
    any_lab.kubectl(f"label node {added.name} node-role.kubernetes.io/worker=")
    any_lab.kubectl(f"drain {added.name} --ignore-daemonsets --timeout=30s")
    any_lab.kubectl(f"delete node {added.name}")
    any_lab.reset(added.name, progress=Progress())
    assert not any_lab.cluster.node_joined(added.name)
    with pytest.raises(ClusterError, match="none of the public keys"):
        any_lab.join(added.name, ca_hash="sha256:" + "0" * 64, seconds=2, progress=Progress())
    joined = any_lab.join(added.name, progress=Progress())
    assert any_lab.cluster.node_joined(added.name)
    assert [each.phase for each in joined.said].index("preflight") == 0
    told = [(hop.verb, hop.object.resource, hop.object.subresource) for hop in joined.flow.hops if hop.observed]
    csr = "certificatesigningrequests"
    steps = [("create", csr, ""), ("update", csr, "approval"), ("update", csr, "status"), ("create", "nodes", "")]
    assert [step for step in told if step in steps] == steps


def test_the_network_add_on_is_installed_and_watched(any_lab: Lab) -> None:
    skip_rootless(any_lab, "tests/lab/installation/test_init.py")
    any_lab.kubectl(f"delete daemonset {network_addon.NAME} --namespace kube-system --cascade=foreground")
    installed = any_lab.network.install(progress=Progress())
    told = {step.what: step.evidence for step in installed.steps}
    assert "DaemonSet is stored" in told
    assert {told[f"{node}: container started"] for node in NODES} == {"kubelet's span: StartContainer"}


def test_a_node_that_was_deleted_comes_back_by_its_kubelet_and_by_kubeadm(any_lab: Lab) -> None:
    skip_rootless(any_lab, "tests/lab/installation/test_rejoin.py")
    any_lab.kubectl("delete node node-02")
    any_lab.nodes["node-02"].exec("kill -KILL $(pidof kubelet)")
    any_lab.kubectl("wait --for=create node/node-02 --timeout=60s")
    any_lab.rejoin("node-02", progress=Progress())
    assert _ready(any_lab, "node-02")


def test_how_a_node_is_prepared_is_looked_at_on_the_node(any_lab: Lab) -> None:
    node = any_lab.nodes["node-01"]
    worker = {line.name: line for line in any_lab.preflight(node.name).lines}
    for name in ("host name", "hosts", "firewall", "ip_forward", "packages", "container engine", "core images"):
        assert worker[name].status == "met", worker[name]
    assert f" is {node.address}; " in worker["hosts"].found
    assert "kube-proxy:v1.34.3" in worker["core images"].found
    assert not [line for line in worker.values() if line.status == "unknown"]
    node.exec("echo 0 > /proc/sys/net/ipv4/ip_forward")
    try:
        assert not nodes.repaired(any_lab, node.name, "true").right
        assert nodes.repaired(any_lab, node.name, "sysctl -w net.ipv4.ip_forward=1").right
    finally:
        node.exec("echo 1 > /proc/sys/net/ipv4/ip_forward")


@pytest.mark.parametrize("what", [Lab.init, Lab.reset])
def test_what_needs_nodes_that_labkit_prepared_is_refused(any_lab: Lab, what: Callable[[Lab], object]) -> None:
    skip_rootless(any_lab, "tests/lab/installation/test_init.py")
    with pytest.raises(UsageError, match=r"not prepared by labkit[\s\S]*--provider rootless"):
        what(any_lab)


def _ready(lab: Lab, node: str) -> bool:
    return lab.kubectl(f"wait --for=condition=Ready node/{node} --timeout=60s").endswith("condition met")
