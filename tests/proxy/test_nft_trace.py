"""Traces that nft printed on a lab's node, read as the steps of one packet, in both of kube-proxy's modes."""

from __future__ import annotations

from pathlib import Path

import pytest

from labkit.proxy import nft_trace
from labkit.proxy.packet import Address, Step, outcome

DATA = Path(__file__).parent / "data"
NAMES = (
    *("iptables-node", "iptables-pod", "iptables-rejected", "iptables-nodeport"),
    *("nftables-node", "nftables-pod", "nftables-rejected"),
)
SERVICE = Address("10.96.109.226", 8080)


def read(name: str) -> tuple[Step, ...]:
    return nft_trace.parse((DATA / f"trace-{name}.txt").read_text())


def chains(steps: tuple[Step, ...]) -> list[tuple[int, str]]:
    return [(step.depth, step.chain) for step in steps]


def rewritten(steps: tuple[Step, ...]) -> list[tuple[str, str, str]]:
    return [(step.chain, step.translation, str(step.translated_to)) for step in steps if step.translation]


def test_from_a_node_in_iptables_mode() -> None:
    steps = read("iptables-node")
    assert nft_trace.mode(steps) == "iptables"
    assert chains(steps)[:6] == [
        (0, "OUTPUT"),
        (1, "KUBE-SERVICES"),
        (2, "KUBE-SVC-RHF5E556VDKPGRYA"),
        (3, "KUBE-MARK-MASQ"),
        (2, "KUBE-SVC-RHF5E556VDKPGRYA"),
        (3, "KUBE-SEP-ZHMVS4GIUZIDVZV3"),
    ]
    assert chains(steps)[-3:] == [(0, "POSTROUTING"), (1, "KUBE-POSTROUTING"), (1, "KUBE-POSTROUTING")]
    assert rewritten(steps) == [
        ("KUBE-SEP-ZHMVS4GIUZIDVZV3", "DNAT", "192.168.1.2:8080"),
        ("KUBE-POSTROUTING", "masquerade", "172.30.0.11:1713"),
    ]


def test_a_rule_is_told_without_its_counter_and_with_the_packet_as_it_came() -> None:
    step = read("iptables-node")[5]
    assert (step.family, step.table, step.handle, step.verdict) == ("ip", "nat", 102, "accept")
    assert step.rule == "meta l4proto tcp dnat to 192.168.1.2:8080"
    assert step.packet.source == Address("172.30.0.11", 21021)
    assert step.packet.destination == SERVICE


@pytest.mark.parametrize("name", ["iptables-node", "nftables-node"])
def test_the_mark_is_on_the_packet_between_the_two_rules_that_write_it(name: str) -> None:
    marks = [step.packet.mark for step in read(name)]
    first, last = marks.index(0x4000), len(marks) - marks[::-1].index(0x4000)
    assert set(marks[first:last]) == {0x4000}
    assert marks[0] == marks[-1] == 0


@pytest.mark.parametrize("name", ["iptables-pod", "nftables-pod"])
def test_a_pods_packet_comes_in_and_is_forwarded_with_its_own_address(name: str) -> None:
    steps = read(name)
    assert "prerouting" in steps[0].chain.lower()
    assert any("forward" in step.chain.lower() for step in steps)
    assert {step.packet.source for step in steps} == {steps[0].packet.source}
    assert [entry[1:] for entry in rewritten(steps)] == [("DNAT", "192.168.1.2:8080")]


def test_from_a_node_in_nftables_mode() -> None:
    steps = read("nftables-node")
    assert nft_trace.mode(steps) == "nftables"
    nat = [step for step in steps if step.table == "kube-proxy"][2:8]
    assert [(depth, chain.partition("-")[0]) for depth, chain in chains(tuple(nat))] == [
        (0, "nat"),
        (1, "services"),
        (1, "service"),
        (2, "mark"),
        (1, "service"),
        (1, "endpoint"),
    ]
    assert nat[1].verdict == "goto service-SZQRUB54-default/tomcat/tcp/"
    assert [entry[1:] for entry in rewritten(steps)] == [
        ("DNAT", "192.168.2.2:8080"),
        ("masquerade", "192.168.2.1:9576"),
    ]


@pytest.mark.parametrize("name", ["iptables-rejected", "iptables-nodeport", "nftables-rejected"])
def test_a_service_without_endpoints_is_rejected(name: str) -> None:
    steps = read(name)
    assert steps[-1].verdict == "reject"
    assert not rewritten(steps)
    assert outcome(steps, "connection refused") == "rejected"


def test_a_packet_that_comes_in_again_by_the_loopback_device_is_still_the_same() -> None:
    steps = read("iptables-nodeport")
    assert [step.chain for step in steps if step.depth == 0 and step.rule == "policy"] == [
        "OUTPUT",
        "OUTPUT",
        "POSTROUTING",
    ]
    assert chains(steps)[-1] == (1, "KUBE-EXTERNAL-SERVICES")


def test_a_packet_that_is_sent_again_is_another() -> None:
    text = (DATA / "trace-iptables-node.txt").read_text()
    again = text.replace("ip id ", "ip id 9")
    other = again.replace(text.split()[2], "0badcafe")
    assert nft_trace.parse(text + again + other) == nft_trace.parse(text)


def test_labkits_own_table_is_no_part_of_the_path() -> None:
    for name in NAMES:
        assert all(step.table != nft_trace.TABLE for step in read(name)), name


def test_rules_have_the_text_that_iptables_gives_them() -> None:
    rules = nft_trace.iptables_rules(
        (DATA / "trace-iptables-nft-rules.txt").read_text(), (DATA / "trace-iptables-save.txt").read_text()
    )
    steps = nft_trace.parse((DATA / "trace-iptables-node.txt").read_text(), rules)
    assert steps[5].rule.endswith('--comment "default/tomcat" -m tcp -j DNAT --to-destination 192.168.1.2:8080')
    assert steps[4].rule.startswith('-m comment --comment "default/tomcat -> 192.168.1.2:8080" -m statistic')
    for step, plain in zip(steps, read("iptables-node"), strict=True):
        assert (step.translation, step.verdict, step.packet.mark) == (
            plain.translation,
            plain.verdict,
            plain.packet.mark,
        )
        assert step.verdict.partition("jump ")[2] in step.rule


def test_a_chain_that_changed_in_between_keeps_nfts_text() -> None:
    listing, saved = (DATA / "trace-iptables-nft-rules.txt").read_text(), (DATA / "trace-iptables-save.txt").read_text()
    longer = saved.replace("-A KUBE-MARK-MASQ", "-A KUBE-MARK-MASQ -j X\n-A KUBE-MARK-MASQ")
    rules = nft_trace.iptables_rules(listing, longer)
    assert ("nat", "KUBE-MARK-MASQ", 122) not in rules
    assert ("nat", "KUBE-POSTROUTING", 121) in rules


@pytest.mark.parametrize("text", ["", "listening\n", "trace id 1 ip nat OUTPUT policy accept\n", "trace id nonsense"])
def test_what_is_no_trace_has_no_steps(text: str) -> None:
    assert nft_trace.parse(text) == ()
    assert nft_trace.mode(()) is None


def test_a_trace_is_complete_when_the_packet_left_or_was_stopped() -> None:
    for name in NAMES:
        text = (DATA / f"trace-{name}.txt").read_text()
        assert nft_trace.complete(text), name
        assert not nft_trace.complete("\n".join(text.splitlines()[:6])), name


def test_what_became_of_a_packet() -> None:
    steps = read("iptables-pod")
    assert outcome(steps, "") == outcome(steps, "connection refused") == "delivered"
    assert outcome(steps, "no answer") == outcome(steps, "network is unreachable") == "no answer"
