"""What kube-proxy's nftables mode wrote, read back from ``nft -j list table ip kube-proxy``.

The maps and chains are those of Kubernetes 1.34, pkg/proxy/nftables/proxier.go and KEP-3866: map service-ips leads by
address, protocol and port to a chain service-… (all endpoints) or local-… (those of this node), map service-nodeports
by protocol and port to external-…, and these to endpoint-…, one per endpoint. The chains' names name the Service.
The table is kube-proxy's own, so that other tools' rules are in other tables; a rule in it that kube-proxy does not
write counts as foreign nevertheless.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from labkit.errors import EvidenceError
from labkit.language import gettext
from labkit.proxy import nft_text
from labkit.proxy.model import Address, Draft, How, NodeRules, Refusal, Spread

#: A chain of one port of a Service: hash, namespace, Service, protocol, the port's name, and an endpoint's address.
_CHAIN = re.compile(
    r"(?P<kind>service|local|external|endpoint)-[0-9A-Z]{8}-(?P<service>[^/]+/[^/]+)/(?P<protocol>[a-z]+)/(?P<port>[^/_]*)"
    r"(__.*)?"
)
#: Chains of the same few rules whatever Services there are.
_FIXED = re.compile(
    r"filter-.*|nat-.*|services|masquerading|mark-for-masquerade|reject-chain|firewall-.*|cluster-ips-check"
    r"|(nodeport|service)-endpoints-check"
)
_MASQUERADE = "mark-for-masquerade"


@dataclass
class _Table:
    """The table by name of chain, map and set, and which rules are accounted for."""

    chains: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    maps: dict[str, list[tuple[Any, Any]]] = field(default_factory=dict)
    timeouts: dict[str, int] = field(default_factory=dict)
    cluster_ips: list[str] = field(default_factory=list)
    known: set[int] = field(default_factory=set)

    def account(self, rule: dict[str, Any]) -> str:
        self.known.add(id(rule))
        return nft_text.rule(rule)


def parse(text: str, node: str = "") -> NodeRules:
    """Read the output of ``nft -j list table ip kube-proxy``.

    Parameters
    ----------
    text : str
        The output.
    node : str
        Whose.

    Raises
    ------
    EvidenceError
        It is not what nft prints.
    """
    try:
        table = _read(json.loads(text))
        drafts: dict[str, Draft] = {}
        _read_addresses(table, drafts)
        _read_node_ports(table, drafts)
        _read_refusals(table, drafts)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise EvidenceError(
            gettext("The nftables rules{of_node} cannot be read").format(of_node=f" of {node}" if node else ""),
            why=f"{type(error).__name__}: {error}",
            fix=gettext("look at them: nft list table ip kube-proxy"),
        ) from error
    foreign = [
        nft_text.rule(rule)
        for chain, rules in table.chains.items()
        for rule in rules
        if id(rule) not in table.known and not _FIXED.fullmatch(chain)
    ]
    return NodeRules(node, "nftables", tuple(drafts[name].finish() for name in sorted(drafts)), tuple(foreign))


def _read(document: Any) -> _Table:
    table = _Table()
    for entry in document["nftables"]:
        if rule := entry.get("rule"):
            table.chains[rule["chain"]].append(rule)
        elif mapping := entry.get("map"):
            table.maps[mapping["name"]] = [(key, verdict) for key, verdict in mapping.get("elem", [])]
        elif (known := entry.get("set")) and "timeout" in known:
            table.timeouts[known["name"]] = int(known["timeout"])
        elif known and known["name"] == "cluster-ips":
            table.cluster_ips = known.get("elem", [])
    return table


def _read_addresses(table: _Table, drafts: dict[str, Draft]) -> None:
    for key, verdict in table.maps.get("service-ips", []):
        (address, protocol, port), target = _concat(key), _target(verdict)
        draft = _draft(drafts, target)
        if draft is None:
            continue
        draft.protocol, draft.port = protocol, int(port)
        draft.rules.append(nft_text.element("service-ips", key, verdict))
        if target.startswith("external-"):  # an external IP or a load balancer's: what comes by it is from outside
            draft.external_ips.append(address)
            _read_external(table, draft, target)
            continue
        draft.cluster_ip = address
        draft.internal_policy = "Local" if target.startswith("local-") else "Cluster"
        draft.inside = _spread(table, draft, target)
        if draft.internal_policy == "Local":
            draft.local = set(draft.inside.probability)


def _read_node_ports(table: _Table, drafts: dict[str, Draft]) -> None:
    for key, verdict in table.maps.get("service-nodeports", []):
        (protocol, port), target = _concat(key), _target(verdict)
        draft = _draft(drafts, target)
        if draft is not None:
            draft.protocol, draft.node_port = protocol, int(port)
            draft.rules.append(nft_text.element("service-nodeports", key, verdict))
            _read_external(table, draft, target)


def _read_external(table: _Table, draft: Draft, chain: str) -> None:
    """Read a chain external-…: what comes from outside the cluster."""
    draft.external_policy, draft.outside = "Cluster", Spread()
    for rule in table.chains.get(chain, []):
        target, comment = _rule_target(rule), rule.get("comment", "")
        if target != _MASQUERADE and not _CHAIN.fullmatch(target):
            continue
        draft.rules.append(table.account(rule))
        if comment == "short-circuit local traffic":
            draft.external_policy = "Local"
        elif comment == "masquerade local traffic":
            draft.masquerade.append("from outside, sent by the node itself")
        elif target == _MASQUERADE:
            draft.masquerade.append("from outside")
        elif not comment:
            draft.outside = _spread(table, draft, target)
            if target.startswith("local-"):
                draft.local = set(draft.outside.probability)
        if _CHAIN.fullmatch(target):
            _spread(table, draft, target)  # what only a detour leads to is accounted for, too


def _spread(table: _Table, draft: Draft, chain: str) -> Spread:
    """Read a chain that chooses an endpoint: one random number, one verdict for each of its values."""
    spread = Spread()
    for rule in table.chains.get(chain, []):
        if _rule_target(rule) == _MASQUERADE:
            sources = [m["right"] for m in _matches(rule, "saddr") if m["op"] == "!="]
            draft.masquerade += [f"not from {_prefix(source)}" for source in sources] or ["all"]
            draft.rules.append(table.account(rule))
        elif (found := _endpoint(table, _rule_target(rule))) is not None:
            _read_affinity(table, draft, rule)
            spread.add(found[0], 0.0, [table.account(rule)])
        else:
            for target, share in _shares(rule):
                if (found := _endpoint(table, target)) is not None:
                    spread.add(found[0], share, [table.account(rule), *found[1]])
    return spread


def _shares(rule: dict[str, Any]) -> list[tuple[str, float]]:
    """Return the chains that a ``numgen random mod N vmap`` chooses from, and how often it chooses each."""
    shares = []
    for statement in rule["expr"]:
        vmap = statement.get("vmap", {})
        mod = vmap.get("key", {}).get("numgen", {}).get("mod", 0) if isinstance(vmap, dict) else 0
        if mod:
            shares += [(_target(verdict), 1 / mod) for _, verdict in vmap["data"]["set"]]
    return shares


def _read_affinity(table: _Table, draft: Draft, rule: dict[str, Any]) -> None:
    for match in _matches(rule, "saddr"):
        if isinstance(match["right"], str) and match["right"].startswith("@affinity-"):
            draft.affinity = table.timeouts.get(match["right"][1:])


def _endpoint(table: _Table, chain: str) -> tuple[Address, list[str]] | None:
    """Return where a chain endpoint-… leads, and its rules; None where it leads nowhere."""
    if not chain.startswith("endpoint-"):
        return None
    rules = table.chains.get(chain, [])
    found = [statement["dnat"] for rule in rules for statement in rule["expr"] if "dnat" in statement]
    if not found:
        return None
    return (str(found[0]["addr"]), int(found[0]["port"])), [table.account(rule) for rule in rules if _is_ours(rule)]


def _is_ours(rule: dict[str, Any]) -> bool:
    """Whether a rule of a chain endpoint-… is one that kube-proxy writes: masquerade, remember the client, or DNAT."""
    return _rule_target(rule) == _MASQUERADE or any(name in step for step in rule["expr"] for name in ("dnat", "set"))


def _read_refusals(table: _Table, drafts: dict[str, Draft]) -> None:
    for name in ("no-endpoint-services", "no-endpoint-nodeports"):
        for key, verdict in table.maps.get(name, []):
            comment, parts = key["elem"]["comment"], _concat(key["elem"]["val"])
            draft = drafts.setdefault(comment, Draft(comment))
            how: How = "drop" if "drop" in verdict else "reject"
            text = nft_text.element(name, key, verdict)
            if name == "no-endpoint-nodeports":
                draft.protocol, draft.node_port = parts[0], int(parts[1])
                draft.refuse(Refusal("node port", how, text))
            elif parts[0] in table.cluster_ips:
                draft.cluster_ip, draft.protocol, draft.port = parts[0], parts[1], int(parts[2])
                draft.refuse(Refusal("cluster IP", how, text))
            else:
                draft.external_ips.append(parts[0])
                draft.refuse(Refusal("external IP", how, text))


def _draft(drafts: dict[str, Draft], chain: str) -> Draft | None:
    match = _CHAIN.fullmatch(chain)
    if match is None:
        return None
    name = f"{match['service']}:{match['port']}" if match["port"] else match["service"]
    return drafts.setdefault(name, Draft(name))


def _concat(key: Any) -> list[str]:
    return [str(part) for part in key["concat"]]


def _target(verdict: Any) -> str:
    """Return the chain that a verdict leads to, empty where it leads to none."""
    for name in ("goto", "jump"):
        if name in verdict:
            return str(verdict[name]["target"])
    return ""


def _rule_target(rule: dict[str, Any]) -> str:
    return next((target for statement in rule["expr"] if (target := _target(statement))), "")


def _matches(rule: dict[str, Any], payload: str) -> list[dict[str, Any]]:
    found = [statement["match"] for statement in rule["expr"] if "match" in statement]
    return [match for match in found if match["left"].get("payload", {}).get("field") == payload]


def _prefix(value: Any) -> str:
    return f"{value['prefix']['addr']}/{value['prefix']['len']}" if isinstance(value, dict) else str(value)
