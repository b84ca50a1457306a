"""Services as a node's kernel has them, whichever of kube-proxy's modes wrote its rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

from labkit.language import gettext, gettext_noop
from labkit.proxy.table import Table

Mode = Literal["iptables", "nftables", "ipvs"]
Policy = Literal["Cluster", "Local"]
How = Literal["reject", "drop"]

#: An endpoint's address and port.
Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a Service's connections may lead.

    Attributes
    ----------
    ip, port : str, int
        Of the pod or host.
    probability : float
        That a new connection to the cluster IP leads here, 0 to 1; an affinity that holds goes before it.
    from_outside : float or None
        The same for one from outside the cluster to the node port; None where there is no way in from outside.
    local : bool or None
        Whether it is on this node; None where the rules do not tell.
    rules : tuple of str
        The rules that say so, as the kernel's tool prints them.
    """

    ip: str
    port: int
    probability: float
    from_outside: float | None
    local: bool | None
    rules: tuple[str, ...]

    def __str__(self) -> str:
        """Return ``"192.168.1.2:80"``."""
        return f"{self.ip}:{self.port}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Connections that are turned away because nothing could take them.

    Attributes
    ----------
    to : {"cluster IP", "node port", "external IP"}
        How they came.
    how : {"reject", "drop"}
        ``reject`` answers at once: there is no endpoint at all. ``drop`` is silent: there is none on this node.
    rule : str
        The rule that says so.
    """

    to: Literal["cluster IP", "node port", "external IP"]
    how: How
    rule: str

    def __str__(self) -> str:
        """Return ``"cluster IP: reject"``."""
        return f"{self.to}: {self.how}"


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service on one node.

    Attributes
    ----------
    service, port_name : str
        ``"default/web"``; the port's name is empty where it has none.
    protocol : str
        ``"tcp"``, ``"udp"``, ``"sctp"``.
    cluster_ip, port : str, int
        Where pods reach it.
    node_port : int or None
        Where the world reaches it, on every node.
    external_ips : tuple of str
        Further addresses: external IPs, and those of a load balancer.
    endpoints : tuple of Endpoint
        By address.
    masquerade : tuple of str
        Whose connections are given the node's own address as their source.
    affinity : int or None
        For how many seconds a client stays with its endpoint.
    internal_policy, external_policy : {"Cluster", "Local"} or None
        Whether connections may lead to other nodes; None where the rules do not tell.
    refusals : tuple of Refusal
        What is turned away.
    rules : tuple of str
        The rules of the port itself; those of its endpoints are theirs.
    """

    service: str
    port_name: str
    protocol: str
    cluster_ip: str
    port: int
    node_port: int | None
    external_ips: tuple[str, ...]
    endpoints: tuple[Endpoint, ...]
    masquerade: tuple[str, ...]
    affinity: int | None
    internal_policy: Policy | None
    external_policy: Policy | None
    refusals: tuple[Refusal, ...]
    rules: tuple[str, ...]

    @property
    def name(self) -> str:
        """How kube-proxy calls it: ``"default/web:http"``, or ``"default/web"`` where the port has no name."""
        return f"{self.service}:{self.port_name}" if self.port_name else self.service


@dataclass(frozen=True, slots=True, repr=False)
class NodeRules(Table):
    """What a node's kernel has of kube-proxy.

    Attributes
    ----------
    node : str
        Its name.
    mode : {"iptables", "nftables", "ipvs"}
        Whose rules these are.
    ports : tuple of ServicePort
        By name.
    foreign : tuple of str
        Rules that kube-proxy did not write, as their tool prints them.
    """

    node: str
    mode: Mode
    ports: tuple[ServicePort, ...]
    foreign: tuple[str, ...]

    TITLES: ClassVar[Sequence[str]] = (
        gettext_noop("service"),
        gettext_noop("address"),
        gettext_noop("node port"),
        gettext_noop("leads to"),
        gettext_noop("affinity"),
        gettext_noop("masquerade"),
    )

    def caption(self) -> str:
        """Return what the table is, in a line."""
        said = gettext("{node}: {mode}, {ports} ports of Services").format(
            node=self.node, mode=self.mode, ports=len(self.ports)
        )
        return (
            gettext("{said}; {foreign} rules of other tools").format(said=said, foreign=len(self.foreign))
            if self.foreign
            else said
        )

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per port."""
        return [
            (
                port.name,
                f"{port.cluster_ip}:{port.port}/{port.protocol}",
                str(port.node_port or ""),
                _leads_to(port),
                f"{port.affinity} s" if port.affinity else "",
                ", ".join(port.masquerade),
            )
            for port in self.ports
        ]

    def of(self, service: str) -> NodeRules:
        """Return the same of one Service alone, named ``"default/web"`` or, in namespace default, ``"web"``."""
        wanted = service if "/" in service else f"default/{service}"
        return NodeRules(self.node, self.mode, tuple(port for port in self.ports if port.service == wanted), ())

    def to_json(self) -> dict[str, Any]:
        """Return plain objects for `json.dumps`."""
        return asdict(self)


def _leads_to(port: ServicePort) -> str:
    """Return endpoints with their shares, and what is refused."""
    shares = []
    for each in port.endpoints:
        outside = "" if each.from_outside in {None, each.probability} else f", {each.from_outside:.0%} from outside"
        shares.append(f"{each} {each.probability:.0%}{outside}")
    return "; ".join((*shares, *map(str, port.refusals)))


@dataclass(frozen=True, slots=True)
class Spread:
    """What a chain of rules that chooses an endpoint does: to which, how often, by which rules."""

    probability: dict[Address, float] = field(default_factory=dict)
    rules: dict[Address, list[str]] = field(default_factory=dict)

    def add(self, address: Address, probability: float, rules: list[str]) -> None:
        """Take note that a share of the connections leads somewhere."""
        self.probability[address] = self.probability.get(address, 0.0) + probability
        self.rules.setdefault(address, []).extend(rule for rule in rules if rule not in self.rules[address])


@dataclass(slots=True)
class Draft:
    """A `ServicePort` while its rules are read; the parsers fill it.

    `inside` and `outside` say where connections to the cluster IP and to the node port lead, `local` which endpoints
    are known to be on this node.
    """

    name: str
    protocol: str = ""
    cluster_ip: str = ""
    port: int = 0
    node_port: int | None = None
    external_ips: list[str] = field(default_factory=list)
    inside: Spread = field(default_factory=Spread)
    outside: Spread | None = None
    local: set[Address] | None = None
    masquerade: list[str] = field(default_factory=list)
    affinity: int | None = None
    internal_policy: Policy | None = None
    external_policy: Policy | None = None
    refusals: list[Refusal] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)

    def refuse(self, refusal: Refusal) -> None:
        """Take note of a refusal; silence on a node means that the policy is Local (KEP-2086, KEP-1669)."""
        self.refusals.append(refusal)
        self.rules.append(refusal.rule)
        if refusal.how == "drop":
            self.local = self.local or set()
            if refusal.to == "cluster IP":
                self.internal_policy = "Local"
            else:
                self.external_policy = "Local"

    def finish(self) -> ServicePort:
        """Return what was read."""
        service, _, port_name = self.name.partition(":")
        return ServicePort(
            service=service,
            port_name=port_name,
            protocol=self.protocol,
            cluster_ip=self.cluster_ip,
            port=self.port,
            node_port=self.node_port,
            external_ips=tuple(sorted(self.external_ips)),
            endpoints=self._endpoints(),
            masquerade=tuple(sorted(set(self.masquerade))),
            affinity=self.affinity,
            internal_policy=self.internal_policy,
            external_policy=self.external_policy,
            refusals=tuple(sorted(self.refusals, key=str)),
            rules=tuple(dict.fromkeys(self.rules)),
        )

    def _endpoints(self) -> tuple[Endpoint, ...]:
        outside = self.outside or Spread()
        found = []
        for address in sorted({*self.inside.probability, *outside.probability}):
            rules = [*self.inside.rules.get(address, []), *outside.rules.get(address, [])]
            found.append(
                Endpoint(
                    *address,
                    probability=self.inside.probability.get(address, 0.0),
                    from_outside=None if self.outside is None else outside.probability.get(address, 0.0),
                    local=None if self.local is None else address in self.local,
                    rules=tuple(dict.fromkeys(rules)),
                )
            )
        return tuple(found)
