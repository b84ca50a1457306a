"""The cluster of a lab whose nodes labkit makes itself: only there can they be installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.cluster.rootless import RootlessCluster
from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.lab.lab import Lab


def own_cluster(lab: Lab) -> RootlessCluster:
    """Return a lab's cluster, for what is done to its nodes.

    Parameters
    ----------
    lab : Lab
        Which.

    Raises
    ------
    UsageError
        Its nodes are not labkit's.
    """
    if not isinstance(lab.cluster, RootlessCluster):
        raise UsageError(
            f"The nodes of lab {lab.name!r} are not labkit's",
            why=f"its provider is {lab.cluster.provider!r}; kubeadm and the nodes' files are its owner's affair",
            fix="labkit up --name another --provider rootless",
        )
    return lab.cluster
