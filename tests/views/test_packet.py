"""The path of a packet as text, graph and picture, from traces of a real lab."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import pytest

from labkit.proxy import nft_trace
from labkit.proxy.packet import PacketPath, Request, Step, outcome
from labkit.views.packet import WIDTH, scene, to_graph, to_svg, to_text
from tests.views.svgs import SVG, inside, overlap, parsed, shapes, texts, words

DATA = Path(__file__).parents[1] / "proxy/data"
NAMES = (
    *("iptables-node", "iptables-pod", "iptables-rejected", "iptables-nodeport"),
    *("nftables-node", "nftables-pod", "nftables-rejected"),
)


def path_of(name: str) -> PacketPath:
    rules = nft_trace.iptables_rules(
        (DATA / "trace-iptables-nft-rules.txt").read_text(), (DATA / "trace-iptables-save.txt").read_text()
    )
    iptables = name.startswith("iptables")
    steps = nft_trace.parse((DATA / f"trace-{name}.txt").read_text(), rules if iptables else None)
    endpoint = next((step.translated_to for step in steps if step.translation == "DNAT"), None)
    error = "" if endpoint else "connection refused"
    return PacketPath(
        node="node-01",
        mode="iptables" if iptables else "nftables",
        request=Request("node node-01", "default/tomcat", steps[0].packet.source, steps[0].packet.destination),
        steps=steps,
        outcome=outcome(steps, error),
        endpoint=endpoint,
        endpoint_name="pod/tomcat-6575776b55-z72ck" if endpoint else "",
        status=200 if endpoint else None,
        error=error,
    )


def drawn_chains(svg: str) -> list[str]:
    return [str(group.get("data-chain")) for group in parsed(svg).iter(f"{SVG}g") if group.get("data-chain")]


@pytest.mark.parametrize("name", NAMES)
def test_no_text_leaves_the_page_or_covers_another(name: str) -> None:
    picture = scene(path_of(name))
    assert picture.width == WIDTH == 900
    seen = list(texts(picture))
    assert all(inside(extent, picture) for _, extent in seen)
    for (one, first), (other, second) in itertools.combinations(seen, 2):
        assert not overlap(first, second), (one, other)


@pytest.mark.parametrize("name", NAMES)
def test_boxes_stand_below_each_other_and_no_arrow_crosses_one(name: str) -> None:
    picture = scene(path_of(name))
    boxes = sorted([*shapes(picture, "component"), *shapes(picture, "passed")], key=lambda extent: extent[1])
    for first, second in itertools.pairwise(boxes):
        assert first[3] < second[1]
    lines = [
        (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
        for group in picture.groups
        if group.kind == "way"
        for shape in group.shapes[:1]
        for piece in shape.pieces  # type: ignore[union-attr]
        for (x1, y1), (x2, y2) in itertools.pairwise(piece)
    ]
    assert len(lines) >= len(boxes) - 1
    for line, box in itertools.product(lines, boxes):
        assert not overlap(line, box), (line, box)


@pytest.mark.parametrize("name", NAMES)
def test_the_chains_are_drawn_in_the_order_in_which_the_packet_passed_them(name: str) -> None:
    path = path_of(name)
    visits = [chain for chain, _ in itertools.groupby((step.table, step.chain) for step in path.steps)]
    assert drawn_chains(to_svg(path)) == [chain for _, chain in visits]


@pytest.mark.parametrize("name", ["iptables-node", "nftables-node"])
def test_what_was_rewritten_is_drawn_as_a_bar(name: str) -> None:
    path = path_of(name)
    groups = [group for group in parsed(to_svg(path)).iter(f"{SVG}g") if group.get("data-translation")]
    assert [group.get("data-translation") for group in groups] == ["DNAT", "masquerade"]
    said = [text.text or "" for group in groups for text in group.iter(f"{SVG}text")]
    assert said[0] == f"DNAT: the destination {path.request.destination} becomes {path.endpoint}"
    assert said[1].startswith(f"masquerade: the source {path.request.source} becomes ")


def test_the_picture_begins_with_the_client_and_ends_with_the_pod_and_the_answer() -> None:
    said = words(to_svg(path_of("iptables-pod")))
    assert said.index("node node-01") < said.index("nat PREROUTING") < said.index("pod/tomcat-6575776b55-z72ck")
    assert said[-1] == "delivered to 192.168.1.2:8080; the client sees: HTTP 200"


@pytest.mark.parametrize("name", ["iptables-rejected", "nftables-rejected"])
def test_a_refusal_is_drawn_as_the_end(name: str) -> None:
    said = words(to_svg(path_of(name)))
    assert "reject: the node refuses it at once" in said
    assert said[-2:] == ["rejected", "the client sees: connection refused"]


def test_the_picture_has_words_for_those_who_do_not_see_it() -> None:
    path = path_of("nftables-node")
    picture = parsed(to_svg(path, prefix="one"))
    assert (picture.get("role"), picture.get("aria-labelledby")) == ("img", "one-title")
    title, description = picture.find(f"{SVG}title"), picture.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert title.text == "A packet to Service default/tomcat: delivered to 192.168.2.2:8080"
    assert description.text == to_text(path)


def test_no_text_of_a_rule_becomes_markup() -> None:
    path = path_of("iptables-node")
    rule = '--comment "</text><script>alert(1)</script> & \x00"'
    steps = tuple(dataclasses.replace(step, rule=rule, chain=f"<{step.chain}>") for step in path.steps)
    svg = to_svg(dataclasses.replace(path, steps=steps, endpoint_name="<b>"))
    assert not list(parsed(svg).iter(f"{SVG}script"))
    assert any("<script>" in word for word in words(svg))


def test_the_longest_names_stay_on_the_page() -> None:
    path = path_of("nftables-node")
    steps: list[Step] = []
    for depth, step in enumerate(path.steps):
        verdict = f"goto {'x' * 250}" if step.verdict.startswith("goto") else step.verdict
        steps.append(dataclasses.replace(step, chain="c" * 250, rule="r " * 300, verdict=verdict, depth=depth % 5))
    picture = scene(dataclasses.replace(path, steps=tuple(steps), endpoint_name="pod/" + "p" * 250))
    assert all(inside(extent, picture) for _, extent in texts(picture))


def test_the_text_is_indented_by_jumps_and_marks_what_was_rewritten() -> None:
    lines = to_text(path_of("iptables-node")).splitlines()
    assert lines[0] == "A packet to Service default/tomcat: delivered to 192.168.1.2:8080"
    indents = {line.strip(): len(line) - len(line.lstrip()) for line in lines}
    assert indents["ip nat OUTPUT"] == 2
    assert indents["ip nat KUBE-SERVICES"] == 4
    assert indents["ip nat KUBE-SEP-ZHMVS4GIUZIDVZV3"] == 8
    assert "*** DNAT: the destination 10.96.109.226:8080 becomes 192.168.1.2:8080 ***" in indents
    assert lines[-1].endswith("the client sees: HTTP 200")


def test_the_graph_leads_from_the_client_to_the_endpoint() -> None:
    path = path_of("iptables-pod")
    graph = to_graph(path)
    assert graph.graph == {"service": "default/tomcat", "node": "node-01", "mode": "iptables"}
    edges = sorted(graph.edges(keys=True, data="step"), key=lambda edge: edge[2])
    assert edges[0][0] == "node node-01"
    assert edges[0][3] is None
    assert [edge[1] for edge in edges[:4]] == [
        "nat PREROUTING",
        "nat KUBE-SERVICES",
        "nat KUBE-SVC-RHF5E556VDKPGRYA",
        "nat KUBE-SEP-ZHMVS4GIUZIDVZV3",
    ]
    assert edges[-1][1] == "192.168.1.2:8080"
    assert graph.nodes["192.168.1.2:8080"]["kind"] == "end"
    for first, second in itertools.pairwise(edges):
        assert first[1] == second[0]


def test_the_graph_of_a_refused_packet_ends_with_that() -> None:
    graph = to_graph(path_of("nftables-rejected"))
    assert graph.nodes["rejected"]["kind"] == "end"
    assert next(graph.predecessors("rejected")) == "kube-proxy reject-chain"
