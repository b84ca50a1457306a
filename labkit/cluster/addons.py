"""kubeadm's own add-ons, CoreDNS and kube-proxy: labkit applies what kubeadm prints, which saves time.

`kubeadm init` asks for one thing after another, five a second at most after the first ten (k8s.io/client-go/rest,
DefaultQPS). kube-proxy's role comes last then, and `kubeadm join` waits for it.

CoreDNS' readiness probe is asked each second (`labkit.cluster.kubeadm.files` has the patch). kubeadm leaves the period
at ten seconds, and a kubelet that has started within the last period delays its first probe by a random part of it
(kubernetes/pkg/kubelet/prober/worker.go): a cluster that is up in ten seconds would then wait as long again for its
name service.
"""

from __future__ import annotations

import yaml

from labkit.cluster.documents import dump_all
from labkit.cluster.kubeadm import CONFIG
from labkit.cluster.protocol import Cluster
from labkit.language import gettext
from labkit.node.process import run

COREDNS = "coredns"
KUBE_PROXY = "kube-proxy"

_WORKLOADS = frozenset({"DaemonSet", "Deployment"})
_RIGHTS = "labkit:nodes-read-add-ons"
_TIMEOUT = 120.0


def manifest_of(cluster: Cluster, add_on: str) -> str:
    """Return an add-on's manifest as YAML, as kubeadm makes it on the control plane's node.

    Parameters
    ----------
    cluster : Cluster
        One whose `kubeadm.CONFIG` is written; its API server need not run.
    add_on : {"coredns", "kube-proxy"}
        Which.

    Raises
    ------
    ClusterError
        kubeadm failed.
    """
    command = cluster.node_command(cluster.spec.node_names[0], print_command(add_on))
    what = gettext("print kubeadm's manifest of {part}").format(part=add_on)
    return manifest(run(command, what=what, timeout=_TIMEOUT))


def rights_of_nodes() -> str:
    """Return the manifest of a role by which nodes may read the ConfigMaps that the add-ons' pods mount.

    They may anyhow, once the API server's node authorizer knows of the pods: it hears of them by a watch of its own
    (plugin/pkg/auth/authorizer/node/graph_populator.go). A kubelet that heard first is refused, asks again a second
    later, and its pod comes two seconds late.
    """
    group = "rbac.authorization.k8s.io"
    metadata = {"name": _RIGHTS, "namespace": "kube-system"}
    rule = {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": [COREDNS, KUBE_PROXY, "kube-root-ca.crt"],
        "verbs": ["get", "list", "watch"],
    }
    nodes = {"apiGroup": group, "kind": "Group", "name": "system:nodes"}
    return dump_all(
        [
            {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": [rule]},
            {
                "apiVersion": f"{group}/v1",
                "kind": "RoleBinding",
                "metadata": metadata,
                "roleRef": {"apiGroup": group, "kind": "Role", "name": _RIGHTS},
                "subjects": [nodes],
            },
        ]
    )


def print_command(add_on: str) -> list[str]:
    """Return the command that prints what `kubeadm init` would apply.

    Parameters
    ----------
    add_on : {"coredns", "kube-proxy"}
        Which.
    """
    return ["kubeadm", "init", "phase", "addon", add_on, "--config", CONFIG, "--print-manifest"]


def manifest(printed: str) -> str:
    """Return the YAML in what `print_command` printed: kubeadm first tells that it reads the patches.

    Deployments and DaemonSets come last. kubeadm prints CoreDNS' before the ServiceAccount of its pods. Until that is
    there the pods are refused, and the controller tries them again later each time
    (pkg/controller/replicaset/replica_set.go).
    """
    objects = yaml.safe_load_all(printed[printed.index("apiVersion:") :])
    return dump_all(sorted(objects, key=lambda each: each["kind"] in _WORKLOADS))
