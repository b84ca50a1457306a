from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from labkit import components
from labkit.cluster import kubeadm, network_addon
from labkit.cluster.bootstrap import ca_hash, new_token
from labkit.cluster.network_agent import cni_config, routes
from labkit.cluster.spec import LabSpec

TOKEN = "abcdef.0123456789abcdef"  # noqa: S105 - of no cluster
SERVER = "172.30.0.10:6443"


def _validate(document: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(document)
    program = components.ensure().program("kubeadm")
    subprocess.run([program, "config", "validate", "--config", path], check=True, capture_output=True)


def test_kubeadm_itself_finds_the_init_documents_valid(tmp_path: Path) -> None:
    _validate(kubeadm.init_documents(LabSpec(), TOKEN), tmp_path)


def test_a_small_labs_manager_has_kubeadms_own_controllers_without_the_idle_ones(tmp_path: Path) -> None:
    documents = kubeadm.init_documents(LabSpec(small=True), TOKEN)
    _validate(documents, tmp_path)
    _, cluster, *_ = yaml.safe_load_all(documents)
    flags = {flag["name"]: flag["value"] for flag in cluster["controllerManager"]["extraArgs"]}
    kept, left_out = flags["controllers"].split(",-", 1)
    assert kept == "*,bootstrapsigner,tokencleaner"
    help_text = subprocess.check_output([components.ensure().program("kube-controller-manager"), "--help"], text=True)
    known = re.findall(r"[a-z-]+-controller\b", help_text.partition("All controllers: ")[2].partition("\n")[0])
    assert set(left_out.split(",-")) <= set(known)
    _, ordinary, *_ = yaml.safe_load_all(kubeadm.init_documents(LabSpec(), TOKEN))
    assert "controllers" not in {flag["name"] for flag in ordinary["controllerManager"]["extraArgs"]}


def test_a_small_lab_has_one_coredns() -> None:
    (name,) = [name for name in kubeadm.files() if "coredns" in name]
    assert yaml.safe_load(kubeadm.files(small=True)[name])["spec"]["replicas"] == 1
    assert "replicas" not in yaml.safe_load(kubeadm.files()[name])["spec"]


def test_kubeadm_itself_finds_the_join_document_valid(tmp_path: Path) -> None:
    _validate(kubeadm.join_document(kubeadm.registration(LabSpec(), 1), SERVER, TOKEN, "sha256:" + "0" * 64), tmp_path)


@pytest.mark.parametrize("name", ["n", "y", "no", "null", "1", "1e3", "0o7", "on"])
def test_names_that_could_be_something_else_stay_names(name: str, tmp_path: Path) -> None:
    _validate(kubeadm.init_documents(LabSpec(name=name, node_names=(name,)), TOKEN), tmp_path)


def test_kubeadm_refuses_a_broken_document(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        _validate(kubeadm.init_documents(LabSpec(), TOKEN).replace("serviceSubnet", "serviceSubnets"), tmp_path)


def test_the_options_reach_the_documents() -> None:
    spec = LabSpec(service_cidr="10.97.0.0/16", pod_cidr="10.244.0.0/16", image_repository="mirror.example/k8s")
    init, cluster, kubelet, proxy = yaml.safe_load_all(kubeadm.init_documents(spec, TOKEN))
    assert cluster["networking"] == {"serviceSubnet": "10.97.0.0/16", "podSubnet": "10.244.0.0/16"}
    assert cluster["imageRepository"] == "mirror.example/k8s"
    assert init["localAPIEndpoint"]["advertiseAddress"] == spec.advertise_address
    assert init["bootstrapTokens"][0]["token"] == TOKEN
    arguments = {item["name"]: item["value"] for item in cluster["apiServer"]["extraArgs"]}
    assert arguments["audit-log-mode"] == "batch"
    assert arguments["storage-media-type"] == "application/json"
    for component in ("controllerManager", "scheduler"):
        assert {"name": "leader-elect", "value": "false"} in cluster[component]["extraArgs"]
    assert {"name": "vmodule", "value": "schedule_one=10"} in cluster["scheduler"]["extraArgs"]
    assert kubelet["tracing"]["samplingRatePerMillion"] == 1_000_000
    assert proxy["conntrack"] == {"maxPerCore": 0, "min": 0}


@pytest.mark.parametrize(
    ("set_by_user", "small", "api_server", "others"),
    [(None, False, "35", "25"), (None, True, "50", "25"), ("100", False, "100", "100"), ("100", True, "100", "100")],
)
def test_who_has_memory_to_spare_says_so_by_gos_own_variable(
    set_by_user: str | None, small: bool, api_server: str, others: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOGC")
    if set_by_user is not None:
        monkeypatch.setenv("GOGC", set_by_user)
    _, cluster, *_ = yaml.safe_load_all(kubeadm.init_documents(LabSpec(small=small), TOKEN))
    components = (cluster["controllerManager"], cluster["scheduler"], cluster["etcd"]["local"])
    assert {"name": "GOGC", "value": api_server} in cluster["apiServer"]["extraEnvs"]
    assert all({"name": "GOGC", "value": others} in component["extraEnvs"] for component in components)


def test_only_the_first_nodes_kubelet_is_told_to_leave_its_oom_score_alone() -> None:
    given = [{a["name"] for a in kubeadm.registration(LabSpec(), index)["kubeletExtraArgs"]} for index in range(3)]
    assert ["oom-score-adj" in names for names in given] == [True, False, False]


def test_the_controller_manager_alone_is_asked_by_a_patch_whether_it_is_ready_and_after_its_start() -> None:
    patches = {name: yaml.safe_load(text) for name, text in kubeadm.files().items() if name.startswith(kubeadm.PATCHES)}
    asked = {}
    for name, patch in patches.items():
        (container,) = patch["spec"].get("containers", [None])
        if container and "readinessProbe" in container:
            delays = [container[probe]["initialDelaySeconds"] for probe in ("startupProbe", "readinessProbe")]
            asked[Path(name).name] = delays
    assert asked == {"kube-controller-manager+strategic.yaml": [5, 6]}


def test_the_audit_policy_never_logs_bodies_that_hold_secrets() -> None:
    policy = yaml.safe_load(kubeadm.files()["/etc/kubernetes/labkit/audit-policy.yaml"])
    body_rule = next(n for n, rule in enumerate(policy["rules"]) if rule["level"] == "RequestResponse")
    guarded = {
        (entry["group"], resource)
        for rule in policy["rules"][:body_rule]
        if rule["level"] == "Metadata"
        for entry in rule["resources"]
        for resource in entry.get("resources", ["*"])
    }
    assert {("", "secrets"), ("", "serviceaccounts/token"), ("authentication.k8s.io", "*")} <= guarded


def test_tokens_have_kubeadms_form_and_differ() -> None:
    tokens = {new_token() for _ in range(50)}
    assert len(tokens) == 50
    assert all(len(a) == 6 and len(b) == 16 and (a + b).isalnum() for a, _, b in (t.partition(".") for t in tokens))


def test_the_ca_hash_is_what_openssl_computes(tmp_path: Path) -> None:
    key, certificate = tmp_path / "ca.key", tmp_path / "ca.crt"
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subprocess.run([*request, "-keyout", key, "-out", certificate, "-subj", "/CN=ca"], check=True, capture_output=True)
    # The pipeline of kubeadm's documentation.
    pipeline = f"openssl x509 -pubkey -in {certificate} | openssl pkey -pubin -outform der | sha256sum"
    expected = subprocess.run(["sh", "-c", pipeline], check=True, capture_output=True, text=True).stdout.split()[0]
    assert ca_hash(certificate.read_bytes()) == f"sha256:{expected}"


def test_the_agent_routes_to_other_nodes_pods_only() -> None:
    def node(cidr: str | None, address: str) -> dict[str, object]:
        addresses = [{"type": "Hostname", "address": "x"}, {"type": "InternalIP", "address": address}]
        return {"spec": {"podCIDR": cidr} if cidr else {}, "status": {"addresses": addresses}}

    nodes = {
        "master": node("192.168.0.0/24", "172.30.0.10"),
        "node-01": node("192.168.1.0/24", "172.30.0.11"),
        "node-02": node(None, "172.30.0.12"),
    }
    assert routes(nodes, "node-01") == {"192.168.0.0/24": "172.30.0.10"}
    assert routes(nodes, "node-02") == {
        "192.168.0.0/24": "172.30.0.10",
        "192.168.1.0/24": "172.30.0.11",
    }


def test_the_cni_configuration_has_the_nodes_own_range() -> None:
    plugins = cni_config("192.168.7.0/24")["plugins"]
    assert plugins[0]["ipam"]["ranges"] == [[{"subnet": "192.168.7.0/24"}]]


def test_the_network_add_on_tolerates_nodes_that_are_not_ready() -> None:
    documents = list(yaml.safe_load_all(network_addon.manifest("https://172.30.0.10:6443")))
    pod = next(d for d in documents if d["kind"] == "DaemonSet")["spec"]["template"]["spec"]
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["hostNetwork"] is True
