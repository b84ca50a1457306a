"""The cluster is the textbook's: its options, its static pods, and the evidence that its components leave."""

from __future__ import annotations

import json
import secrets
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import yaml

from labkit.lab import Lab
from tests import traces
from tests.pods.space import Space, config_map, container, pod, secret

pytestmark = pytest.mark.cluster

STATIC = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
SECRET = secrets.token_hex(16)
MARK = secrets.token_hex(16)


@pytest.fixture(scope="module", autouse=True)
def _objects(space: Space) -> None:
    space.create(
        config_map("marked", mark=MARK),
        secret("hidden", word=SECRET),
        pod("scored", container("main", "sleep 1000")),
    )


def _arguments(lab: Lab, program: str, node: str = "master") -> dict[str, str]:
    """Return the flags of a running process."""
    lines = lab.nodes[node].exec("ps -ww -eo args --no-headers").splitlines()
    line = next(line for line in lines if Path(line.split()[0]).name == program)
    return dict(word.removeprefix("--").split("=", 1) for word in line.split()[1:] if "=" in word)


def test_api_server_has_the_textbooks_options(lab: Lab) -> None:
    flags = _arguments(lab, "kube-apiserver")
    assert flags["service-cluster-ip-range"] == "10.96.0.0/16"
    assert flags["advertise-address"] == lab.nodes["master"].address
    assert flags["authorization-mode"] == "Node,RBAC"


def test_controller_manager_has_the_pod_range(lab: Lab) -> None:
    flags = _arguments(lab, "kube-controller-manager")
    assert flags["cluster-cidr"] == "192.168.0.0/16"
    assert flags["allocate-node-cidrs"] == "true"


def test_static_pods_want_no_folder_that_a_node_cannot_make(lab: Lab) -> None:
    """A node's /usr is the machine's own, read-only: what a fresh machine lacks there, no kubelet can add."""
    master = lab.nodes["master"]
    volumes = [
        volume["hostPath"]
        for name in STATIC
        for volume in yaml.safe_load(master.exec(f"cat /etc/kubernetes/manifests/{name}.yaml"))["spec"]["volumes"]
    ]
    made = {volume["path"] for volume in volumes if volume["type"] == "DirectoryOrCreate"}
    assert made >= {"/var/lib/etcd", "/etc/kubernetes/pki"}
    certificates = {path for path in made if path.endswith("ca-certificates")}  # kubeadm names those that are there
    assert [path for path in made - certificates if not path.startswith(("/var/", "/etc/"))] == []


def test_kubeadm_remembers_its_options(lab: Lab) -> None:
    text = lab.kubectl("get configmap kubeadm-config -n kube-system -o jsonpath={.data.ClusterConfiguration}")
    config: dict[str, Any] = yaml.safe_load(text)
    assert config["imageRepository"] == "registry.k8s.io"
    assert config["kubernetesVersion"] == "v1.34.3"
    assert config["networking"]["serviceSubnet"] == "10.96.0.0/16"
    assert config["networking"]["podSubnet"] == "192.168.0.0/16"


@pytest.mark.parametrize("component", STATIC)
def test_control_plane_is_static_pods(lab: Lab, component: str) -> None:
    manifest = yaml.safe_load(lab.nodes["master"].exec(f"cat /etc/kubernetes/manifests/{component}.yaml"))
    found: Any = json.loads(lab.kubectl(f"get pod {component}-master -n kube-system -o json"))
    assert found["metadata"]["annotations"]["kubernetes.io/config.source"] == "file"
    assert found["metadata"]["ownerReferences"][0]["kind"] == "Node"
    assert found["spec"]["nodeName"] == "master"
    assert found["spec"]["containers"][0]["image"] == manifest["spec"]["containers"][0]["image"]
    assert found["spec"]["containers"][0]["image"].startswith("registry.k8s.io/")
    assert found["status"]["containerStatuses"][0]["ready"]


@pytest.mark.parametrize("node", ["master", "node-01", "node-02"])
def test_every_node_runs_kubelet_and_kube_proxy(lab: Lab, node: str) -> None:
    assert _arguments(lab, "kubelet", node)["node-ip"] == lab.nodes[node].address
    assert _arguments(lab, "kube-proxy", node)["hostname-override"] == node


def test_nodes_are_ready_and_of_the_pinned_version(lab: Lab) -> None:
    path = "{range .items[*]}{.metadata.name} {.status.nodeInfo.kubeletVersion} "
    path += "{.status.conditions[?(@.type=='Ready')].status}{'\\n'}{end}"
    lines = lab.kubectl(["get", "nodes", "-o", f"jsonpath={path}"]).splitlines()
    assert lines == [f"{name} v1.34.3 True" for name in ("master", "node-01", "node-02")]


def test_workers_joined_by_token_and_certificates(lab: Lab) -> None:
    requests: Any = json.loads(lab.kubectl("get csr -o json"))["items"]
    joined = [each for each in requests if each["spec"]["username"].startswith("system:bootstrap:")]
    assert len(joined) >= 2
    assert all(each["status"]["conditions"][0]["type"] == "Approved" for each in joined)


def _audit(lab: Lab, **wanted: str) -> list[dict[str, Any]]:
    """Return the audit events whose object reference has these fields."""
    assert lab.cluster.audit_log is not None
    events = map(json.loads, lab.cluster.audit_log.read_text().splitlines())
    return [event for event in events if wanted.items() <= event.get("objectRef", {}).items()]


def test_audit_log_has_the_bodies_of_writes(space: Space) -> None:
    events = _audit(space.lab, namespace=space.name, resource="configmaps", name="marked")
    created = [event for event in events if event["verb"] == "create"]
    assert [event["level"] for event in created] == ["RequestResponse"]
    assert created[0]["requestObject"]["data"] == {"mark": MARK}
    assert created[0]["responseObject"]["metadata"]["uid"]
    assert created[0]["user"]["username"] == "kubernetes-admin"


def test_audit_log_shows_admission(space: Space) -> None:
    """What the API server added is the difference between the two bodies."""
    events = _audit(space.lab, namespace=space.name, resource="pods", name="scored")
    # The scheduler's binding is a create, too, and may be written down first.
    created = next(event for event in events if event["verb"] == "create" and "subresource" not in event["objectRef"])
    assert "serviceAccountName" not in created["requestObject"]["spec"]
    assert created["responseObject"]["spec"]["serviceAccountName"] == "default"


def test_audit_log_has_reads_without_bodies(space: Space) -> None:
    space.kubectl("get", "configmap", "marked")

    def reads() -> list[dict[str, Any]]:
        events = _audit(space.lab, namespace=space.name, resource="configmaps", name="marked")
        return [event for event in events if event["verb"] == "get"]

    traces.eventually(reads)  # it is written a moment after the answer
    read = reads()
    assert all(event["level"] == "Metadata" and "responseObject" not in event for event in read)


def test_audit_log_has_no_secrets(space: Space) -> None:
    token = space.kubectl("create", "token", "default")
    space.kubectl("get", "secret", "hidden", "-o", "json")
    space.kubectl("patch", "secret", "hidden", "-p", json.dumps({"stringData": {"more": SECRET}}))
    about = {"namespace": space.name, "resource": "secrets"}
    done = {"create", "get", "patch"}
    traces.eventually(lambda: done <= {event["verb"] for event in _audit(space.lab, **about)})
    assert _audit(space.lab, namespace=space.name, resource="serviceaccounts", subresource="token")
    assert space.lab.cluster.audit_log is not None
    log = space.lab.cluster.audit_log.read_text()
    assert MARK in log
    for hidden in (SECRET, b64encode(SECRET.encode()).decode(), token, token.split(".")[2]):
        assert hidden not in log


def test_etcd_holds_json(space: Space) -> None:
    folder = "/etc/kubernetes/pki/etcd"
    keys = [f"--cacert={folder}/ca.crt", f"--cert={folder}/server.crt", f"--key={folder}/server.key"]
    get = ["etcdctl", *keys, "get", f"/registry/configmaps/{space.name}/marked", "--print-value-only"]
    text = space.lab.kubectl(["exec", "--namespace=kube-system", "etcd-master", "--", *get])
    stored: Any = json.loads(text)
    assert stored["kind"] == "ConfigMap"
    assert stored["data"] == {"mark": MARK}


def test_components_are_told_to_trace(lab: Lab) -> None:
    master = lab.nodes["master"]
    server = _arguments(lab, "kube-apiserver")["tracing-config-file"]
    tracing = yaml.safe_load(master.exec(["cat", server]))
    assert tracing["kind"] == "TracingConfiguration"
    assert tracing["samplingRatePerMillion"] == 1_000_000
    for node in lab.nodes:
        kubelet = yaml.safe_load(node.exec("cat /var/lib/kubelet/config.yaml"))["tracing"]
        assert kubelet == {"endpoint": tracing["endpoint"], "samplingRatePerMillion": 1_000_000}
    etcd = _arguments(lab, "etcd")
    assert etcd["enable-distributed-tracing"] == "true"
    assert etcd["distributed-tracing-address"] == tracing["endpoint"]
    assert etcd["distributed-tracing-sampling-rate"] == "1000000"


@pytest.mark.parametrize("component", ["kube-scheduler", "kube-controller-manager"])
def test_no_leader_election(lab: Lab, component: str) -> None:
    assert _arguments(lab, component)["leader-elect"] == "false"
    assert component not in lab.kubectl("get leases -n kube-system -o name")


def test_scheduler_logs_the_scores_of_feasible_nodes(space: Space) -> None:
    traces.eventually(lambda: space.pod("scored").spec.node_name, 30)
    log = space.lab.kubectl(["logs", "--namespace=kube-system", "kube-scheduler-master", "--since=10m"])
    lines = [line for line in log.splitlines() if f'pod="{space.name}/scored"' in line]
    scored = [line for line in lines if "Plugin scored node for pod" in line]
    for node in ("node-01", "node-02"):
        assert any(f'node="{node}"' in line and 'plugin="NodeResourcesFit"' in line for line in scored)
    assert not any('node="master"' in line for line in scored), "it has a taint"
