"""The pods of kube-proxy's DaemonSet, as a switch sees them go and come."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Self

from labkit.cluster.rest import ApiServer
from labkit.errors import ClusterError
from labkit.language import gettext

_PATH = "/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app%3Dkube-proxy"
#: cmd/kube-proxy/app/server_linux.go: the one line that says which mode it really took.
_USING = re.compile(r'"(Using \w+ Proxier)"')
#: So many times a container has ended before it counts as one that cannot start.
_CRASHES = 2


@dataclass(frozen=True, slots=True)
class ProxyPod:
    """One pod.

    Attributes
    ----------
    name, uid, node : str
        What it is called and where it is.
    running : bool
        Whether its container runs.
    ends : int
        How often its container has ended.
    """

    name: str
    uid: str
    node: str
    running: bool
    ends: int

    @classmethod
    def of(cls, pod: dict[str, Any]) -> Self:
        """Read a Pod object."""
        statuses = pod["status"].get("containerStatuses") or [{"state": {}, "restartCount": 0}]
        state, restarts = statuses[0]["state"], statuses[0]["restartCount"]
        return cls(
            name=pod["metadata"]["name"],
            uid=pod["metadata"]["uid"],
            node=pod["spec"].get("nodeName", ""),
            running="running" in state,
            ends=restarts + ("terminated" in state),
        )

    @property
    def crashes(self) -> bool:
        """Whether it ended again and again."""
        return self.ends >= _CRASHES


def listed(api: ApiServer) -> tuple[ProxyPod, ...]:
    """Return the pods that are there to stay, by node: not those that are being deleted.

    Raises
    ------
    ClusterError
        The API server does not answer.
    """
    found = api.get(_PATH)
    if found is None:
        raise ClusterError(
            gettext("kube-proxy's pods cannot be listed"),
            why=gettext("the API server does not answer"),
            fix="labkit status",
        )
    staying = [ProxyPod.of(pod) for pod in found["items"] if "deletionTimestamp" not in pod["metadata"]]
    return tuple(sorted(staying, key=lambda pod: (pod.node, pod.name)))


def proxier_line(log: str) -> str:
    """Return ``"Using nftables Proxier"`` out of a pod's log, empty where it does not say so."""
    match = _USING.search(log)
    return match[1] if match else ""
