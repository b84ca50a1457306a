"""A flow drawn on the architecture of a cluster: SVG, and a matplotlib figure of the same.

Without a step it is an overview: every hop's number stands on the edge that it went along. With one it shows the
moment: the present hop bold, those before it thin and grey, those after it absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from labkit.flow import Flow, Hop
from labkit.language import gettext
from labkit.views import svg, words
from labkit.views.arrows import arrow, component_data, foot, footing, heading, hop_group, number, paint_of, state
from labkit.views.layout import NODES, PITCH, TOP, WIDTH, Box, Edge, Layout, arrange
from labkit.views.metrics import fit, width, wrap
from labkit.views.palette import paint
from labkit.views.scene import BASELINE, MEDIUM, SMALL, Group, Path, Rect, Scene, Shape, Text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEADING = 3.0  # between two lines of a component's name


def to_svg(
    flow: Flow,
    *,
    step: int | None = None,
    records: bool = True,
    prefix: str = "labkit-architecture",
) -> str:
    """Return the picture as SVG: real text, words for those who do not see it; the same flow gives the same text.

    Parameters
    ----------
    flow : Flow
        What to draw.
    step : int, optional
        The number of the present hop; without it, an overview.
    records : bool
        Whether to draw Events.
    prefix : str
        What the picture's ids begin with: several on a page need different ones.

    Raises
    ------
    UsageError
        The flow has no hop of that number.
    """
    return svg.write(scene(flow, step=step, records=records), prefix)


def draw(flow: Flow, *, step: int | None = None, records: bool = True) -> Figure:
    """Return the picture as a matplotlib figure, for paper; the parameters are those of `to_svg`."""
    from labkit.views import figure  # noqa: PLC0415 - matplotlib takes long to load, and SVG needs none of it

    return figure.paint(scene(flow, step=step, records=records))


def scene(flow: Flow, *, step: int | None = None, records: bool = True) -> Scene:
    """Return the picture as shapes; the parameters are those of `to_svg`."""
    flow = words.chosen(flow, step=step, records=records)
    layout = arrange(flow)
    height = layout.height + foot(flow, WIDTH)
    groups = [Group("page", (Rect("paper", 0, 0, WIDTH, height, 0),)), heading(flow, step, WIDTH)]
    groups.append(_control_plane(flow, layout))
    groups += [_frame(box) for box in layout.boxes if box.kind == "frame"]
    hops = [item for edge in layout.edges for item in _hops(edge, step)]
    groups += [group for _, group in sorted(hops, key=lambda item: item[0])]
    groups += [group for edge in layout.edges if _reached(edge, step) for group in _edge(edge)]
    groups += [_component(flow, box, step) for box in layout.boxes if box.kind == "component"]
    groups += [group for box in layout.boxes if box.kind == "pod" for group in _pod(flow, box, step)]
    groups.append(footing(flow, WIDTH, layout.height))
    return Scene("architecture", words.title(flow), words.alt_text(flow), WIDTH, height, tuple(groups), step)


def _reached(edge: Edge, step: int | None) -> bool:
    return step is None or edge.hops[0].number <= step


def _edge(edge: Edge) -> Iterator[Group]:
    """Return what an edge's hops do together, and how many have no room for a number."""
    x, y, room = edge.label
    shapes: list[Shape] = [Text("summary", x, y, fit(words.things(edge.hops), room, SMALL), anchor=edge.anchor)]
    if edge.crowded > 1:
        shapes += number(f"+{edge.crowded}", edge.marks[-1])
    data = {"hops": " ".join(str(hop.number) for hop in edge.hops), "kind": edge.hops[0].kind}
    yield Group("edge", tuple(shapes), paint_of(edge.hops[0]), data)


def _hops(edge: Edge, step: int | None) -> Iterator[tuple[int, Group]]:
    crowded = edge.crowded
    level = edge.points[0][1] == edge.points[1][1]
    before: list[Rect] = []
    for index, (hop, at) in enumerate(zip(edge.hops, edge.marks, strict=True)):
        if step is not None and hop.number > step:
            return
        over = crowded > 1 and index >= len(edge.hops) - crowded
        mark = number(str(hop.number), at, over=over, square=hop.failed)
        shapes: tuple[Shape, ...] = (
            *arrow(hop, edge.points, around=before if level else ()),
            *mark,
            *_label(hop, edge),
        )
        if not over:
            before.append(mark[0])
        yield hop.number, hop_group((hop,), shapes, step)


def _label(hop: Hop, edge: Edge) -> Iterator[Text]:
    """Return what a hop does: above a level edge, and what has no room there below it."""
    x, y, room = edge.label
    first, second = words.label(hop), ""
    if edge.anchor == "start" and hop.kind != "runtime" and width(first, SMALL, bold=True) > room:
        first, second = _two_lines(hop, room)
    yield Text("label", x, y, fit(first, room, SMALL, bold=True), SMALL, edge.anchor, bold=True)
    if second:
        yield Text("object", x, y + PITCH, fit(second, room, SMALL), SMALL)


def _two_lines(hop: Hop, room: float) -> tuple[str, str]:
    if hop.kind != "record":
        return words.thing(hop), hop.object.name
    first, *rest = wrap(words.label(hop), room, SMALL, bold=True)
    return first, " ".join(rest)


def _frame(box: Box) -> Group:
    shapes = (
        Rect("frame", box.x, box.y, box.width, box.height, 8),
        Text("quiet", box.x + 8, box.y + 20, fit(box.label, box.width - 16, SMALL), SMALL),
    )
    return Group("frame", shapes)


def _control_plane(flow: Flow, layout: Layout) -> Group:
    label = fit(gettext("{node} · control plane").format(node=flow.control_plane), WIDTH - NODES - 16, SMALL, bold=True)
    outline = Path("frame", (layout.outline,), closed=True)
    return Group("frame", (outline, Text("quiet", NODES + 8, TOP + 20, label, SMALL)))


def _component(flow: Flow, box: Box, step: int | None) -> Group:
    room = box.width - 4
    size = MEDIUM if max(width(word, MEDIUM, bold=True) for word in box.label.split()) <= room else SMALL
    lines = wrap(box.label, room, size, bold=True)
    line = size + _LEADING
    x, top = box.x + box.width / 2, box.y + box.height / 2 - (len(lines) - 1) * line / 2
    texts = [
        Text("name", x, top + index * line + BASELINE * size, said, size, "middle", bold=True)
        for index, said in enumerate(lines)
    ]
    data = component_data(box.actors, flow, step)
    key = paint(box.actors[0]) if box.actors else "faint"
    names = ", ".join(actor.name for actor in box.actors)
    return Group("component", (Rect("box", box.x, box.y, box.width, box.height), *texts), key, data, title=names)


def _pod(flow: Flow, box: Box, step: int | None) -> Iterator[Group]:
    """Return a pod, if it is there by now: from the hop that bound it on, until it is removed."""
    since, until = _life(flow, box)
    if step is not None and not since <= step < until:
        return
    shapes = (
        Rect("pod", box.x, box.y, box.width, box.height, 12),
        Text("quiet", box.x + box.width / 2, box.y + 17, fit(box.label, box.width - 16, SMALL), SMALL, "middle"),
    )
    data = {"pods": " ".join(box.pods), "hop": str(since), "hops": str(since)}
    if until != _NEVER:
        data["until"] = str(until)
    yield Group("pod", shapes, "quiet", data, state((since,), step), "\n".join(box.pods[:20]))


_NEVER = 1 << 31


def _life(flow: Flow, box: Box) -> tuple[int, int]:
    """Return the number of the hop that brought the first of these pods there, and of the one that removed the last."""
    about = [hop for hop in flow.hops if hop.object.resource == "pods" and hop.object.name in box.pods]
    bound = [hop.number for hop in about if hop.object.subresource == "binding" and not hop.failed]
    made = [hop.number for hop in about]
    removed = {hop.object.name: hop.number for hop in about if (hop.kind, hop.verb) == ("persist", "remove")}
    gone = max(removed.values()) if len(removed) == len(box.pods) else _NEVER
    return min(bound or made or [0]), gone
