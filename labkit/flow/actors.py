"""Who made a request: the components of a cluster, told apart by the name they authenticated with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

ActorKind = Literal[
    "client", "api server", "etcd", "controller", "scheduler", "kubelet", "runtime", "kube-proxy", "other"
]

_SERVICE_ACCOUNT = "system:serviceaccount:"
# The controllers whose service account does not end in "-controller" (the names are in
# cmd/kube-controller-manager/names/controller_names.go and plugin/pkg/auth/authorizer/rbac/bootstrappolicy/
# controller_policy.go of Kubernetes 1.34).
_OTHER_CONTROLLERS = frozenset(
    {
        "bootstrap-signer",
        "generic-garbage-collector",
        "horizontal-pod-autoscaler",
        "legacy-service-account-token-cleaner",
        "persistent-volume-binder",
        "pod-garbage-collector",
        "root-ca-cert-publisher",
        "token-cleaner",
    }
)
_AGENT = re.compile(r"[^\s/()]+")


@dataclass(frozen=True, slots=True)
class Actor:
    """A component, or a client, that sends requests or receives them.

    Attributes
    ----------
    id : str
        Unique in a flow: ``"kube-scheduler"``, ``"deployment-controller"``, ``"kubelet/node-02"``.
    kind : {"client", "api server", "etcd", "controller", "scheduler", "kubelet", "runtime", "kube-proxy", "other"}
        What it is; controllers are the parts of the controller-manager.
    name : str
        For people: ``"kubelet on node-02"``.
    node : str
        The node that a kubelet, a runtime or a kube-proxy belongs to, else empty.
    """

    id: str
    kind: ActorKind
    name: str
    node: str = ""


API_SERVER = Actor("kube-apiserver", "api server", "API server")
ETCD = Actor("etcd", "etcd", "etcd")

_NODE = "system:node:"
_COMPONENTS = {
    "system:apiserver": API_SERVER,
    "system:kube-controller-manager": Actor("kube-controller-manager", "controller", "controller-manager"),
    "system:kube-scheduler": Actor("kube-scheduler", "scheduler", "scheduler"),
}
_CLIENTS = {"OpenAPI-Generator": "Python client"}  # as its code generator has it call itself


def actor(user: str, user_agent: str = "") -> Actor:
    """Return who is behind a user name.

    Components are known by the user that the API server authenticated; only clients of people, who may use any
    program, are called by what the program calls itself.

    Parameters
    ----------
    user : str
        ``user.username`` of the audit event.
    user_agent : str
        ``userAgent`` of the audit event.
    """
    if user in _COMPONENTS:
        return _COMPONENTS[user]
    if user.startswith(_NODE):
        node = user.removeprefix(_NODE)
        return Actor(f"kubelet/{node}", "kubelet", f"kubelet on {node}", node)
    if user.startswith(_SERVICE_ACCOUNT):
        namespace, _, name = user.removeprefix(_SERVICE_ACCOUNT).partition(":")
        if namespace == "kube-system" and (name.endswith("-controller") or name in _OTHER_CONTROLLERS):
            return Actor(name, "controller", name)
        return Actor(f"{namespace}/{name}", "other", name)
    program = _AGENT.match(user_agent)
    name = program[0] if program else user
    return Actor(f"client/{name}", "client", _CLIENTS.get(name, name))
