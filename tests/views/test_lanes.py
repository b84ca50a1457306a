"""The swim lanes: every hop once, in order, with room for its number; idle time folded; many pods together."""

from __future__ import annotations

import dataclasses
import io
import itertools
from datetime import timedelta

import pytest

from labkit.flow import API_SERVER, Flow
from labkit.views.lanes import draw, scene, to_svg
from labkit.views.scene import Rect
from labkit.views.timeline import FOLD, Arrow, arrange
from tests.views.flows import Writer, flow_of
from tests.views.svgs import SVG, hops, inside, overlap, parsed, texts, words

FLOWS = [
    flow_of(1, 1),
    flow_of(3, 2, expose=True),
    flow_of(6, 3),
    flow_of(50, 2),
    flow_of(50, 50, expose=True),
    flow_of(2, bound=False),
]


def size_of(flow: Flow) -> str:
    return f"{len(flow.pods)}-pods-{len(flow.nodes)}-nodes"


@pytest.mark.parametrize("flow", FLOWS, ids=size_of)
def test_every_hop_is_drawn_once(flow: Flow) -> None:
    drawn = [number for group in hops(to_svg(flow)) for number in group.get("data-hops", "").split()]
    assert sorted(map(int, drawn)) == [hop.number for hop in flow.hops]
    assert all(len(group.findall(f"{SVG}text")) == 2 for group in hops(to_svg(flow)))


@pytest.mark.parametrize("flow", FLOWS, ids=size_of)
@pytest.mark.parametrize("step", [None, 14])
def test_no_text_leaves_the_page_or_covers_another(flow: Flow, step: int | None) -> None:
    picture = scene(flow, step=step)
    seen = list(texts(picture))
    assert all(inside(extent, picture) for _, extent in seen)
    for (one, first), (other, second) in itertools.combinations(seen, 2):
        assert not overlap(first, second), (one, other)


@pytest.mark.parametrize("flow", FLOWS, ids=size_of)
def test_what_every_step_says_stays_on_the_page(flow: Flow) -> None:
    last = scene(flow, step=flow.hops[-1].number)
    assert all(inside(extent, last) for _, extent in texts(last))


@pytest.mark.parametrize("flow", FLOWS, ids=size_of)
def test_numbers_are_apart_and_time_never_runs_back(flow: Flow) -> None:
    time = arrange(flow)
    for first, second in itertools.pairwise(time.arrows):
        assert second.x - first.x >= 16
        assert first.hops[0].start <= second.hops[0].start
    assert all(arrow.x <= arrow.end <= time.end for arrow in time.arrows)
    marks = [shape for group in scene(flow).groups for shape in group.shapes if isinstance(shape, Rect)]
    places = [(mark.x, mark.y, mark.x + mark.width, mark.y + mark.height) for mark in marks if mark.role == "mark"]
    assert len(places) == len(time.arrows)
    assert not any(itertools.starmap(overlap, itertools.combinations(places, 2)))


def test_inferred_arrows_are_dashed() -> None:
    flow = flow_of(2)
    for group in hops(to_svg(flow)):
        hop = flow.hops[int(group.get("data-hop", "")) - 1]
        line = next(path for path in group.iter(f"{SVG}path") if path.get("class") == "line")
        assert (line.get("stroke-dasharray") is None) == hop.observed


def test_an_arrow_goes_from_its_sources_lane_to_its_targets() -> None:
    time = arrange(flow_of(3, 2, expose=True))
    heights = {actor.id: lane.y for lane in time.lanes for actor in lane.actors}
    assert len(set(heights.values())) == len(time.lanes)
    for arrow in time.arrows:
        hop = arrow.hops[0]
        assert (arrow.source, arrow.target) == (heights[hop.source.id], heights[hop.target.id])


def test_long_idle_time_is_folded_and_said() -> None:
    flow = flow_of(1, expose=True)
    time = arrange(flow)
    assert [round(fold.milliseconds) for fold in time.folds] == [900, 4000]
    assert min(fold.milliseconds for fold in time.folds) > FOLD
    assert {"900 ms", "4.00 s"} <= set(words(to_svg(flow)))
    for fold, arrow in itertools.product(time.folds, time.arrows):
        assert not fold.x < arrow.x < fold.x + 56


def test_a_bar_is_as_long_as_the_work_took() -> None:
    time = arrange(flow_of(1))
    pull = next(arrow for arrow in time.arrows if arrow.hops[0].verb == "PullImage")
    fold = time.folds[0]
    assert pull.x < fold.x < fold.x + 56 < pull.end


def test_many_pods_are_drawn_together_and_the_first_two_hop_by_hop() -> None:
    flow = flow_of(50, 2)
    time = arrange(flow)
    assert len(time.arrows) < 120
    first = [arrow for arrow in time.arrows if arrow.hops[0].object.name.startswith("tomcat-5c8-x0000")]
    assert first
    assert all(len(arrow.hops) == 1 for arrow in first)
    binding = max(time.arrows, key=_bindings)
    assert len(binding.hops) == 48
    assert binding.mark == f"{binding.hops[0].number}+47"
    assert any("more like it" in word for word in words(to_svg(flow)))


def _bindings(arrow: Arrow) -> int:
    return len(arrow.hops) if arrow.hops[0].object.subresource == "binding" and arrow.hops[0].kind == "request" else 0


def test_many_nodes_share_a_lane_and_each_lane_has_a_name() -> None:
    flow = flow_of(50, 50)
    labels = [lane.label for lane in arrange(flow).lanes]
    assert "47 more: kubelet" in labels
    assert len(labels) == len(set(labels)) < 20
    boxes = [group for group in parsed(to_svg(flow)).iter(f"{SVG}g") if group.get("class", "").startswith("component")]
    assert len(boxes) == len(labels)
    drawn = [actor for box in boxes for actor in box.get("data-actor", "").split()]
    assert sorted(drawn) == sorted({actor.id for hop in flow.hops for actor in (hop.source, hop.target)})


def test_a_lane_says_its_name_again_along_a_wide_picture() -> None:
    picture = scene(flow_of(50, 50))
    said = [text for text, _ in texts(picture)].count("scheduler")
    assert said >= picture.width // 1900 > 1


def test_a_step_shows_what_was_and_what_is_and_not_what_comes() -> None:
    flow = flow_of(2)
    states = [
        (int(group.get("data-hop", "")), group.get("class", "").split()[1]) for group in hops(to_svg(flow, step=9))
    ]
    assert sorted(states) == [*((number, "past") for number in range(1, 9)), (9, "now")]
    assert (scene(flow, step=9).width, scene(flow, step=9).height) == (scene(flow).width, scene(flow).height)


def test_a_component_that_asks_itself() -> None:
    writer = Writer()
    writer.write(API_SERVER, "create", "endpointslices/kubernetes", 0)
    flow = Flow(writer.hops[0].object, tuple(writer.hops))
    assert len(hops(to_svg(flow))) == len(flow.hops)


def test_a_clock_that_went_backwards() -> None:
    flow = flow_of(1)
    late = tuple(
        dataclasses.replace(hop, start=hop.start - timedelta(hours=1), end=hop.end - timedelta(hours=1))
        if hop.number > 20
        else hop
        for hop in flow.hops
    )
    picture = scene(dataclasses.replace(flow, hops=late))
    assert all(inside(extent, picture) for _, extent in texts(picture))
    assert "60 min" in {text for text, _ in texts(picture)}


def test_the_same_flow_gives_the_same_svg() -> None:
    assert to_svg(flow_of(3)) == to_svg(flow_of(3))


@pytest.mark.parametrize("step", [None, 14])
def test_the_figure_shows_the_same_words(step: int | None) -> None:
    flow = flow_of(3)
    figure = draw(flow, step=step)
    figure.savefig(io.BytesIO(), format="pdf")
    assert [text.get_text() for text in figure.axes[0].texts] == [text for text, _ in texts(scene(flow, step=step))]
