"""A picture as plain values: groups of shapes with a place and a role, for whoever draws them.

The SVG writer and the matplotlib painter draw the same scene, so both show the same thing at the same place. All
lengths are pixels; y runs downwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

LARGE, MEDIUM, SMALL = 20.0, 14.0, 13.0  # the three sizes of text, pixels
GRID = 8.0
BASELINE = 0.36  # of the size: how far a text's baseline is below the middle of its letters

Role = Literal[
    "paper",  # the page
    "frame",  # around components: a node, the controller-manager, the control plane
    "box",  # a component
    "pod",
    "axis",  # a lane's line, a tick
    "fold",  # idle time left out
    "bar",  # while a request is worked on
    "line",  # of an arrow
    "head",  # of an arrow
    "cross",  # before the head of a refused hop: shown only while that is the present one
    "mark",  # around a hop's number
    "number",
    "over",  # a mark for which an edge has no room of its own: shown only while its hop is the present one
    "overnumber",
    "label",  # what a hop does: shown only while it is the present one
    "object",  # what the present hop is about, where its label has no room for it
    "summary",  # what an edge's hops do: shown only in the overview
    "title",
    "name",  # of a component
    "quiet",  # second text
    "again",  # a lane's name, where one who scrolled needs it
]
View = Literal[
    "anatomy",
    "architecture",
    "cause",
    "certificates",
    "connections",
    "lanes",
    "lookup",
    "nodes",
    "outages",
    "owners",
    "packet",
    "phases",
    "pods",
    "preparation",
    "proxy",
    "restart",
    "revisions",
    "rollout",
    "score",
    "static-pods",
]
_MOMENTARY = frozenset({"cross", "label", "object", "over", "overnumber"})
State = Literal["", "past", "now"]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle; `radius` is that of its corners."""

    role: Role
    x: float
    y: float
    width: float
    height: float
    radius: float = 4.0


@dataclass(frozen=True, slots=True)
class Path:
    """Straight lines, each through its points; closed ones are filled."""

    role: Role
    pieces: tuple[tuple[Point, ...], ...]
    dashed: bool = False
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text; `x` is its start, middle or end, `y` its baseline."""

    role: Role
    x: float
    y: float
    text: str
    size: float = SMALL
    anchor: Literal["start", "middle", "end"] = "start"
    bold: bool = False


Shape = Rect | Path | Text

# What XML 1.0 cannot hold, escaped or not (XML 1.0, 2.2), and what would break a line.
_UNSEEN = re.compile("[^\u0020-\u007e\u00a0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def plain(text: str) -> str:
    """Return a text on one line, without characters that no picture can show."""
    return _UNSEEN.sub("�", text)


@dataclass(frozen=True, slots=True)
class Group:
    """Shapes that belong together.

    Attributes
    ----------
    kind : str
        ``"hop"``, ``"edge"``, ``"component"``, ``"pod"``, ``"frame"``, ``"caption"``, ...
    shapes : tuple of Shape
        In the order in which they are painted.
    paint : str
        The key of the palette's colour, see `labkit.views.palette.LIGHT`.
    data : mapping of str to str
        What a program can find the group by: SVG's ``data-`` attributes.
    state : {"", "past", "now"}
        Of a hop in a picture of one step.
    title : str
        What a browser tells when the pointer rests on it.
    """

    kind: str
    shapes: tuple[Shape, ...]
    paint: str = "ink"
    data: Mapping[str, str] = field(default_factory=dict)
    state: State = ""
    title: str = ""

    def visible(self, stepping: bool) -> Iterator[Shape]:
        """Return the shapes that a picture shows which stands still."""
        if stepping and self.kind == "edge":
            return
        for shape in self.shapes:
            if self.state == "now" or shape.role not in _MOMENTARY:
                yield shape


@dataclass(frozen=True, slots=True)
class Scene:
    """A whole picture.

    Attributes
    ----------
    view : View
        Which one.
    title, description : str
        For those who do not see it.
    width, height : float
        Pixels.
    groups : tuple of Group
        In the order in which they are painted.
    step : int or None
        The number of the present hop; None for an overview.
    """

    view: View
    title: str
    description: str
    width: float
    height: float
    groups: tuple[Group, ...]
    step: int | None = None
