"""What kube-proxy's ipvs mode wrote, read back from ipvsadm(8), ipset(8) and iptables-save(8).

From Kubernetes 1.34, pkg/proxy/ipvs/proxier.go: each cluster IP, external IP and (for node ports) address of the node
is a virtual server of the kernel's load balancer, and each endpoint one of its real servers. A few rules of iptables
say by sets of ipset whose connections are masqueraded. No table has the name of a Service: names come from the API.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from labkit.proxy import iptables
from labkit.proxy.iptables import Rule
from labkit.proxy.model import Address, Draft, NodeRules, Refusal, Spread

#: The device that has the address of every Service, so that the kernel takes packets for it as its own.
DEVICE = "kube-ipvs0"
_PROTOCOLS = {"-t": "tcp", "-u": "udp", "--sctp-service": "sctp"}
_LOCAL_SETS = re.compile(r"KUBE-(NODE-PORT-LOCAL-(TCP|UDP|SCTP-HASH)|EXTERNAL-IP-LOCAL|LOAD-BALANCER-LOCAL)")
_CLUSTER_IPS = "KUBE-CLUSTER-IP"
_ON_THIS_NODE = "KUBE-LOOP-BACK"
_ENTRY = re.compile(r"add (?P<set>KUBE-\S+) (?:(?P<ip>[0-9.]+),(?P<protocol>\w+):)?(?P<port>\d+)(?:[, ]|$)")


@dataclass(frozen=True, slots=True)
class _VirtualServer:
    """A line ``-A`` of ``ipvsadm --save``, with its lines ``-a``: the real servers, their weights and lines."""

    protocol: str
    address: Address
    scheduler: str
    persistence: int | None
    text: str
    real: list[tuple[Address, int, str]] = field(default_factory=list)

    def spread(self) -> Spread:
        """Return who gets how many of the connections.

        ``rr`` asks all in turn who have a weight at all, and ``wrr`` as often as their weight says; what other
        schedulers do comes to the same where all are equally busy (ipvsadm(8), "--scheduler").
        """
        weights = {address: weight for address, weight, _ in self.real}
        if self.scheduler == "rr":
            weights = {address: min(weight, 1) for address, weight in weights.items()}
        total, spread = sum(weights.values()), Spread()
        for address, _, text in self.real:
            spread.add(address, weights[address] / total if total else 0.0, [text])
        return spread


@dataclass(frozen=True, slots=True)
class _Sets:
    """The entries of kube-proxy's sets, by what a packet is for: set → line; and the rules that ask each set."""

    entries: dict[tuple[str, Address], dict[str, str]]
    rules: dict[str, list[Rule]]

    def of(self, protocol: str, address: Address) -> dict[str, str]:
        """Return the sets in which a packet is found, each with the line; a set of ports has no address."""
        return {**self.entries.get((protocol, address), {}), **self.entries.get((protocol, ("", address[1])), {})}


def names(services: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what it takes to name the virtual servers of Services, one for each port, as plain objects for JSON.

    Parameters
    ----------
    services : iterable of dict
        Services of v1.
    """
    found = []
    for service in services:
        meta, spec = service["metadata"], service["spec"]
        ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
        found += [
            {
                "name": f"{meta['namespace']}/{meta['name']}" + (f":{port['name']}" if port.get("name") else ""),
                "protocol": port.get("protocol", "TCP").lower(),
                "cluster_ip": spec["clusterIP"],
                "port": port["port"],
                "node_port": port.get("nodePort"),
                "external_ips": [*spec.get("externalIPs", []), *(each["ip"] for each in ingress if "ip" in each)],
            }
            for port in spec.get("ports") or []
            if spec.get("clusterIP") not in {None, "", "None"}
        ]
    return found


def parse(text: str, ipsets: str, saved: str, services: str, node: str = "") -> NodeRules:
    """Read the outputs.

    Parameters
    ----------
    text : str
        Of ``ipvsadm --save --numeric``; its servers of IPv6 are passed over.
    ipsets, saved : str
        Of ``ipset save`` and ``iptables-save``.
    services : str
        `names` as JSON. A virtual server that is no Service's is named by its address: ``10.96.0.9:80/tcp``, or by the
        port of the node: ``node port 30080/tcp``.
    node : str
        Whose.
    """
    sets = _read_sets(ipsets, saved)
    known = _by_address(json.loads(services) if services else [])
    drafts: dict[str, Draft] = {}
    foreign: list[str] = []
    for server in _read(text):
        to = _to(server, known, sets)
        if to is None:
            foreign += [server.text, *(line for *_, line in server.real)]
            continue
        draft = drafts.setdefault(to["name"], Draft(to["name"], server.protocol, to["cluster_ip"], to["port"]))
        draft.rules.append(server.text)
        draft.affinity = server.persistence
        if server.address == (to["cluster_ip"], to["port"]):
            _read_inside(draft, server, sets)
        else:
            _read_outside(draft, server, sets, by_node_port=server.address[0] not in to["external_ips"])
    for draft in drafts.values():
        _read_local(draft, sets)
    foreign += [rule.text for rule in iptables.read(saved) if not _is_kube(rule)]
    return NodeRules(node, "ipvs", tuple(drafts[name].finish() for name in sorted(drafts)), tuple(foreign))


def _is_kube(rule: Rule) -> bool:
    return rule.chain.startswith("KUBE-") or rule.target.startswith("KUBE-")


def _read(text: str) -> list[_VirtualServer]:
    found: dict[tuple[str, Address], _VirtualServer] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) < 3 or words[1] not in _PROTOCOLS or (address := _address(words[2])) is None:
            continue
        options = dict(itertools.pairwise(words))
        key = (_PROTOCOLS[words[1]], address)
        if words[0] == "-A":
            persistence = options.get("-p", "")
            seconds = int(persistence) if persistence.isdecimal() else None
            found[key] = _VirtualServer(*key, options.get("-s", ""), seconds, line.strip())
        elif words[0] == "-a" and key in found and (real := _address(options.get("-r", ""))):
            weight = options.get("-w", "")
            found[key].real.append((real, int(weight) if weight.isdecimal() else 0, line.strip()))
    return list(found.values())


def _address(text: str) -> Address | None:
    host, _, port = text.rpartition(":")
    return (host, int(port)) if host and not host.startswith("[") and port.isdecimal() else None


def _read_sets(ipsets: str, saved: str) -> _Sets:
    """Read lines such as ``add KUBE-CLUSTER-IP 10.96.0.1,tcp:443``; a bitmap's entry is a port alone."""
    sets = _Sets({}, {})
    for line in ipsets.splitlines():
        match = _ENTRY.match(line)
        if match:
            protocol = match["protocol"] or ("udp" if match["set"].endswith("-UDP") else "tcp")
            key = (protocol, (match["ip"] or "", int(match["port"])))
            sets.entries.setdefault(key, {})[match["set"]] = line.strip()
    for rule in iptables.read(saved):
        if rule.table == "nat" and (name := rule.get("--match-set")):
            sets.rules.setdefault(name, []).append(rule)
    return sets


def _by_address(known: Iterable[dict[str, Any]]) -> dict[tuple[str, Address], dict[str, Any]]:
    """Return the ports of Services by protocol and address; that of a node port is empty."""
    found = {}
    for each in known:
        addresses = [(ip, each["port"]) for ip in (each["cluster_ip"], *each["external_ips"])]
        for address in [*addresses, ("", each["node_port"])]:
            found[each["protocol"], address] = each
    return found


def _to(
    server: _VirtualServer, known: Mapping[tuple[str, Address], dict[str, Any]], sets: _Sets
) -> dict[str, Any] | None:
    """Return the Service's port that a virtual server is for, as `names` has it; None where it is not kube-proxy's."""
    (address, port), protocol = server.address, server.protocol
    if found := known.get((protocol, server.address)):
        return found
    asked = sets.of(protocol, server.address)
    if any(name.startswith("KUBE-NODE-PORT-") for name in asked):
        unknown = {"name": f"node port {port}/{protocol}", "cluster_ip": "", "port": port, "external_ips": []}
        return known.get((protocol, ("", port)), unknown)
    if asked:
        return {"name": f"{address}:{port}/{protocol}", "cluster_ip": address, "port": port, "external_ips": []}
    return None


def _read_inside(draft: Draft, server: _VirtualServer, sets: _Sets) -> None:
    """Read the virtual server of a cluster IP."""
    draft.inside = server.spread()
    if not any(draft.inside.probability.values()):
        draft.refuse(Refusal("cluster IP", "reject", server.text))
    entry = sets.of(draft.protocol, server.address).get(_CLUSTER_IPS)
    if entry is None:
        return
    draft.rules.append(entry)
    for rule in sets.rules.get(_CLUSTER_IPS, []):
        if rule.target == "KUBE-MARK-MASQ":
            draft.rules.append(rule.text)
            source = rule.get("-s")
            by_source = "from its own address" if "src,dst" in rule.words else "all"
            draft.masquerade.append(f"not from {source}" if source and rule.negated("-s") else by_source)


def _read_local(draft: Draft, sets: _Sets) -> None:
    """Read which endpoints are on this node: they would answer themselves, and their set has that masqueraded."""
    draft.local = set()
    for spread in (draft.inside, draft.outside or Spread()):
        for address in spread.probability:
            if entry := sets.of(draft.protocol, address).get(_ON_THIS_NODE):
                draft.local.add(address)
                spread.add(address, 0.0, [entry])


def _read_outside(draft: Draft, server: _VirtualServer, sets: _Sets, *, by_node_port: bool) -> None:
    """Read the virtual server of an address from outside; a node port has one for each address of the node."""
    address, port = server.address
    spread = server.spread()
    if draft.outside is None:
        draft.outside, draft.external_policy = spread, "Cluster"
    else:
        for each, rules in spread.rules.items():
            draft.outside.add(each, 0.0, rules)
    if not any(spread.probability.values()):
        to: Literal["node port", "external IP"] = "node port" if by_node_port else "external IP"
        if to not in {each.to for each in draft.refusals}:
            draft.refuse(Refusal(to, "reject", server.text))
    if by_node_port:
        draft.node_port = port
    elif address not in draft.external_ips:
        draft.external_ips.append(address)
    asked = sets.of(draft.protocol, server.address)
    local = any(map(_LOCAL_SETS.fullmatch, asked))
    draft.rules += asked.values()
    if local:
        draft.external_policy = "Local"
    for rule in (rule for name in asked for rule in sets.rules.get(name, [])):
        if rule.target in {"RETURN", "KUBE-MARK-MASQ", "KUBE-LOAD-BALANCER"}:
            draft.rules.append(rule.text)
            if rule.target != "RETURN" and not local:
                draft.masquerade.append("from outside")
