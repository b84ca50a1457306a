"""What a node's kernel told while a Service was exposed, its deployment scaled, and the Service deleted; two modes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from labkit.errors import EvidenceError
from labkit.proxy.rule_changes import Difference, ServiceRules, differences, listed, parse
from tests.proxy.captured import DATA, MODES

TO_ENDPOINT = "dnat to "


def _text(mode: str) -> str:
    return (DATA / f"monitor-{mode}.txt").read_text()


def _before(mode: str) -> dict[tuple[str, str, int], str]:
    return listed((DATA / f"monitor-{mode}-before.txt").read_text())


def _service(mode: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / f"monitor-{mode}-service.json").read_text())
    return found


def _differences(mode: str, name: str = "default/web") -> tuple[Difference, ...]:
    versions = [_service(mode)] if name == "default/web" else []
    return differences(parse(_text(mode), _before(mode)), ServiceRules(name, versions), {})


@pytest.mark.parametrize("mode", MODES)
def test_a_service_comes_changes_and_goes(mode: str) -> None:
    found = _differences(mode)
    led: list[int] = []
    endpoints: frozenset[str] = frozenset()
    for difference in found:
        endpoints = difference.endpoints(endpoints)
        led.append(len(endpoints))
    assert [count for index, count in enumerate(led) if index == 0 or count != led[index - 1]] == [0, 2, 3, 0]
    assert not found[0].of_endpoints
    assert any("reject" in rule for rule in found[0].came), "it is refused as long as kube-proxy knows no endpoint"
    assert [each.at for each in found] == sorted(each.at for each in found)


@pytest.mark.parametrize("mode", MODES)
def test_what_came_is_what_went_in_the_end(mode: str) -> None:
    balance: dict[str, int] = {}
    for difference in _differences(mode):
        for rules, sign in ((difference.came, 1), (difference.went, -1)):
            for rule in rules:
                balance[rule] = balance.get(rule, 0) + sign
    assert balance
    assert {rule: count for rule, count in balance.items() if count} == {}


def test_iptables_mode_writes_rules_of_others_anew_and_nftables_mode_does_not() -> None:
    least = {mode: min(each.rewritten for each in _differences(mode)) for mode in MODES}
    assert least["iptables"] > 0
    assert least["nftables"] == 0


@pytest.mark.parametrize("mode", MODES)
def test_another_service_did_not_change(mode: str) -> None:
    assert _differences(mode, "default/we") == ()
    assert _differences(mode, "kube-system/kube-dns") == ()


def test_texts_of_another_tool_are_shown_in_place_of_nfts() -> None:
    commits = parse(_text("iptables"), _before("iptables"))
    plain = differences(commits, ServiceRules("default/web", [_service("iptables")]), {})
    rule = next(rule for each in plain for rule in each.came if TO_ENDPOINT in rule)
    shown = differences(commits, ServiceRules("default/web", [_service("iptables")]), {rule: "as iptables has it"})
    assert any("as iptables has it" in each.came for each in shown)
    assert not any(rule in each.came for each in shown)


def test_who_did_it() -> None:
    assert {commit.program for commit in parse(_text("nftables"), {})} == {"nft"}
    assert "iptables-restor" in {commit.program for commit in parse(_text("iptables"), {})}


def test_changes_that_were_lost_are_said() -> None:
    with pytest.raises(EvidenceError, match="were lost"):
        parse(f"{_text('nftables')}1.5 # ERROR: We lost some netlink events!\n", {})


@pytest.mark.parametrize("text", ["", "listening\n", "1.0 \n", "no time\n2.0 add rule\n", "3.0 # new generation x"])
def test_what_tells_of_no_transaction(text: str) -> None:
    assert parse(text, {}) == ()


def test_names_that_look_like_patterns_are_plain_text() -> None:
    about = ServiceRules("default/w.b", [])
    commits = parse(_text("nftables"), _before("nftables"))
    assert not any(about.concern(change) for commit in commits for change in commit.changes)
