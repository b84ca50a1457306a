"""What every provider's lab does, on a real one of each: the same calls, the same answers."""

from __future__ import annotations

import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

import labkit
from labkit.errors import ClusterError, UsageError
from labkit.evidence.model import Evidence
from labkit.lab import Lab
from labkit.lab.happenings import Explanation
from labkit.progress import Progress
from tests import traces
from tests.notebooks import cell

from .conftest import NAME, NODES, docker, skip_rootless

BLOG = cell("02_pods", "blog = ")["blog"]


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


def test_kube_proxy_serves_in_another_mode_and_back(any_lab: Lab, tomcat: str) -> None:
    skip_rootless(any_lab, "tests/proxy/test_switch.py")
    addresses = {pod.status.pod_ip for pod in _pods(any_lab, tomcat)}
    for mode in ("nftables", "iptables"):
        assert any_lab.proxy.switch(mode, progress=Progress()).after == mode
        for node in NODES:
            rules = any_lab.proxy.rules(node)
            assert rules.mode == mode
            service = next(each for each in rules.ports if each.service == f"default/{tomcat}")
            assert {endpoint.ip for endpoint in service.endpoints} == addresses
        assert any_lab.proxy.check().agrees


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
    assert labkit.up(any_lab.name, progress=Progress()).cluster.provider == any_lab.cluster.provider


@pytest.mark.parametrize("asked", [{"provider": "rootless"}, {"init": False}])
def test_who_asks_for_a_rootless_one_does_not_get_it_instead(any_lab: Lab, asked: dict[str, Any]) -> None:
    skip_rootless(any_lab, "test_it_is_found_again")
    with pytest.raises(UsageError, match=r"exists and is different\n.*its provider is 'kind', not 'rootless'"):
        labkit.up(any_lab.name, progress=Progress(), **asked)


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
    skip_rootless(any_lab, "tests/lab/test_trouble.py")
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


def test_an_image_of_dockers_is_put_into_every_node(any_lab: Lab, tmp_path: Path) -> None:
    name = "labkit/carried:v1"
    if any_lab.cluster.provider == "rootless":
        with pytest.raises(UsageError, match=r"takes no images[\s\S]*--images FILE"):
            any_lab.load_image(name)
        return
    with pytest.raises(UsageError, match="neither a file nor an image"):
        any_lab.load_image(name)
    broken = tmp_path / "broken.tar"
    broken.write_text("no archive")
    with pytest.raises(ClusterError, match="cannot take"):
        any_lab.load_image(str(broken))
    copy = ["docker", "cp", f"{NAME}-control-plane:/usr/bin/busybox", "-"]
    busybox = subprocess.run(copy, check=True, capture_output=True).stdout
    make = ["docker", "import", "--change", 'ENTRYPOINT ["/busybox", "echo", "carried"]', "-", name]
    subprocess.run(make, input=busybox, check=True, capture_output=True)
    try:
        assert any_lab.load_image(name, progress=Progress()) == (f"docker.io/{name}",)
    finally:
        docker("image", "rm", name)
    any_lab.kubectl(f"run carried --image={name} --restart=Never")
    any_lab.kubectl("wait --for=jsonpath={.status.phase}=Succeeded pod/carried --timeout=60s")
    assert any_lab.kubectl("logs carried") == "carried"
    any_lab.kubectl("delete pod carried --wait=false")


def test_containerd_asks_the_mirror_for_what_the_node_has_not(any_lab: Lab, mirror: str) -> None:
    if any_lab.cluster.provider == "rootless":
        pytest.skip("a rootless lab pulls no images")
    any_lab.kubectl("run unknown --image=docker.io/labkit/unknown --restart=Never")
    asked = f"{mirror}/v2/labkit/unknown"
    try:
        traces.eventually(lambda: any(asked in node.logs("runtime") for node in any_lab.nodes), 30)
    finally:
        any_lab.kubectl("delete pod unknown --now")


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


def test_a_worker_has_the_same_components(any_lab: Lab) -> None:
    skip_rootless(any_lab, "tests/lab/test_components.py")
    components = any_lab.components()
    names = {each.name for each in components.found if each.node == "node-02"}
    assert sorted(names - {"coredns"}) == ["container runtime", "kube-proxy", "kubelet", "labkit-network"]
    assert all("container runtime" in {peer.name for peer in each.calls} for each in components.named("kubelet"))


def test_the_lessons_servers_are_in_its_nodes(any_lab: Lab) -> None:
    skip_rootless(any_lab, "tests/pods/test_images.py")
    any_lab.kubectl("apply --filename -", stdin=BLOG)
    any_lab.deploy("front", image="nginx")
    try:
        any_lab.kubectl("wait --for=condition=Ready pod/blog --timeout=60s")
        any_lab.kubectl("expose pod blog --port=80")
        url = any_lab.open("svc/blog")
        _page(f"{url}/?title=Pods+share+localhost")
        assert "Pods share localhost" in _page(url)
        assert "nginx" in _page(any_lab.open("svc/front"))
    finally:
        any_lab.kubectl("delete deployment,service front")
        any_lab.kubectl("delete service blog --ignore-not-found")
        any_lab.kubectl("delete --filename - --grace-period=1", stdin=BLOG)
