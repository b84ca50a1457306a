"""The chain from a request to changed rules as picture and graph, from links that are made."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import networkx

from labkit.proxy.cause import Chain, Link, NodeFollowed, NodesTable
from labkit.views.cause import scene, to_graph, to_svg
from tests.views.svgs import parsed, texts, words

START = datetime(2026, 1, 1, tzinfo=UTC)
NODES = ("master", "node-01")


def at(milliseconds: float) -> datetime:
    return START + timedelta(milliseconds=milliseconds)


def request(number: int, who: str, what: str, ms: float) -> Link:
    return Link(number, "request", who, "API server", what, at(ms), at(ms + 1), True, f"audit:{number}")


def chain(name: str = "default/web", *, late: bool = False) -> Chain:
    """Return a chain in which the rules of the last node follow, or not."""
    found = [
        request(1, "kubectl", f"creates Service {name}", 0),
        request(2, "endpointslice-controller", "creates endpoint slice web-x: 2 ready", 900),
    ]
    followed = []
    for index, node in enumerate(NODES):
        if late and index:
            followed.append(NodeFollowed(node, None, None, None, None, None, 0, 0))
            continue
        number, ms = len(found) + 1, 950.0 + index
        proxy, rules = f"kube-proxy on {node}", f"rules of {node}"
        found += [
            Link(number, "notify", "API server", proxy, "tells", at(901), at(ms), False, "a rule", node, 2),
            Link(number + 1, "rules", proxy, rules, "changes rules: 1 came", at(ms), at(ms), True, "nft monitor", node,
                 number, ("nat X: y",)),
        ]  # fmt: skip
        followed.append(NodeFollowed(node, ms, ms, ms - 901, 1.1, 0.03, 1, 0))
    ordered = sorted(found, key=lambda link: link.start)
    places = {link.number: place for place, link in enumerate(ordered, 1)}
    links = tuple(
        replace(link, number=places[link.number], after=places[link.after] if link.after else None) for link in ordered
    )
    return Chain(name, "iptables", links, tuple(followed))


def test_every_component_and_each_nodes_rules_have_a_lane() -> None:
    shown = words(to_svg(chain()))
    for name in ("kubectl", "endpointslice-controller", "API server", "rules of master", "rules of node-01"):
        assert name in shown
    assert "899 ms" in shown or "900 ms" in shown, "idle time is folded, and says how long it was"
    assert "49 ms after the API" in shown


def test_a_node_that_did_not_follow_has_its_lane_and_is_named() -> None:
    found = chain(late=True)
    assert "rules of node-01" in words(to_svg(found))
    assert "those of node-01 did not change" in found.caption()
    assert NodesTable(found).rows()[1] == ("node-01", "-", "-", "-", "-", "-", "0", "0")


def test_nothing_is_outside_of_the_picture() -> None:
    found = scene(chain())
    for text, (left, top, right, bottom) in texts(found):
        assert left >= 0, text
        assert top >= 0, text
        assert right <= found.width, text
        assert bottom <= found.height, text


def test_text_from_a_cluster_is_escaped() -> None:
    found = chain("default/<script>")
    assert "<script>" not in to_svg(found)
    assert "<script>" not in found._repr_html_()
    parsed(to_svg(found))


def test_the_graph_leads_from_the_person_to_the_rules() -> None:
    graph = to_graph(chain())
    for node in NODES:
        assert networkx.has_path(graph, "kubectl", f"rules of {node}")
    assert {data["link"].number for _, _, data in graph.edges(data=True)} == {link.number for link in chain().links}


def test_the_same_chain_gives_the_same_picture() -> None:
    assert to_svg(chain()) == to_svg(chain())
