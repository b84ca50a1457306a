"""One Service in several of kube-proxy's modes: how each finds it, and which rule says what.

Everything is read off the rules that were seen in a mode, on one node.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from labkit.language import gettext_noop
from labkit.proxy.model import Mode, NodeRules, ServicePort

Aspect = Literal["address", "outside", "masquerade", "affinity", "choice", "destination", "refusal"]

#: What the rules of a Service are about, in the order in which a packet meets them.
ASPECTS: dict[Aspect, str] = {
    "address": gettext_noop("Is the packet for this Service?"),
    "outside": gettext_noop("And from outside the cluster?"),
    "masquerade": gettext_noop("Who gets the node's own address as source?"),
    "affinity": gettext_noop("Does a client stay with its endpoint?"),
    "choice": gettext_noop("Which endpoint?"),
    "destination": gettext_noop("What becomes of the destination?"),
    "refusal": gettext_noop("Who is turned away?"),
}
_IPTABLES: tuple[tuple[re.Pattern[str], Aspect], ...] = (
    (re.compile(r"-j (REJECT|DROP)"), "refusal"),
    (re.compile(r"-j DNAT"), "destination"),
    (re.compile(r"-m recent"), "affinity"),
    (re.compile(r"-A KUBE-(EXT|NODEPORTS|FW|EXTERNAL|XLB)"), "outside"),
    (re.compile(r"-j KUBE-MARK-MASQ"), "masquerade"),
    (re.compile(r"-A KUBE-SERVICES"), "address"),
    (re.compile(r"-j KUBE-SEP-"), "choice"),
)
_NFTABLES: tuple[tuple[re.Pattern[str], Aspect], ...] = (
    (re.compile(r"^no-endpoint-| (reject|drop)\b"), "refusal"),
    (re.compile(r"affinity-"), "affinity"),
    (re.compile(r" dnat to "), "destination"),
    (re.compile(r"^(external-|service-nodeports|firewall-)"), "outside"),
    (re.compile(r" jump mark-for-masquerade"), "masquerade"),
    (re.compile(r"^service-ips"), "address"),
    (re.compile(r" numgen random "), "choice"),
)
# ipvsadm --save: -A is a virtual server, -a one of its real servers. ipset save: the sets that iptables matches.
_IPVS: tuple[tuple[re.Pattern[str], Aspect], ...] = (
    (re.compile(r"-j (REJECT|DROP)"), "refusal"),
    (re.compile(r"(^| )-a "), "choice"),
    (re.compile(r"(^| )-A -"), "address"),
    (re.compile(r"NODE-PORT|EXTERNAL-IP|LOAD-BALANCER"), "outside"),
    (re.compile(r"KUBE-(CLUSTER-IP|LOOP-BACK)|MASQ"), "masquerade"),
)
_PATTERNS = {"iptables": _IPTABLES, "nftables": _NFTABLES, "ipvs": _IPVS}
_PROBABILITY = re.compile(r"--probability (\S+)")
_SCHEDULER = re.compile(r" -s (\S+)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One of those among which a node's kernel looks for a packet's Service.

    Attributes
    ----------
    address : str
        ``"10.96.0.10:53/udp"``; empty where it is no Service's.
    name : str
        The Service's port, or what else it is.
    rule : str
        The rule that says so.
    """

    address: str
    name: str
    rule: str


@dataclass(frozen=True, slots=True)
class Choice:
    """How a connection may come to an endpoint.

    Attributes
    ----------
    endpoint : str
        ``"192.168.1.2:80"``.
    share : float
        Of all new connections, 0 to 1.
    condition : str
        What decides, as short as can be: ``"33%"``, ``"else 50%"``, ``"else"``; ``"0"``, the random
        number; ``"rr"``, the scheduler.
    rule : str
        The rule that says so.
    """

    endpoint: str
    share: float
    condition: str
    rule: str


@dataclass(frozen=True, slots=True)
class ServiceInMode:
    """A Service on a node in one mode.

    Attributes
    ----------
    rules : NodeRules
        Of the Service alone.
    entries : tuple of Entry
        All among which the kernel looks for it; in iptables mode in the order in which it tries them.
    total : int
        How many rules and map elements the node has for all Services together.
    source : str
        Where the rules are from: ``"read on master at 20:15:02 UTC"``.
    """

    rules: NodeRules
    entries: tuple[Entry, ...]
    total: int
    source: str

    @property
    def mode(self) -> Mode:
        """The mode."""
        return self.rules.mode

    @property
    def port(self) -> ServicePort:
        """The Service's first port."""
        return self.rules.ports[0]

    @property
    def count(self) -> int:
        """How many rules and map elements are about the Service."""
        return len(raw_rules(self.rules.ports))

    @property
    def position(self) -> int | None:
        """Which of the entries is the Service's first port, from 1; None where none is."""
        return next((at for at, entry in enumerate(self.entries, 1) if entry.name == self.port.name), None)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """How a connection to the first port comes to an endpoint, in the order in which the kernel tries them."""
        if self.mode == "iptables":
            return _by_chance(self.port)
        return tuple(
            Choice(
                str(each),
                each.probability,
                self.scheduler or str(at),
                _first(each.rules, self.mode, "choice"),
            )
            for at, each in enumerate(self.port.endpoints)
        )

    @property
    def scheduler(self) -> str:
        """What ipvs chooses by: ``"rr"``; empty in other modes."""
        if self.mode != "ipvs":
            return ""
        match = _SCHEDULER.search(_first(self.port.rules, self.mode, "address"))
        return match[1] if match else ""

    def about(self, aspect: Aspect) -> tuple[str, ...]:
        """Return the rules of the Service that are about something."""
        return tuple(rule for rule in raw_rules(self.rules.ports) if about(self.mode, rule) == aspect)


@dataclass(frozen=True, slots=True)
class ModeComparison:
    """A Service in kube-proxy's modes; `labkit.views.proxy_modes` shows it.

    Attributes
    ----------
    service : str
        ``"default/web"``.
    seen : tuple of ServiceInMode
        One per mode whose rules were seen.
    missing : tuple of Mode
        The modes that nobody has seen.
    """

    service: str
    seen: tuple[ServiceInMode, ...]
    missing: tuple[Mode, ...]


def service_in_mode(rules: NodeRules, iptables: str, service: str, source: str) -> ServiceInMode | None:
    """Return a Service out of a node's rules, None where it has none there.

    Parameters
    ----------
    rules : NodeRules
        All of the node.
    iptables : str
        What iptables-save printed, for the order of the rules.
    service : str
        ``"default/web"``.
    source : str
        Where the rules are from.
    """
    own = rules.of(service)
    if not own.ports:
        return None
    if rules.mode == "iptables":
        entries = _tried(rules.ports, iptables)
    else:
        entries = tuple(
            Entry(_address(port), port.name, next((rule for rule in port.rules if port.cluster_ip in rule), ""))
            for port in rules.ports
            if port.endpoints
        )
    return ServiceInMode(own, entries, len(raw_rules(rules.ports)), source)


def raw_rules(ports: Iterable[ServicePort]) -> tuple[str, ...]:
    """Return the rules of some ports and of their endpoints, each once."""
    each = (rule for port in ports for rule in (*port.rules, *(rule for end in port.endpoints for rule in end.rules)))
    return tuple(dict.fromkeys(each))


def about(mode: Mode, rule: str) -> Aspect:
    """Return what a rule of a Service is about."""
    return next((aspect for pattern, aspect in _PATTERNS[mode] if pattern.search(rule)), "outside")


def _tried(ports: Sequence[ServicePort], iptables: str) -> tuple[Entry, ...]:
    """Return the rules of chain KUBE-SERVICES of table nat, in order."""
    owner = {rule: port for port in ports for rule in port.rules}
    nat = iptables.partition("*nat\n")[2].partition("\nCOMMIT")[0]
    found = []
    for rule in nat.splitlines():
        if rule.startswith("-A KUBE-SERVICES "):
            port = owner.get(rule)
            address, name = (_address(port), port.name) if port else ("", "an address of this node: NodePorts")
            found.append(Entry(address, name, rule))
    return tuple(found)


def _by_chance(port: ServicePort) -> tuple[Choice, ...]:
    """Return iptables' choices: each rule is tried where those before it were not taken."""
    ends = [(each, _first(each.rules, "iptables", "choice")) for each in port.endpoints]
    found: list[Choice] = []
    # Probabilities rise from rule to rule; the last has none (pkg/proxy/iptables, writeServiceToEndpointRules).
    for each, rule in sorted(ends, key=lambda end: _probability(end[1])):
        chance = _probability(rule)
        words = [*(["else"] if found else []), *([f"{chance:.0%}"] if chance < 1 else [])]
        found.append(Choice(str(each), each.probability, " ".join(words) or "always", rule))
    return tuple(found)


def _probability(rule: str) -> float:
    match = _PROBABILITY.search(rule)
    return float(match[1]) if match else 1.0


def _first(rules: Sequence[str], mode: Mode, aspect: Aspect) -> str:
    return next((rule for rule in rules if about(mode, rule) == aspect), rules[0] if rules else "")


def _address(port: ServicePort) -> str:
    return f"{port.cluster_ip}:{port.port}/{port.protocol}"
