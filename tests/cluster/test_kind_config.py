"""What kind is told, against what the same lab without kind is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from labkit.cluster import kind_config, kind_nodes, kubeadm
from labkit.cluster.kind_config import SharedFolders
from labkit.cluster.mirrors import Mirror
from labkit.cluster.spec import LabSpec

SPEC = LabSpec(name="class")
ENDPOINT = "172.30.7.1:4317"


@pytest.fixture
def shared(tmp_path: Path) -> SharedFolders:
    return SharedFolders(tmp_path, tmp_path / "nodes")


@pytest.fixture
def config(shared: SharedFolders) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(kind_config.document(SPEC, shared, endpoint=ENDPOINT, api_port=0))
    return read


def patches(config: dict[str, Any]) -> dict[str, Any]:
    read = [yaml.safe_load(text) for text in config["kubeadmConfigPatches"]]
    return {patch["kind"]: patch for patch in read}


def test_components_get_the_same_flags_as_on_a_rootless_lab(config: dict[str, Any]) -> None:
    rootless = [d for d in yaml.safe_load_all(kubeadm.init_documents(SPEC, "t")) if d["kind"] == "ClusterConfiguration"]
    patch = patches(config)["ClusterConfiguration"]
    for part in ("apiServer", "controllerManager", "scheduler"):
        assert patch[part]["extraArgs"] == {each["name"]: each["value"] for each in rootless[0][part]["extraArgs"]}
    assert patch["apiServer"]["extraVolumes"] == rootless[0]["apiServer"]["extraVolumes"]
    etcd = {each["name"]: each["value"] for each in rootless[0]["etcd"]["local"]["extraArgs"]}
    assert patch["etcd"]["local"]["extraArgs"] == etcd | {"distributed-tracing-address": ENDPOINT}


def test_nodes_have_the_labs_names_and_the_labs_ranges(config: dict[str, Any]) -> None:
    names = [yaml.safe_load(node["kubeadmConfigPatches"][0])["nodeRegistration"]["name"] for node in config["nodes"]]
    assert names == ["master", "node-01", "node-02"]
    assert [node["role"] for node in config["nodes"]] == ["control-plane", "worker", "worker"]
    assert config["networking"]["podSubnet"] == SPEC.pod_cidr
    assert config["networking"]["apiServerAddress"] == "127.0.0.1"


def test_what_is_mounted_is_there_before(
    shared: SharedFolders, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOGC")
    shared.write(SPEC, "172.30.7.0/24", ENDPOINT)
    mounts = [mount for node in config["nodes"] for mount in node["extraMounts"]]
    assert all(Path(mount["hostPath"]).exists() for mount in mounts)
    assert shared.audit.stat().st_mode & 0o777 == 0o600
    assert ENDPOINT in (shared.evidence / "tracing.yaml").read_text()
    environment = yaml.safe_load((shared.evidence / "patches/etcd+strategic.yaml").read_text())
    assert {"name": "GOGC", "value": "25"} in environment["spec"]["containers"][0]["env"]


def test_a_mirror_is_for_every_node(shared: SharedFolders) -> None:
    shared.write(SPEC, "172.30.7.0/24", ENDPOINT, [Mirror.parse("docker.io=https://mirror.example")])
    for node in SPEC.node_names:
        places = {place: path for path, place in shared.mounts(SPEC, node).items()}
        assert "mirror.example" in (places["/etc/containerd/certs.d/docker.io"] / "hosts.toml").read_text()


@pytest.mark.parametrize(
    ("index", "name"), [(0, "class-control-plane"), (1, "class-worker"), (2, "class-worker2"), (3, "class-worker3")]
)
def test_containers_are_named_as_kind_names_them(index: int, name: str) -> None:
    assert kind_nodes.container("class", index) == name
