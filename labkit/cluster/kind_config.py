"""What `kind create cluster` and the nodes that it makes read.

Formats: kind.x-k8s.io/v1alpha4 (kind.sigs.k8s.io/docs/user/configuration). For Kubernetes below 1.36 kind writes
kubeadm's documents as v1beta3 (pkg/cluster/internal/kubeadm/config.go at v0.33.0), where flags are a mapping and
components have no variables: labkit's patches of the static pods set those.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from labkit.cluster import kubeadm
from labkit.cluster.documents import dump
from labkit.cluster.mirrors import FOLDER, Mirror
from labkit.cluster.spec import LabSpec

#: On a node: where its kubelet's and its runtime's logs are, and its pods' (labkit/cluster/nodeimage/files).
LOGS = "/var/log/labkit"
POD_LOGS = "/var/log/pods"
#: On a node: the cluster's address ranges, for the entrypoint of the node image.
RANGES = "/etc/labkit/ranges"
#: On a node: kubeadm's configuration, as kind writes it.
KUBEADM_CONFIG = "/kind/kubeadm.conf"
_CONFIGURATION = "/etc/kubernetes"
_MANIFESTS = f"{_CONFIGURATION}/manifests"
#: On a node: the registry of the images that its node image brought (labkit/cluster/nodeimage/files/registry).
OWN_REGISTRY = "http://127.0.0.1:5000"
_BETA_3 = "kubeadm.k8s.io/v1beta3"


class SharedFolders:
    """What the host and a kind lab's nodes share, below the lab's folder.

    Parameters
    ----------
    folder : Path
        The lab's.
    nodes : Path
        The nodes' folders in it.
    """

    def __init__(self, folder: Path, nodes: Path) -> None:
        self.audit = folder / "audit" / PurePosixPath(kubeadm.AUDIT_LOG).name
        self.evidence = folder / "kubeadm"
        self.manifests = folder / "manifests"
        self.ranges = folder / "ranges"
        self._registries = folder / "registries"
        self._nodes = nodes

    def pod_logs(self, node: str) -> Path:
        """Return a node's ``/var/log/pods``."""
        return self._nodes / node / "pods"

    def logs(self, node: str) -> Path:
        """Return where a node's kubelet and runtime write their logs."""
        return self._nodes / node / "log"

    def configuration(self, worker: str) -> Path:
        """Return a worker's ``/etc/kubernetes``: what it has of the cluster, which is nothing until it has joined."""
        return self._nodes / worker / "kubernetes"

    def mounts(self, spec: LabSpec, node: str) -> dict[Path, str]:
        """Return what a node gets of the host, path there → path on the node."""
        mounts = {self.pod_logs(node): POD_LOGS, self.logs(node): LOGS, self.ranges: RANGES}
        mounts |= {folder: f"{FOLDER}/{folder.name}" for folder in sorted(self._registries.glob("*"))}
        if node == spec.node_names[0]:
            mounts[self.audit.parent] = str(PurePosixPath(kubeadm.AUDIT_LOG).parent)
            mounts[self.evidence] = kubeadm.EVIDENCE_FOLDER
            mounts[self.manifests] = _MANIFESTS
        else:
            mounts[self.configuration(node)] = _CONFIGURATION
        return mounts

    def write(self, spec: LabSpec, subnet: str, endpoint: str, mirrors: Sequence[Mirror] = ()) -> None:
        """Make them all, before there is a node.

        Parameters
        ----------
        spec : LabSpec
            The lab.
        subnet : str
            The nodes' addresses.
        endpoint : str
            Where the API server sends its trace spans.
        mirrors : sequence of Mirror
            Where the nodes pull images from.
        """
        for path, text in kubeadm.files(endpoint, environment=True, small=spec.small).items():
            file = self.evidence / PurePosixPath(path).relative_to(kubeadm.EVIDENCE_FOLDER)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        # Made by this user, and only appended to by the API server, whose own files would be root's alone; what it
        # rotates keeps its owner (gopkg.in/natefinch/lumberjack.v2, chown_linux.go).
        self.audit.parent.mkdir(exist_ok=True)
        self.audit.touch(mode=0o600)
        self.manifests.mkdir(exist_ok=True)
        self._registries.mkdir(exist_ok=True)
        for mirror in mirrors:
            place = PurePosixPath(mirror.path)
            hosts = self._registries / place.parent.name / place.name
            hosts.parent.mkdir()
            hosts.write_text(mirror.hosts_toml(after=OWN_REGISTRY))
        self.ranges.write_text(f"PODS={spec.pod_cidr}\nSERVICES={spec.service_cidr}\nNODES={subnet}\n")
        for node in spec.node_names:
            self.make(node)

    def make(self, node: str) -> None:
        """Make those of one node."""
        for folder in (self.pod_logs(node), self.logs(node), self.configuration(node)):
            folder.mkdir(parents=True, exist_ok=True)
        # containerd lets only a log's owner and group read it: the group is to be this user's (inode(7), S_ISGID).
        self.pod_logs(node).chmod(0o2755)


def document(spec: LabSpec, shared: SharedFolders, *, endpoint: str, api_port: int) -> str:
    """Return kind's configuration of a lab as YAML.

    Parameters
    ----------
    spec : LabSpec
        The lab.
    shared : SharedFolders
        What its nodes share with the host.
    endpoint : str
        Where components send their trace spans: ``"172.31.0.1:4317"``.
    api_port : int
        Of 127.0.0.1, for the API server; 0 takes a free one.
    """
    cluster = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": spec.name,
        "networking": {
            "apiServerAddress": "127.0.0.1",
            "apiServerPort": api_port,
            "podSubnet": spec.pod_cidr,
            "serviceSubnet": spec.service_cidr,
            "disableDefaultCNI": True,
        },
        "kubeadmConfigPatches": [dump(patch) for patch in _patches(spec, endpoint)],
        "nodes": [_node(spec, shared, name) for name in spec.node_names],
    }
    return dump(cluster)


def _patches(spec: LabSpec, endpoint: str) -> list[dict[str, Any]]:
    arguments = kubeadm.component_arguments(endpoint, small=spec.small)
    cluster = {
        "kind": "ClusterConfiguration",
        "apiVersion": _BETA_3,
        "imageRepository": spec.image_repository,
        "apiServer": {"extraArgs": arguments["kube-apiserver"], **kubeadm.api_server_access()},
        "controllerManager": {"extraArgs": arguments["kube-controller-manager"]},
        "scheduler": {"extraArgs": arguments["kube-scheduler"]},
        "etcd": {"local": {"dataDir": "/var/lib/etcd", "extraArgs": arguments["etcd"]}},
    }
    init = {
        "kind": "InitConfiguration",
        "apiVersion": _BETA_3,
        "patches": {"directory": kubeadm.PATCHES},
        "skipPhases": ["preflight", "addon/coredns"],  # labkit.cluster.addons applies it
    }
    kubelet = {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "failCgroupV1": False,
        "syncFrequency": kubeadm.SYNC_FREQUENCY,
        "serializeImagePulls": False,
        "tracing": {"endpoint": endpoint, "samplingRatePerMillion": 1_000_000},
    }
    return [cluster, init, kubelet]


def _node(spec: LabSpec, shared: SharedFolders, name: str) -> dict[str, Any]:
    first = name == spec.node_names[0]
    registration = {
        "kind": "InitConfiguration" if first else "JoinConfiguration",
        "apiVersion": _BETA_3,
        "nodeRegistration": {"name": name},
    }
    return {
        "role": "control-plane" if first else "worker",
        "kubeadmConfigPatches": [dump(registration)],
        "extraMounts": [
            {"hostPath": str(path), "containerPath": place} for path, place in shared.mounts(spec, name).items()
        ],
    }
