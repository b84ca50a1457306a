"""A node's tables, read on the node itself, and what they say."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass, replace

from labkit.cluster.protocol import Cluster
from labkit.cluster.rest import ApiServer
from labkit.errors import ClusterError
from labkit.language import gettext
from labkit.node.process import run
from labkit.proxy import iptables, ipvs, nftables
from labkit.proxy.model import Mode, NodeRules

_MARK = "=== labkit ==="
# nft and ip fail where there is no such table or device, which is an answer, and ipvsadm would load the module.
_SCRIPT = f"""
for each in iptables-save nft; do
    command -v $each >/dev/null || {{ echo "it has no $each" >&2; exit 127; }}
done
iptables-save || exit
echo '{_MARK}'
nft -j list table ip kube-proxy 2>/dev/null
test -e /proc/net/ip_vs || exit 0
for command in 'ipvsadm --save --numeric' 'ipset save' 'ip -json address show dev {ipvs.DEVICE}'; do
    echo '{_MARK}'
    $command 2>/dev/null
done
exit 0
"""
#: Prints a node's tables when it runs there; `from_output` reads them.
COMMAND = ("sh", "-c", _SCRIPT)
_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Tables:
    """What the kernel's tools print on a node, and for ipvs which Services the API has: its tables keep no names.

    All of it is text, so that `dataclasses.asdict` makes plain JSON of it, and ``Tables(**…)`` brings it back.

    Attributes
    ----------
    node : str
        Its name.
    iptables : str
        ``iptables-save``.
    nftables : str
        ``nft -j list table ip kube-proxy``; empty where there is no such table.
    ipvs : str
        ``ipvsadm --save --numeric``; empty where the kernel has no ip_vs, or keeps it from the node.
    ipsets : str
        ``ipset save``; empty as above.
    kube_ipvs0 : str
        ``ip -json address show dev kube-ipvs0``; empty where there is no such device, which is kube-proxy's.
    services : str
        `labkit.proxy.ipvs.names` as JSON; empty where there is no kube-ipvs0, or the API server does not answer.
    """

    node: str
    iptables: str
    nftables: str
    ipvs: str = ""
    ipsets: str = ""
    kube_ipvs0: str = ""
    services: str = ""

    @property
    def modes(self) -> tuple[Mode, ...]:
        """Which modes have rules here: one, or during a switch none or more."""
        found: list[Mode] = []
        if iptables.leftovers(self.iptables):
            found.append("iptables")
        if self.nftables:
            found.append("nftables")
        if self.kube_ipvs0:
            found.append("ipvs")
        return tuple(found)

    @property
    def count(self) -> int:
        """How many rules, and virtual and real servers, kube-proxy has here; told without parsing them."""
        count = self.nftables.count('{"rule":') + len(self.ipvs.splitlines())
        if {"iptables", "ipvs"} & set(self.modes):
            count += sum(line.startswith("-A KUBE-") for line in self.iptables.splitlines())
        return count

    @property
    def mode(self) -> Mode:
        """The mode whose rules are here.

        Raises
        ------
        ClusterError
            There are rules of no mode, or of more than one.
        """
        if len(self.modes) == 1:
            return self.modes[0]
        if self.modes:
            raise ClusterError(
                gettext("{node} has rules of two of kube-proxy's modes").format(node=self.node),
                why=gettext("{modes} both lead Services somewhere: a switch is under way, or was cut off").format(
                    modes=" and ".join(self.modes)
                ),
                fix=gettext("wait, or switch again: labkit proxy mode MODE"),
            )
        raise ClusterError(
            gettext("{node} has no rules of kube-proxy").format(node=self.node),
            why=gettext("nothing of iptables, nftables or ipvs leads Services anywhere: kube-proxy does not run there"),
            fix="labkit kubectl -- get pods --namespace kube-system --selector k8s-app=kube-proxy --output wide",
        )

    def parse(self, mode: Mode) -> NodeRules:
        """Return what the rules of a mode say."""
        if mode == "nftables":
            return nftables.parse(self.nftables, self.node)
        if mode == "ipvs":
            return ipvs.parse(self.ipvs, self.ipsets, self.iptables, self.services, self.node)
        return iptables.parse(self.iptables, self.node)


def tables(cluster: Cluster, node: str) -> Tables:
    """Read a node's tables.

    Raises
    ------
    ClusterError
        The node does not run, has no iptables or nft, or these fail.
    """
    if not cluster.node_running(node):
        raise ClusterError(
            gettext("The rules of {node} cannot be read").format(node=node),
            why=gettext("it is switched off"),
            fix=f"labkit node start {node}",
        )
    printed = run(
        cluster.node_command(node, COMMAND),
        what=gettext("read the rules of {node}").format(node=node),
        timeout=_SECONDS,
    )
    found = from_output(node, printed)
    return replace(found, services=_services(cluster)) if found.kube_ipvs0 else found


def from_output(node: str, printed: str) -> Tables:
    """Return a node's tables out of what `COMMAND` printed there; without names of Services."""
    saved, *others = printed.split(f"{_MARK}\n")
    return Tables(node, saved, *(each.strip() for each in others))


def _services(cluster: Cluster) -> str:
    with closing(ApiServer.from_kubeconfig(cluster.kubeconfig)) as api:
        listed = api.get("/api/v1/services")
    return json.dumps(ipvs.names(listed["items"])) if listed else ""
