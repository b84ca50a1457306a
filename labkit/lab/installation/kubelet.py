"""The kubelet's configuration: read, written by a learner, and what the kubelet says of it when it starts anew."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.errors import ClusterError
from labkit.lab.installation.kubelet_trouble import CONFIG, CURE, Trouble, find
from labkit.lab.kubectl import Output
from labkit.language import gettext

if TYPE_CHECKING:
    from labkit.lab.lab import Lab

_TIMEOUT = 30.0
_POLL = 0.1
_SERVES = "Starting to listen"  # pkg/kubelet/server, once per start
_RESTART = "pkill -KILL -x kubelet || true"  # in the node's own pid namespace; its supervisor starts it again


@dataclass(frozen=True, slots=True, repr=False)
class KubeletStart:
    """How a kubelet started with a configuration.

    Attributes
    ----------
    node : str
        Whose.
    seconds : float
        Until it served, or until it had said why it cannot.
    trouble : Trouble or None
        Why it cannot; None where it serves.
    """

    node: str
    seconds: float
    trouble: Trouble | None

    def __repr__(self) -> str:
        """Return it as lines of text."""
        if self.trouble is None:
            return gettext("the kubelet of {node} serves, {seconds:.1f} s after its restart").format(
                node=self.node, seconds=self.seconds
            )
        failed = gettext("the kubelet of {node} does not start").format(node=self.node)
        return f"{failed}\n{self.trouble!r}"


class LabKubelet:
    """The kubelet of a node: ``lab.kubelet("node-01")``.

    Parameters
    ----------
    lab : Lab
        Whose.
    node : str
        The node's name.
    """

    def __init__(self, lab: Lab, node: str) -> None:
        self._node = lab.nodes[node]

    def __repr__(self) -> str:
        return f"<kubelet of {self._node.name}>"

    @property
    def config(self) -> Output:
        """Its configuration file, ``/var/lib/kubelet/config.yaml``."""
        return self._node.exec(["cat", CONFIG])

    def configure(self, text: str) -> KubeletStart:
        """Write its configuration file, and start it anew: it reads the file at its start alone.

        Parameters
        ----------
        text : str
            The whole file.

        Raises
        ------
        ClusterError
            It neither serves nor says why, in time.
        """
        self._node.exec(["sh", "-c", f'printf "%s\\n" "$1" > {CONFIG}.new && mv {CONFIG}.new {CONFIG}', "sh", text])
        return self._restarted()

    def repair(self) -> KubeletStart:
        """Have kubeadm write the configuration file anew, from ConfigMap kube-system/kubelet-config; start the kubelet.

        Raises
        ------
        ClusterError
            kubeadm failed, or the kubelet does not serve in time.
        """
        self._node.exec(CURE)
        return self._restarted()

    def _restarted(self) -> KubeletStart:
        started = time.monotonic()
        self._node.exec(_RESTART)
        # After the end of the last one that may have read the old file: one that cannot start is tried again and again.
        seen = len(self._node.logs("kubelet").splitlines())
        while (passed := time.monotonic() - started) < _TIMEOUT:
            lines = self._node.logs("kubelet").splitlines()[seen:]
            if trouble := find(lines):
                return KubeletStart(self._node.name, passed, trouble)
            if any(_SERVES in line for line in lines):
                return KubeletStart(self._node.name, passed, None)
            time.sleep(_POLL)
        tail = "\n".join(self._node.logs("kubelet", tail=5).splitlines())
        raise ClusterError(
            gettext("The kubelet of {name} does not serve").format(name=self._node.name), why=tail, fix=CURE
        )
