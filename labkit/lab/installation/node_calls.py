"""What a `Lab` offers of preparing, restarting and rejoining nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from labkit.errors import UsageError
from labkit.lab.installation.ours import own_cluster
from labkit.lab.installation.reset import reset
from labkit.language import gettext
from labkit.progress import Progress
from labkit.widgets.progress import watch

if TYPE_CHECKING:
    from labkit.lab.installation.preparation import Preparation
    from labkit.lab.installation.restart import Restart
    from labkit.lab.lab import Lab
    from labkit.lab.nodes import LabNode


class NodeCalls:
    """The calls of a lab about its nodes; what they need of it is what `Lab` has."""

    def preflight(self, node: str) -> Preparation:
        """Return how a node is prepared: each line of the textbook's script as a check that is made on the node.

        Parameters
        ----------
        node : str
            Its name.

        Raises
        ------
        UsageError
            There is no such node, or it is not labkit's.
        ClusterError
            It does not run.
        """
        from labkit.lab.installation import preparation  # noqa: PLC0415 - most have no use for it

        own_cluster(cast("Lab", self))
        return preparation.of_node(cast("Lab", self).nodes[node])

    def restart(self, node: str, *, away: float = 5.0, service: str = "", progress: Progress | None = None) -> Restart:
        """Switch a node off, as pulling its plug would, and on again; wait until it is back, and tell what happened.

        Parameters
        ----------
        node : str
            Which: a worker, or the control plane.
        away : float
            Seconds for which it is off, at least 2.
        service : str
            A Service of namespace default that another node asks each 100 ms meanwhile; empty for none.
        progress : Progress
            Shows what is awaited.

        Raises
        ------
        UsageError
            There is no such node or Service, the node is off already, or nobody else could ask.
        ClusterError
            The node did not come back in two minutes.
        """
        from labkit.lab.installation import restart  # noqa: PLC0415 - as above

        with watch(progress) as reporter:
            return restart.restart(cast("Lab", self), node, reporter, away=away, service=service)

    def rejoin(self, node: str, *, progress: Progress | None = None) -> LabNode:
        """Take a worker back to where it was before `kubeadm join`, and let it join again; wait until it is Ready.

        Parameters
        ----------
        node : str
            Its name; it may have been deleted.
        progress : Progress
            Shows the phases.

        Raises
        ------
        UsageError
            There is no such node, or it is the control plane.
        ClusterError
            kubeadm failed, or the node does not get Ready.
        """
        lab = cast("Lab", self)
        cluster, name = own_cluster(lab), lab.nodes[node].name
        if name == lab.spec.node_names[0]:
            raise UsageError(
                gettext("{name} cannot join again").format(name=name),
                why=gettext("it is the control plane: who joins asks it"),
                fix=gettext("choose a worker"),
            )
        with watch(progress) as reporter, cluster.folder.locked():
            reset(cluster, name, reporter)
            lab.kubectl(["delete", "node", name, "--ignore-not-found"])  # kubeadm refuses a name that is Ready
            cluster.join_node(name, reporter)
        return lab.nodes[node]
