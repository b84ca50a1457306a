"""ipvs read back, from what the tools printed in a virtual machine whose kernel has it."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.proxy import ipvs
from labkit.proxy.compare import compare
from labkit.proxy.model import NodeRules, ServicePort
from tests.proxy import captured
from tests.proxy.captured import NODES

SHARES = [("192.168.1.2:80", 1 / 3), ("192.168.2.2:80", 1 / 3), ("192.168.2.3:80", 1 / 3)]


def _port(node: str, name: str) -> ServicePort:
    return next(port for port in captured.rules(node, "ipvs").ports if port.name == name)


def _shares(port: ServicePort) -> list[tuple[str, float]]:
    return [(str(each), each.probability) for each in port.endpoints]


def _parse(node: str, **changes: str) -> NodeRules:
    return dataclasses.replace(captured.ipvs_tables(node), **changes).parse("ipvs")


@pytest.mark.parametrize("node", NODES)
def test_the_tables_are_those_of_ipvs_alone(node: str) -> None:
    assert captured.ipvs_tables(node).modes == ("ipvs",)


@pytest.mark.parametrize("node", NODES)
def test_it_says_what_the_api_says(node: str) -> None:
    check = compare(captured.rules(node, "ipvs"), captured.api("services"), captured.api("endpointslices"))
    assert (check.missing, check.stale, check.foreign) == ((), (), ())
    assert len(check.agreeing) == 12


@pytest.mark.parametrize("node", NODES)
def test_it_says_what_the_other_modes_say(node: str) -> None:
    """All but the policies, which ipvs keeps no trace of, or leaves where there is no endpoint on the node."""
    other = {port.name: port for port in captured.rules(node, "nftables").ports}
    for port in captured.rules(node, "ipvs").ports:
        same = other.pop(port.name)
        assert (port.protocol, port.cluster_ip, port.port, port.node_port) == (
            *(same.protocol, same.cluster_ip, same.port, same.node_port),
        )
        assert port.affinity == same.affinity
        if port.service not in {"shop/inside", "shop/near"} or node == "node-01":
            assert [each.probability for each in port.endpoints] == pytest.approx(
                [each.probability for each in same.endpoints]
            )
            assert [each.from_outside for each in port.endpoints] == [
                None if each.from_outside is None else pytest.approx(each.from_outside) for each in same.endpoints
            ]
            assert [str(each) for each in port.refusals] == [str(each) for each in same.refusals]
    assert other == {}


def test_a_port_among_three_endpoints() -> None:
    web = _port("node-01", "shop/web:alt")
    assert (web.port, web.protocol, web.cluster_ip, web.node_port) == (8080, "tcp", "10.96.213.107", None)
    assert _shares(web) == SHARES
    assert [each.local for each in web.endpoints] == [True, False, False]
    assert web.masquerade == ("not from 192.168.0.0/16",)
    assert web.internal_policy is None


def test_udp_and_affinity() -> None:
    talk = _port("node-01", "shop/udp:talk")
    assert (talk.protocol, talk.port, len(talk.endpoints)) == ("udp", 5353, 3)
    assert [each.local for each in talk.endpoints] == [True, False, False]
    assert _port("node-01", "shop/sticky").affinity == 600
    assert talk.affinity is None


def test_a_node_port_by_each_of_the_nodes_addresses() -> None:
    door = _port("node-01", "shop/door")
    assert (door.node_port, door.external_policy) == (30080, "Cluster")
    assert [each.from_outside for each in door.endpoints] == pytest.approx([1 / 3] * 3)
    assert door.masquerade == ("from outside", "not from 192.168.0.0/16")
    assert {"-A -t 172.30.0.11:30080 -s rr", "-A -t 192.168.1.1:30080 -s rr", "add KUBE-NODE-PORT-TCP 30080"} < {
        *door.rules
    }


def test_policy_local() -> None:
    near = _port("node-01", "shop/near")
    assert (near.external_policy, near.masquerade) == ("Local", ("not from 192.168.0.0/16",))
    assert [each.from_outside for each in near.endpoints] == [1.0, 0.0, 0.0]
    assert "add KUBE-NODE-PORT-LOCAL-TCP 30081" in near.rules
    assert _shares(_port("node-01", "shop/inside")) == [("192.168.1.2:80", 1.0)]


def test_policy_local_without_an_endpoint_on_the_node_leads_to_all() -> None:
    near = _port("master", "shop/near")
    assert [each.from_outside for each in near.endpoints] == pytest.approx([1 / 3] * 3)
    assert near.external_policy == "Local"
    inside = _port("master", "shop/inside")  # it has no way in from outside, and kube-proxy no list of all for it
    assert inside.endpoints == ()
    assert [str(each) for each in inside.refusals] == ["cluster IP: reject"]


def test_no_endpoints() -> None:
    empty = _port("master", "shop/empty")
    assert empty.endpoints == ()
    assert [str(each) for each in empty.refusals] == ["cluster IP: reject", "node port: reject"]
    assert {each.rule for each in empty.refusals} <= {*empty.rules}


@pytest.mark.parametrize("node", NODES)
def test_every_line_names_its_rules_as_the_tools_print_them(node: str) -> None:
    tables = captured.ipvs_tables(node)
    lines = {*tables.ipvs.splitlines(), *tables.ipsets.splitlines(), *tables.iptables.splitlines()}
    for port in tables.parse("ipvs").ports:
        assert port.rules
        assert {*port.rules, *(rule for each in port.endpoints for rule in each.rules)} <= lines
        for each in port.endpoints:
            assert any(f"-r {each} " in rule for rule in each.rules)


def test_weights() -> None:
    text = "-A -t 10.96.213.107:80 -s {}\n" + "".join(
        f"-a -t 10.96.213.107:80 -r 192.168.0.{weight}:80 -m -w {weight}\n" for weight in (0, 1, 3)
    )
    shares = {
        scheduler: [each.probability for each in _parse("master", ipvs=text.format(scheduler)).ports[0].endpoints]
        for scheduler in ("rr", "wrr", "lc")
    }
    assert shares == {"rr": [0, 0.5, 0.5], "wrr": [0, 0.25, 0.75], "lc": [0, 0.25, 0.75]}


def test_an_endpoint_that_ends_is_no_difference() -> None:
    """While connections last, kube-proxy keeps it with weight 0 (pkg/proxy/ipvs/graceful_termination.go)."""
    text = captured.ipvs_tables("master").ipvs + "\n-a -t 10.96.213.107:80 -r 192.168.1.9:80 -m -w 0\n"
    assert text.count("-A -t 10.96.213.107:80 ") == 1
    found = _parse("master", ipvs=text)
    assert compare(found, captured.api("services"), captured.api("endpointslices")).agrees
    assert "192.168.1.9:80 0%" in repr(found)


def test_without_names_ports_are_named_by_their_addresses() -> None:
    found = _parse("node-01", services="")
    assert {"10.96.213.107:80/tcp", "10.96.124.223:5353/udp", "node port 30080/tcp"} <= {
        port.name for port in found.ports
    }
    assert found.foreign == ()
    door = next(port for port in found.ports if port.name == "node port 30080/tcp")
    assert [each.from_outside for each in door.endpoints] == pytest.approx([1 / 3] * 3)


def test_a_service_that_the_api_no_longer_has_is_stale() -> None:
    services = [each for each in captured.api("services") if each["metadata"]["name"] != "door"]
    found = _parse("node-01", services=json.dumps(ipvs.names(services)))
    check = compare(found, services, captured.api("endpointslices"))
    assert [each.port for each in check.stale] == ["10.96.196.7:80/tcp", "node port 30080/tcp"]
    assert not check.missing


def test_external_ips() -> None:
    services = captured.api("services")
    web = next(each for each in services if each["metadata"]["name"] == "sticky")
    web["spec"]["externalIPs"] = ["203.0.113.7"]
    tables = captured.ipvs_tables("master")
    found = _parse(
        "master",
        services=json.dumps(ipvs.names(services)),
        ipvs=tables.ipvs + "\n-A -t 203.0.113.7:80 -s rr -p 600\n",
        ipsets=tables.ipsets + "\nadd KUBE-EXTERNAL-IP-LOCAL 203.0.113.7,tcp:80\n",
    )
    port = next(port for port in found.ports if port.name == "shop/sticky")
    assert (port.external_ips, port.external_policy, port.node_port) == (("203.0.113.7",), "Local", None)
    assert [str(each) for each in port.refusals] == ["external IP: reject"]


def test_what_others_made_is_kept_and_not_mistaken_for_kube_proxys() -> None:
    tables = captured.ipvs_tables("master")
    servers = ["-A -t 203.0.113.9:25 -s wlc", "-a -t 203.0.113.9:25 -r 10.0.0.1:25 -m -w 1"]
    rule = "-A INPUT -s 203.0.113.0/24 -j DROP"
    found = _parse(
        "master",
        ipvs="\n".join([tables.ipvs, *servers, "-A -t [fd00::1]:80 -s rr", "-A -f 1 -s rr"]),
        iptables=tables.iptables.replace("*filter\n", f"*filter\n{rule}\n"),
    )
    assert found.ports == tables.parse("ipvs").ports
    assert found.foreign == (*servers, rule)


@given(st.lists(st.sampled_from(captured.ipvs_tables("master").ipvs.replace("\n", " \n ").split(" ")), max_size=60))
def test_any_words_are_read_without_a_fault(words: list[str]) -> None:
    ipvs.parse(" ".join(words), " ".join(words), "", "")
