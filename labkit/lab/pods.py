"""A pod as people see it: where it is, and what it is doing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labkit.views.pods_by_node import PodSeen


def seen(pod: Mapping[str, Any]) -> PodSeen:
    """Return a pod as pictures show it."""
    status = pod["status"]
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    return PodSeen(
        name=pod["metadata"]["name"],
        node=pod["spec"].get("nodeName", ""),
        state=_state(pod),
        ready=conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"],
        address=status.get("podIP", ""),
    )


def _state(pod: Mapping[str, Any]) -> str:
    """Return a pod's state as ``kubectl get pods`` tells it."""
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    for container in pod["status"].get("containerStatuses") or ():
        details = container["state"].get("waiting") or container["state"].get("terminated") or {}
        if details.get("reason"):
            return str(details["reason"])
    return str(pod["status"].get("phase", "Unknown"))
