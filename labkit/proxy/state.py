"""How kube-proxy is at a moment, on every node, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from labkit.proxy.model import Mode


@dataclass(frozen=True, slots=True)
class NodeState:
    """kube-proxy on one node.

    Attributes
    ----------
    node : str
        Its name.
    pod : str
        The kube-proxy pod's name; empty where there is none.
    running : bool
        Whether its container runs.
    line : str
        What its log says of the mode: ``"Using nftables Proxier"``; empty where it says nothing yet.
    modes : tuple of Mode
        Whose rules the kernel has: one; during a switch none or two.
    count : int
        How many rules these are.
    trouble : str
        Why some of it is not known; empty where all is.
    """

    node: str
    pod: str = ""
    running: bool = False
    line: str = ""
    modes: tuple[Mode, ...] = ()
    count: int = 0
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class ProxyState:
    """kube-proxy of a cluster.

    Attributes
    ----------
    mode : Mode or None
        What its ConfigMap asks for; None where that is not known.
    nodes : tuple of NodeState
        The control plane first.
    trouble : str
        Why nothing, or not all, is known: what, why, what to do; empty where all is.
    """

    mode: Mode | None
    nodes: tuple[NodeState, ...]
    trouble: str = ""

    @property
    def settled(self) -> bool:
        """Whether every node has the rules of the mode that is asked for, and of no other, and a pod that runs."""
        return self.mode is not None and not self.lacking

    @property
    def lacking(self) -> tuple[str, ...]:
        """The nodes of which that is not so."""
        return tuple(each.node for each in self.nodes if each.modes != (self.mode,) or not each.running)
