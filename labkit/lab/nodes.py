"""The nodes of a lab, as one uses them."""

from __future__ import annotations

import html
import shlex
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import overload

from labkit.cluster.protocol import Cluster
from labkit.errors import ClusterError, UsageError
from labkit.lab.kubectl import Output
from labkit.language import gettext

LOGGED = ("kubelet", "runtime")


@dataclass(frozen=True, slots=True)
class LabNode:
    """One node.

    Attributes
    ----------
    name : str
        Its name.
    cluster : Cluster
        Whose node it is.
    """

    name: str
    cluster: Cluster

    @property
    def address(self) -> str:
        """Its address on the cluster's network."""
        return str(self.cluster.node_address(self.name))

    @property
    def running(self) -> bool:
        """Whether it is switched on."""
        return self.cluster.running and self.cluster.node_running(self.name)

    def exec(self, command: str | Sequence[str]) -> Output:
        """Run a command on the node, as its root, and return what it printed.

        Parameters
        ----------
        command : str or sequence of str
            A string is given to the node's shell.

        Raises
        ------
        ClusterError
            The node does not run, or the command failed.
        """
        argv = ["sh", "-c", command] if isinstance(command, str) else list(command)
        done = subprocess.run(
            self.cluster.node_command(self.name, argv),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            text = command if isinstance(command, str) else shlex.join(command)
            raise ClusterError(
                gettext("{text} failed on {name}").format(text=text, name=self.name),
                why=(done.stderr or done.stdout).strip()
                or gettext("it ended with {status}").format(status=done.returncode),
            )
        return Output(done.stdout.rstrip("\n"))

    def logs(self, component: str = "kubelet", *, tail: int | None = None) -> Output:
        """Return the log of the node's ``kubelet`` or container ``runtime``.

        Parameters
        ----------
        component : {"kubelet", "runtime"}
            Whose; other components are pods, whose logs `kubectl logs` has.
        tail : int
            The last so many lines only.
        """
        if component not in LOGGED:
            raise UsageError(
                gettext("A node keeps no log of {component!r}").format(component=component),
                why=gettext("it keeps those of {logs}; all else runs in pods").format(logs=" and ".join(LOGGED)),
                fix=f"labkit kubectl -- logs --namespace kube-system {component}-{self.name}",
            )
        path = self.cluster.node_log(self.name, component)
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return Output("\n".join(lines if tail is None else lines[-tail:]))

    def stop(self) -> None:
        """Switch the node off at once, as pulling its plug would."""
        self.cluster.stop_node(self.name)

    def start(self) -> None:
        """Switch the node on; it rejoins by itself."""
        self.cluster.start_node(self.name)


class LabNodes(Sequence[LabNode]):
    """All nodes: a sequence that also takes a node's name, ``lab.nodes["node-01"]``, and shows itself as a table.

    Parameters
    ----------
    nodes : iterable of LabNode
        The control plane first.
    """

    def __init__(self, nodes: Iterable[LabNode]) -> None:
        self._nodes = tuple(nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    @overload
    def __getitem__(self, key: int | str) -> LabNode: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[LabNode, ...]: ...
    def __getitem__(self, key: int | str | slice) -> LabNode | tuple[LabNode, ...]:
        """Return the node of that name or place, or a slice of them."""
        if not isinstance(key, str):
            return self._nodes[key]
        for node in self._nodes:
            if node.name == key:
                return node
        names = ", ".join(node.name for node in self._nodes)
        raise UsageError(
            gettext("There is no node {key!r}").format(key=key),
            why=gettext("the nodes are {names}").format(names=names),
            fix=gettext("choose one of them, or lab.add_node({key!r})").format(key=key),
        )

    def __repr__(self) -> str:
        return "\n".join("  ".join(row) for row in self._rows())

    def _repr_html_(self) -> str:
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in self._rows()
        )
        return (
            f"<table><thead><tr><th>node</th><th>address</th><th>state</th></tr></thead><tbody>{rows}</tbody></table>"
        )

    def _rows(self) -> list[tuple[str, str, str]]:
        return [(node.name, node.address, "running" if node.running else "stopped") for node in self._nodes]
