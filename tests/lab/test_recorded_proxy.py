"""kube-proxy in a recording: a real lab's is asked as the lab was, and what it lacks is said."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from labkit.errors import ClusterError, EvidenceError, UsageError
from labkit.evidence.proxy import kept
from labkit.lab import Lab
from labkit.lab.recorded import DEFAULT, Replay, replay
from labkit.proxy.seen import Seen
from tests.cli.command import labkit
from tests.traces import eventually


def test_an_older_recording_says_that_it_has_nothing_of_kube_proxy() -> None:
    proxy = replay(DEFAULT).proxy
    assert (proxy.switches, proxy.packets) == ((), ())
    with pytest.raises(EvidenceError, match="has nothing of kube-proxy"):
        proxy.mode  # noqa: B018
    with pytest.raises(EvidenceError, match="has nothing of kube-proxy"):
        proxy.rules()
    with pytest.raises(EvidenceError, match="no such packet") as raised:
        proxy.trace("svc/tomcat")
    assert "no packet was followed" in raised.value.why
    with pytest.raises(ClusterError, match="cannot be switched to nftables"):
        proxy.switch("nftables")


def test_the_lesson_answers_as_a_lab_does() -> None:
    proxy = replay("kube-proxy").proxy
    assert proxy.modes == ("nftables", "iptables")
    (port,) = proxy.rules().of("tomcat").ports
    assert len(port.endpoints) == 3
    assert proxy.rules("node-02", mode="nftables").of("tomcat").ports
    assert proxy.trace("svc/tomcat", from_node="node-01").path.outcome == "delivered"
    for mode in ("iptables", "nftables"):
        assert proxy.trace("svc/tomcat", mode=mode).path.mode == mode
    compared = proxy.compare_modes("svc/tomcat").comparison
    assert [seen.mode for seen in compared.seen][:2] == ["iptables", "nftables"]
    assert all(seen.source.startswith("recorded on master at ") for seen in compared.seen[:2])
    assert [len(seen.choices) for seen in compared.seen[:2]] == [3, 3]
    assert "KUBE-SVC-" in repr(proxy.compare_modes("tomcat"))
    with pytest.raises(UsageError, match="no rules of Service 'shop/none'"):
        proxy.compare_modes("shop/none")


def test_the_lesson_of_ipvs_shows_what_this_kernel_may_lack() -> None:
    proxy = replay("kube-proxy-ipvs").proxy
    assert proxy.modes == ("nftables", "ipvs", "iptables")
    for switch, (before, after) in zip(proxy.switches, pairwise(("iptables", *proxy.modes)), strict=True):
        assert (switch.before, switch.after, switch.error) == (before, after, "")
    for node in proxy.nodes:
        seen = [proxy.rules(node, mode=mode) for mode in ("iptables", "nftables", "ipvs")]
        assert len({tuple(sorted(port.name for port in rules.ports)) for rules in seen}) == 1
        for rules in seen:
            (port,) = rules.of("web").ports
            assert port.node_port
            assert [endpoint.probability for endpoint in port.endpoints] == pytest.approx([1 / 3] * 3, abs=1e-6)
    compared = proxy.compare_modes("svc/web").comparison
    assert [(each.mode, len(each.choices)) for each in compared.seen] == [("iptables", 3), ("nftables", 3), ("ipvs", 3)]
    packet = proxy.trace("svc/web", from_node="node-01").path
    assert (packet.mode, packet.outcome, packet.status) == ("ipvs", "delivered", 200)
    assert [step.chain for step in packet.steps] == ["virtual server", "real server", "connections"]
    panel = proxy.panel()
    assert all(not mode["unable"] for mode in panel.state["modes"])
    panel.press({"press": "ipvs"})
    eventually(lambda: panel.paint() and not panel.state["working"])
    assert "Using ipvs Proxier" in panel.state["picture"]


@pytest.fixture(scope="module")
def recorded(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Replay:
    """A lab's kube-proxy recorded in two modes, with a packet in the first; afterwards it is in the first again."""
    path = tmp_path_factory.mktemp("recordings") / "proxy.labtrace"
    lab.proxy.switch("iptables")
    with lab.record(path, "two modes"):
        lab.proxy.trace("svc/kube-dns", namespace="kube-system", port=9153, from_node="node-01")
        lab.proxy.switch("nftables")
    lab.proxy.switch("iptables")
    return replay(path)


@pytest.mark.cluster
def test_a_recording_has_the_rules_of_every_node_in_both_modes(lab: Lab, recorded: Replay) -> None:
    proxy = recorded.proxy
    assert proxy.modes == ("iptables", "nftables")
    assert proxy.mode == "nftables"
    for node in lab.nodes:
        before, after = (proxy.rules(node.name, mode=mode) for mode in proxy.modes)
        assert [port.name for port in before.ports] == [port.name for port in after.ports]
        assert "kube-system/kube-dns:metrics" in [port.name for port in before.ports]
        assert (before.mode, after.mode) == ("iptables", "nftables")


@pytest.mark.cluster
def test_a_recording_has_the_switch_and_what_the_logs_said(recorded: Replay) -> None:
    (switch,) = recorded.proxy.switches
    assert (switch.before, switch.after, switch.error) == ("iptables", "nftables", "")
    (logs,) = (step.detail for step in switch.steps if step.what == "read their logs")
    assert logs.count("Using nftables Proxier") == 3


@pytest.mark.cluster
def test_a_recording_has_the_packet_and_says_which_it_lacks(recorded: Replay) -> None:
    proxy = recorded.proxy
    found = proxy.trace("svc/kube-dns", namespace="kube-system", port=9153, from_node="node-01").path
    assert (found.outcome, found.mode, found.status) == ("delivered", "iptables", 404)
    assert any(step.translation == "DNAT" for step in found.steps)
    assert proxy.trace("svc/kube-dns", namespace="kube-system").path == found
    for other in ({"from_node": "node-02"}, {"port": 53}, {"from_pod": "x"}, {"node_port": "master"}):
        with pytest.raises(EvidenceError, match="no such packet") as raised:
            proxy.trace("svc/kube-dns", namespace="kube-system", **other)
        assert "node node-01 to kube-system/kube-dns" in raised.value.why


@pytest.mark.cluster
def test_what_is_not_in_a_recording_is_said(recorded: Replay) -> None:
    with pytest.raises(UsageError, match="no node 'node-09'"):
        recorded.proxy.rules("node-09")
    with pytest.raises(UsageError, match="no mode 'userspace'"):
        recorded.proxy.rules(mode="userspace")
    with pytest.raises(EvidenceError, match="has no ipvs rules of master") as raised:
        recorded.proxy.rules(mode="ipvs")
    assert "nftables on node-01" in raised.value.why


@pytest.mark.cluster
def test_a_running_lab_has_seen_the_same(lab: Lab, recorded: Replay) -> None:
    seen = Seen(kept(lab.cluster.proxy_folder))
    assert {mode for mode, _ in seen.rules} >= set(recorded.proxy.modes)
    assert recorded.proxy.switches[0] in seen.switches
    assert recorded.proxy.packets[0] in seen.packets


@pytest.mark.cluster
def test_a_service_is_compared_in_the_modes_that_the_lab_has_had(lab: Lab, recorded: Replay) -> None:
    for proxy, said in ((lab.proxy, "read on node-01 at "), (recorded.proxy, "recorded on node-01 at ")):
        compared = proxy.compare_modes("kube-system/kube-dns", "node-01").comparison
        iptables, nftables = compared.seen[:2]
        assert (iptables.mode, nftables.mode) == ("iptables", "nftables")
        assert iptables.source.startswith(said)
        assert nftables.source.startswith(said)
        assert [port.name for port in iptables.rules.ports] == [port.name for port in nftables.rules.ports]
        assert iptables.position
        assert nftables.position
    with pytest.raises(UsageError, match="no rules of Service 'default/nobody'"):
        lab.proxy.compare_modes("nobody")


@pytest.mark.cluster
def test_the_command_compares_the_modes(recorded: Replay) -> None:
    assert recorded.proxy.modes
    said = labkit("proxy", "rules", "kubernetes", "--modes", "--name", "test")
    assert "Service default/kubernetes" in said.stdout
    assert "-A KUBE-SERVICES -d 10.96.0.1/32" in said.stdout
    assert "service-ips: 10.96.0.1 . tcp . 443" in said.stdout
    said = labkit("proxy", "rules", "kubernetes", "--modes", "--json", "--name", "test")
    assert [seen["rules"]["mode"] for seen in json.loads(said.stdout)["seen"]][:2] == ["iptables", "nftables"]


@pytest.mark.cluster
def test_a_refused_switch_leaves_nothing_to_be_seen(lab: Lab) -> None:
    before = Seen(kept(lab.cluster.proxy_folder)).switches
    with pytest.raises(UsageError):
        lab.proxy.switch("userspace")
    assert lab.proxy.switch(lab.proxy.mode).steps == ()
    assert Seen(kept(lab.cluster.proxy_folder)).switches == before
