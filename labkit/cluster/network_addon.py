"""The network add-on as a learner applies it: one manifest with an account, its rights, and a DaemonSet."""

from __future__ import annotations

from typing import Any

from labkit.cluster.documents import dump_all
from labkit.cluster.kubeadm import API_PORT
from labkit.cluster.protocol import Cluster

NAME = "labkit-network"
NAMESPACE = "kube-system"


def manifest_for(cluster: Cluster) -> str:
    """Return the add-on of a cluster as YAML for ``kubectl apply``.

    The agent speaks to the API server's own address: a Service's address needs kube-proxy, which may come later.
    """
    return manifest(f"https://{cluster.node_address(cluster.spec.node_names[0])}:{API_PORT}")


def manifest(server: str) -> str:
    """Return the add-on as YAML for ``kubectl apply``.

    Parameters
    ----------
    server : str
        The API server's URL.
    """
    metadata = {"name": NAME, "namespace": NAMESPACE}
    cluster_metadata = {"name": NAME}
    group = "rbac.authorization.k8s.io"
    documents: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRole",
            "metadata": cluster_metadata,
            "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]}],
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": cluster_metadata,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": NAME},
            "subjects": [{"kind": "ServiceAccount", **metadata}],
        },
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": _daemon_set_spec(server)},
    ]
    return dump_all(documents)


def _daemon_set_spec(server: str) -> dict[str, Any]:
    container = {
        "name": NAME,
        "image": "labkit/network:v1",
        "command": ["python3", "-I", "-m", "labkit.cluster.network_agent"],
        "args": [server, "$(NODE_NAME)"],
        "env": [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}},
        "volumeMounts": [{"name": "cni", "mountPath": "/etc/cni/net.d"}],
    }
    labels = {"app": NAME}
    return {
        "selector": {"matchLabels": labels},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%"}},
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "hostNetwork": True,
                "priorityClassName": "system-node-critical",
                "serviceAccountName": NAME,
                "terminationGracePeriodSeconds": 1,
                "tolerations": [{"operator": "Exists"}],
                "containers": [container],
                "volumes": [{"name": "cni", "hostPath": {"path": "/etc/cni/net.d", "type": "DirectoryOrCreate"}}],
            },
        },
    }
