"""A Service in several modes, read off what a real node printed."""

from __future__ import annotations

import pytest

from labkit.proxy.model import Mode, NodeRules
from labkit.proxy.side_by_side import ASPECTS, ModeComparison, ServiceInMode, about, raw_rules, service_in_mode
from tests.proxy import captured

MODES = (*captured.MODES, "ipvs")


def in_mode(mode: str, service: str = "shop/web", node: str = "master") -> ServiceInMode:
    found = service_in_mode(captured.rules(node, mode), captured.text(node, "iptables"), service, f"from {node}")
    assert found is not None
    return found


def comparison(service: str = "shop/web", modes: tuple[str, ...] = captured.MODES) -> ModeComparison:
    """Return a Service in some modes; of the others nobody knows."""
    missing: tuple[Mode, ...] = () if "ipvs" in modes else ("ipvs",)
    return ModeComparison(service, tuple(in_mode(mode, service) for mode in modes), missing)


def every_service() -> list[str]:
    return sorted({port.service for port in captured.rules("master", "iptables").ports})


def test_iptables_tries_the_rules_in_the_order_in_which_they_stand() -> None:
    seen = in_mode("iptables")
    nat = captured.text("master", "iptables").partition("*nat\n")[2].partition("COMMIT")[0]
    lines = [line for line in nat.splitlines() if line.startswith("-A KUBE-SERVICES ")]
    assert [entry.rule for entry in seen.entries] == lines
    assert seen.position is not None
    assert "shop/web" in lines[seen.position - 1]
    assert seen.entries[-1].name == "an address of this node: NodePorts"


def test_nftables_looks_up_one_of_all_addresses() -> None:
    seen = in_mode("nftables")
    with_endpoints = [port for port in captured.rules("master", "nftables").ports if port.endpoints]
    assert len(seen.entries) == len(with_endpoints) > 3
    assert seen.position is not None
    assert seen.entries[seen.position - 1].rule.startswith("service-ips: ")


def test_how_an_endpoint_is_chosen() -> None:
    iptables, nftables = (in_mode(mode).choices for mode in captured.MODES)
    assert [choice.condition for choice in iptables] == ["33%", "else 50%", "else"]
    assert [choice.condition for choice in nftables] == ["0", "1", "2"]
    assert {choice.endpoint for choice in iptables} == {choice.endpoint for choice in nftables}
    assert all(choice.share == pytest.approx(1 / 3) for choice in (*iptables, *nftables))
    assert all("-j KUBE-SEP-" in choice.rule for choice in iptables)
    assert all("numgen random mod 3" in choice.rule for choice in nftables)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("service", every_service())
def test_every_rule_of_a_service_is_about_one_thing(service: str, mode: str) -> None:
    seen = in_mode(mode, service)
    told = [rule for aspect in ASPECTS for rule in seen.about(aspect)]
    assert sorted(told) == sorted(raw_rules(seen.rules.ports))
    assert seen.count == len(told) <= seen.total
    if mode == "ipvs":  # a virtual server and its real ones say all else
        return
    ends = any(port.endpoints for port in seen.rules.ports)
    assert bool(seen.about("destination")) == bool(seen.about("choice")) == ends
    assert bool(seen.about("refusal")) == any(port.refusals for port in seen.rules.ports)
    assert bool(seen.about("affinity")) == any(port.affinity for port in seen.rules.ports)


@pytest.mark.parametrize(
    ("rule", "aspect"),
    [
        ("-A -t 10.96.0.10:53 -s rr", "address"),
        ("-a -t 10.96.0.10:53 -r 192.168.0.2:53 -m -w 1", "choice"),
        ("add KUBE-CLUSTER-IP 10.96.0.10,tcp:53", "masquerade"),
        ("add KUBE-NODE-PORT-TCP 30080", "outside"),
    ],
)
def test_what_ipvs_has(rule: str, aspect: str) -> None:
    assert about("ipvs", rule) == aspect


def test_ipvs_looks_up_a_virtual_server_and_its_scheduler_chooses() -> None:
    seen = in_mode("ipvs", "shop/door")
    assert seen.position is not None
    assert seen.entries[seen.position - 1].rule == "-A -t 10.96.196.7:80 -s rr"
    assert len(seen.entries) == len(in_mode("nftables").entries)
    assert [(each.endpoint, each.condition) for each in seen.choices] == [
        (f"{ip}:80", "rr") for ip in ("192.168.1.2", "192.168.2.2", "192.168.2.3")
    ]
    assert all(choice.share == pytest.approx(1 / 3) for choice in seen.choices)
    assert seen.choices[0].rule == "-a -t 10.96.196.7:80 -r 192.168.1.2:80 -m -w 1"
    assert "-A -t 10.96.196.7:80 -s rr" in seen.about("address")


def test_a_service_that_is_not_there() -> None:
    assert service_in_mode(captured.rules("master", "nftables"), "", "default/none", "") is None
    assert service_in_mode(NodeRules("master", "iptables", (), ()), "", "shop/web", "") is None
