"""What every provider's lab does, on a real one of each: the same calls, the same answers."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from kubernetes import client

import labkit
from labkit.errors import ClusterError, UsageError
from labkit.evidence.model import Evidence
from labkit.lab import Lab
from labkit.lab.happenings import Explanation
from labkit.progress import Progress
from tests import traces

# The node image may have to be built.
PROVIDERS = [
    pytest.param("rootless", marks=pytest.mark.cluster),
    pytest.param("kind", marks=[pytest.mark.cluster, pytest.mark.kind, pytest.mark.timeout(900)]),
]
NODES = ("master", "node-01", "node-02")
NAME = "contract"


@pytest.fixture(scope="module", params=PROVIDERS)
def any_lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A lab of three nodes: the shared one, or one of containers."""
    if request.param == "rootless":
        yield request.getfixturevalue("lab")
        return
    request.getfixturevalue("docker_with_node_image")
    mirror = request.getfixturevalue("mirror")
    with labkit.up(NAME, provider="kind", registry_mirrors=[f"docker.io={mirror}"], progress=Progress()) as made:
        yield made
    left = [*_docker("ps", "--all", "--quiet"), *_docker("network", "ls", "--quiet", "--filter", "name=labkit-")]
    assert left == []
    assert NAME not in labkit.lab_names()


@pytest.fixture(scope="module")
def tomcat(any_lab: Lab) -> Iterator[str]:
    """A deployment of a real Tomcat with its Service."""
    any_lab.deploy(NAME, image="tomcat8", replicas=2)
    yield NAME
    any_lab.kubectl(f"delete deployment,service {NAME} --cascade=foreground")


@pytest.fixture(scope="module")
def evidence(any_lab: Lab, tomcat: str) -> Evidence:
    """All that the lab's components have left."""
    return any_lab.evidence()


@pytest.fixture(scope="module")
def explanation(any_lab: Lab, tomcat: str) -> Explanation:
    """What came of the deployment."""
    return any_lab.explain(tomcat, action="create")


def test_status_tells_of_every_node_and_component(any_lab: Lab) -> None:
    found = any_lab.status().to_json()
    assert found["provider"] == any_lab.cluster.provider
    assert found["state"] == "running"
    assert not found["missing"]
    nodes = {node["name"]: node for node in found["nodes"]}
    assert tuple(nodes) == NODES
    assert all(node["ready"] for node in nodes.values())
    master = {component["name"] for component in nodes["master"]["components"]}
    assert {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"} <= master


def test_a_node_has_the_address_that_is_told(any_lab: Lab) -> None:
    for node in any_lab.nodes:
        assert f" {node.address}/" in node.exec("ip -4 -oneline address show dev eth0")
    registered = client.CoreV1Api(any_lab.api).list_node().items
    told = {node.metadata.name: {a.address for a in node.status.addresses} for node in registered}
    assert all(node.address in told[node.name] for node in any_lab.nodes)


def test_a_command_that_fails_on_a_node_says_why(any_lab: Lab) -> None:
    with pytest.raises(ClusterError, match="node-01") as caught:
        any_lab.nodes["node-01"].exec("cat /no/such/file")
    assert "No such file" in caught.value.why


def test_an_unknown_node_is_refused_with_the_known_ones(any_lab: Lab) -> None:
    with pytest.raises(UsageError, match="node-09") as caught:
        any_lab.cluster.node_address("node-09")
    assert "node-01" in caught.value.why


def test_a_service_is_opened_for_a_browser(any_lab: Lab, tomcat: str) -> None:
    url = any_lab.open(f"svc/{tomcat}")
    traces.eventually(lambda: "Apache Tomcat" in _page(url), 30)
    names = {pod.metadata.name for pod in _pods(any_lab, tomcat)}
    answered: set[str] = set()

    def everyone() -> bool:
        page = _page(url)
        answered.update(name for name in names if name in page)
        return answered == names

    traces.eventually(everyone, 30)
    assert any_lab.open(f"svc/{tomcat}") == url


def test_the_flow_of_a_deployment_is_complete(explanation: Explanation) -> None:
    assert [step.number for step in explanation.story.steps if step.seen == "not seen"] == []
    runtime = [hop for hop in explanation.flow.hops if hop.kind == "runtime"]
    assert {"RunPodSandbox", "CreateContainer", "StartContainer"} <= {hop.verb for hop in runtime}
    requests = [hop for hop in explanation.flow.hops if hop.kind == "request"]
    assert len(requests) > 10
    assert all(hop.observed for hop in [*requests, *runtime])


def test_nothing_of_the_evidence_is_lost(evidence: Evidence, tomcat: str) -> None:
    # The shared lab may be older than what etcd keeps; the deployment is not.
    assert [loss for loss in evidence.losses if "compact" not in loss.why] == []
    assert evidence.audit
    key = f"/registry/deployments/default/{tomcat}"
    assert any(revision.revision == revision.created for revision in evidence.revisions if revision.key == key)
    assert evidence.scheduler
    assert {span.service for span in evidence.spans} >= {"apiserver", "etcd", "kubelet"}


def test_the_scheduler_tells_why(any_lab: Lab, tomcat: str) -> None:
    pod = _pods(any_lab, tomcat)[0]
    assert any_lab.why(pod.metadata.name).node == pod.spec.node_name


def test_a_nodes_own_logs(any_lab: Lab) -> None:
    node = any_lab.nodes["node-01"]
    assert "kubelet" in node.logs("kubelet").lower()
    assert node.logs("runtime", tail=1)


def test_a_component_is_held_still(any_lab: Lab) -> None:
    with any_lab.freeze("kube-scheduler"):
        assert any_lab.frozen == ("kube-scheduler",)
    traces.eventually(lambda: any_lab.frozen == ())


def test_etcd_has_what_the_api_server_wrote(any_lab: Lab, tomcat: str) -> None:
    assert f"/registry/deployments/default/{tomcat}" in any_lab.etcd.keys("deployments")


def test_kube_proxys_rules_lead_to_the_pods(any_lab: Lab, tomcat: str) -> None:
    assert any_lab.proxy.mode == "iptables"
    addresses = {pod.status.pod_ip for pod in _pods(any_lab, tomcat)}
    rules = any_lab.proxy.rules("node-02")
    service = next(each for each in rules.ports if each.service == f"default/{tomcat}")
    assert {endpoint.ip for endpoint in service.endpoints} == addresses


def test_a_packets_way_is_seen(any_lab: Lab, tomcat: str) -> None:
    path = any_lab.proxy.trace(f"svc/{tomcat}", from_node="node-01").path
    assert path.outcome == "delivered"
    assert path.endpoint_name in {f"pod/{pod.metadata.name}" for pod in _pods(any_lab, tomcat)}


def test_a_pod_is_entered_and_its_log_read(any_lab: Lab, tomcat: str) -> None:
    pod = _pods(any_lab, tomcat)[0].metadata.name
    assert str(any_lab.kubectl(["exec", pod, "--", "hostname"])).strip() == pod
    assert "Server startup" in any_lab.kubectl(["logs", pod])


def test_pods_find_services_by_name(any_lab: Lab, tomcat: str) -> None:
    any_lab.kubectl(f"run client --image=busybox --restart=Never -- wget -q -O - http://{tomcat}:8080/")
    any_lab.kubectl("wait --for=jsonpath={.status.phase}=Succeeded pod/client --timeout=60s")
    assert "Apache Tomcat" in any_lab.kubectl("logs client")
    any_lab.kubectl("delete pod client --wait=false")


def test_it_is_found_again(any_lab: Lab) -> None:
    again = labkit.attach(any_lab.name)
    assert again.cluster.provider == any_lab.cluster.provider
    assert again.nodes["master"].address == any_lab.nodes["master"].address
    with pytest.raises(UsageError, match="exists and is different"):
        labkit.up(any_lab.name, workers=1, provider=any_lab.cluster.provider, progress=Progress())


def test_a_node_is_switched_off_and_on(any_lab: Lab) -> None:
    node = any_lab.nodes["node-02"]
    address = node.address
    node.stop()
    assert not node.running
    assert any_lab.nodes["node-01"].running
    node.start()
    assert node.running
    traces.eventually(lambda: f" {address}/" in node.exec("ip -4 -oneline address show dev eth0"), 30)
    traces.eventually(lambda: _all_run(any_lab), 60)


def test_the_lab_is_stopped_and_started_again(any_lab: Lab, tomcat: str) -> None:
    _elsewhere(any_lab, "tests/lab/test_trouble.py")
    url = any_lab.open(f"svc/{tomcat}")
    before = {node.name: node.address for node in any_lab.nodes}
    any_lab.stop()
    assert not any_lab.cluster.running
    with pytest.raises(ClusterError, match="does not run"):
        any_lab.kubectl("get nodes")
    any_lab.start(progress=Progress())
    assert {node.name: node.address for node in any_lab.nodes} == before
    any_lab.kubectl(f"rollout status deployment/{tomcat} --timeout=60s")
    traces.eventually(lambda: "Apache Tomcat" in _page(url), 30)


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
    _elsewhere(any_lab, "tests/lab/installation/test_certificates.py")
    (_, before), (_, after) = any_lab.certificates.expire().asked
    assert json.loads(before)["username"] == "short-lived"
    assert "Unauthorized" in after


def test_the_textbooks_kubeconfig_works(any_lab: Lab) -> None:
    without, *done, last = any_lab.copy_kubeconfig().steps
    assert not without.worked
    assert all(step.worked for step in done)
    assert all(node in last.printed for node in NODES)


def test_an_edited_static_pod_is_another_process(any_lab: Lab) -> None:
    before = {each.name: each.pid for each in any_lab.static_pods.read().found}
    edited = any_lab.static_pods.annotate("kube-scheduler", "example.com/edited", "once")
    assert edited.trouble is None
    assert edited.pids[0] == before.pop("kube-scheduler") != edited.pids[1] != 0
    assert any_lab.static_pods.restore("kube-scheduler").trouble is None
    after = {each.name: each.pid for each in any_lab.static_pods.read().found}
    assert after.pop("kube-scheduler") not in {0, *edited.pids}
    assert after == before


def test_what_the_kubelet_cannot_read_is_told_and_its_configuration_repaired(any_lab: Lab) -> None:
    _elsewhere(any_lab, "tests/lab/installation/test_static_pods.py")
    broken = any_lab.static_pods.write("kube-scheduler", "spec: [")
    assert broken.trouble is not None
    assert "no Pod in YAML" in broken.trouble.cause
    assert any_lab.static_pods.restore("kube-scheduler").trouble is None
    kubelet = any_lab.kubelet("node-01")
    wrong = kubelet.configure(f"{kubelet.config}\nimageGCLowThresholdPercent: 300")
    assert wrong.trouble is not None
    assert "imageGCLowThresholdPercent" in wrong.trouble.cause
    assert kubelet.repair().trouble is None


def test_kube_proxy_serves_in_another_mode_and_back(any_lab: Lab, tomcat: str) -> None:
    _elsewhere(any_lab, "tests/proxy/test_switch.py")
    addresses = {pod.status.pod_ip for pod in _pods(any_lab, tomcat)}
    for mode in ("nftables", "iptables"):
        assert any_lab.proxy.switch(mode, progress=Progress()).after == mode
        for node in NODES:
            rules = any_lab.proxy.rules(node)
            assert rules.mode == mode
            service = next(each for each in rules.ports if each.service == f"default/{tomcat}")
            assert {endpoint.ip for endpoint in service.endpoints} == addresses
        assert any_lab.proxy.check().agrees


def test_a_worker_joins_and_is_reset_and_joins_again_watched(any_lab: Lab) -> None:
    _elsewhere(any_lab, "tests/lab/installation/test_join.py")
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


def test_a_node_that_was_deleted_comes_back_by_its_kubelet_and_by_kubeadm(any_lab: Lab) -> None:
    _elsewhere(any_lab, "tests/lab/installation/test_rejoin.py")
    any_lab.kubectl("delete node node-02")
    any_lab.nodes["node-02"].exec("kill -KILL $(pidof kubelet)")
    any_lab.kubectl("wait --for=create node/node-02 --timeout=60s")
    any_lab.rejoin("node-02", progress=Progress())
    assert _ready(any_lab, "node-02")


def test_restarts_are_told_moment_by_moment(any_lab: Lab, tomcat: str) -> None:
    _elsewhere(any_lab, "tests/lab/installation/test_restart.py")
    seen = any_lab.restart("node-01", away=2, progress=Progress())
    assert any(what.startswith("starts kube-proxy of ") for _, _, what, _ in seen.moments)
    seen = any_lab.restart("master", away=2, service=tomcat, progress=Progress())
    assert any(what.startswith("answers again: ") for _, _, what, _ in seen.moments)
    assert [at for at, _ in seen.answers if at < seen.away], "nobody asked while the master was off"
    assert seen.failed == 0, seen


@pytest.mark.parametrize("what", [Lab.init, Lab.reset, lambda lab: lab.preflight("master")])
def test_what_needs_nodes_that_labkit_prepared_is_refused(any_lab: Lab, what: Callable[[Lab], object]) -> None:
    _elsewhere(any_lab, "tests/lab/installation/test_init.py")
    with pytest.raises(UsageError, match=r"not prepared by labkit[\s\S]*--provider rootless"):
        what(any_lab)


def test_containerd_asks_the_mirror_for_what_the_node_has_not(any_lab: Lab, mirror: str) -> None:
    if any_lab.cluster.provider == "rootless":
        pytest.skip("a rootless lab pulls no images")
    any_lab.kubectl("run unknown --image=docker.io/labkit/unknown --restart=Never")
    asked = f"{mirror}/v2/labkit/unknown"
    try:
        traces.eventually(lambda: any(asked in node.logs("runtime") for node in any_lab.nodes), 30)
    finally:
        any_lab.kubectl("delete pod unknown --now")


def _elsewhere(lab: Lab, place: str) -> None:
    """Leave out what of rootless labs another module shows."""
    if lab.cluster.provider == "rootless":
        pytest.skip(f"{place} does so")


def _ready(lab: Lab, node: str) -> bool:
    return lab.kubectl(f"wait --for=condition=Ready node/{node} --timeout=60s").endswith("condition met")


def _pods(lab: Lab, app: str) -> list[client.V1Pod]:
    found = client.CoreV1Api(lab.api).list_namespaced_pod("default", label_selector=f"app={app}").items
    assert found
    return list(found)


def _page(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - a local address
            return str(answer.read().decode())
    except OSError:
        return ""


def _all_run(lab: Lab) -> bool:
    """Whether every node is Ready, and every pod of the system runs again."""
    status = lab.status()
    return all(node.ready and all(part.state == "running" for part in node.components) for node in status.nodes)


def _docker(*arguments: str) -> list[str]:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.split()
