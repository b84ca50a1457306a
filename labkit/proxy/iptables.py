"""What kube-proxy's iptables mode wrote, read back from iptables-save(8).

The chains and comments are those of Kubernetes 1.34, pkg/proxy/iptables/proxier.go: KUBE-SERVICES leads by cluster IP
to KUBE-SVC-… (all endpoints) or KUBE-SVL-… (those of this node), KUBE-NODEPORTS by node port to KUBE-EXT-…, and these
to KUBE-SEP-…, one per endpoint. The comments name the Service; the names of the chains are only hashes of it.
"""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from labkit.proxy.model import Draft, How, NodeRules, Refusal, Spread

#: The chains that hold a rule for each port of each Service.
_PER_SERVICE = re.compile(r"KUBE-(SVC|SVL|EXT|SEP|FW)-[0-9A-Z]{16}")
#: kube-proxy's chains of the same few rules on every node; KUBE-FIREWALL is the kubelet's, too.
_FIXED = {"KUBE-MARK-MASQ", "KUBE-POSTROUTING", "KUBE-FORWARD", "KUBE-FIREWALL", "KUBE-PROXY-FIREWALL"}
_REFUSED = re.compile(r"(?P<name>\S+) has no (local )?endpoints")
_TO_ADDRESS = re.compile(r"(?P<name>\S+) (?P<kind>cluster IP|external IP|loadbalancer IP)")
_DESTINATION = re.compile(r"(?P<ip>[0-9.]+):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Rule:
    """A line ``-A CHAIN …`` of iptables-save.

    Attributes
    ----------
    table, chain : str
        Where it stands.
    words : tuple of str
        What follows the chain, quotes taken away.
    text : str
        The line.
    """

    table: str
    chain: str
    words: tuple[str, ...]
    text: str

    def get(self, option: str) -> str:
        """Return the word that follows an option, empty where the option is not there."""
        try:
            return self.words[self.words.index(option) + 1]
        except (ValueError, IndexError):
            return ""

    def negated(self, option: str) -> bool:
        """Whether an option is preceded by an exclamation mark."""
        return any(pair == ("!", option) for pair in zip(self.words, self.words[1:], strict=False))

    @property
    def target(self) -> str:
        """Where it leads: what follows ``-j``."""
        return self.get("-j")

    @property
    def port(self) -> int | None:
        """The port that a packet must be for."""
        number = self.get("--dport")
        return int(number) if number.isdecimal() else None


class _Tables:
    """The rules by chain, and which of them are accounted for."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.chains: dict[tuple[str, str], list[Rule]] = defaultdict(list)
        self.known: set[Rule] = set()
        for rule in rules:
            self.chains[rule.table, rule.chain].append(rule)

    def of(self, table: str, *names: str) -> list[Rule]:
        return [rule for name in names for rule in self.chains.get((table, name), [])]

    def account(self, rule: Rule) -> str:
        self.known.add(rule)
        return rule.text


def parse(text: str, node: str = "") -> NodeRules:
    """Read the output of ``iptables-save``.

    Parameters
    ----------
    text : str
        The output, of IPv4.
    node : str
        Whose.
    """
    tables = _Tables(read(text))
    drafts: dict[str, Draft] = {}
    _read_addresses(tables, drafts)
    _read_node_ports(tables, drafts)
    _read_refusals(tables, drafts)
    foreign = [
        rule.text
        for rules in tables.chains.values()
        for rule in rules
        if rule not in tables.known and not _is_fixture(rule)
    ]
    return NodeRules(node, "iptables", tuple(drafts[name].finish() for name in sorted(drafts)), tuple(foreign))


def leftovers(text: str) -> tuple[str, ...]:
    """Return the rules of kube-proxy's iptables mode that lead Services somewhere, out of ``iptables-save``.

    Those that the ipvs mode writes, too, are not among them: its KUBE-SERVICES leads nowhere, and only marks.
    KUBE-FIREWALL and its rule against foreign packets to 127.0.0.0/8 are not among them: kube-proxy leaves that chain,
    which the kubelet may use, too, and it touches no Service (pkg/proxy/iptables/proxier.go, CleanupLeftovers).
    """
    ours = re.compile(r"KUBE-(NODEPORTS|EXTERNAL-SERVICES|(SVC|SVL|EXT|SEP|FW)-\w+)")
    return tuple(rule.text for rule in read(text) if ours.fullmatch(rule.chain) or ours.fullmatch(rule.target))


def read(text: str) -> list[Rule]:
    """Return the rules in the output of ``iptables-save``, in its order."""
    rules, table = [], ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith("-A "):
            words = _words(line)
            if len(words) > 1:
                rules.append(Rule(table, words[1], tuple(words[2:]), line))
    return rules


def _words(line: str) -> list[str]:
    """Return the words of a line; what is quoted is one. Thousands of lines: shlex only where it takes more."""
    parts = line.split('"')
    if "\\" in line or "'" in line or len(parts) % 2 == 0:
        try:
            return shlex.split(line)
        except ValueError:  # a quote that is not closed: nothing that iptables-save prints for kube-proxy
            return line.split()
    words: list[str] = []
    for index, part in enumerate(parts):
        words += [part] if index % 2 else part.split()
    return words


def _is_fixture(rule: Rule) -> bool:
    """Whether a rule is one of the few that kube-proxy needs whatever Services there are."""
    if rule.chain in _FIXED:
        return True
    if rule.chain.startswith("KUBE-"):
        return rule.chain == "KUBE-SERVICES" and rule.target == "KUBE-NODEPORTS"
    return rule.target.startswith("KUBE-")


def _read_addresses(tables: _Tables, drafts: dict[str, Draft]) -> None:
    """Read which address leads to which port of a Service."""
    for rule in tables.of("nat", "KUBE-SERVICES"):
        match = _TO_ADDRESS.fullmatch(rule.get("--comment"))
        if match is None or rule.port is None or not _PER_SERVICE.fullmatch(rule.target):
            continue
        draft = drafts.setdefault(match["name"], Draft(match["name"]))
        draft.protocol, draft.port = rule.get("-p"), rule.port
        draft.rules.append(tables.account(rule))
        address = rule.get("-d").partition("/")[0]
        if match["kind"] == "cluster IP":
            draft.cluster_ip = address
            draft.internal_policy = "Local" if rule.target.startswith("KUBE-SVL-") else "Cluster"
            draft.inside = _spread(tables, draft, rule.target)
            if draft.internal_policy == "Local":
                draft.local = set(draft.inside.probability)
        else:
            draft.external_ips.append(address)
            _read_external(tables, draft, _behind_firewall(tables, draft, rule.target))


def _read_node_ports(tables: _Tables, drafts: dict[str, Draft]) -> None:
    for rule in tables.of("nat", "KUBE-NODEPORTS"):
        name = rule.get("--comment")
        if rule.port is None or not _PER_SERVICE.fullmatch(rule.target):
            continue
        draft = drafts.setdefault(name, Draft(name))
        draft.protocol, draft.node_port = rule.get("-p"), rule.port
        draft.rules.append(tables.account(rule))
        _read_external(tables, draft, rule.target)


def _behind_firewall(tables: _Tables, draft: Draft, chain: str) -> str:
    """Return the chain KUBE-EXT-… that a chain KUBE-FW-… lets some sources pass to (loadBalancerSourceRanges)."""
    if not chain.startswith("KUBE-FW-"):
        return chain
    rules = [rule for rule in tables.of("nat", chain) if draft.name in rule.get("--comment")]
    draft.rules += map(tables.account, rules)
    return next((rule.target for rule in rules if rule.target.startswith("KUBE-EXT-")), "")


def _read_external(tables: _Tables, draft: Draft, chain: str) -> None:
    """Read a chain KUBE-EXT-…: what comes from outside the cluster."""
    draft.external_policy, draft.outside = "Cluster", Spread()
    for rule in tables.of("nat", chain):
        comment = rule.get("--comment")
        if rule.target != "KUBE-MARK-MASQ" and not _PER_SERVICE.fullmatch(rule.target):
            continue
        draft.rules.append(tables.account(rule))
        if comment.startswith("route LOCAL traffic"):
            draft.external_policy = "Local"
        elif comment.startswith("masquerade LOCAL traffic"):
            draft.masquerade.append("from outside, sent by the node itself")
        elif comment.startswith("masquerade traffic"):
            draft.masquerade.append("from outside")
        elif not comment:
            draft.outside = _spread(tables, draft, rule.target)
            if rule.target.startswith("KUBE-SVL-"):
                draft.local = set(draft.outside.probability)
        if rule.target.startswith(("KUBE-SVC-", "KUBE-SVL-")):
            _spread(tables, draft, rule.target)  # what only a detour leads to is accounted for, too


def _spread(tables: _Tables, draft: Draft, chain: str) -> Spread:
    """Read a chain that chooses an endpoint: each rule takes its share of what those before it left."""
    spread, left = Spread(), 1.0
    for rule in tables.of("nat", chain):
        if rule.target == "KUBE-MARK-MASQ":
            source = rule.get("-s")
            draft.masquerade.append(f"not from {source}" if rule.negated("-s") else "all")
            draft.rules.append(tables.account(rule))
            continue
        found = _endpoint(tables, rule.target)
        if found is None:
            continue
        (address, rules), text = found, tables.account(rule)
        if "--rcheck" in rule.words:
            draft.affinity = int(seconds) if (seconds := rule.get("--seconds")).isdecimal() else None
            spread.add(address, 0.0, [text])
            continue
        share = _float(rule.get("--probability"), 1.0) * left
        left -= share
        spread.add(address, share, [text, *rules])
    return spread


def _endpoint(tables: _Tables, chain: str) -> tuple[tuple[str, int], list[str]] | None:
    """Return where a chain KUBE-SEP-… leads, and its rules; None where it leads nowhere."""
    if not chain.startswith("KUBE-SEP-"):
        return None
    rules = tables.of("nat", chain)
    match = next((m for rule in rules if (m := _DESTINATION.fullmatch(rule.get("--to-destination")))), None)
    if match is None:
        return None
    ours = [rule for rule in rules if rule.target in {"KUBE-MARK-MASQ", "DNAT"}]
    return (match["ip"], int(match["port"])), [tables.account(rule) for rule in ours]


def _read_refusals(tables: _Tables, drafts: dict[str, Draft]) -> None:
    for rule in tables.of("filter", "KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS"):
        match = _REFUSED.fullmatch(rule.get("--comment"))
        if rule.chain == "KUBE-NODEPORTS" and rule.get("--comment").endswith("health check node port"):
            tables.account(rule)
        if match is None or rule.target not in {"REJECT", "DROP"} or rule.port is None:
            continue
        draft = drafts.setdefault(match["name"], Draft(match["name"]))
        draft.protocol = rule.get("-p")
        address = rule.get("-d").partition("/")[0]
        how: How = "reject" if rule.target == "REJECT" else "drop"
        text = tables.account(rule)
        if rule.chain == "KUBE-SERVICES":
            draft.cluster_ip, draft.port = address, rule.port
            draft.refuse(Refusal("cluster IP", how, text))
        elif address:
            draft.port = rule.port
            draft.external_ips.append(address)
            draft.refuse(Refusal("external IP", how, text))
        else:
            draft.node_port = rule.port
            draft.refuse(Refusal("node port", how, text))


def _float(text: str, otherwise: float) -> float:
    try:
        return float(text) if text else otherwise
    except ValueError:
        return otherwise
