"""What a `Lab` offers of tokens and joining."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from labkit.lab.installation.ours import own_cluster
from labkit.widgets.progress import watch

if TYPE_CHECKING:
    from labkit.lab.installation.join import Joined
    from labkit.lab.installation.tokens import LabTokens, Token
    from labkit.lab.lab import Lab
    from labkit.lab.nodes import LabNode
    from labkit.progress import Progress
    from labkit.widgets.join import JoinPanel

#: Seconds for which `JoinCalls.join` has kubeadm try again what did not succeed; its own default is five minutes.
PATIENCE = 10.0


class JoinCalls:
    """The calls of a lab about tokens and joining; what they need of it is what `Lab` has."""

    @property
    def token(self) -> LabTokens:
        """The bootstrap tokens: make, list and delete them, and what cluster-info proves by them."""
        from labkit.lab.installation.tokens import LabTokens  # noqa: PLC0415 - reads certificates, which few need

        return LabTokens(cast("Lab", self))

    def prepare(self, name: str, *, progress: Progress | None = None) -> LabNode:
        """Boot a machine that can join and has not: its container runtime serves, and no kubelet runs.

        Parameters
        ----------
        name : str
            Its host name; a machine that there is already is left as it is.
        progress : Progress
            Shows the waiting.
        """
        lab = cast("Lab", self)
        if name not in lab.spec.node_names:
            with watch(progress) as reporter, lab.cluster.folder.locked():
                own_cluster(lab).prepare_node(name, reporter)
        return lab.nodes[name]

    def join(
        self,
        node: str,
        *,
        token: Token | str | None = None,
        ca_hash: object = None,
        name: str = "",
        server: str = "",
        seconds: float = PATIENCE,
        progress: Progress | None = None,
    ) -> Joined:
        """Have a machine join by `kubeadm join`, and watch how; a machine that there is not yet is prepared first.

        Parameters
        ----------
        node : str
            Which machine.
        token : Token or str
            What it shows; by default a new one.
        ca_hash : CaHash or str
            The hash of the cluster's CA, ``"sha256:…"``; by default the right one.
        name : str
            What it calls itself; by default its host name.
        server : str
            The API server's ``ADDRESS:PORT``; by default the control plane's.
        seconds : float
            How long kubeadm tries again what did not succeed.
        progress : Progress
            Shows kubeadm's phases.

        Raises
        ------
        UsageError
            It is the control plane's node.
        ClusterError
            kubeadm refuses; the message has its words, the cause and the cure.
        """
        from labkit.lab.installation import join  # noqa: PLC0415 - reads certificates, which few need

        lab, since = cast("Lab", self), datetime.now(UTC)
        join.check(lab, node)
        with watch(progress) as reporter:
            self.prepare(node, progress=reporter)
            asked = join.Asked(node, *join.credentials(lab, node, token, ca_hash), name, server, seconds)
            with lab.cluster.folder.locked():
                return join.join(lab, asked, reporter, since=since)

    def join_panel(self, node: str = "node-03") -> JoinPanel:
        """Return a panel of the tokens, with buttons that make and delete one, and by which a machine joins.

        Parameters
        ----------
        node : str
            What its form begins with.
        """
        from labkit.lab.installation.join_panel import LiveTokens  # noqa: PLC0415 - widgets take long to import
        from labkit.widgets.join import JoinPanel  # noqa: PLC0415

        return JoinPanel(LiveTokens(cast("Lab", self)), node=node)
