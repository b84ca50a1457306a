"""What a `Lab` offers of the cluster's installation."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from labkit.lab.installation.preparation import Preparation
    from labkit.lab.lab import Lab


class Installation:
    """The calls of a lab about how its cluster was made; what they need of it is what `Lab` has."""

    def preflight(self, node: str) -> Preparation:
        """Return how a node is prepared: each line of the textbook's script as a check that is made on the node.

        Parameters
        ----------
        node : str
            Its name.

        Raises
        ------
        UsageError
            There is no such node.
        ClusterError
            It does not run.
        """
        from labkit.lab.installation import preparation  # noqa: PLC0415 - most have no use for it

        return preparation.of_node(cast("Lab", self).nodes[node])
