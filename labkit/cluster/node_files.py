"""A node's files, read and written through the node itself: the same on every provider that lets labkit enter it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.language import gettext
from labkit.node.process import run

if TYPE_CHECKING:
    from labkit.cluster.protocol import Cluster

# Its owner's alone, for it may hold a token; so is a folder that has to be made.
_WRITE = 'umask 077 && mkdir -p "$(dirname "$1")" && cat >"$1"'


def read(cluster: Cluster, node: str, path: str) -> str:
    """Return what a file of a node holds.

    Parameters
    ----------
    cluster : Cluster
        Whose node.
    node, path : str
        Which node, and the file's whole path there.

    Raises
    ------
    ClusterError
        There is no such file, or the node does not run.
    UsageError
        There is no such node.
    """
    return run(
        cluster.node_command(node, ["cat", path]), what=gettext("read {path} on {node}").format(path=path, node=node)
    )


def write(cluster: Cluster, node: str, path: str, text: str) -> None:
    """Write a file of a node, which nobody but root may read if it is new; folders that are missing are made.

    Parameters
    ----------
    cluster : Cluster
        Whose node.
    node, path : str
        Which node, and the file's whole path there.
    text : str
        What it is to hold.

    Raises
    ------
    ClusterError
        It cannot be written, or the node does not run.
    UsageError
        There is no such node.
    """
    command = cluster.node_command(node, ["sh", "-c", _WRITE, "sh", path])
    run(command, what=gettext("write {path} on {node}").format(path=path, node=node), stdin=text)
