"""The components of Kubernetes, found live on their nodes: process, who started it, sockets, identity.

Nothing here is known beforehand but the programs' names: the rest is read from the nodes' processes and sockets, the
certificates that the command lines name, and the API's pods.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from labkit.cluster.kubeadm import TRACING_ENDPOINT
from labkit.errors import LabkitError, UsageError
from labkit.lab import sockets
from labkit.lab.nodes import LabNode
from labkit.lab.sockets import Process
from labkit.language import gettext, gettext_noop
from labkit.proxy.table import Table

RUNTIME = "container runtime"
NETWORK = "labkit-network"
_PROGRAMS = {"containerd": RUNTIME} | {name: name for name in (
    "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "coredns",
)}  # fmt: skip
_MODULES = {"labkit.cri": RUNTIME, "labkit.cluster.network_agent": NETWORK}
#: Flags whose file has a certificate: as a server, and as a client of etcd.
_SERVER_FLAGS = ("tls-cert-file", "cert-file")
_MIRROR = "kubernetes.io/config.mirror"  # pkg/kubelet/types, ConfigMirrorAnnotationKey


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom a component is connected to, as it called it.

    Attributes
    ----------
    address : str
        ``"172.30.0.10:6443"``.
    name : str
        The component that listens there, ``"Service kubernetes"``, or empty where neither is.
    """

    address: str
    name: str

    def __str__(self) -> str:
        """Return ``"kube-apiserver (172.30.0.10:6443)"``."""
        return f"{self.name} ({self.address})" if self.name else self.address


@dataclass(frozen=True, slots=True)
class Component:
    """A component on a node.

    Attributes
    ----------
    node, name : str
        ``"master"``, ``"kube-scheduler"``.
    pid : int
        On the node.
    command : tuple of str
        Its command line.
    started_by : str
        ``"kubelet, from a file (static pod)"``, ``"DaemonSet kube-proxy"``, ``"the node itself"``, …
    listens : tuple of str
        Addresses and ports.
    calls : tuple of Peer
        Whom it has connected to.
    identity : str
        As whom the API server knows it: the user and, in parentheses, the groups that its certificate names.
    certificate : str
        By what it proves to be itself when it is called: subject, end and file.
    """

    node: str
    name: str
    pid: int
    command: tuple[str, ...]
    started_by: str
    listens: tuple[str, ...]
    calls: tuple[Peer, ...]
    identity: str
    certificate: str


@dataclass(frozen=True, slots=True, repr=False)
class Components(Table):
    """All components that run, in a lab.

    Attributes
    ----------
    found : tuple of Component
        By node; the control plane first.
    """

    found: tuple[Component, ...]

    TITLES: ClassVar[Sequence[str]] = (
        gettext_noop("node"),
        gettext_noop("component"),
        "pid",
        gettext_noop("started by"),
        gettext_noop("listens on"),
        gettext_noop("calls"),
        gettext_noop("known as"),
    )

    def caption(self) -> str:
        """Return what the table is, in a line."""
        nodes = {component.node for component in self.found}
        return gettext("{found} components on {nodes} nodes, from their processes, sockets and certificates").format(
            found=len(self.found), nodes=len(nodes)
        )

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per component."""
        return [
            (
                each.node,
                each.name,
                str(each.pid),
                each.started_by,
                ", ".join(each.listens),
                ", ".join(map(str, each.calls)),
                each.identity,
            )
            for each in self.found
        ]

    def to_svg(self) -> str:
        """Return a picture of who is connected to whom."""
        from labkit.views import connections  # noqa: PLC0415 - few look at it

        members: dict[tuple[str, str], list[Component]] = {}
        for each in self.found:
            members.setdefault((each.node, each.name), []).append(each)
        return connections.to_svg(
            [
                connections.Member(
                    *key,
                    len(same),
                    tuple(dict.fromkeys(peer.name for each in same for peer in each.calls if peer.name)),
                )
                for key, same in members.items()
            ]
        )

    def _repr_html_(self) -> str:
        return f"{self.to_svg()}{Table._repr_html_(self)}" if self.found else Table._repr_html_(self)

    def named(self, name: str) -> tuple[Component, ...]:
        """Return the components of a name, one per process.

        Raises
        ------
        UsageError
            None of that name runs.
        """
        named = tuple(each for each in self.found if each.name == name)
        if not named:
            known = ", ".join(sorted({each.name for each in self.found}))
            raise UsageError(
                gettext("No component {name!r} runs").format(name=name),
                why=gettext("these do: {known}").format(known=known),
                fix=gettext("look at lab.components()"),
            )
        return named


def read(nodes: Iterable[LabNode], pods: Sequence[dict[str, Any]], services: Sequence[dict[str, Any]]) -> Components:
    """Look at nodes.

    Parameters
    ----------
    nodes : iterable of LabNode
        Those that run are looked at.
    pods, services : sequence of dict
        The API's, of all namespaces.

    Raises
    ------
    ClusterError
        A node's tools fail.
    """
    running = [node for node in nodes if node.running]
    processes = {node.name: sockets.parse(node.exec(sockets.SCRIPT) + "\n") for node in running}
    named = [
        (node, name, process)
        for node in running
        for process in processes[node.name].values()
        if (name := name_of(process.command))
    ]
    listeners = _listeners(named, services)
    found = []
    for node, name, process in named:
        pod = _pod(pods, node.name, name)
        found.append(
            Component(
                node=node.name,
                name=name,
                pid=process.pid,
                command=process.command,
                started_by=_started_by(pod),
                listens=tuple(sorted(process.listens)),
                calls=_calls(process, listeners | _local(node, named)),
                identity=_identity(node, process, pod),
                certificate=_certificate(node, name, process),
            )
        )
    return Components(tuple(found))


def name_of(command: Sequence[str]) -> str:
    """Return which component a command line is of; empty where of none."""
    program = command[0].rpartition("/")[2] if command else ""
    if program in _PROGRAMS:
        return _PROGRAMS[program]
    if program.startswith("python") and "-m" in command[:-1]:
        return _MODULES.get(command[command.index("-m") + 1], "")
    return ""


def _listeners(named: Iterable[tuple[LabNode, str, Process]], services: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return who is behind each address and port."""
    found = {TRACING_ENDPOINT: "labkit's receiver of trace spans"}
    for node, name, process in named:
        for address in process.listens:
            host, _, port = address.rpartition(":")
            found[f"{node.address if host in {'*', '0.0.0.0', '[::]'} else host}:{port}"] = name  # noqa: S104 - compared
    for service in services:
        for port in service["spec"].get("ports") or ():
            found[f"{service['spec'].get('clusterIP')}:{port['port']}"] = f"Service {service['metadata']['name']}"
    return found


def _local(node: LabNode, named: Iterable[tuple[LabNode, str, Process]]) -> dict[str, str]:
    """Return who answers at a node's unix sockets, and at its loopback addresses because it listens on all."""
    found: dict[str, str] = {}
    for where, name, process in named:
        for address in process.listens if where == node else ():
            host, _, port = address.rpartition(":")
            found |= {f"{loopback}:{port}": name for loopback in ("127.0.0.1", "[::1]") if host == "*"}
            if address.startswith("/"):
                found[address] = name
    return found


def _calls(process: Process, listeners: Mapping[str, str]) -> tuple[Peer, ...]:
    """Return whom a process has called: connections from its own listening ports were made by the others."""
    own = {address.rpartition(":")[2] for address in process.listens}
    called = {theirs for mine, theirs in process.connections if mine.rpartition(":")[2] not in own}
    return tuple(Peer(address, listeners.get(address, "")) for address in sorted(called))


def _pod(pods: Iterable[dict[str, Any]], node: str, component: str) -> dict[str, Any] | None:
    for pod in pods:
        names = [container["name"] for container in pod["spec"]["containers"]]
        if pod["spec"].get("nodeName") == node and component in names:
            return pod
    return None


def _started_by(pod: Mapping[str, Any] | None) -> str:
    if pod is None:
        return "the node itself"
    if _MIRROR in (pod["metadata"].get("annotations") or {}):
        return "kubelet, from a file (static pod)"
    owners = pod["metadata"].get("ownerReferences") or [{"kind": "nobody", "name": ""}]
    return f"kubelet, for {owners[0]['kind']} {owners[0]['name']}".strip()


def _identity(node: LabNode, process: Process, pod: Mapping[str, Any] | None) -> str:
    """Return as whom the API server knows a component: by the kubeconfig it was given, else its service account."""
    if path := process.flag("kubeconfig"):
        return _subject(_client_certificate(node, path))
    if path := process.flag("etcd-certfile"):
        return f"{_subject(_read(node, path))}, to etcd"
    if pod and _MIRROR not in (pod["metadata"].get("annotations") or {}):
        account = pod["spec"].get("serviceAccountName", "default")
        return f"system:serviceaccount:{pod['metadata']['namespace']}:{account}"
    return ""


def _client_certificate(node: LabNode, path: str) -> bytes:
    """Return the client certificate, PEM, of a kubeconfig on a node; empty where it has none."""
    user = (yaml.safe_load(_read(node, path)) or {"users": [{"user": {}}]})["users"][0]["user"]
    if "client-certificate-data" in user:
        return base64.b64decode(user["client-certificate-data"])
    return _read(node, user["client-certificate"]) if "client-certificate" in user else b""


def _certificate(node: LabNode, name: str, process: Process) -> str:
    """Return by what certificate a component serves, where its command line names the file."""
    paths = [path for flag in _SERVER_FLAGS if (path := process.flag(flag))]
    if name == "kubelet":
        paths.append("/var/lib/kubelet/pki/kubelet.crt")  # its own, where it is given none (kubelet --cert-dir)
    for path in paths:
        if pem := _read(node, path):
            ends = x509.load_pem_x509_certificate(pem).not_valid_after_utc
            return f"{_subject(pem)}, until {ends:%Y-%m-%d}: {path}"
    return ""


def _subject(pem: bytes) -> str:
    """Return the user that a client certificate names, and its groups (Kubernetes: CN and O)."""
    if not pem:
        return ""
    subject = x509.load_pem_x509_certificate(pem).subject
    user = ", ".join(str(part.value) for part in subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    groups = ", ".join(str(part.value) for part in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    return f"{user} ({groups})" if groups else user


def _read(node: LabNode, path: str) -> bytes:
    """Return a file of a node, empty where there is none."""
    try:
        return node.exec(f"cat {shlex.quote(path)}").encode()
    except LabkitError:
        return b""
