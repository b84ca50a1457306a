"""What a cluster still lacks before it can be used, as its API server tells it."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Any

from labkit.cluster import small_lab
from labkit.cluster.kubeadm import CONFIG, STATIC_PODS
from labkit.cluster.protocol import Cluster
from labkit.cluster.rest import ApiServer
from labkit.cluster.spec import LabSpec
from labkit.errors import ClusterError
from labkit.language import gettext
from labkit.progress import Phase

#: Where an API server says whether it serves everything (kubernetes.io/docs/reference/using-api/health-checks).
READY = "/readyz"
_TIMEOUT = 240.0
_POLL_SECONDS = 0.1
_COREDNS_REPLICAS = 2


def require_running(cluster: Cluster) -> None:
    """Refuse to ask a cluster that cannot answer.

    Raises
    ------
    ClusterError
        It does not run, or `kubeadm init` has not been run on it.
    """
    spec = cluster.spec
    if not cluster.running:
        raise ClusterError(
            gettext("Lab {name!r} does not run").format(name=spec.name), fix=f"labkit up --name {spec.name}"
        )
    if not cluster.initialised:
        raise ClusterError(
            gettext("Lab {name!r} is not initialised yet").format(name=spec.name),
            why=gettext("its nodes are prepared, and no API server runs on them"),
            fix=gettext("lab.init(), or: labkit node exec --name {name} {node} kubeadm init --config {file}").format(
                name=spec.name, node=spec.node_names[0], file=CONFIG
            ),
        )


def wait_until_ready(
    kubeconfig: Path, spec: LabSpec, nodes: Iterable[str], *, since: float, phase: Phase, timeout: float = _TIMEOUT
) -> None:
    """Wait until every node is Ready and every part of the system runs.

    Parameters
    ----------
    kubeconfig : Path
        The administrator's.
    spec : LabSpec
        The lab; without its network add-on nodes cannot be Ready, and only have to be registered.
    nodes : iterable of str
        The nodes that must be there.
    since : float
        Seconds since the epoch: what was said before does not count, so that a restarted cluster's old state is not
        mistaken for its new one.
    phase : Phase
        Shows what is awaited.
    timeout : float
        Seconds.

    Raises
    ------
    ClusterError
        It took too long; the message says what is lacking.
    """

    def lacking(api: ApiServer) -> list[str]:
        # A control plane that starts has no time to spare for lists.
        if api.status(READY) != HTTPStatus.OK:
            return [gettext("the API server")]
        return pending(api, spec, list(nodes), since=since)

    _wait(kubeconfig, lacking, phase, timeout)


def wait_for_node(kubeconfig: Path, name: str, *, phase: Phase, since: float = 0.0, timeout: float = _TIMEOUT) -> None:
    """Wait until a node is Ready, whether or not the system's pods on it run already.

    Parameters
    ----------
    kubeconfig : Path
        The administrator's.
    name : str
        The node's.
    phase : Phase
        Shows what is awaited.
    since : float
        Seconds since the epoch: what was said before does not count.
    timeout : float
        Seconds.

    Raises
    ------
    ClusterError
        It took too long.
    """

    def lacking(api: ApiServer) -> list[str]:
        node = api.get(f"/api/v1/nodes/{name}")
        return [] if node is not None and node_ready(node, since) else [gettext("node {name}").format(name=name)]

    _wait(kubeconfig, lacking, phase, timeout)


def pause(began: float, shortest: float) -> None:
    """Sleep between two questions, for a thirtieth of the time since the first one.

    Where many labs come up at once, asking must not take the processor from what is waited for.

    Parameters
    ----------
    began : float
        When the first question was asked, by the monotonic clock.
    shortest : float
        Seconds.
    """
    time.sleep(max(shortest, (time.monotonic() - began) / 30))


def _wait(kubeconfig: Path, lacking: Callable[[ApiServer], list[str]], phase: Phase, timeout: float) -> None:
    began = time.monotonic()
    told: list[str] = []
    with closing(ApiServer.from_kubeconfig(kubeconfig)) as api:
        while missing := lacking(api):
            if missing != told:
                told = missing
                phase.advance(gettext("waiting for ") + ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else ""))
            if time.monotonic() > began + timeout:
                raise ClusterError(
                    gettext("The cluster is not ready in time"),
                    why=gettext("after {seconds:.0f} s it still lacks {missing}").format(
                        seconds=timeout, missing=", ".join(missing)
                    ),
                    fix=gettext("labkit kubectl -- get pods --all-namespaces, and labkit node logs NODE kubelet"),
                )
            pause(began, _POLL_SECONDS)


def pending(api: ApiServer, spec: LabSpec, nodes: list[str], *, since: float) -> list[str]:
    """Return what the cluster still lacks, in words; an empty list when it lacks nothing."""
    node_list = api.get("/api/v1/nodes")
    pod_list = api.get("/api/v1/namespaces/kube-system/pods")
    if node_list is None or pod_list is None:
        return [gettext("the API server")]
    present = {node["metadata"]["name"]: node for node in node_list["items"]}
    absent = [name for name in nodes if name not in present]
    if spec.network:
        absent += [name for name in nodes if name in present and not node_ready(present[name], since)]
    missing = [gettext("node {name}").format(name=name) for name in absent]
    for name, count in _expected_pods(spec, nodes).items():
        pods = [pod for pod in pod_list["items"] if pod["metadata"]["name"].startswith(f"{name}-")]
        # kubeadm gives the control plane's pods a startup probe that first looks after ten seconds: they serve long
        # before they are called Ready, and that the API server answers is known here.
        found = sum(_running(pod, since) and (name in STATIC_PODS or _ready(pod)) for pod in pods)
        if found < count:
            missing.append(f"{name} ({found}/{count})" if count > 1 else name)
    return missing


def node_ready(node: dict[str, Any], since: float = 0.0) -> bool:
    """Whether a Node object says Ready, and said so after `since` (seconds since the epoch)."""
    for condition in node["status"].get("conditions", []):
        if condition["type"] == "Ready":
            return condition["status"] == "True" and _seconds(condition["lastHeartbeatTime"]) >= int(since)
    return False


def _expected_pods(spec: LabSpec, nodes: list[str]) -> dict[str, int]:
    expected = {**dict.fromkeys(STATIC_PODS, 1), "kube-proxy": len(nodes)}
    if spec.network:
        replicas = small_lab.COREDNS_REPLICAS if spec.small else _COREDNS_REPLICAS
        expected |= {"labkit-network": len(nodes), "coredns": replicas}
    return expected


def _ready(pod: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def _running(pod: dict[str, Any], since: float) -> bool:
    """Whether all containers of a pod run, and were started after `since`."""
    states = [container["state"].get("running") for container in pod["status"].get("containerStatuses", [])]
    return bool(states) and all(state is not None and _seconds(state["startedAt"]) >= int(since) for state in states)


def _seconds(timestamp: str | None) -> float:
    return datetime.datetime.fromisoformat(timestamp).timestamp() if timestamp else 0.0
