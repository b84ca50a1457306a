"""Whether a node's kernel really leads a Service somewhere by the rules of one mode, and by no other's."""

from __future__ import annotations

import subprocess

from labkit.cluster.protocol import Cluster
from labkit.errors import LabkitError
from labkit.language import gettext
from labkit.proxy import rules
from labkit.proxy.model import Mode

#: The Service that every cluster has.
_SERVICE = "default/kubernetes"
_CONNECT_SECONDS = 2


def lacking(cluster: Cluster, node: str, mode: Mode, address: str, port: int) -> str:
    """Return what a node still lacks to serve in a mode, in words; empty when it lacks nothing.

    It serves when the mode's rules lead the Service ``kubernetes`` to an endpoint, those of the other modes are gone,
    and a connection to the Service from the node is answered, which then can only have gone through the mode's rules.

    Parameters
    ----------
    cluster : Cluster
        Whose node.
    node : str
        Its name.
    mode : {"iptables", "nftables", "ipvs"}
        The mode.
    address, port : str, int
        The Service's cluster IP and port.
    """
    try:
        found = rules.tables(cluster, node)
        others = [other for other in found.modes if other != mode]
        if mode not in found.modes:
            return gettext("{node} has no {mode} rules").format(node=node, mode=mode)
        if others:
            return gettext("{node} still has {mode} rules").format(node=node, mode=others[0])
        if not _leads(found, mode):
            return gettext("{node}'s {mode} rules do not lead to Service kubernetes").format(node=node, mode=mode)
    except LabkitError as error:
        return f"{error.what}: {error.why}"
    if not _answers(cluster, node, address, port):
        return gettext("{address}:{port} does not answer on {node}").format(address=address, port=port, node=node)
    return ""


def _leads(found: rules.Tables, mode: Mode) -> bool:
    return any(port.endpoints for port in found.parse(mode).of(_SERVICE).ports)


def _answers(cluster: Cluster, node: str, address: str, port: int) -> bool:
    connect = ["bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}"]  # bash(1), "Redirection"
    command = cluster.node_command(node, ["timeout", str(_CONNECT_SECONDS), *connect])
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
