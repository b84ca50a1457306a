"""A flow as swim lanes over time: SVG, and a matplotlib figure of the same.

Each component has a lane, each hop an arrow from lane to lane with its number where it begins; a bar shows how long the
receiver worked on it (of an inferred hop: when at the earliest and at the latest it came). With more pods than can be
told apart, the hops of most are drawn together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from labkit.flow import Flow
from labkit.language import gettext
from labkit.views import svg, words
from labkit.views.arrows import MARK, arrow, component_data, foot, footing, heading, hop_group, number
from labkit.views.metrics import fit, width
from labkit.views.palette import paint
from labkit.views.scene import BASELINE, MEDIUM, SMALL, Group, Path, Rect, Scene, Shape, Text
from labkit.views.timeline import FOLDED, PITCH, START, Arrow, Fold, Lane, Timeline, arrange, label_start, ticks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_AXIS = 104.0  # the height of the time axis
_BAR = 8.0
_AGAIN = 1600.0  # pixels after which a lane says its name again


def to_svg(flow: Flow, *, step: int | None = None, records: bool = True, prefix: str = "labkit-lanes") -> str:
    """Return the picture as SVG; as wide as it needs to be. The same flow gives the same text.

    The lanes' names are ``<g class="component">``: a page that scrolls can move them along. The hops that one arrow
    stands for are in its ``data-hops``.

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
    time = arrange(flow)
    low = time.lanes[-1].y + PITCH / 2
    marks = [item.mark for item in time.arrows if len(item.hops) > 1][:1]
    and_ = gettext(" and ")
    more = [
        gettext("{mark}: hop {numbers} more like it.").format(mark=mark, numbers=mark.replace("+", and_))
        for mark in marks
    ]
    height = low + foot(flow, time.width, *more)
    groups = [Group("page", (Rect("paper", 0, 0, time.width, height, 0),)), heading(flow, step, time.width)]
    groups += [_lane(lane, time) for lane in time.lanes]
    groups += [_fold(fold, low) for fold in time.folds]
    groups.append(_axis(flow, time))
    groups += [group for item in time.arrows for group in _arrow(item, step)]
    groups += [_name(flow, lane, step) for lane in time.lanes]
    groups.append(footing(flow, time.width, low, *more))
    return Scene("lanes", words.title(flow), words.alt_text(flow), time.width, height, tuple(groups), step)


def _lane(lane: Lane, time: Timeline) -> Group:
    """Return a lane's line, with its name again where a reader who scrolled no longer sees the first."""
    shapes: list[Shape] = [Path("axis", (((START - 24, lane.y), (time.end, lane.y)),))]
    x = START + _AGAIN
    wide = width(lane.label, SMALL)
    while x + wide < time.end:
        hidden = next((fold for fold in time.folds if fold.x - wide < x < fold.x + FOLDED), None)
        at = hidden.x + FOLDED + 8 if hidden else x
        shapes.append(Text("again", at, lane.y - 10, lane.label, SMALL))
        x += _AGAIN
    return Group("lane", tuple(shapes))


def _name(flow: Flow, lane: Lane, step: int | None) -> Group:
    wide = START - 40
    size = MEDIUM if width(lane.label, MEDIUM, bold=True) <= wide - 16 else SMALL
    label = fit(lane.label, wide - 16, size, bold=True)
    shapes = (
        Rect("box", 16, lane.y - 14, wide, 28),
        Text("name", 16 + wide / 2, lane.y + BASELINE * size, label, size, "middle", bold=True),
    )
    data = component_data(lane.actors, flow, step)
    names = ", ".join(actor.name for actor in lane.actors)
    return Group("component", shapes, paint(lane.actors[0]), data, title=names)


def _fold(fold: Fold, low: float) -> Group:
    """Return the band that stands for idle time, and how long it was."""
    x = fold.x + FOLDED / 2
    edges = Path("axis", tuple(((at, _AXIS + 8), (at, low)) for at in (fold.x, fold.x + FOLDED)))
    band = Rect("fold", fold.x, _AXIS + 8, FOLDED, low - _AXIS - 8, 0)
    text = Text("quiet", x, _AXIS + 4, words.duration(fold.milliseconds), SMALL, "middle", bold=True)
    return Group(
        "folded", (band, edges, text), title=gettext("{time} in which nothing began or ended").format(time=text.text)
    )


def _axis(flow: Flow, time: Timeline) -> Group:
    shapes: list[Shape] = []
    for x, text in ticks(flow, time.arrows):
        shapes.append(Path("axis", (((x, _AXIS - 12), (x, _AXIS - (4 if text else 8))),)))
        if text:
            shapes.append(Text("quiet", x, _AXIS - 18, text, SMALL, "middle"))
    return Group("time", tuple(shapes))


def _arrow(item: Arrow, step: int | None) -> Iterator[Group]:
    first = item.hops[0]
    if step is not None and first.number > step:
        return
    down = 1 if item.target >= item.source else -1
    begin = item.source if item.target != item.source else item.source - PITCH / 2
    points = (item.x, begin + down * MARK / 2), (item.x, item.target - down * _BAR / 2)
    label = fit(item.label, 280, SMALL, bold=True)
    shapes: tuple[Shape, ...] = (
        Rect("bar", item.x, item.target - _BAR / 2, max(4, item.end - item.x), _BAR, 2),
        *arrow(first, points),
        *number(item.mark, (item.x, begin), square=first.failed),
        Text("label", label_start(item), begin + BASELINE * SMALL, label, SMALL, bold=True),
    )
    yield hop_group(item.hops, shapes, step)
