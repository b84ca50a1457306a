"""The architecture's picture: nothing on top of anything else, every hop, real text, one moment at a time."""

from __future__ import annotations

import dataclasses
import io
import itertools
import sys
from pathlib import Path
from subprocess import run

import pytest

from labkit.errors import UsageError
from labkit.flow import API_SERVER, ETCD, Flow
from labkit.views.architecture import draw, scene, to_svg
from tests.views.flows import Writer, flow_of
from tests.views.svgs import SVG, hops, inside, overlap, parsed, shapes, texts, words


def len_of(flow: Flow) -> str:
    return f"{len(flow.pods)}-pods-{len(flow.nodes)}-nodes"


def pods(flow: Flow, step: int) -> list[str]:
    """Return the pods that a picture shows."""
    groups = [group for group in parsed(to_svg(flow, step=step)).iter(f"{SVG}g") if group.get("data-pods")]
    return [str(group.get("data-pods")) for group in groups]


FLOWS = [
    flow_of(1, 1),
    flow_of(3, 2, expose=True),
    flow_of(7, 3),
    flow_of(50, 2),
    flow_of(50, 50, expose=True),
    flow_of(2, bound=False),
]


@pytest.mark.parametrize("flow", FLOWS, ids=len_of)
@pytest.mark.parametrize("step", [None, 14])
def test_no_text_leaves_the_page_or_covers_another(flow: Flow, step: int | None) -> None:
    picture = scene(flow, step=step)
    seen = list(texts(picture))
    assert all(inside(extent, picture) for _, extent in seen)
    for (one, first), (other, second) in itertools.combinations(seen, 2):
        assert not overlap(first, second), (one, other)


@pytest.mark.parametrize("flow", FLOWS, ids=len_of)
def test_boxes_are_apart_and_crossed_by_no_arrow(flow: Flow) -> None:
    picture = scene(flow)
    boxes = [*shapes(picture, "component"), *shapes(picture, "pod")]
    for first, second in itertools.combinations(boxes, 2):
        assert not overlap(first, second)
    for arrow, box in itertools.product(shapes(picture, "hop"), boxes):
        assert not overlap(arrow, box), (arrow, box)


@pytest.mark.parametrize("flow", FLOWS, ids=len_of)
def test_every_hop_is_drawn_once(flow: Flow) -> None:
    groups = hops(to_svg(flow))
    assert [group.get("data-hop") for group in groups] == [str(hop.number) for hop in flow.hops]
    for group, hop in zip(groups, flow.hops, strict=True):
        assert (group.get("data-kind"), group.get("data-source")) == (hop.kind, hop.source.id)
        dashed = {
            bool(path.get("stroke-dasharray")) for path in group.iter(f"{SVG}path") if path.get("class") == "line"
        }
        assert dashed == {not hop.observed}


def test_every_actor_has_a_box() -> None:
    flow = flow_of(50, 50, expose=True)
    boxes = [group.get("data-actor", "").split() for group in parsed(to_svg(flow)).iter(f"{SVG}g")]
    drawn = [actor for box in boxes for actor in box]
    assert sorted(drawn) == sorted({actor.id for hop in flow.hops for actor in (hop.source, hop.target)})


def test_a_step_shows_what_was_and_what_is_and_not_what_comes() -> None:
    flow = flow_of(1)
    groups = hops(to_svg(flow, step=5))
    states = [(group.get("data-hop"), group.get("class", "").split()[1]) for group in groups]
    assert states == [*((str(number), "past") for number in range(1, 5)), ("5", "now")]
    assert parsed(to_svg(flow, step=5)).get("data-step") == "5"
    assert any(
        "5 of 36" in word and "store replicasets/tomcat-5c8 · observed" in word for word in words(to_svg(flow, step=5))
    )


def test_nothing_moves_from_step_to_step() -> None:
    flow = flow_of(3, expose=True)
    first, last = scene(flow, step=1), scene(flow, step=len(flow.hops))
    assert list(shapes(first, "component")) == list(shapes(last, "component"))
    assert (first.width, first.height) == (last.width, last.height)


def test_a_pod_is_there_from_its_binding_on() -> None:
    flow = flow_of(1)
    binding = next(hop.number for hop in flow.hops if hop.object.subresource == "binding")
    assert pods(flow, binding - 1) == []
    assert pods(flow, binding) == ["tomcat-5c8-x0000"]


def test_a_step_lights_the_two_components_of_its_hop() -> None:
    flow = flow_of(1)
    lit = [
        group.get("data-actor")
        for group in parsed(to_svg(flow, step=4)).iter(f"{SVG}g")
        if group.get("data-lit") is not None
    ]
    assert sorted(map(str, lit)) == ["deployment-controller", "kube-apiserver"]
    assert "data-lit=" not in to_svg(flow)


def test_a_pod_is_gone_when_it_was_removed() -> None:
    writer = Writer([*flow_of(1).hops])
    gone = writer.hop("persist", (API_SERVER, ETCD), "remove", "pods/tomcat-5c8-x0000", 9000)
    flow = dataclasses.replace(flow_of(1), hops=tuple(writer.hops))
    assert pods(flow, gone - 1) == ["tomcat-5c8-x0000"]
    assert pods(flow, gone) == []


def test_a_step_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="There is no hop 99") as error:
        to_svg(flow_of(1), step=99)
    assert "1 to 36" in str(error.value)


def test_events_are_dim_and_can_be_left_out() -> None:
    flow = flow_of(1)
    records = [group for group in hops(to_svg(flow)) if group.get("data-kind") == "record"]
    assert records
    assert all("c-faint" in group.get("class", "") for group in records)
    kinds = {group.get("data-kind") for group in hops(to_svg(flow, records=False))}
    assert kinds == {"request", "persist", "notify", "runtime"}


def test_many_nodes_and_pods_are_grouped() -> None:
    text = words(to_svg(flow_of(50, 50)))
    assert "47 more nodes" in text
    assert "45 more pods" in text
    assert len([text for text, _ in texts(scene(flow_of(50, 50)))]) < 250
    assert "23 more pods" in words(to_svg(flow_of(50, 2)))


def test_the_api_servers_own_requests_come_from_outside() -> None:
    writer = Writer()
    writer.write(API_SERVER, "create", "endpointslices/kubernetes", 0)
    flow = Flow(writer.hops[0].object, tuple(writer.hops))
    assert [group.get("data-hop") for group in hops(to_svg(flow))] == ["1", "2"]
    assert "itself" in words(to_svg(flow))


def test_pods_without_a_node_are_shown_apart() -> None:
    text = words(to_svg(flow_of(2, bound=False)))
    assert "no node yet" in text
    assert "tomcat-5c8-x0001" in text


def test_the_control_planes_own_node_is_inside_its_frame() -> None:
    flow = flow_of(1, 1, control_plane="node-01")
    picture = to_svg(flow)
    assert "node-01 · control plane" in words(picture)
    assert "node-01" not in words(picture)


def test_svg_has_real_text_and_words_for_those_who_do_not_see_it() -> None:
    flow = flow_of(1)
    root = parsed(to_svg(flow))
    assert root.get("role") == "img"
    title, description = root[0], root[1]
    assert (title.tag, description.tag) == (f"{SVG}title", f"{SVG}desc")
    assert title.text == "kubectl create deployments/tomcat"
    for hop in flow.hops:
        told = f"{hop.number}. {hop.source.name} → {hop.target.name}: {hop.what}" in (description.text or "")
        assert told == (hop.kind != "record")


def test_markup_and_formulas_in_names_stay_text() -> None:
    name = "<script>alert(1)</script>\"'&]]>$x^2$\x00\ud800"
    flow = flow_of(1, name=name, expose=True)
    for step in (None, 1):
        svg = to_svg(flow, step=step)
        assert "<script" not in svg
        assert parsed(svg)[0].text == f"kubectl create deployments/{name[:-2]}\ufffd\ufffd"
    draw(flow).savefig(io.BytesIO(), format="png")


def test_the_same_flow_gives_the_same_svg_and_another_prefix_other_ids() -> None:
    flow = flow_of(3)
    assert to_svg(flow) == to_svg(flow)
    ids = [element.get("id") for element in parsed(to_svg(flow, prefix="two")).iter() if element.get("id")]
    assert ids == ["two", "two-title", "two-desc"]


@pytest.mark.parametrize("step", [None, 14])
def test_the_figure_shows_the_same_words(step: int | None) -> None:
    flow = flow_of(3)
    figure = draw(flow, step=step)
    figure.savefig(io.BytesIO(), format="pdf")
    assert [text.get_text() for text in figure.axes[0].texts] == [text for text, _ in texts(scene(flow, step=step))]


@pytest.mark.parametrize("view", ["architecture", "lanes"])
def test_svg_loads_no_matplotlib_and_a_figure_no_pyplot(view: str) -> None:
    code = (
        f"import sys; from labkit.views.{view} import draw, to_svg; from tests.views.flows import Writer, flow_of; "
        "to_svg(flow_of(1)); assert 'matplotlib' not in sys.modules; "
        "draw(flow_of(1)); assert 'matplotlib.pyplot' not in sys.modules"
    )
    assert run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2]).returncode == 0
