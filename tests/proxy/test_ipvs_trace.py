"""A packet's way told by ipvsadm's counters and by conntrack, in the formats that these print."""

from __future__ import annotations

from labkit.proxy import ipvs_trace
from labkit.proxy.ipvs_trace import Count
from labkit.proxy.packet import Address, PacketPath, Request
from labkit.views import packet

SERVER = Address("10.96.0.5", 80)
ENDPOINT = Address("192.168.1.2", 8080)
SOURCE = Address("172.30.0.11", 20123)
BEFORE = """IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
TCP  10.96.0.5:80                        3       15       12      800     1200
  -> 192.168.1.2:8080                    1        5        4      300      400
  -> 192.168.2.2:8080                    2       10        8      500      800
UDP  10.96.0.5:80                        7        7        7      700      700
  -> 192.168.1.2:8080                    7        7        7      700      700
"""
AFTER = BEFORE.replace("3       15", "4       20").replace("1        5", "2       10")
CONNECTION = (
    "tcp      6 117 TIME_WAIT src=172.30.0.11 dst=10.96.0.5 sport=20123 dport=80 "
    "src=192.168.1.2 dst=192.168.1.1 sport=8080 dport=20123 [ASSURED] mark=0 use=1\n"
)


def _counts(text: str) -> ipvs_trace.Counts:
    return ipvs_trace.counts(text)


def test_counters_of_tcp_are_read() -> None:
    assert _counts(BEFORE) == {
        (SERVER, None): Count(3, 15),
        (SERVER, ENDPOINT): Count(1, 5),
        (SERVER, Address("192.168.2.2", 8080)): Count(2, 10),
    }
    assert _counts("IP Virtual Server version 1.2.1 (size=4096)\n") == {}


def test_counters_that_are_up_to_date() -> None:
    assert ipvs_trace.grown(_counts(BEFORE), _counts(AFTER), SERVER)
    assert not ipvs_trace.grown(_counts(BEFORE), _counts(BEFORE), SERVER)


def test_who_was_chosen_and_what_was_rewritten() -> None:
    steps = ipvs_trace.steps(_counts(BEFORE), _counts(AFTER), CONNECTION, SOURCE, SERVER)
    assert [(step.table, step.chain, step.rule) for step in steps[:2]] == [
        ("ipvs", "virtual server", "10.96.0.5:80: connections 3 → 4, packets in 15 → 20"),
        ("ipvs", "real server", "192.168.1.2:8080: connections 1 → 2, packets in 5 → 10"),
    ]
    assert [(step.translation, step.translated_to) for step in steps] == [
        ("", None),
        ("DNAT", ENDPOINT),
        ("masquerade", Address("192.168.1.1", 20123)),
    ]
    assert steps[2].rule == CONNECTION.strip()
    assert ipvs_trace.source(CONNECTION) == "172.30.0.11"


def test_a_source_that_stays_is_no_translation() -> None:
    kept = CONNECTION.replace("dst=192.168.1.1", "dst=172.30.0.11")
    steps = ipvs_trace.steps(_counts(BEFORE), _counts(AFTER), kept, SOURCE, SERVER)
    assert [step.translation for step in steps] == ["", "DNAT", ""]


def test_nobody_took_it() -> None:
    (step,) = ipvs_trace.steps(_counts(BEFORE), _counts(BEFORE), "", SOURCE, SERVER)
    assert step.verdict == "reject"
    assert step.rule == "10.96.0.5:80: connections 3 → 3, packets in 15 → 15; no real server was chosen"
    assert ipvs_trace.source("") == ""


def test_no_such_virtual_server() -> None:
    assert ipvs_trace.steps({}, {}, "", SOURCE, SERVER) == ()


def test_the_picture_says_that_counters_tell_it() -> None:
    steps = ipvs_trace.steps(_counts(BEFORE), _counts(AFTER), CONNECTION, SOURCE, SERVER)
    request = Request("node node-01", "default/web", SOURCE, SERVER)
    path = PacketPath("node-01", "ipvs", request, steps, "delivered", ENDPOINT, "pod/web", 200, "")
    assert "told by counters before and after, and by conntrack" in packet.to_text(path)
    assert "told by counters before and after" in packet.to_svg(path)
