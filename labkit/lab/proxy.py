"""kube-proxy of a lab, as one uses it: mode, switch, rules, check, a packet's path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from labkit.errors import ClusterError
from labkit.evidence.proxy import kept
from labkit.lab import modes_seen
from labkit.lab.cause import TIMEOUT as FOLLOW_TIMEOUT
from labkit.lab.cause import Follow
from labkit.lab.shown import ComparedModes, Measured, TracedPacket
from labkit.language import gettext
from labkit.proxy import mode as mode_of
from labkit.proxy import packet_trace, seen
from labkit.proxy.bench import REPEATS, SIZES, Bench
from labkit.proxy.compare import Check, compare
from labkit.proxy.model import Mode, NodeRules
from labkit.proxy.seen import Seen
from labkit.proxy.switch import TIMEOUT, Switch, Switched
from labkit.widgets.progress import watch

if TYPE_CHECKING:
    from labkit.lab.lab import Lab
    from labkit.progress import Progress
    from labkit.widgets.proxy import ProxyPanel


class LabProxy:
    """kube-proxy of a lab: ``lab.proxy``.

    Parameters
    ----------
    lab : Lab
        Whose.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def __repr__(self) -> str:
        return f"<kube-proxy of lab {self._lab.name!r}>"

    def panel(self) -> ProxyPanel:
        """Return the panel that a notebook shows: a button per mode, every node's state, the steps of a switch."""
        from labkit.lab.proxy_panel import LiveProxy  # noqa: PLC0415 - brings the widgets, which a terminal has no use for
        from labkit.widgets.proxy import ProxyPanel  # noqa: PLC0415 - as above

        return ProxyPanel(LiveProxy(self._lab))

    def _ipython_display_(self) -> None:
        self.panel()._ipython_display_()

    @property
    def mode(self) -> Mode:
        """The mode that the ConfigMap asks for: ``"iptables"``, ``"nftables"`` or ``"ipvs"``."""
        with self._lab.api_server() as api:
            return mode_of.read(api).mode

    def switch(
        self, mode: str, *, force: bool = False, timeout: float = TIMEOUT, progress: Progress | None = None
    ) -> Switched:
        """Switch to another mode, and wait until every node serves in it by its rules alone.

        An interrupt puts the old mode back, too; a second one leaves things as they are.

        Parameters
        ----------
        mode : {"iptables", "nftables", "ipvs"}
            The mode.
        force : bool
            Try ipvs even where the kernel cannot do it, to see what happens; the old mode is put back then.
        timeout : float
            Seconds that the nodes have for each of: a new pod, its log, serving.
        progress : Progress
            Shows the steps; by default the notebook does.

        Returns
        -------
        Switched
            The steps, with what there was to see; without any where there was nothing to do.

        Raises
        ------
        UsageError
            There is no such mode, or another command is changing the lab.
        PreflightError
            The kernel cannot do ipvs; nothing was changed.
        ClusterError
            A node is down or the ConfigMap is missing or broken, and nothing was changed; or a node could not serve in
            the new mode, and the old one was put back: the message has the tail of its pod's log.
        """
        checked = mode_of.check(mode)
        lab = self._lab
        with watch(progress) as reporter, lab.cluster.folder.locked(), lab.api_server() as api:
            switch = Switch(lab.cluster, api, lab.kubectl, reporter, timeout=timeout)
            with seen.watched(lab.cluster, switch, before=mode_of.read(api).mode, after=checked):
                return switch.run(checked, force=force)

    def rules(self, node: str | None = None) -> NodeRules:
        """Return what kube-proxy's rules on a node say; by default on the control plane's.

        Raises
        ------
        UsageError
            There is no such node.
        ClusterError
            The node does not run, or has the rules of no mode or of two.
        """
        nodes = self._lab.nodes
        return seen.read(self._lab.cluster, nodes[0 if node is None else node].name)

    def trace(
        self,
        target: str,
        *,
        namespace: str = "default",
        port: int | None = None,
        node_port: str | None = None,
        from_node: str | None = None,
        from_pod: str | None = None,
    ) -> TracedPacket:
        """Send one real request to a Service and show its first packet's way through a node's rules.

        The parameters and errors are those of `labkit.proxy.packet_trace.trace`.
        """
        path = packet_trace.trace(
            self._lab.cluster,
            target,
            namespace=namespace,
            port=port,
            node_port=node_port,
            from_node=from_node,
            from_pod=from_pod,
        )
        seen.keep_packet(self._lab.cluster, path)
        return TracedPacket(path)

    def compare_modes(self, service: str, node: str | None = None) -> ComparedModes:
        """Show a Service in kube-proxy's modes, side by side: the rules, and how each finds an endpoint by them.

        The present mode's rules are read now, another's are as they were last seen in this lab. A mode that this lab
        never had is taken from a recording that comes with labkit.

        Parameters
        ----------
        service : str
            ``"svc/tomcat"`` or ``"tomcat"``, in namespace default; ``"shop/web"``.
        node : str, optional
            On which node; by default the control plane's.

        Raises
        ------
        UsageError
            There is no such node, or it has no rules of such a Service.
        ClusterError
            The node does not run, or has the rules of no mode or of two.
        """
        where = self.rules(node).node
        return modes_seen.compare_modes(self.seen, service, where, f"read on {where}")

    @property
    def seen(self) -> Seen:
        """What was seen of kube-proxy since the lab was made, by whichever command."""
        return Seen(kept(self._lab.cluster.proxy_folder))

    def follow(self, service: str, *, timeout: float = FOLLOW_TIMEOUT) -> Follow:
        """Follow what is done during a `with` block from the API to the changed rule of a Service on each node.

        At the end of the block it waits until the rules have followed. It only listens: several may follow at once,
        and nothing of it stays on the nodes.

        Parameters
        ----------
        service : str
            ``"shop/web"``, or ``"web"`` in namespace default; it need not exist yet.
        timeout : float
            Seconds in which something must change, after the end of the block.

        Raises
        ------
        UsageError
            That names no Service.
        PreflightError
            A node has no nft.
        ClusterError
            A node does not run, kube-proxy is in ipvs mode, or no node's rules changed in time.
        EvidenceError
            The kernel told more than could be read.
        """
        return Follow(self._lab, service, timeout=timeout)

    def bench(
        self,
        services: Sequence[int] = SIZES,
        modes: Sequence[str] = (),
        *,
        repeats: int = REPEATS,
        progress: Progress | None = None,
    ) -> Measured:
        """Measure kube-proxy's modes against the number of Services; takes minutes.

        Services are made in namespace ``labkit-bench``, with endpoints but without pods. In the end they are gone, and
        the mode is what it was, whatever happened.

        Parameters
        ----------
        services : sequence of int
            How many Services, each number in turn.
        modes : sequence of str
            Which modes; without any, all that the kernel has.
        repeats : int
            How often each.
        progress : Progress
            Shows the runs; by default the notebook does.

        Returns
        -------
        Measured
            A table; `figure` plots it.

        Raises
        ------
        UsageError
            There is no such mode, a number does not fit the Service range, or another command is changing the lab.
        PreflightError
            ipvs is wanted, and the kernel cannot do it; or nodes in a user namespace cannot take the rules of so many
            Services: the message says how many they can, and what makes it more.
        ClusterError
            A node is down, or kube-proxy came to no end.
        """
        lab = self._lab
        with watch(progress) as reporter, lab.cluster.folder.locked(), lab.api_server():
            measurement = Bench(lab.cluster, lab.kubectl, reporter).run(services, modes, repeats)
        return Measured(measurement)

    def check(self) -> Check:
        """Compare the rules on every node that runs with the API's Services and EndpointSlices.

        Raises
        ------
        ClusterError
            The API server does not answer, or a node has the rules of no mode or of two.
        """
        with self._lab.api_server() as api:
            services = api.get("/api/v1/services")
            slices = api.get("/apis/discovery.k8s.io/v1/endpointslices")
        if services is None or slices is None:
            raise ClusterError(
                gettext("The rules cannot be checked"),
                why=gettext("the API server does not answer"),
                fix="labkit status",
            )
        running = [node.name for node in self._lab.nodes if node.running]
        return Check(tuple(compare(self.rules(node), services["items"], slices["items"]) for node in running))
