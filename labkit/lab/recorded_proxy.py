"""kube-proxy of a recording, asked as that of a lab is."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.cluster.spec import service_name
from labkit.errors import ClusterError, EvidenceError, UsageError
from labkit.evidence.model import Evidence
from labkit.lab import modes_seen
from labkit.lab.shown import ComparedModes, TracedPacket
from labkit.language import gettext
from labkit.proxy import mode as modes
from labkit.proxy.model import Mode, NodeRules
from labkit.proxy.packet import PacketPath
from labkit.proxy.seen import Seen, SeenSwitch

if TYPE_CHECKING:
    from labkit.widgets.proxy import ProxyPanel


class RecordedProxy:
    """kube-proxy of a recording: ``recording.proxy``.

    Parameters
    ----------
    evidence : Evidence
        The recording's.
    path : Path
        Its file.
    banner : str
        What is plainly said wherever it is shown.
    """

    def __init__(self, evidence: Evidence, path: Path, banner: str) -> None:
        self._banner = banner
        self._cluster = evidence.cluster
        self._path = path
        self.seen = Seen(evidence.proxy)

    def __repr__(self) -> str:
        return f"<kube-proxy of recording {self._path.name}>"

    @property
    def nodes(self) -> tuple[str, ...]:
        """The cluster's nodes, the control plane first."""
        return self._cluster.nodes

    def panel(self) -> ProxyPanel:
        """Return the panel that a notebook shows: a button per mode shows how every node was in it.

        Raises
        ------
        EvidenceError
            The recording has nothing of kube-proxy.
        """
        from labkit.lab.proxy_panel import ReplayedProxy  # noqa: PLC0415 - brings the widgets; a terminal needs none
        from labkit.widgets.proxy import ProxyPanel  # noqa: PLC0415 - as above

        return ProxyPanel(ReplayedProxy(self, f"recording {self._path.name}", self._banner))

    def _ipython_display_(self) -> None:
        self.panel()._ipython_display_()

    @property
    def mode(self) -> Mode:
        """The mode at the end of the recording.

        Raises
        ------
        EvidenceError
            The recording has nothing of kube-proxy.
        """
        return self.modes[-1]

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes whose rules were recorded, the last one last.

        Raises
        ------
        EvidenceError
            The recording has nothing of kube-proxy.
        """
        found = tuple(dict.fromkeys(mode for mode, _ in reversed(self.seen.rules)))[::-1]
        if not found:
            raise EvidenceError(
                gettext("Recording {file} has nothing of kube-proxy").format(file=self._path.name),
                why=gettext("it was made before labkit kept that, or no node had rules then"),
                fix=gettext("open another, or record anew: labkit record"),
            )
        return found

    @property
    def switches(self) -> tuple[SeenSwitch, ...]:
        """The switches that were recorded, in order of time."""
        return self.seen.switches

    @property
    def packets(self) -> tuple[PacketPath, ...]:
        """The packets that were followed, in order of time."""
        return self.seen.packets

    def rules(self, node: str | None = None, *, mode: str | None = None) -> NodeRules:
        """Return what kube-proxy's rules on a node said.

        Parameters
        ----------
        node : str, optional
            By default the control plane.
        mode : {"iptables", "nftables", "ipvs"}, optional
            By default the one at the end.

        Raises
        ------
        UsageError
            There was no such node, or there is no such mode.
        EvidenceError
            They were not recorded.
        """
        wanted = self.mode if mode is None else modes.check(mode)
        where = node or self._cluster.control_plane
        if where not in self._cluster.nodes:
            raise UsageError(
                gettext("There was no node {where!r}").format(where=where),
                why=gettext("there were {nodes}").format(nodes=", ".join(self._cluster.nodes)),
            )
        found = self.seen.rules.get((wanted, where))
        if found is None:
            has = ", ".join(f"{mode} on {name}" for mode, name in self.seen.rules)
            raise EvidenceError(
                gettext("Recording {file} has no {wanted} rules of {where}").format(
                    file=self._path.name, wanted=wanted, where=where
                ),
                why=gettext("it has {has}").format(has=has),
                fix=gettext("ask for one of these"),
            )
        return found.parse()

    def trace(
        self,
        target: str,
        *,
        namespace: str = "default",
        port: int | None = None,
        node_port: str | None = None,
        from_node: str | None = None,
        from_pod: str | None = None,
        mode: str | None = None,
    ) -> TracedPacket:
        """Show the last recorded packet to a Service that was sent as these parameters say, in a mode of kube-proxy.

        They are those of `labkit.proxy.packet_trace.trace`; what is left out may be anything.

        Raises
        ------
        EvidenceError
            There is none.
        """
        wanted = f"{namespace}/{service_name(target) or target}"
        client = f"node {from_node}" if from_node else ""
        if from_pod:
            client = f"pod {from_pod if '/' in from_pod else f'{namespace}/{from_pod}'}"
        for path in reversed(self.packets):
            request = path.request
            if (
                request.service == wanted
                and client in {"", request.client}
                and mode in {None, path.mode}
                and port in {None, request.destination.port}
                and node_port in {None, self._node_ports.get(request.destination.ip)}
            ):
                return TracedPacket(path)
        has = "; ".join(f"{each.request.client} to {each.request.service}, {each.mode} mode" for each in self.packets)
        raise EvidenceError(
            gettext("Recording {file} has no such packet to {wanted}").format(file=self._path.name, wanted=wanted),
            why=gettext("it has {has}").format(has=has) if has else gettext("no packet was followed while it was made"),
            fix=gettext("ask for one of these") if has else gettext("in a lab: labkit proxy trace svc/NAME"),
        )

    def compare_modes(self, service: str, node: str | None = None) -> ComparedModes:
        """Show a Service in kube-proxy's modes, side by side.

        A mode that was not recorded is taken from another recording, which comes with labkit.

        Parameters
        ----------
        service : str
            ``"svc/tomcat"`` or ``"tomcat"``, in namespace default; ``"shop/web"``.
        node : str, optional
            On which node; by default the control plane.

        Raises
        ------
        UsageError
            No rules of such a Service were recorded there.
        """
        where = node or self._cluster.control_plane
        return modes_seen.compare_modes(self.seen, service, where, f"recorded on {where}")

    def switch(self, mode: str, **_options: object) -> None:
        """Say that nothing can be switched.

        Raises
        ------
        ClusterError
            Always.
        """
        raise ClusterError(
            gettext("A recording cannot be switched to {mode}").format(mode=mode),
            why=gettext("{file} was recorded; no cluster runs").format(file=self._path.name),
            fix=gettext('rules(mode="{mode}") shows its rules, if they were recorded').format(mode=mode),
        )

    @cached_property
    def _node_ports(self) -> dict[str, str]:
        """The nodes by address."""
        return dict(self._cluster.addresses)
