"""kube-proxy's state as a picture and as a table: what is there, what is not yet, and nothing over anything else."""

from __future__ import annotations

import pytest

from labkit.proxy.state import NodeState, ProxyState
from labkit.views import proxy_state
from labkit.views.scene import Path
from tests.views.svgs import inside, overlap, parsed, texts, words

SETTLED = NodeState("master", "kube-proxy-abcde", True, "Using nftables Proxier", ("nftables",), 38)
STATES = {
    "settled": ProxyState("nftables", (SETTLED,) * 3),
    "changing": ProxyState(
        "nftables",
        (
            SETTLED,
            NodeState("node-01", "kube-proxy-fghij", False, "", ("iptables",), 1_234_567),
            NodeState("node-02", modes=("iptables", "nftables"), count=82),
            NodeState("node-03", trouble="it is switched off"),
            NodeState("node-04"),
        ),
    ),
    "long": ProxyState(None, (NodeState("n" * 63, "kube-proxy-" + "p" * 200, True, "l" * 99, ("ipvs",), 10**9),), "no"),
    "nothing": ProxyState(None, (), "Lab 'lab' does not run"),
}


@pytest.mark.parametrize("name", STATES)
def test_no_text_leaves_the_picture_or_covers_another(name: str) -> None:
    scene = proxy_state.scene(STATES[name])
    extents = list(texts(scene))
    for at, (text, extent) in enumerate(extents):
        assert inside(extent, scene), text
        for other, second in extents[at + 1 :]:
            assert not overlap(extent, second), f"{text!r} covers {other!r}"


def test_a_node_that_does_not_follow_yet_is_lacking() -> None:
    assert STATES["settled"].settled
    assert STATES["settled"].lacking == ()
    assert not STATES["changing"].settled
    assert STATES["changing"].lacking == ("node-01", "node-02", "node-03", "node-04")
    assert not STATES["nothing"].settled
    assert not ProxyState("iptables", (SETTLED,)).settled


def test_what_is_not_there_is_drawn_with_a_broken_line() -> None:
    def broken(state: ProxyState) -> int:
        shapes = (shape for group in proxy_state.scene(state).groups for shape in group.shapes)
        return sum(isinstance(shape, Path) and shape.dashed for shape in shapes)

    assert broken(STATES["settled"]) == 0
    assert broken(ProxyState("nftables", (NodeState("node-01", "kube-proxy-x", False, "", ("iptables",)),))) == 2
    assert broken(ProxyState("nftables", (NodeState("node-01"),))) == 3


def test_the_modes_stand_in_words_beside_their_colour() -> None:
    drawn = words(proxy_state.to_svg(STATES["changing"]))
    assert "mode: nftables" in drawn
    assert "nftables, 38 rules" in drawn
    assert "iptables, 1,234,567 rules" in drawn
    assert {"iptables", "nftables", "it is switched off", "no rules of kube-proxy"} <= set(drawn)


def test_the_table_says_the_same_and_escapes_it() -> None:
    assert proxy_state.rows(STATES["changing"])[:2] == [
        ("master", "kube-proxy-abcde runs", "Using nftables Proxier", "nftables, 38 rules"),
        ("node-01", "kube-proxy-fghij does not run yet", "", "iptables, 1,234,567 rules"),
    ]
    bad = ProxyState("nftables", (NodeState("<b>", "<i>", True, "<u>", trouble="<script>"),))
    table, svg = proxy_state.to_table(proxy_state.rows(bad)), proxy_state.to_svg(bad)
    for tag in ("<b>", "<i>", "<u>", "<script>"):
        assert tag not in table
        assert tag not in svg
    assert parsed(svg).tag.endswith("svg")
