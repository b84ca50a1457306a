"""What was seen of kube-proxy comes back from plain JSON as it was."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from labkit.evidence.model import ProxyKind, ProxyRecord
from labkit.proxy.packet import Address, PacketPath, Request
from labkit.proxy.rules import Tables
from labkit.proxy.seen import Seen
from labkit.proxy.switch import Step
from tests.proxy import captured
from tests.proxy.test_nft_trace import read

NOW = datetime(2026, 11, 24, 20, 0, tzinfo=UTC)


def record(kind: ProxyKind, body: dict[str, Any], seconds: float = 0) -> ProxyRecord:
    return ProxyRecord(kind, NOW + timedelta(seconds=seconds), json.loads(json.dumps(body)))


def tables(node: str, mode: str) -> Tables:
    text = captured.text(node, mode)
    return Tables(node, text, "") if mode == "iptables" else Tables(node, "", text)


def seen_tables(node: str, mode: str, seconds: float = 0) -> ProxyRecord:
    return record("rules", {"mode": mode, "tables": dataclasses.asdict(tables(node, mode))}, seconds)


def packet(name: str) -> PacketPath:
    steps = read(name)
    first, last = steps[0].packet, [step.translated_to for step in steps if step.translated_to]
    request = Request("node node-01", "default/web", first.source, first.destination)
    return PacketPath("node-01", "iptables", request, steps, "delivered", last[0] if last else None, "pod/x", 200, "")


def test_tables_come_back_and_say_what_they_said() -> None:
    seen = Seen([seen_tables(node, mode) for node in captured.NODES for mode in captured.MODES])
    assert len(seen.rules) == 4
    for (mode, node), sight in seen.rules.items():
        assert sight.tables == tables(node, mode)
        assert sight.parse() == captured.rules(node, mode)


def test_the_last_tables_count_and_are_last() -> None:
    old, other, new = (seen_tables("master", mode, at) for at, mode in enumerate(("iptables", "nftables", "iptables")))
    seen = Seen([old, other, new])
    assert list(seen.rules) == [("nftables", "master"), ("iptables", "master")]
    assert seen.rules["iptables", "master"].time == new.time


@pytest.mark.parametrize("name", ["iptables-node", "iptables-nodeport", "iptables-rejected", "nftables-pod"])
def test_a_packets_path_comes_back(name: str) -> None:
    path = packet(name)
    assert Seen([record("packet", dataclasses.asdict(path))]).packets == (path,)
    assert isinstance(path.steps[0].packet.source, Address)


def test_a_switch_comes_back_with_its_steps_or_its_error() -> None:
    step = Step("read their logs", "master: Using nftables Proxier", 0.25)
    body = {"before": "iptables", "after": "nftables", "steps": [dataclasses.asdict(step)], "error": "gone\nWhy: it is"}
    (switch,) = Seen([record("switch", body, 3)]).switches
    assert switch.time == NOW + timedelta(seconds=3)
    assert (switch.before, switch.after, switch.steps, switch.error) == (
        "iptables",
        "nftables",
        (step,),
        "gone\nWhy: it is",
    )
