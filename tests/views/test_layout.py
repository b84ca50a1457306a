"""The geometry of the picture: complete, on the page, and nothing on top of anything else."""

from __future__ import annotations

import itertools

import pytest

from labkit.views.layout import WIDTH, WORKERS_SHOWN, Box, Layout, arrange
from tests.views.flows import flow_of

SIZES = [(1, 1), (1, 2), (3, 2), (50, 2), (50, 4), (50, 50)]


def apart(first: Box, second: Box) -> bool:
    return (
        first.x + first.width <= second.x
        or second.x + second.width <= first.x
        or first.y + first.height <= second.y
        or second.y + second.height <= first.y
    )


@pytest.mark.parametrize(("pods", "nodes"), SIZES)
def test_every_hop_is_on_exactly_one_lane(pods: int, nodes: int) -> None:
    flow = flow_of(pods, nodes)
    drawn = [hop.number for lane in arrange(flow).lanes for hop in lane.hops]
    assert sorted(drawn) == [hop.number for hop in flow.hops]


@pytest.mark.parametrize(("pods", "nodes"), SIZES)
def test_lanes_are_apart_and_cross_no_component(pods: int, nodes: int) -> None:
    layout = arrange(flow_of(pods, nodes))
    for rightwards in (True, False):
        heights = sorted(lane.y for lane in layout.lanes if (lane.start < lane.end) == rightwards)
        assert all(second - first >= 24 for first, second in itertools.pairwise(heights))
    for lane, box in itertools.product(layout.lanes, _solid(layout)):
        low, high = sorted((lane.start, lane.end))
        crosses = box.x < high - 1 and box.x + box.width > low + 1 and box.y < lane.y < box.y + box.height
        assert not crosses, (lane.label, box.label)


@pytest.mark.parametrize(("pods", "nodes"), SIZES)
def test_components_do_not_overlap_and_stay_on_the_page(pods: int, nodes: int) -> None:
    layout = arrange(flow_of(pods, nodes))
    for box in layout.boxes:
        assert box.x >= 0
        assert box.x + box.width <= WIDTH
        assert box.y + box.height <= layout.height
    assert all(itertools.starmap(apart, itertools.combinations(_solid(layout), 2)))


def test_many_nodes_and_pods_are_grouped() -> None:
    layout = arrange(flow_of(50, 50))
    frames = [box.label for box in layout.boxes if box.kind == "frame"]
    assert "47 more nodes" in frames
    assert sum(label.startswith("node-") for label in frames) == WORKERS_SHOWN - 1
    assert "47 pods" in [box.label for box in layout.boxes if box.kind == "pod"]


def test_pods_without_a_node_are_shown_apart() -> None:
    layout = arrange(flow_of(2, bound=False))
    assert "no node yet" in [box.label for box in layout.boxes]
    assert [box.label for box in layout.boxes if box.kind == "pod"] == ["pod …x0000", "pod …x0001"]


def test_the_control_planes_own_kubelet_is_inside_its_frame() -> None:
    layout = arrange(flow_of(2, 1), control_plane="node-01")
    frames = [box for box in layout.boxes if box.kind == "frame"]
    assert [box.label for box in frames if "node-01" in box.label] == ["node-01 · control plane"]
    lane = next(lane for lane in layout.lanes if lane.hops[0].source.kind == "kubelet")
    assert lane.start < frames[0].x + frames[0].width


def _solid(layout: Layout) -> list[Box]:
    return [box for box in layout.boxes if box.kind != "frame"]
