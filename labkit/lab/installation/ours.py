"""Whose nodes a lab has: kubeadm's steps need nodes of labkit's own, and some need nodes that labkit has prepared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.cluster.kind import KindCluster
from labkit.cluster.rootless import RootlessCluster
from labkit.errors import UsageError
from labkit.language import gettext

if TYPE_CHECKING:
    from labkit.lab.lab import Lab

#: The clusters whose nodes are labkit's to enter, and kubeadm's to initialise.
OwnCluster = RootlessCluster | KindCluster
_FIX = "labkit up --name another --provider rootless"


def own_cluster(lab: Lab) -> OwnCluster:
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
    if not isinstance(lab.cluster, OwnCluster):
        raise UsageError(
            gettext("The nodes of lab {name!r} are not labkit's").format(name=lab.name),
            why=gettext("its provider is {provider!r}; kubeadm and the nodes' files are its owner's affair").format(
                provider=lab.cluster.provider
            ),
            fix=_FIX,
        )
    return lab.cluster


def prepared_cluster(lab: Lab) -> RootlessCluster:
    """Return a lab's cluster, for what only nodes can that labkit itself has prepared, step by step.

    Parameters
    ----------
    lab : Lab
        Which.

    Raises
    ------
    UsageError
        Its nodes are somebody else's, or kind's.
    """
    cluster = own_cluster(lab)
    if not isinstance(cluster, RootlessCluster):
        raise UsageError(
            gettext("The nodes of lab {name!r} were not prepared by labkit").format(name=lab.name),
            why=gettext(
                "its provider is 'kind': their image brings all that a host needs, and kind itself runs kubeadm init"
            ),
            fix=_FIX,
        )
    return cluster
