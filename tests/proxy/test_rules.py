"""Rules read back, from outputs of a real lab."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import EvidenceError
from labkit.proxy import iptables, nftables
from labkit.proxy.model import NodeRules, ServicePort
from tests.proxy.captured import DATA, MODES, NODES, meaning, rules, text


def _port(found: NodeRules, name: str) -> ServicePort:
    return next(port for port in found.ports if port.name == name)


@pytest.mark.parametrize("node", NODES)
def test_both_modes_say_the_same(node: str) -> None:
    first, second = ([meaning(port) for port in rules(node, mode).ports] for mode in MODES)
    assert first == second
    assert len(first) == 12


@pytest.mark.parametrize("mode", MODES)
def test_a_service_of_two_ports(mode: str) -> None:
    found = rules("node-01", mode)
    assert [(port.port_name, port.port) for port in found.of("shop/web").ports] == [("alt", 8080), ("http", 80)]
    http = _port(found, "shop/web:http")
    assert (http.service, http.protocol, http.node_port, http.internal_policy) == ("shop/web", "tcp", None, "Cluster")
    assert [str(each) for each in http.endpoints] == ["192.168.1.2:80", "192.168.2.2:80", "192.168.2.3:80"]
    assert [each.probability for each in http.endpoints] == pytest.approx([1 / 3] * 3)
    assert {each.local for each in http.endpoints} == {None}
    assert http.masquerade == ("not from 192.168.0.0/16",)


@pytest.mark.parametrize("mode", MODES)
def test_affinity_node_port_and_udp(mode: str) -> None:
    found = rules("node-01", mode)
    assert _port(found, "shop/sticky").affinity == 600
    assert sum(each.probability for each in _port(found, "shop/sticky").endpoints) == pytest.approx(1)
    door = _port(found, "shop/door")
    assert (door.node_port, door.external_policy) == (30080, "Cluster")
    assert [each.from_outside for each in door.endpoints] == pytest.approx([1 / 3] * 3)
    assert "from outside" in door.masquerade
    assert (_port(found, "shop/udp:talk").protocol, _port(found, "shop/udp:talk").port) == ("udp", 5353)


@pytest.mark.parametrize("mode", MODES)
def test_policy_local_where_there_is_an_endpoint(mode: str) -> None:
    near = _port(rules("node-01", mode), "shop/near")
    assert (near.internal_policy, near.external_policy, near.refusals) == ("Cluster", "Local", ())
    assert [(each.local, each.from_outside) for each in near.endpoints] == [(True, 1.0), (False, 0.0), (False, 0.0)]
    inside = _port(rules("node-01", mode), "shop/inside")
    assert inside.internal_policy == "Local"
    assert [(str(each), each.probability, each.local) for each in inside.endpoints] == [("192.168.1.2:80", 1.0, True)]


@pytest.mark.parametrize("mode", MODES)
def test_policy_local_where_there_is_none(mode: str) -> None:
    near = _port(rules("master", mode), "shop/near")
    assert [str(each) for each in near.refusals] == ["node port: drop"]
    assert [(each.local, each.from_outside) for each in near.endpoints] == [(False, 0.0)] * 3
    inside = _port(rules("master", mode), "shop/inside")
    assert (inside.internal_policy, inside.endpoints) == ("Local", ())
    assert [str(each) for each in inside.refusals] == ["cluster IP: drop"]


@pytest.mark.parametrize("mode", MODES)
def test_a_service_without_endpoints_is_refused(mode: str) -> None:
    empty = _port(rules("node-01", mode), "shop/empty")
    assert empty.endpoints == ()
    assert (empty.port, empty.node_port) == (80, 30082)
    assert [str(each) for each in empty.refusals] == ["cluster IP: reject", "node port: reject"]


@pytest.mark.parametrize("mode", MODES)
def test_headless_services_and_external_names_have_no_rules(mode: str) -> None:
    found = rules("node-01", mode)
    assert not found.of("shop/headless").ports
    assert not found.of("shop/away").ports


@pytest.mark.parametrize("node", NODES)
def test_every_line_names_its_rules_as_iptables_save_prints_them(node: str) -> None:
    lines = set(text(node, "iptables").splitlines())
    for port in rules(node, "iptables").ports:
        assert port.rules
        assert {*port.rules, *(rule for each in port.endpoints for rule in each.rules)} <= lines
        for each in port.endpoints:
            assert any(f"--to-destination {each}" in rule for rule in each.rules)


@pytest.mark.parametrize("node", NODES)
def test_every_line_names_its_rules_in_the_words_of_nft(node: str) -> None:
    for port in rules(node, "nftables").ports:
        assert port.rules
        for each in port.endpoints:
            assert any(rule.endswith(f"dnat to {each}") for rule in each.rules)
        assert "{'" not in "".join(port.rules)
        assert '{"' not in "".join((*port.rules, *(rule for each in port.endpoints for rule in each.rules)))


@pytest.mark.parametrize("mode", MODES)
def test_no_rule_of_kube_proxy_is_taken_for_foreign(mode: str) -> None:
    assert all(rules(node, mode).foreign == () for node in NODES)


@pytest.mark.parametrize(
    "line",
    [
        '-A OUTPUT -d 203.0.113.1/32 -m comment --comment "shop/web:http cluster IP" -j DNAT --to-destination 1.1.1.1',
        '-A KUBE-SERVICES -d 10.96.0.9/32 -m comment --comment "made by hand" -j DROP',
        "-A DOCKER -i docker0 -j RETURN",
        '-A POSTROUTING -m comment --comment "a quote that is \\" not closed -j ACCEPT',
    ],
)
def test_rules_of_other_tools_are_kept_and_not_mistaken_for_kube_proxys(line: str) -> None:
    plain = rules("node-01", "iptables")
    mixed = iptables.parse(text("node-01", "iptables").replace("-A KUBE-MARK-MASQ", f"{line}\n-A KUBE-MARK-MASQ"), "x")
    assert mixed.ports == plain.ports
    assert mixed.foreign == (line,)


def test_a_foreign_rule_in_the_nftables_table() -> None:
    document = json.loads(text("node-01", "nftables"))
    chain = next(e["chain"]["name"] for e in document["nftables"] if "/web/" in e.get("chain", {}).get("name", ""))
    document["nftables"].append({"rule": {"chain": chain, "expr": [{"log": {"prefix": "seen"}}]}})
    found = nftables.parse(json.dumps(document))
    assert found.ports == rules("node-01", "nftables").ports
    assert found.foreign == (f'{chain}: {{"log": {{"prefix": "seen"}}}}',)


def test_what_the_iptables_mode_leaves_behind_leads_no_service_anywhere() -> None:
    left = (DATA / "after-nftables.iptables").read_text()
    assert "KUBE-FIREWALL" in left
    assert iptables.leftovers(left) == ()
    assert iptables.leftovers(text("node-01", "iptables"))


@pytest.mark.parametrize(
    "broken", ["", "{", "[]", '{"nftables": 3}', '{"nftables": [{"rule": {"handle": 1}}]}', "null"]
)
def test_what_nft_does_not_print_is_refused(broken: str) -> None:
    with pytest.raises(EvidenceError, match="nftables rules of node-01 cannot be read"):
        nftables.parse(broken, "node-01")


@given(st.lists(st.sampled_from(text("node-01", "iptables").split(" ")), max_size=60))
def test_any_words_of_iptables_are_read_without_a_fault(words: list[str]) -> None:
    iptables.parse(" ".join(words))


@given(st.integers(0, 200), st.integers(0, 200))
def test_half_an_output_is_read_without_a_fault(first: int, count: int) -> None:
    lines = text("node-01", "iptables").splitlines()
    iptables.parse("\n".join(lines[first : first + count]))
    entries = json.loads(text("node-01", "nftables"))["nftables"]
    nftables.parse(json.dumps({"nftables": entries[first : first + count]}))


def test_tables_escape_what_they_show() -> None:
    port = dataclasses.replace(rules("node-01", "iptables").ports[0], service="<script>")
    found = NodeRules("node-01", "iptables", (port,), ())
    assert "<script>" not in found._repr_html_()
    assert "&lt;script&gt;:https" in found._repr_html_()
    assert repr(found).splitlines()[0] == "node-01: iptables, 1 ports of Services"
