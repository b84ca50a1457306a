"""A Service in several modes, read off what a real node printed."""

from __future__ import annotations

import json

import pytest

from labkit.proxy import ipvs
from labkit.proxy.model import NodeRules
from labkit.proxy.side_by_side import ASPECTS, ModeComparison, ServiceInMode, about, raw_rules, service_in_mode
from tests.proxy import captured


def in_mode(mode: str, service: str = "shop/web", node: str = "master") -> ServiceInMode:
    found = service_in_mode(captured.rules(node, mode), captured.text(node, "iptables"), service, f"from {node}")
    assert found is not None
    return found


def comparison(service: str = "shop/web") -> ModeComparison:
    return ModeComparison(service, tuple(in_mode(mode, service) for mode in captured.MODES), ("ipvs",))


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


@pytest.mark.parametrize("mode", captured.MODES)
@pytest.mark.parametrize("service", every_service())
def test_every_rule_of_a_service_is_about_one_thing(service: str, mode: str) -> None:
    seen = in_mode(mode, service)
    told = [rule for aspect in ASPECTS for rule in seen.about(aspect)]
    assert sorted(told) == sorted(raw_rules(seen.rules.ports))
    assert seen.count == len(told) <= seen.total
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


def test_a_service_in_ipvs_mode() -> None:
    lines = [
        *("-A -t 10.96.0.1:443 -s rr", "-a -t 10.96.0.1:443 -r 172.30.0.10:6443 -m -w 1"),
        *(
            "-A -t 10.96.0.9:80 -s rr",
            "-a -t 10.96.0.9:80 -r 10.0.1.2:80 -m -w 1",
            "-a -t 10.96.0.9:80 -r 10.0.2.2:80 -m -w 1",
        ),
    ]
    known = [
        {"cluster_ip": "10.96.0.9", "port": 80, "name": "shop/web"},
        {"cluster_ip": "10.96.0.1", "port": 443, "name": "x/y"},
    ]
    services = json.dumps([{"protocol": "tcp", "node_port": None, "external_ips": [], **each} for each in known])
    seen = service_in_mode(ipvs.parse("\n".join(lines), "", "", services, "master"), "", "shop/web", "")
    assert seen is not None
    assert [entry.address for entry in seen.entries] == ["10.96.0.9:80/tcp", "10.96.0.1:443/tcp"]
    assert (seen.position, seen.scheduler, seen.count, seen.total) == (1, "rr", 3, 5)
    assert [(each.endpoint, each.share, each.condition) for each in seen.choices] == [
        ("10.0.1.2:80", 0.5, "rr"),
        ("10.0.2.2:80", 0.5, "rr"),
    ]
    assert seen.about("address") == (lines[2],)
    assert seen.about("choice") == tuple(lines[3:])


def test_a_service_that_is_not_there() -> None:
    assert service_in_mode(captured.rules("master", "nftables"), "", "default/none", "") is None
    assert service_in_mode(NodeRules("master", "iptables", (), ()), "", "shop/web", "") is None
