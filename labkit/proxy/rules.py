"""A node's tables, read on the node itself, and what they say."""

from __future__ import annotations

from dataclasses import dataclass

from labkit.cluster.protocol import Cluster
from labkit.errors import ClusterError
from labkit.node.process import run
from labkit.proxy import iptables, nftables
from labkit.proxy.model import Mode, NodeRules

_MARK = "=== labkit ==="
_NEEDED = (
    'for each in iptables-save nft; do command -v $each >/dev/null || { echo "it has no $each" >&2; exit 127; }; done'
)
# nft fails where there is no such table, which is an answer; iptables-save says the rest that it has to say on stderr.
_SCRIPT = f"{_NEEDED}; iptables-save && echo '{_MARK}' && {{ nft -j list table ip kube-proxy 2>/dev/null || true; }}"
_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Tables:
    """What iptables-save and nft print on a node.

    Attributes
    ----------
    node : str
        Its name.
    iptables, nftables : str
        The outputs; the second is empty where there is no table of kube-proxy's.
    """

    node: str
    iptables: str
    nftables: str

    @property
    def modes(self) -> tuple[Mode, ...]:
        """Which modes have rules here: one, or during a switch none or both."""
        found: list[Mode] = []
        if iptables.leftovers(self.iptables):
            found.append("iptables")
        if self.nftables:
            found.append("nftables")
        return tuple(found)

    def parse(self, mode: Mode) -> NodeRules:
        """Return what the rules of a mode say."""
        if mode == "nftables":
            return nftables.parse(self.nftables, self.node)
        return iptables.parse(self.iptables, self.node)


def tables(cluster: Cluster, node: str) -> Tables:
    """Read a node's tables.

    Raises
    ------
    ClusterError
        The node does not run, has no iptables or nft, or these fail.
    """
    if not cluster.node_running(node):
        raise ClusterError(
            f"The rules of {node} cannot be read", why="it is switched off", fix=f"labkit node start {node}"
        )
    printed = run(cluster.node_command(node, ["sh", "-c", _SCRIPT]), what=f"read the rules of {node}", timeout=_SECONDS)
    saved, _, listed = printed.partition(f"{_MARK}\n")
    return Tables(node, saved, listed.strip())


def read(cluster: Cluster, node: str) -> NodeRules:
    """Return what kube-proxy's rules on a node say, whichever mode wrote them.

    Raises
    ------
    ClusterError
        The node does not run, or it has the rules of no mode or of both.
    EvidenceError
        They cannot be understood.
    """
    found = tables(cluster, node)
    if len(found.modes) == 1:
        return found.parse(found.modes[0])
    if found.modes:
        raise ClusterError(
            f"{node} has rules of two of kube-proxy's modes",
            why="iptables and nftables both lead Services somewhere: a switch is under way, or was cut off",
            fix="wait, or switch again: labkit proxy mode MODE",
        )
    raise ClusterError(
        f"{node} has no rules of kube-proxy",
        why="neither its iptables nor its nftables lead Services anywhere: kube-proxy does not run there, or uses ipvs",
        fix="labkit kubectl -- get pods --namespace kube-system --selector k8s-app=kube-proxy --output wide",
    )
