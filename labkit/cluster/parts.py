"""The parts of a cluster that a learner can remove: which of them are missing, and what stops without each.

A pod that was deleted is none of them: its controller, or for a static pod the kubelet, makes it anew. What kubeadm
makes is listed in cmd/kubeadm/app/phases/addons (proxy, dns) and cmd/kubeadm/app/constants (manifests).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from labkit.cluster import addons, network_addon
from labkit.cluster.kubeadm import STATIC_PODS
from labkit.cluster.protocol import Cluster
from labkit.cluster.rest import ApiServer
from labkit.cluster.spec import LabSpec
from labkit.language import gettext, gettext_noop

KUBE_PROXY = addons.KUBE_PROXY
COREDNS = addons.COREDNS
NETWORK = network_addon.NAME

#: The objects of each add-on in namespace kube-system, by kind.
_OBJECTS = {
    KUBE_PROXY: {"DaemonSet": KUBE_PROXY, "ConfigMap": KUBE_PROXY, "ServiceAccount": KUBE_PROXY},
    COREDNS: {"Deployment": COREDNS, "Service": "kube-dns", "ConfigMap": COREDNS, "ServiceAccount": COREDNS},
    NETWORK: {"DaemonSet": NETWORK, "ServiceAccount": NETWORK},
}
_LISTS = {
    "DaemonSet": "/apis/apps/v1/namespaces/kube-system/daemonsets",
    "Deployment": "/apis/apps/v1/namespaces/kube-system/deployments",
    "ConfigMap": "/api/v1/namespaces/kube-system/configmaps",
    "Service": "/api/v1/namespaces/kube-system/services",
    "ServiceAccount": "/api/v1/namespaces/kube-system/serviceaccounts",
}
_STOPS = {
    "etcd": gettext_noop("the API server can neither read nor write: nothing in the cluster can change"),
    "kube-apiserver": gettext_noop("nobody can ask or change anything; the containers that run go on"),
    "kube-controller-manager": gettext_noop(
        "deployments make no pods, lost pods are not replaced, Services get no new endpoints"
    ),
    "kube-scheduler": gettext_noop("new pods get no node: they stay Pending"),
    KUBE_PROXY: gettext_noop(
        "the nodes' rules do not follow the Services: new ones lead nowhere, old ones to pods that are gone"
    ),
    COREDNS: gettext_noop("names of Services are not found; their addresses still answer"),
    NETWORK: gettext_noop("no node learns of another's pods any more, and a new node does not become Ready"),
}


@dataclass(frozen=True, slots=True)
class Missing:
    """A part that is not all there.

    Attributes
    ----------
    part : str
        ``"kube-proxy"``, ``"kube-scheduler"``.
    what : tuple of str
        What of it is missing: ``"DaemonSet kube-proxy"``, or the static pod's manifest.
    stops : str
        What does not work without it.
    """

    part: str
    what: tuple[str, ...]
    stops: str

    def __str__(self) -> str:
        """Return it in a line, for people."""
        what = gettext(" and ").join(self.what)
        return gettext("Missing: {what}. So {stops}.").format(what=what, stops=gettext(self.stops))


def missing(cluster: Cluster, api: ApiServer | None) -> tuple[Missing, ...]:
    """Return the parts of a running cluster that are missing.

    Parameters
    ----------
    cluster : Cluster
        Whose.
    api : ApiServer or None
        None where it does not answer: then only the control plane's own pods are known.
    """
    if not cluster.reaches_nodes or not cluster.running or not cluster.initialised:
        return ()  # what somebody else's cluster is to have, nobody here knows
    add_ons_missing = () if api is None else _add_ons(cluster.spec, api)
    return (*_static_pods(cluster), *add_ons_missing)


def add_ons(spec: LabSpec) -> tuple[str, ...]:
    """Return the names of the add-ons that a lab has."""
    return tuple(name for name in _OBJECTS if spec.network or name != NETWORK)


def _static_pods(cluster: Cluster) -> tuple[Missing, ...]:
    """Return the static pods whose manifests are gone: known without the API server."""
    folder = cluster.manifests
    if folder is None:
        return ()
    paths = {name: folder / f"{name}.yaml" for name in STATIC_PODS}
    node = cluster.spec.node_names[0]
    return tuple(
        Missing(
            name,
            (gettext("{file} on {node}").format(file=f"/etc/kubernetes/manifests/{path.name}", node=node),),
            _STOPS[name],
        )
        for name, path in paths.items()
        if not path.exists()
    )


def _add_ons(spec: LabSpec, api: ApiServer) -> Iterator[Missing]:
    present: dict[str, set[str]] = {}
    for kind, path in _LISTS.items():
        names = api.names(path)
        if names is None:  # it does not answer: nobody knows
            return
        present[kind] = names
    for part in add_ons(spec):
        gone = tuple(f"{kind} {name}" for kind, name in _OBJECTS[part].items() if name not in present[kind])
        if gone:
            yield Missing(part, gone, _STOPS[part])
