"""A node's rules against the API, from a real lab's answers, as they are and with differences made."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.proxy.compare import Check, NodeCheck, compare
from tests.proxy.captured import MODES, NODES, api, rules


def _compare(services: list[dict[str, Any]], slices: list[dict[str, Any]], mode: str = "iptables") -> NodeCheck:
    return compare(rules("node-01", mode), services, slices)


def _service(services: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(each for each in services if each["metadata"]["name"] == name)


def _slice(slices: list[dict[str, Any]], service: str) -> dict[str, Any]:
    return next(each for each in slices if each["metadata"]["labels"].get("kubernetes.io/service-name") == service)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("node", NODES)
def test_the_rules_are_what_the_api_says(node: str, mode: str) -> None:
    found = compare(rules(node, mode), api("services"), api("endpointslices"))
    assert found.agrees, (found.missing, found.stale)
    assert len(found.agreeing) == 12
    assert Check((found,)).agrees


def test_a_service_that_is_gone_is_stale_and_a_new_one_is_missing() -> None:
    services, slices = api("services"), api("endpointslices")
    _service(services, "udp")["spec"]["clusterIP"] = "10.96.9.9"
    found = _compare(services, slices)
    assert [(each.port, each.what) for each in found.missing] == [("shop/udp:talk", "all of it")]
    assert [(each.port, each.what) for each in found.stale] == [("shop/udp:talk", "all of it")]
    assert all("shop/udp:talk" in rule for rule in found.stale[0].rules)
    assert "shop/udp:talk: all of it" in repr(Check((found,)))


def test_an_endpoint_that_has_moved() -> None:
    slices = api("endpointslices")
    endpoint = next(e for e in _slice(slices, "web")["endpoints"] if e["addresses"] == ["192.168.1.2"])
    endpoint["addresses"] = ["192.168.1.9"]
    found = _compare(api("services"), slices, "nftables")
    assert {(each.port, each.what) for each in found.missing} == {
        ("shop/web:alt", "endpoint 192.168.1.9:80"),
        ("shop/web:http", "endpoint 192.168.1.9:80"),
    }
    assert {each.what for each in found.stale} == {"endpoint 192.168.1.2:80"}
    assert all(any("192.168.1.2" in rule for rule in each.rules) for each in found.stale)


def test_an_endpoint_that_is_not_ready_is_not_expected_unless_there_is_no_other() -> None:
    slices = api("endpointslices")
    endpoints = _slice(slices, "udp")["endpoints"]
    endpoints[0]["conditions"] = {"ready": False, "serving": True, "terminating": True}
    assert [each.what.partition(" ")[0] for each in _compare(api("services"), slices).stale] == ["endpoint"]
    for each in endpoints:
        each["conditions"] = {"ready": False, "serving": True, "terminating": True}
    assert _compare(api("services"), slices).agrees


@pytest.mark.parametrize(
    ("change", "missing", "stale"),
    [
        ({"sessionAffinity": "None"}, set(), {"affinity of 600 s"}),
        ({"internalTrafficPolicy": "Local"}, set(), {"endpoint 192.168.2.2:80", "endpoint 192.168.2.3:80"}),
    ],
)
def test_other_wishes_for_a_service(change: dict[str, str], missing: set[str], stale: set[str]) -> None:
    services = api("services")
    _service(services, "sticky")["spec"] |= change
    found = _compare(services, api("endpointslices"))
    assert {each.what for each in found.missing} == missing
    assert {each.what for each in found.stale} == stale


def test_another_node_port_and_another_policy() -> None:
    services = api("services")
    _service(services, "near")["spec"]["externalTrafficPolicy"] = "Cluster"
    _service(services, "door")["spec"]["ports"][0]["nodePort"] = 31000
    found = _compare(services, api("endpointslices"))
    assert {(each.port, each.what) for each in found.missing} == {
        ("shop/door", "node port 31000"),
        ("shop/near", "endpoint from outside 192.168.2.2:80"),
        ("shop/near", "endpoint from outside 192.168.2.3:80"),
    }
    assert {each.what for each in found.stale} == {"node port 30080"}


def test_endpoints_come_and_go_altogether() -> None:
    slices = api("endpointslices")
    taken = _slice(slices, "udp")["endpoints"]
    _slice(slices, "udp")["endpoints"] = []
    _slice(slices, "empty")["endpoints"] = taken
    _slice(slices, "empty")["ports"] = [{"name": "", "port": 80, "protocol": "TCP"}]
    found = _compare(api("services"), slices)
    assert ("shop/udp:talk", "refusal of connections") in {(each.port, each.what) for each in found.missing}
    assert ("shop/empty", "refusal of connections") in {(each.port, each.what) for each in found.stale}


@pytest.mark.parametrize("order", [("IPv4", "IPv6"), ("IPv6", "IPv4")])
def test_of_a_dual_stack_service_the_ipv4_half_counts(order: tuple[str, str]) -> None:
    services, slices = api("services"), api("endpointslices")
    spec = _service(services, "web")["spec"]
    addresses = {"IPv4": spec["clusterIP"], "IPv6": "fd00:96::7"}
    spec["ipFamilies"], spec["clusterIPs"] = [*order], [addresses[family] for family in order]
    spec["clusterIP"] = spec["clusterIPs"][0]
    other = {**_slice(slices, "web"), "addressType": "IPv6", "endpoints": [{"addresses": ["fd00:1::2"]}]}
    found = _compare(services, [*slices, other])
    assert found.agrees, (found.missing, found.stale)


def test_a_service_for_ipv6_alone_has_no_rules_of_ipv4() -> None:
    services, slices = api("services"), api("endpointslices")
    spec = _service(services, "web")["spec"]
    spec["clusterIP"], spec["clusterIPs"] = "fd00:96::7", ["fd00:96::7"]
    found = _compare(services, slices)
    assert {(each.port, each.what) for each in found.stale} == {
        ("shop/web:alt", "all of it"),
        ("shop/web:http", "all of it"),
    }
    assert found.missing == ()
