"""nftables mode on the shared lab: packets followed through its rules, and its rules followed as they change."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from labkit.lab import Lab
from labkit.proxy import mode as modes
from labkit.proxy.packet_trace import trace
from labkit.views import packet as view
from tests import traces
from tests.pods.space import service, workload

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module", autouse=True)
def _in_nftables_mode(lab: Lab) -> Iterator[None]:
    """Two pods behind Services, and a Service with none; in the end the mode and its line are as they were found."""
    made = [
        workload("Deployment", "mapped", {"replicas": 2}, {"name": "main", "image": "labkit/standin"}),
        service("mapped", "mapped", 8080, 8080),
        service("mapped-local", "mapped", 80, 8080, type="NodePort", externalTrafficPolicy="Local"),
        service("unmapped", "unmapped", 80, 8080),
    ]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": made})
    with lab.api_server() as api:
        line = modes.read(api).line
    lab.kubectl("create -f -", stdin=text)
    lab.proxy.switch("nftables")
    lab.kubectl("rollout status deployment/mapped")
    traces.eventually(lambda: trace(lab.cluster, "svc/mapped").outcome == "delivered")
    yield
    lab.kubectl("delete --cascade=foreground -f -", stdin=text)
    lab.proxy.switch("iptables")
    with lab.api_server() as api:
        lab.kubectl("replace -f -", stdin=json.dumps(modes.read(api).with_line(line)))


def test_a_packet_is_led_by_a_map_to_an_endpoint(lab: Lab) -> None:
    path = trace(lab.cluster, "svc/mapped", from_node="node-01")
    assert (path.mode, path.outcome, path.status) == ("nftables", "delivered", 200)
    assert any("vmap @service-ips" in step.rule for step in path.steps)
    kinds = [step.chain.partition("-")[0] for step in path.steps if "/mapped/" in step.chain]
    assert list(dict.fromkeys(kinds)) == ["service", "endpoint"]
    assert [step.translated_to for step in path.steps if step.translation == "DNAT"] == [path.endpoint]
    assert path.endpoint_name.startswith("pod/mapped-")
    assert str(path.endpoint) in view.to_svg(path)


def test_a_service_without_endpoints_is_rejected_by_a_map(lab: Lab) -> None:
    path = trace(lab.cluster, "svc/unmapped")
    assert (path.mode, path.outcome, path.answer) == ("nftables", "rejected", "connection refused")
    assert any("vmap @no-endpoint-services" in step.rule for step in path.steps)
    assert path.steps[-1].chain == "reject-chain"


def test_a_packet_for_local_endpoints_is_dropped_where_there_are_none(lab: Lab) -> None:
    path = trace(lab.cluster, "svc/mapped-local", node_port="master", from_node="node-01")
    assert (path.mode, path.outcome, path.answer) == ("nftables", "dropped", "no answer")
    assert any("vmap @no-endpoint-nodeports" in step.rule for step in path.steps)


def test_rules_are_followed_as_they_change(lab: Lab) -> None:
    with lab.proxy.follow("mapped") as cause:
        lab.kubectl("scale deployment mapped --replicas 3")
    chain = cause.chain
    assert chain.mode == "nftables"
    assert chain.links[0].what == "scales deployment mapped to 3"
    for node in lab.nodes:
        changed = [link for link in chain.links if link.kind == "rules" and link.node == node.name]
        came = [rule for link in changed for rule in link.came]
        assert [rule for rule in came if "numgen random mod 3" in rule], came
        assert len([rule for rule in came if "dnat to" in rule]) == 1, "one endpoint is new"
        assert all("/mapped/" in rule for rule in came)


def test_another_tools_table_is_kept_and_not_mistaken(lab: Lab) -> None:
    node = lab.nodes["node-01"]
    before = lab.proxy.rules("node-01")
    node.exec("nft add table ip of_another_tool")
    node.exec("nft add chain ip of_another_tool seen '{ type filter hook output priority 0; }'")
    node.exec("nft add rule ip of_another_tool seen ip daddr 203.0.113.1 counter")
    try:
        assert lab.proxy.rules("node-01") == before
        lab.kubectl("create service clusterip passing --tcp 80")
        traces.eventually(lambda: lab.proxy.rules("node-01").of("passing").ports)
        assert "203.0.113.1" in node.exec("nft list table ip of_another_tool")
    finally:
        lab.kubectl("delete service passing --ignore-not-found")
        node.exec("nft delete table ip of_another_tool")
