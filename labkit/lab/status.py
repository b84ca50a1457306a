"""How a lab is: its nodes and the components on each, as data, JSON and a small table."""

from __future__ import annotations

import html
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Literal

from labkit.cluster import parts, readiness, small_lab
from labkit.cluster.parts import Missing
from labkit.cluster.protocol import Cluster
from labkit.cluster.rest import ApiServer
from labkit.errors import ClusterError
from labkit.language import gettext, gettext_noop

State = Literal["running", "stopped", "not answering", "not initialised"]


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """One component of Kubernetes on one node.

    Attributes
    ----------
    name : str
        ``"kubelet"``, ``"etcd"``, ``"kube-proxy"``, …
    state : str
        ``"running"``, or what Kubernetes says of it instead.
    """

    name: str
    state: str


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One node.

    Attributes
    ----------
    name : str
        Its name.
    role : {"control-plane", "worker"}
        What it is there for.
    address : str
        On the cluster's network.
    running : bool
        Whether its sandbox exists.
    ready : bool
        Whether Kubernetes says Ready.
    components : tuple of ComponentStatus
        What runs on it.
    joined : bool
        Whether `kubeadm init` or `kubeadm join` has come as far as its kubelet's kubeconfig.
    """

    name: str
    role: str
    address: str
    running: bool
    ready: bool
    components: tuple[ComponentStatus, ...]
    joined: bool = True


@dataclass(frozen=True, slots=True)
class LabStatus:
    """A whole lab.

    Attributes
    ----------
    name, provider, kubernetes_version : str
        What it is.
    state : {"running", "stopped", "not answering", "not initialised"}
        ``not answering``: its nodes exist but its API server does not answer; ``not initialised``: they wait for
        `kubeadm init`.
    api_server : str
        The URL for programs on the host; empty when stopped.
    nodes : tuple of NodeStatus
        The control plane first.
    missing : tuple of Missing
        The parts that somebody has removed; `labkit.lab.Lab.repair` brings them back.
    small : bool
        Whether it does without what `labkit.cluster.small_lab` names.
    """

    name: str
    provider: str
    kubernetes_version: str
    state: State
    api_server: str
    nodes: tuple[NodeStatus, ...]
    missing: tuple[Missing, ...] = ()
    small: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return plain objects for `json.dumps`."""
        return asdict(self)

    def _repr_html_(self) -> str:
        """Return a table of nodes and components, and what is missing; all text is escaped."""
        head = "".join(f'<th scope="col" style="text-align:left">{gettext(title)}</th>' for title in _TITLES)
        rows = "".join(
            "<tr>" + "".join(f'<td style="text-align:left">{html.escape(cell)}</td>' for cell in row) + "</tr>"
            for row in self.rows()
        )
        caption = html.escape(f"{self.name}: {self.state}, {self.sort}")
        return (
            f'<table><caption style="text-align:left">{caption}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
            f"{''.join(f'<p>{html.escape(line)}</p>' for line in self.advice())}"
        )

    @property
    def sort(self) -> str:
        """What it is, in a line: ``"Kubernetes v1.34.3 (rootless, small)"``."""
        return f"Kubernetes {self.kubernetes_version} ({self.provider}{', small' if self.small else ''})"

    def advice(self) -> list[str]:
        """Return what is missing, a line each, and what to do; nothing where nothing is."""
        repair = [gettext("Bring it back: lab.repair(), or labkit repair --name {name}").format(name=self.name)]
        second = small_lab.SECOND_WORKER
        add = [
            gettext(
                "A small lab has no {second}, which some lessons use. Add it for them: "
                'lab.add_node("{second}"), or labkit node add {second} --name {name}'
            ).format(second=second, name=self.name)
        ]
        lacks_worker = self.small and second not in [node.name for node in self.nodes]
        return [*map(str, self.missing), *(repair if self.missing else []), *(add if lacks_worker else [])]

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Return a row of text per node, under the titles node, role, address, state, components."""
        return [(node.name, node.role, node.address, _state(node), _components(node)) for node in self.nodes]


_TITLES = (
    gettext_noop("node"),
    gettext_noop("role"),
    gettext_noop("address"),
    gettext_noop("state"),
    gettext_noop("components"),
)


def read(cluster: Cluster) -> LabStatus:
    """Ask a cluster how it is."""
    nodes, pods, lacking, answering = _ask(cluster)
    state: State = "stopped" if not cluster.running else "running" if answering else "not answering"
    if cluster.running and not cluster.initialised:
        state = "not initialised"
    return LabStatus(
        name=cluster.spec.name,
        provider=cluster.provider,
        kubernetes_version=cluster.spec.kubernetes_version,
        state=state,
        api_server=ApiServer.url(cluster.kubeconfig) if cluster.running and cluster.kubeconfig.exists() else "",
        nodes=tuple(_node(cluster, name, nodes.get(name), pods) for name in cluster.spec.node_names),
        missing=lacking,
        small=cluster.spec.small,
    )


def _ask(
    cluster: Cluster,
) -> tuple[dict[str, Any], list[dict[str, Any]], tuple[Missing, ...], bool]:
    """Return the API's nodes and system pods, what is missing, and whether the API server answers."""
    if not cluster.running or not cluster.kubeconfig.exists():
        return {}, [], (), False
    with closing(ApiServer.from_kubeconfig(cluster.kubeconfig)) as api:
        nodes, pods = api.get("/api/v1/nodes"), api.get("/api/v1/namespaces/kube-system/pods")
        # In a cluster of somebody else's it may answer, and not tell of these.
        if (nodes is None or pods is None) and (cluster.reaches_nodes or api.get("/version") is None):
            return {}, [], parts.missing(cluster, None), False
        lacking = parts.missing(cluster, api)
    nodes, pods = nodes or {"items": []}, pods or {"items": []}
    return {node["metadata"]["name"]: node for node in nodes["items"]}, pods["items"], lacking, True


def _node(cluster: Cluster, name: str, node: dict[str, Any] | None, pods: list[dict[str, Any]]) -> NodeStatus:
    running = cluster.running and cluster.node_running(name)
    ready = running and node is not None and readiness.node_ready(node)
    joined = cluster.node_joined(name)
    kubelet = "running" if ready else "stopped" if not running else "unknown" if joined else "not configured"
    components = [ComponentStatus("kubelet", kubelet)]
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"])):
        if pod["spec"].get("nodeName") == name:
            container = (pod["status"].get("containerStatuses") or [{"name": pod["metadata"]["name"], "state": {}}])[0]
            components.append(ComponentStatus(container["name"], _container_state(container["state"])))
    role = "control-plane" if name == cluster.spec.node_names[0] else "worker"
    return NodeStatus(name, role, _address(cluster, name), running, ready, tuple(components), joined)


def _address(cluster: Cluster, name: str) -> str:
    try:
        return str(cluster.node_address(name))
    except ClusterError:
        return ""  # of a lab that was cut off when it was brought up


def _container_state(state: dict[str, Any]) -> str:
    if "running" in state:
        return "running"
    return next((str(details["reason"]) for details in state.values() if details.get("reason")), "waiting")


def _state(node: NodeStatus) -> str:
    if not node.joined and node.running:
        return "prepared"
    return "Ready" if node.ready else "NotReady" if node.running else "stopped"


def _components(node: NodeStatus) -> str:
    names: dict[str, int] = {}
    for component in node.components:
        text = component.name if component.state == "running" else f"{component.name} ({component.state})"
        names[text] = names.get(text, 0) + 1
    return ", ".join(text if count == 1 else f"{count} {text}" for text, count in names.items())
