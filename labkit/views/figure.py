"""A scene as a matplotlib figure: for paper, and for notebooks that show no SVG. On a light page."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Polygon, Rectangle
from matplotlib.patheffects import withStroke

from labkit.views.fonts import families
from labkit.views.palette import LIGHT
from labkit.views.scene import Group, Path, Rect, Scene, Shape, Text, plain

_DPI = 100
_POINTS = 72 / _DPI  # of a pixel


def paint(scene: Scene) -> Figure:
    """Return a scene as a figure that belongs to no window and to no pyplot state; a notebook shows it as it is."""
    figure = Figure(figsize=(scene.width / _DPI, scene.height / _DPI), dpi=_DPI, facecolor=LIGHT["paper"])
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, scene.width)
    axes.set_ylim(scene.height, 0)
    axes.axis("off")
    order = 0
    for group in scene.groups:
        for shape in group.visible(scene.step is not None):
            order += 1
            _shape(axes, group, shape, order)
    return figure


def _shape(axes: Axes, group: Group, shape: Shape, order: int) -> None:
    color = LIGHT[_key(group)]
    if isinstance(shape, Rect):
        _rect(axes, group, shape, color, order)
    elif isinstance(shape, Path):
        _path(axes, group, shape, color, order)
    else:
        _text(axes, group, shape, order)


def _key(group: Group) -> str:
    """Return the key of a group's colour: what was is faint, and a present Event is not."""
    if group.state == "past":
        return "faint"
    return "quiet" if group.state == "now" and group.paint == "faint" else group.paint


def _rect(axes: Axes, group: Group, rect: Rect, color: str, order: int) -> None:
    now = group.state == "now"
    paper, line = LIGHT["paper"], LIGHT["line"]
    face, edge, width = {
        "paper": (paper, "none", 0.0),
        "frame": (LIGHT["ground"], line, 1.0),
        "box": (paper, color, 4.0 if "lit" in group.data else 2.0),
        "pod": (paper, LIGHT["faint"], 1.0),
        "fold": (LIGHT["ground"], "none", 0.0),
        "bar": (color, "none", 0.0),
    }.get(rect.role, (color if now else paper, color, 1.5))
    radius = min(rect.radius, rect.width / 2, rect.height / 2)
    box: Rectangle | FancyBboxPatch
    if radius:
        style = f"round,pad=0,rounding_size={radius}"
        box = FancyBboxPatch((rect.x, rect.y), rect.width, rect.height, boxstyle=style)
    else:
        box = Rectangle((rect.x, rect.y), rect.width, rect.height)
    box.set(facecolor=face, edgecolor=edge, linewidth=width * _POINTS, zorder=order)
    if rect.role == "bar" and not now:
        box.set_alpha(0.35)
    axes.add_patch(box)


def _path(axes: Axes, group: Group, path: Path, color: str, order: int) -> None:
    width = {"past": 1.0, "now": 3.0}.get(group.state, 1.5) if path.role != "axis" else 1.0
    for piece in path.pieces:
        if path.closed:
            face, edge = (LIGHT["ground"], LIGHT["line"]) if path.role == "frame" else (color, "none")
            axes.add_patch(Polygon(piece, facecolor=face, edgecolor=edge, linewidth=_POINTS, zorder=order))
            continue
        xs, ys = zip(*piece, strict=True)
        axes.plot(
            xs,
            ys,
            color=color if path.role != "axis" else LIGHT["line"],
            linewidth=width * _POINTS,
            linestyle=(0, (6 / width, 4 / width)) if path.dashed else "-",
            solid_capstyle="butt",
            zorder=order,
        )


def _text(axes: Axes, group: Group, text: Text, order: int) -> None:
    quiet = text.role in {"quiet", "summary", "again"} or group.state == "past" or group.data.get("kind") == "record"
    color = LIGHT["quiet" if quiet else "ink"]
    if group.state == "now" and text.role in {"number", "overnumber"}:
        color = LIGHT["paper"]
    drawn = axes.text(
        text.x,
        text.y,
        plain(text.text),
        color=color,
        fontsize=text.size * _POINTS,
        family=families(),
        fontweight="bold" if text.bold or text.role == "label" else "normal",
        horizontalalignment={"start": "left", "middle": "center", "end": "right"}[text.anchor],
        verticalalignment="baseline",
        parse_math=False,
        zorder=order,
    )
    if text.role in {"label", "object"}:
        drawn.set_path_effects([withStroke(linewidth=4 * _POINTS, foreground=LIGHT["paper"])])
