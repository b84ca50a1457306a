"""The rules on a node against what the API says: pure, from objects as the API server gives them.

What kube-proxy makes of Services and EndpointSlices: pkg/proxy/servicechangetracker.go and pkg/proxy/topology.go;
endpoints that are ready, or where none is, those that still serve while they end (KEP-1669); with policy Local those of
the node alone; where there are none, ipvs leads to all of them (pkg/proxy/ipvs/proxier.go, syncEndpoint).
Hints of topology-aware routing are not read: a lab has no zones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from labkit.language import gettext, gettext_noop
from labkit.proxy.model import Address, NodeRules, Policy, ServicePort
from labkit.proxy.table import Table


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """Something on which a node and the API do not agree.

    Attributes
    ----------
    port : str
        The Service's port as kube-proxy names it.
    what : str
        ``"endpoint 192.168.1.2:80"``.
    rules : tuple of str
        The rules that say what the API does not; empty for what is missing.
    """

    port: str
    what: str
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeCheck:
    """A node's rules against the API.

    Attributes
    ----------
    node, mode : str
        Whose rules, and of which mode.
    agreeing : tuple of str
        The ports on which both agree.
    missing : tuple of Difference
        What the API says and the kernel lacks.
    stale : tuple of Difference
        What the kernel has and the API does not say.
    foreign : tuple of str
        Rules of other tools: no difference.
    """

    node: str
    mode: str
    agreeing: tuple[str, ...]
    missing: tuple[Difference, ...]
    stale: tuple[Difference, ...]
    foreign: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether there is no difference."""
        return not self.missing and not self.stale


@dataclass(frozen=True, slots=True)
class _Expected:
    """A port as the API wants it on one node."""

    name: str
    key: tuple[str, str, int]
    node_port: int | None
    affinity: int | None
    inside: frozenset[Address]
    outside: frozenset[Address]


def compare(rules: NodeRules, services: Iterable[dict[str, Any]], slices: Iterable[dict[str, Any]]) -> NodeCheck:
    """Compare.

    Parameters
    ----------
    rules : NodeRules
        A node's.
    services, slices : iterable of dict
        All Services of v1 and EndpointSlices of discovery.k8s.io/v1.
    """
    by_service: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in slices:
        labels = each["metadata"].get("labels") or {}
        by_service[f"{each['metadata']['namespace']}/{labels.get('kubernetes.io/service-name')}"].append(each)
    expected = {port.key: port for service in services for port in _ports(service, by_service[_name(service)], rules)}
    found = {(port.cluster_ip, port.protocol, port.port): port for port in rules.ports}
    missing = [Difference(expected[key].name, "all of it") for key in expected.keys() - found.keys()]
    stale = [Difference(found[key].name, "all of it", found[key].rules) for key in found.keys() - expected.keys()]
    agreeing = []
    for key in expected.keys() & found.keys():
        lacks, has = _differences(expected[key], found[key])
        missing += lacks
        stale += has
        if not lacks and not has:
            agreeing.append(found[key].name)
    return NodeCheck(
        rules.node,
        rules.mode,
        tuple(sorted(agreeing)),
        tuple(sorted(missing)),
        tuple(sorted(stale)),
        rules.foreign,
    )


def _name(service: dict[str, Any]) -> str:
    return f"{service['metadata']['namespace']}/{service['metadata']['name']}"


def _ports(service: dict[str, Any], slices: list[dict[str, Any]], rules: NodeRules) -> list[_Expected]:
    """Return what a Service wants of a node in its mode: nothing where it is headless, an ExternalName, or IPv6."""
    spec = service["spec"]
    address = _cluster_ip(spec)
    if spec.get("type") == "ExternalName" or not address:
        return []
    affinity = None
    if spec.get("sessionAffinity") == "ClientIP":
        affinity = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"]
    found = []
    for port in spec["ports"]:
        ready, ending = _endpoints(slices, port.get("name", ""))
        name = f"{_name(service)}:{port['name']}" if port.get("name") else _name(service)
        load_balancer = (service.get("status") or {}).get("loadBalancer")
        has_outside = bool(port.get("nodePort") or spec.get("externalIPs") or load_balancer)
        internal: Policy = spec.get("internalTrafficPolicy", "Cluster")
        # What proxy.CategorizeEndpoints gives as cluster endpoints: none to a Service that has no use for them.
        falls_back = rules.mode == "ipvs" and (internal == "Cluster" or has_outside)
        inside = _reached(ready, ending, internal, rules.node, falls_back=falls_back)
        external: Policy = spec.get("externalTrafficPolicy", "Cluster")
        outside = _reached(ready, ending, external, rules.node, falls_back=falls_back) if has_outside else frozenset()
        key = (address, port.get("protocol", "TCP").lower(), port["port"])
        found.append(_Expected(name, key, port.get("nodePort"), affinity, inside, outside))
    return found


def _cluster_ip(spec: dict[str, Any]) -> str:
    """Return the IPv4 cluster IP, of a dual-stack Service the one of its two; empty where there is none."""
    addresses = [spec.get("clusterIP") or "", *(spec.get("clusterIPs") or ())]
    return next((address for address in addresses if "." in address), "")


def _endpoints(slices: list[dict[str, Any]], port_name: str) -> tuple[dict[Address, str], dict[Address, str]]:
    """Return the endpoints of a port that are ready, and those that still serve while they end, with their nodes."""
    ready: dict[Address, str] = {}
    ending: dict[Address, str] = {}
    for each in slices:
        if each.get("addressType") != "IPv4":
            continue
        numbers = [port["port"] for port in each.get("ports") or [] if (port.get("name") or "") == port_name]
        for endpoint in each.get("endpoints") or []:
            conditions = endpoint.get("conditions") or {}
            kept = ready if conditions.get("ready", True) else ending if conditions.get("serving") else {}
            kept |= {(endpoint["addresses"][0], number): endpoint.get("nodeName", "") for number in numbers}
    return ready, ending


def _reached(
    ready: dict[Address, str], ending: dict[Address, str], policy: Policy, node: str, *, falls_back: bool
) -> frozenset[Address]:
    """Return the endpoints that a policy leads to: ready ones, or where there are none, those that end."""
    for endpoints in (ready, ending):
        reached = frozenset(address for address, where in endpoints.items() if policy == "Cluster" or where == node)
        if reached:
            return reached
    return _reached(ready, ending, "Cluster", node, falls_back=False) if falls_back else frozenset()


def _differences(expected: _Expected, found: ServicePort) -> tuple[list[Difference], list[Difference]]:
    missing, stale = [], []
    inside = {(each.ip, each.port): each.rules for each in found.endpoints if each.probability > 0}
    outside = {(each.ip, each.port): each.rules for each in found.endpoints if each.from_outside}
    for kind, wanted, present in (
        ("endpoint", expected.inside, inside),
        ("endpoint from outside", expected.outside, outside),
    ):
        missing += [Difference(found.name, f"{kind} {ip}:{port}") for ip, port in wanted - present.keys()]
        stale += [
            Difference(found.name, f"{kind} {ip}:{port}", present[ip, port]) for ip, port in present.keys() - wanted
        ]
    if expected.node_port != found.node_port:
        missing += [Difference(found.name, f"node port {expected.node_port}")] if expected.node_port else []
        stale += [Difference(found.name, f"node port {found.node_port}", found.rules)] if found.node_port else []
    if expected.inside and expected.affinity != found.affinity:
        missing += [Difference(found.name, f"affinity of {expected.affinity} s")] if expected.affinity else []
        stale += [Difference(found.name, f"affinity of {found.affinity} s", found.rules)] if found.affinity else []
    refused = [each for each in found.refusals if each.to == "cluster IP"]
    if not expected.inside and not refused:
        missing.append(Difference(found.name, "refusal of connections"))
    if expected.inside:
        stale += [Difference(found.name, "refusal of connections", (each.rule,)) for each in refused]
    return missing, stale


@dataclass(frozen=True, slots=True, repr=False)
class Check(Table):
    """All nodes against the API.

    Attributes
    ----------
    nodes : tuple of NodeCheck
        The control plane's first.
    """

    nodes: tuple[NodeCheck, ...]

    TITLES: ClassVar[Sequence[str]] = (
        gettext_noop("node"),
        gettext_noop("mode"),
        gettext_noop("agree"),
        gettext_noop("missing"),
        gettext_noop("stale"),
        gettext_noop("of other tools"),
    )

    @property
    def agrees(self) -> bool:
        """Whether there is no difference on any node."""
        return all(node.agrees for node in self.nodes)

    def caption(self) -> str:
        """Return what the table is, in a line."""
        return (
            gettext("The rules are what the API says")
            if self.agrees
            else gettext("The rules are not what the API says")
        )

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per node."""
        return [
            (
                node.node,
                node.mode,
                str(len(node.agreeing)),
                "; ".join(f"{each.port}: {each.what}" for each in node.missing),
                "; ".join(f"{each.port}: {each.what}" for each in node.stale),
                str(len(node.foreign)),
            )
            for node in self.nodes
        ]
