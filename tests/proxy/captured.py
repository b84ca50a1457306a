"""What a real lab's tools and API printed: three web pods, one on node-01, and a Service of each kind over them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from labkit.proxy import iptables, nftables
from labkit.proxy.model import NodeRules, ServicePort
from labkit.proxy.rules import Tables

DATA = Path(__file__).with_name("data")
NODES = ("master", "node-01")
MODES = ("iptables", "nftables")


def text(node: str, mode: str) -> str:
    return (DATA / f"{node}.{'iptables' if mode == 'iptables' else 'nft.json'}").read_text()


def ipvs_tables(node: str) -> Tables:
    """Return what `tests.vm.services` found on a node, with the same Services."""
    return Tables(**json.loads((DATA / f"{node}.ipvs.json").read_text()))


def rules(node: str, mode: str) -> NodeRules:
    if mode == "ipvs":
        return ipvs_tables(node).parse("ipvs")
    parse = iptables.parse if mode == "iptables" else nftables.parse
    return parse(text(node, mode), node)


def api(name: str) -> list[dict[str, Any]]:
    """Return ``services`` or ``endpointslices``."""
    found: list[dict[str, Any]] = json.loads((DATA / f"{name}.json").read_text())
    return found


def meaning(port: ServicePort) -> ServicePort:
    """Return a port without its rules, and with shares as exact as iptables has them: in 2^-31."""
    endpoints = tuple(
        dataclasses.replace(
            each,
            rules=(),
            probability=round(each.probability, 8),
            from_outside=None if each.from_outside is None else round(each.from_outside, 8),
        )
        for each in port.endpoints
    )
    refusals = tuple(dataclasses.replace(each, rule="") for each in port.refusals)
    return dataclasses.replace(port, endpoints=endpoints, refusals=refusals, rules=())
