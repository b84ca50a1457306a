"""How a machine and a lab's nodes are prepared: the same checks, made where they are about."""

from __future__ import annotations

import pytest

import labkit
from labkit.errors import UsageError
from labkit.lab import Lab


def test_this_machine_shows_itself() -> None:
    found = labkit.preflight()
    assert found.caption() == repr(found).splitlines()[0]
    assert found["swap"].rows() == [row for row in found.rows() if row[0] == "swap"]
    assert "<svg" in found._repr_html_()
    with pytest.raises(UsageError, match="'rain'"):
        found["rain"]


@pytest.mark.cluster
def test_a_node_is_prepared_by_what_the_node_itself_tells(lab: Lab) -> None:
    worker = {line.name: line for line in lab.preflight("node-01").lines}
    for name in ("host name", "hosts", "firewall", "ip_forward", "bridge-nf-call-iptables", "packages", "core images"):
        assert worker[name].status == "met", worker[name]
    assert worker["host name"].found == "node-01"
    assert worker["hosts"].found.startswith(f"node-01 is {lab.nodes['node-01'].address}")
    assert worker["container engine"].found.startswith("labkit ")
    assert "kube-proxy:v1.34.3" in worker["core images"].found
    node = lab.nodes["node-01"]
    node.exec("echo 0 > /proc/sys/net/ipv4/ip_forward")
    try:
        changed = lab.preflight("node-01")
    finally:
        node.exec("echo 1 > /proc/sys/net/ipv4/ip_forward")
    assert "ip_forward" in changed.unmet
    assert changed["ip_forward"].rows()[0][-1] == "sysctl -w net.ipv4.ip_forward=1"
    assert "ip_forward" not in lab.preflight("master").unmet
    with pytest.raises(UsageError, match="'node-99'"):
        lab.preflight("node-99")
