"""The documents that `kubeadm init` and `kubeadm join` read, and the files that they name.

Formats: kubeadm.k8s.io/v1beta4, kubelet.config.k8s.io/v1beta1, kubeproxy.config.k8s.io/v1alpha1, audit.k8s.io/v1 and
apiserver.config.k8s.io/v1, as in Kubernetes 1.34.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labkit.cluster import small_lab
from labkit.cluster.documents import dump, dump_all
from labkit.cluster.spec import LabSpec
from labkit.node.network import GATEWAY, node_address
from labkit.node.node import CRI_SOCKET

API_PORT = 6443
OTLP_PORT = 4317
#: Where components send their trace spans: inside the lab's own network.
TRACING_ENDPOINT = f"{GATEWAY}:{OTLP_PORT}"

#: On the control plane's node.
AUDIT_LOG = "/var/log/kubernetes/audit/audit.log"
EVIDENCE_FOLDER = "/etc/kubernetes/labkit"
CONFIG = f"{EVIDENCE_FOLDER}/init.yaml"
CA = "/etc/kubernetes/pki/ca.crt"
PATCHES = f"{EVIDENCE_FOLDER}/patches"

#: Where volume plugins may be put: by default below /usr/libexec, which no node may write to (a node's /usr is the
#: machine's own), so that the folder would be missing unless the machine has it already.
_VOLUME_PLUGINS = "/var/lib/kubelet/volume-plugins"

#: The static pods that kubeadm makes.
STATIC_PODS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
#: How many liveness probes in a row may fail before the kubelet starts a static pod anew: 8 by kubeadm's own manifests
#: (cmd/kubeadm/app/util/staticpod/utils.go). Each waits 15 s; so a learner can hold a component still for ten minutes.
LIVENESS_FAILURES = 60
#: When a static pod is first asked whether it has started, and how often then; kubeadm says 10 s for both. The kubelet
#: looks after the pod again when it answers, and only then makes the pod's mirror in the API, if it could not before.
_STARTUP_PROBE = {"initialDelaySeconds": 5, "periodSeconds": 1, "failureThreshold": 240}
#: Of the controller-manager; kubeadm has the other three asked whether they are ready. The kubelet sends a pod's status
#: when it has changed, and that of a mirror made late up to ten seconds later (pkg/kubelet/status/status_manager.go,
#: syncPeriod): so this one changes a second after the mirror is there.
_READINESS_PROBE = {
    "httpGet": {"host": "127.0.0.1", "path": "/healthz", "port": 10257, "scheme": "HTTPS"},
    "initialDelaySeconds": _STARTUP_PROBE["initialDelaySeconds"] + 1,
    "periodSeconds": 1,
    "timeoutSeconds": 15,
}
#: How often the kubelet looks after a pod of which it hears nothing new, and makes a mirror that it could not make for
#: want of the API server's priority classes; by default up to 90 s (pkg/kubelet/kubelet.go, pod_workers.go).
SYNC_FREQUENCY = "5s"

#: kubeadm's preflight checks that a sandbox cannot meet and does not need: swap is the kubelet's to allow
#: (failSwapOn: false), the kernel's configuration is not readable everywhere, and memory and processors are the
#: user's own choice (`labkit doctor` speaks of them).
IGNORED_PREFLIGHT_ERRORS = ["Swap", "SystemVerification", "NumCPU", "Mem", "Hostname"]

#: Go's own variable (pkg.go.dev/runtime): by how many percent the heap may grow before it is collected. A quarter, not
#: as much again: memory is scarcer in a lab than processor time, unless who makes the lab has set the variable
#: (docs/decisions/0010-memory.md says why not a limit).
_GOGC, _FRUGAL = "GOGC", "25"
#: The API server allocates half as much again for its audit log and its spans, and most of what they cost is collecting
#: that: so a little less often.
_API_SERVER_GOGC = "35"

#: A component exports its spans when it has 512, or after this time (opentelemetry.io/docs/specs/otel/configuration/
#: sdk-environment-variables, "Batch Span Processor"; five seconds by default), and drops what its queue cannot hold.
#: kubelet gets the same from labkit/node/init.sh.
_PROMPT_SPANS = {"OTEL_BSP_SCHEDULE_DELAY": "500", "OTEL_BSP_MAX_QUEUE_SIZE": "8192"}

#: The static pods whose components send spans.
_TRACED = frozenset({"etcd", "kube-apiserver"})

#: Where labkit writes what `kubeadm join` is to read, on the node that joins.
JOIN_CONFIG = f"{EVIDENCE_FOLDER}/join.yaml"
#: What a node of a lab of containers needs beside the command that `kubeadm token create --print-join-command` prints.
BY_HAND_IN_CONTAINER = f"--ignore-preflight-errors {','.join(IGNORED_PREFLIGHT_ERRORS)}"
#: What a node of a rootless lab needs beside it.
BY_HAND = f"--cri-socket unix://{CRI_SOCKET} {BY_HAND_IN_CONTAINER}"
#: CoreDNS is asked each second whether it is ready (labkit.cluster.addons says why).
_PROMPT_COREDNS = {"template": {"spec": {"containers": [{"name": "coredns", "readinessProbe": {"periodSeconds": 1}}]}}}

_AUDIT_POLICY = Path(__file__).with_name("audit-policy.yaml")


def init_documents(spec: LabSpec, token: str, *, whole: bool = False) -> str:
    """Return the configuration of `kubeadm init` as YAML documents.

    Parameters
    ----------
    spec : LabSpec
        The lab.
    token : str
        The bootstrap token, ``[a-z0-9]{6}.[a-z0-9]{16}``.
    whole : bool
        Whether kubeadm installs its add-ons, too; by default labkit does, meanwhile (`labkit.cluster.addons`).
    """
    arguments = component_arguments(TRACING_ENDPOINT, small=spec.small)

    def component(name: str) -> dict[str, Any]:
        return {"extraArgs": _arguments(arguments[name]), "extraEnvs": _environment(name, small=spec.small)}

    init = {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "InitConfiguration",
        "bootstrapTokens": [{"token": token, "ttl": spec.token_ttl, "description": "labkit: the lab's own nodes"}],
        "localAPIEndpoint": {"advertiseAddress": spec.advertise_address, "bindPort": API_PORT},
        "nodeRegistration": registration(spec, 0),
        "patches": {"directory": PATCHES},
        "skipPhases": [] if whole else ["addon"],
    }
    cluster = {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "ClusterConfiguration",
        "clusterName": spec.name,
        "kubernetesVersion": spec.kubernetes_version,
        "imageRepository": spec.image_repository,
        # Faster to make than RSA keys; kubeadm offers both.
        "encryptionAlgorithm": "ECDSA-P256",
        "networking": {"serviceSubnet": spec.service_cidr, "podSubnet": spec.pod_cidr},
        "apiServer": {**component("kube-apiserver"), **api_server_access()},
        "controllerManager": component("kube-controller-manager"),
        "scheduler": component("kube-scheduler"),
        "etcd": {"local": {"dataDir": "/var/lib/etcd", **component("etcd")}},
    }
    return dump_all([init, cluster, _kubelet(user_namespace=not spec.privileged), _kube_proxy()])


def join_document(
    registration: Mapping[str, Any], server: str, token: str, ca_hash: str, *, seconds: float | None = None
) -> str:
    """Return the configuration of `kubeadm join` as YAML.

    Parameters
    ----------
    registration : mapping
        The document's ``nodeRegistration``.
    server : str
        The API server's ``ADDRESS:PORT``.
    token : str
        A bootstrap token that the cluster knows.
    ca_hash : str
        ``sha256:`` and the hexadecimal digest of the cluster CA's public key.
    seconds : float, optional
        How long kubeadm tries what may not succeed; by default minutes, see its ``timeouts``.
    """
    join: dict[str, Any] = {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "JoinConfiguration",
        "discovery": {
            "bootstrapToken": {
                "apiServerEndpoint": server,
                "token": token,
                "caCertHashes": [ca_hash],
            }
        },
        "nodeRegistration": dict(registration),
    }
    if seconds is not None:
        # Of kubeadm.k8s.io/v1beta4. The second is also how long a kubelet that starts may take to register its Node.
        join["timeouts"] = {"discovery": f"{seconds:g}s", "kubernetesAPICall": f"{3 * seconds:g}s"}
    return dump(join)


def files(endpoint: str = TRACING_ENDPOINT, *, environment: bool = False, small: bool = False) -> dict[str, str]:
    """Return the files that the documents name, path on the control plane's node → content.

    They are what the API server reads to leave evidence, and the patches of the static pods.

    Parameters
    ----------
    endpoint : str
        Where the API server sends its trace spans.
    environment : bool
        Whether the patches set the components' variables, too: v1beta3's documents cannot.
    small : bool
        Whether they are a small lab's.
    """
    replicas = {"replicas": small_lab.COREDNS_REPLICAS} if small else {}
    tracing = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "TracingConfiguration",
        "endpoint": endpoint,
        "samplingRatePerMillion": 1_000_000,
    }
    return {
        f"{EVIDENCE_FOLDER}/audit-policy.yaml": _AUDIT_POLICY.read_text(),
        f"{EVIDENCE_FOLDER}/tracing.yaml": dump(tracing),
        **{f"{PATCHES}/{name}+strategic.yaml": dump(_patch(name, environment, small=small)) for name in STATIC_PODS},
        f"{PATCHES}/corednsdeployment+strategic.yaml": dump({"spec": {**_PROMPT_COREDNS, **replicas}}),
    }


def component_arguments(endpoint: str, *, small: bool = False) -> dict[str, dict[str, str]]:
    """Return the flags of the static pods' components beyond kubeadm's own, component → flag → value.

    Parameters
    ----------
    endpoint : str
        Where etcd sends its trace spans.
    small : bool
        Whether a small lab's controllers are enough.
    """
    return {
        "kube-apiserver": {
            "audit-policy-file": f"{EVIDENCE_FOLDER}/audit-policy.yaml",
            "audit-log-path": AUDIT_LOG,
            # Written in order, but not while the request waits; of one event a batch by default, so at once
            # (k8s.io/apiserver/pkg/server/options/audit.go). Larger ones are lost with an API server that is killed.
            "audit-log-mode": "batch",
            "audit-log-maxsize": "100",
            "audit-log-maxbackup": "3",
            "tracing-config-file": f"{EVIDENCE_FOLDER}/tracing.yaml",
            "storage-media-type": "application/json",
        },
        # Each of the manager's forty controllers asks for an account of its own at the start: 20 requests a second, the
        # default, make that last five seconds.
        "kube-controller-manager": {
            "leader-elect": "false",
            "kube-api-qps": "200",
            "kube-api-burst": "400",
            "flex-volume-plugin-dir": _VOLUME_PLUGINS,
            **({"controllers": small_lab.CONTROLLERS} if small else {}),
        },
        # Level 10 makes it log each plugin's score for each node, and would make its client write out each request.
        "kube-scheduler": {"leader-elect": "false", "v": "5", "vmodule": "schedule_one=10"},
        "etcd": {
            "enable-distributed-tracing": "true",
            "distributed-tracing-address": endpoint,
            "distributed-tracing-sampling-rate": "1000000",
            "distributed-tracing-service-name": "etcd",
            # What it keeps in memory for members that lag behind: a lab's etcd is alone.
            "snapshot-count": "500",
            "snapshot-catchup-entries": "10",
            # Alone, it waits for votes that nobody else has: one timeout at most, by default a second
            # (go.etcd.io/raft, "randomizedElectionTimeout"). Milliseconds; the second is at least five times the first.
            "heartbeat-interval": "20",
            "election-timeout": "100",
        },
    }


def api_server_access() -> dict[str, Any]:
    """Return the API server's volumes, and the names by which it is reached from the host."""
    volumes = [
        _volume("labkit", EVIDENCE_FOLDER, "Directory", read_only=True),
        _volume("audit", str(Path(AUDIT_LOG).parent), "DirectoryOrCreate", read_only=False),
    ]
    return {"extraVolumes": volumes, "certSANs": ["127.0.0.1", "localhost"]}


def registration(spec: LabSpec, index: int) -> dict[str, Any]:
    """Return the ``nodeRegistration`` of a rootless lab's node.

    Parameters
    ----------
    spec : LabSpec
        The lab.
    index : int
        The node's; the control plane is 0.
    """
    arguments = {"node-ip": str(node_address(index))}
    if index == 0:
        # As for kube-proxy, below. A worker's kubelet is not spared the sleep: in that time its certificate comes, and
        # refused without one it would ask a second later again. The control plane's gets its own from kubeadm.
        arguments["oom-score-adj"] = "0"
    return {
        "name": spec.node_names[index],
        "criSocket": f"unix://{CRI_SOCKET}",
        "imagePullPolicy": "IfNotPresent",
        "ignorePreflightErrors": IGNORED_PREFLIGHT_ERRORS,
        "kubeletExtraArgs": _arguments(arguments),
    }


def _patch(component: str, environment: bool, *, small: bool) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": component,
        "livenessProbe": {"failureThreshold": LIVENESS_FAILURES},
        "startupProbe": _STARTUP_PROBE,
    }
    if component == "kube-controller-manager":
        container["readinessProbe"] = _READINESS_PROBE
    if environment:
        container["env"] = _environment(component, small=small)
    return {"spec": {"containers": [container]}}


def _environment(component: str, *, small: bool) -> list[dict[str, str]]:
    frugal = _FRUGAL
    if component == "kube-apiserver":
        frugal = small_lab.API_SERVER_GOGC if small else _API_SERVER_GOGC
    collector = {_GOGC: os.environ.get(_GOGC, frugal)}
    return _arguments(collector) + (_arguments(_PROMPT_SPANS) if component in _TRACED else [])


def _volume(name: str, path: str, path_type: str, *, read_only: bool) -> dict[str, Any]:
    return {"name": name, "hostPath": path, "mountPath": path, "readOnly": read_only, "pathType": path_type}


def _kubelet(*, user_namespace: bool) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "featureGates": {"KubeletInUserNamespace": user_namespace},  # KEP-2033
        "cgroupDriver": "cgroupfs",
        # A rootless node owns no cgroup: nothing is enforced.
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": ["none"],
        "failSwapOn": False,
        "syncFrequency": SYNC_FREQUENCY,
        "localStorageCapacityIsolation": False,
        "makeIPTablesUtilChains": False,
        "evictionHard": {"memory.available": "1Mi", "nodefs.available": "0.1%", "nodefs.inodesFree": "0.1%"},
        "imageGCHighThresholdPercent": 100,
        "serializeImagePulls": False,
        "volumePluginDir": _VOLUME_PLUGINS,
        "tracing": {"endpoint": TRACING_ENDPOINT, "samplingRatePerMillion": 1_000_000},
    }


def _kube_proxy() -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        # The size of the machine's connection table is not a sandbox's to set.
        "conntrack": {"maxPerCore": 0, "min": 0},
        # Only who may do so in the whole machine lowers it (proc_pid_oom_score_adj(5)). kube-proxy asks for -999, and
        # each of its two tries ends with a sleep of 100 ms (pkg/util/oom/oom_linux.go).
        "oomScoreAdj": 0,
    }


def _arguments(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]
