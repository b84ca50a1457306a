"""A flow drawn on the architecture of a cluster, with its numbered steps below: a matplotlib figure, and SVG.

Solid arrows were observed. Only requests to the API server are in its audit log, so nothing else is drawn as an arrow.
"""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Ellipse, FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.textpath import text_to_path

from labkit.flow import Flow, Hop
from labkit.views.layout import WIDTH, Box, Lane, Layout, arrange
from labkit.views.palette import FAINT, GROUND, INK, LINE, PAPER, QUIET, WASH, color

FAMILY = "DejaVu Sans"  # comes with matplotlib, so that the picture is the same everywhere
LARGE, MEDIUM, SMALL = 20.0, 12.0, 10.0  # pixels
_DPI = 100
_ROW = 24.0
_MARGIN = 24.0
_STEPS_SHOWN = 28  # more hops than these are listed by lane
_BADGES = 7  # more hops than these on one lane share a badge
NOTE = (
    "Each arrow is a request that the API server recorded (solid: observed); what it told its watchers leaves no "
    "record there. Hollow number: refused. Grey: Events."
)


def draw(flow: Flow, *, control_plane: str = "master") -> Figure:
    """Draw a flow.

    Parameters
    ----------
    flow : Flow
        What to draw.
    control_plane : str
        The name of the node that the control plane runs on.

    Returns
    -------
    matplotlib.figure.Figure
        Belongs to no window and to no pyplot state; a notebook shows it as it is.
    """
    layout = arrange(flow, control_plane)
    steps = _steps(flow, layout)
    rows = (len(steps) + 1) // 2
    height = layout.height + _MARGIN + rows * _ROW + 2 * _MARGIN
    figure = Figure(figsize=(WIDTH / _DPI, height / _DPI), dpi=_DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(height, 0)
    axes.axis("off")
    _text(axes, _MARGIN, 32, _title(flow), size=LARGE, weight="bold")
    _text(axes, _MARGIN, 56, _summary(flow), color=QUIET)
    for box in layout.boxes:
        _box(axes, box)
    for lane in layout.lanes:
        _lane(axes, lane)
    for index, step in enumerate(steps):
        column, row = divmod(index, rows)
        _step(axes, flow, step, _MARGIN + column * WIDTH / 2, layout.height + _MARGIN + (row + 0.5) * _ROW)
    _text(axes, _MARGIN, height - _MARGIN, NOTE, size=SMALL, color=QUIET)
    return figure


def to_svg(flow: Flow, *, control_plane: str = "master") -> str:
    """Return the picture as SVG with real text, a title and a description; the same flow gives the same text."""
    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "labkit"}):
        draw(flow, control_plane=control_plane).savefig(file, format="svg", metadata={"Date": None})
    svg = file.getvalue()
    start = svg.index("<svg")
    end = svg.index(">", start)
    said = f"<title>{html.escape(_title(flow))}</title>\n<desc>{html.escape(alt_text(flow))}</desc>"
    return f'{svg[:end]} role="img">\n{said}{svg[end + 1 :]}'


def save_svg(flow: Flow, path: Path, *, control_plane: str = "master") -> Path:
    """Write the picture as SVG and return where."""
    path.write_text(to_svg(flow, control_plane=control_plane), encoding="utf-8")
    return path


def alt_text(flow: Flow) -> str:
    """Return in words what the picture shows, for those who do not see it."""
    steps = (f"{hop.number}. {hop.source.name} {hop.what}" for hop in flow.requests)
    return f"{_title(flow)}: {_summary(flow)}. {'; '.join(steps)}."


def _title(flow: Flow) -> str:
    return f"What happened when deployment {flow.subject.name} was created"


def _summary(flow: Flow) -> str:
    requests, pods = len(flow.requests), len(flow.pods)
    last = max(hop.end for hop in flow.hops)
    duration = (last - flow.hops[0].start).total_seconds()
    parts = [
        f"{requests} request{'' if requests == 1 else 's'} to the API server",
        f"{len(flow.hops) - requests} Events",
        f"{pods} pod{'' if pods == 1 else 's'}",
        f"{duration:.2f} s from the first request to the last answer",
    ]
    return " · ".join(parts)


def _steps(flow: Flow, layout: Layout) -> list[tuple[Hop, ...]]:
    """Return what the list below the picture names: each hop, or each lane where there are too many hops."""
    if len(flow.hops) <= _STEPS_SHOWN:
        return [(hop,) for hop in flow.hops]
    return sorted((lane.hops for lane in layout.lanes), key=lambda hops: hops[0].number)


def _paint(hop: Hop) -> str:
    return FAINT if hop.kind == "record" else color(hop.source)


def _box(axes: Axes, box: Box) -> None:
    """Draw a frame, a component, the store, or a pod."""
    paint = color(box.actor) if box.actor else FAINT
    ink = paint if box.actor else QUIET
    x, y, width, height = box.x, box.y, box.width, box.height
    if box.kind == "frame":
        axes.add_patch(_rounded(x, y, width, height, face=GROUND, edge=LINE))
        _text(axes, x + 8, y + 16, box.label, color=QUIET, size=MEDIUM if width > 200 else SMALL)
        return
    if box.kind == "store":
        _cylinder(axes, box)
        return
    if box.kind == "pod":
        axes.add_patch(_rounded(x, y, width, height, face=PAPER, edge=QUIET, radius=12))
        _text(axes, x + width / 2, y + height / 2, box.label, size=SMALL, align="center")
        return
    axes.add_patch(_rounded(x, y, width, height, face=PAPER, edge=paint, thick=1.6 if box.actor else 1))
    weight = "bold" if box.actor else "normal"
    for index, line in enumerate(lines := _wrap(box.label, width - 8)):
        middle = y + height / 2 + (index - (len(lines) - 1) / 2) * 16
        _text(axes, x + width / 2, middle, line, color=ink, weight=weight, align="center")


def _cylinder(axes: Axes, box: Box) -> None:
    """Draw a data store, with the line that joins it to the API server above."""
    x, y, width, height = box.x, box.y, box.width, box.height
    axes.plot([x + width / 2] * 2, [y - 24, y - 6], color=FAINT, linewidth=1, zorder=1)
    axes.add_patch(Ellipse((x + width / 2, y + height), width, 12, facecolor=PAPER, edgecolor=QUIET, zorder=2))
    axes.add_patch(Rectangle((x, y), width, height, facecolor=PAPER, edgecolor="none", zorder=2))
    axes.plot([x, x], [y, y + height], color=QUIET, linewidth=1, zorder=3)
    axes.plot([x + width] * 2, [y, y + height], color=QUIET, linewidth=1, zorder=3)
    axes.add_patch(Ellipse((x + width / 2, y), width, 12, facecolor=PAPER, edgecolor=QUIET, zorder=3))
    _text(axes, x + width / 2, y + height / 2 + 4, box.label, align="center")


def _lane(axes: Axes, lane: Lane) -> None:
    """Draw an arrow, its words above it and its numbers on it, both at the API server's end."""
    paint = _paint(lane.hops[0])
    away = -1 if lane.end > lane.start else 1  # from the API server back to where the lane comes from
    quiet = lane.hops[0].kind == "record"
    axes.add_patch(
        FancyArrowPatch(
            (lane.start, lane.y),
            (lane.end, lane.y),
            arrowstyle="-|>",
            mutation_scale=9,
            linewidth=1 if quiet else 1.6,
            color=paint,
            shrinkA=0,
            shrinkB=0,
            zorder=4,
        )
    )
    align = "right" if away < 0 else "left"
    _text(axes, lane.end + away * 16, lane.y - 18, lane.label, color=QUIET, size=SMALL, align=align)
    marks = _marks(lane.hops)
    widths = [_badge_width(text) for text, _ in marks]
    x = lane.end - 16 - sum(widths) - 4 * (len(widths) - 1) if away < 0 else lane.end + 16
    for (text, hops), width in zip(marks, widths, strict=True):
        _badge(axes, x, lane.y, text, hops)
        x += width + 4


def _marks(hops: Sequence[Hop]) -> list[tuple[str, Sequence[Hop]]]:
    """Return the numbers to write on a lane, each with the hops it stands for."""
    if len(hops) <= _BADGES:
        return [(str(hop.number), (hop,)) for hop in hops]
    return [(f"{hops[0].number} to {hops[-1].number}, {len(hops)} times", hops)]


def _badge_width(text: str) -> float:
    return max(18.0, _width(text, SMALL, "bold") + 8)


def _badge(axes: Axes, x: float, y: float, text: str, hops: Sequence[Hop]) -> None:
    """Draw a number: filled, pale for Events, hollow where all it stands for was refused."""
    width, paint = _badge_width(text), _paint(hops[0])
    face, edge, ink = paint, paint, PAPER
    if hops[0].kind == "record":
        face, edge, ink = WASH, WASH, QUIET
    if all(hop.failed for hop in hops):
        face, edge, ink = PAPER, paint, paint
    axes.add_patch(_rounded(x, y - 9, width, 18, face=face, edge=edge, radius=9, thick=1.4, zorder=5))
    _text(axes, x + width / 2, y, text, size=SMALL, color=ink, weight="bold", align="center", zorder=6)


def _step(axes: Axes, flow: Flow, hops: tuple[Hop, ...], x: float, y: float) -> None:
    """Write one line of the list: number, time, who, what."""
    first, last = hops[0], hops[-1]
    quiet = first.kind == "record"
    paint = _paint(first)
    if len(hops) == 1:
        number, what = str(first.number), _brief(flow, first.what)
    else:
        number = f"{first.number} to {last.number}"
        what = f"{first.verb} {first.object.resource}"
        what += f"/{first.object.subresource}" if first.object.subresource else ""
        what += f", {len(hops)} times until {_after(flow, last)}"
    number_width = 32 if len(flow.hops) <= _STEPS_SHOWN else 80
    _badge(axes, x + (number_width - 8 - _badge_width(number)), y, number, hops)
    _text(axes, x + number_width + 56, y, _after(flow, first), color=QUIET, size=SMALL, align="right")
    sources = {hop.source for hop in hops}
    who = first.source.name if len(sources) == 1 else f"{len(sources)} {first.source.kind}s"
    x += number_width + 64
    _text(axes, x, y, who, size=SMALL, color=paint if not quiet else QUIET, weight="bold")
    taken = number_width + 64 + _width(who, SMALL, "bold") + 10
    room = WIDTH / 2 - 1.5 * _MARGIN - taken
    _text(axes, x + taken - number_width - 64, y, _fit(what, room), size=SMALL, color=QUIET if quiet else INK)


def _after(flow: Flow, hop: Hop) -> str:
    """Return when a hop started, counted from the first."""
    milliseconds = flow.milliseconds(hop)
    return f"+{milliseconds:.0f} ms" if milliseconds < 10_000 else f"+{milliseconds / 1000:.1f} s"


def _brief(flow: Flow, text: str) -> str:
    """Shorten the names of the flow's own pods and replica sets to what tells them apart."""
    for pod in flow.pods:
        text = text.replace(pod, f"…{pod[-5:]}")
    return text.replace(f"replica set {flow.subject.name}-", "replica set …")


def _rounded(
    x: float,
    y: float,
    width: float,
    height: float,
    *,
    face: str,
    edge: str,
    radius: float = 6,
    thick: float = 1,
    zorder: float = 1,
) -> FancyBboxPatch:
    style = f"round,pad=0,rounding_size={radius}"
    return FancyBboxPatch(
        (x, y), width, height, boxstyle=style, facecolor=face, edgecolor=edge, linewidth=thick, zorder=zorder
    )


def _text(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    *,
    size: float = MEDIUM,
    color: str = INK,
    weight: str = "normal",
    align: str = "left",
    zorder: float = 7,
) -> None:
    """Write text as it is: a dollar sign in a name is no formula."""
    axes.text(
        x,
        y,
        text,
        fontsize=size * 72 / _DPI,
        color=color,
        fontweight=weight,
        fontfamily=FAMILY,
        horizontalalignment=align,
        verticalalignment="center_baseline",
        parse_math=False,
        zorder=zorder,
    )


def _width(text: str, size: float, weight: str = "normal") -> float:
    """Return how wide text is, in pixels."""
    font = FontProperties(family=FAMILY, weight=weight, size=size)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width)


def _fit(text: str, room: float) -> str:
    """Return the text, or as much of it as there is room for, with an ellipsis."""
    if _width(text, SMALL) <= room:
        return text
    while text and _width(f"{text}…", SMALL) > room:
        text = text[:-1]
    return f"{text.rstrip()}…"


def _wrap(text: str, room: float) -> list[str]:
    """Return a component's name on the lines it needs; names break after a hyphen."""
    lines = [""]
    for word in text.replace("-", "-\n").split("\n"):
        if lines[-1] and _width(lines[-1] + word, MEDIUM, "bold") > room:
            lines.append("")
        lines[-1] += word
    return lines
