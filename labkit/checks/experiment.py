"""An experiment on the real cluster: a deployment while one component stands still."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labkit.cluster.rest import ApiServer
from labkit.errors import ClusterError
from labkit.lab import Lab
from labkit.lab.session.experiments import one_call

STORED = "the deployment is stored"
REPLICA_SET = "a replica set is made"
POD = "a pod is made"
NODE = "the pod gets a node"
RUNS = "the pod runs"
#: What may or may not happen, in the order in which it would.
HAPPENINGS = (STORED, REPLICA_SET, POD, NODE, RUNS)
#: Seconds in which it would have happened long since.
SECONDS = 6.0
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Seen:
    """What was there at the end.

    Attributes
    ----------
    happened : mapping of str to bool
        For each of `HAPPENINGS`.
    lines : tuple of str
        What the API server had, a line each.
    """

    happened: Mapping[str, bool]
    lines: tuple[str, ...]


@one_call
def deploy_without(lab: Lab, component: str) -> Seen:
    """Ask for a deployment while a component stands still, and wait six seconds for what comes of it.

    The component goes on afterwards, and the deployment is removed.

    Parameters
    ----------
    lab : Lab
        Where.
    component : str
        As `Lab.freeze` names it.

    Raises
    ------
    UsageError
        There is no such component.
    """
    name = f"try-{uuid.uuid4().hex[:6]}"
    try:
        with lab.freeze(component), lab.api_server() as api:
            with contextlib.suppress(ClusterError):  # the API server itself may stand still
                lab.kubectl(f"create deployment {name} --image=nginx --request-timeout={SECONDS:.0f}s")
            return _awaited(api, name)
    finally:
        lab.kubectl(f"delete deployment {name} --ignore-not-found --wait=false")


def _awaited(api: ApiServer, name: str) -> Seen:
    deadline = time.monotonic() + SECONDS
    while True:
        seen = _look(api, name)
        if all(seen.happened.values()) or time.monotonic() > deadline:
            return seen
        time.sleep(_POLL_SECONDS)


def _look(api: ApiServer, name: str) -> Seen:
    deployments = _listed(api, "apps/v1", "deployments", name)
    sets = _listed(api, "apps/v1", "replicasets", name)
    pods = _listed(api, "v1", "pods", name)
    placed = [pod for pod in pods if pod["spec"].get("nodeName")]
    running = [pod for pod in pods if pod["status"].get("phase") == "Running"]
    nodes = ", ".join(pod["spec"]["nodeName"] for pod in placed) or "none"
    phases = ", ".join(pod["status"].get("phase", "") for pod in pods) or "none"
    return Seen(
        dict(zip(HAPPENINGS, map(bool, (deployments, sets, pods, placed, running)), strict=True)),
        (
            f"the API server has {len(deployments)} deployments, {len(sets)} replica sets, {len(pods)} pods",
            f"pods: phase {phases}; node {nodes}",
        ),
    )


def _listed(api: ApiServer, version: str, resource: str, name: str) -> list[dict[str, Any]]:
    root = "/api" if "/" not in version else "/apis"
    found = api.get(f"{root}/{version}/namespaces/default/{resource}?labelSelector=app%3D{name}")
    return list((found or {"items": []})["items"])
