"""What both pictures draw of a hop: its line, its head, its number, and what it does."""

from __future__ import annotations

import math
from collections.abc import Sequence

from labkit.flow import Actor, Flow, Hop
from labkit.language import gettext
from labkit.views import words
from labkit.views.metrics import fit, width, wrap
from labkit.views.palette import paint
from labkit.views.scene import BASELINE, LARGE, MEDIUM, SMALL, Group, Path, Point, Rect, Shape, State, Text

MARK = 18.0  # the height of a number's mark
DASHES = 10.0  # from the start of one dash to that of the next
_HEAD, _HALF = 8.0, 4.0  # an arrow's head: its length, and half of its width
_NOTE = 18.0  # from one note to the next
_TOLD = 5  # of hops drawn as one, how many a browser tells when the pointer rests on them


def arrow(hop: Hop, points: tuple[Point, Point], *, around: Sequence[Rect] = ()) -> tuple[Path, ...]:
    """Return an arrow's line and its head, and a cross before it where the answer was a refusal.

    Parameters
    ----------
    hop : Hop
        A dashed line was inferred.
    points : tuple of (float, float)
        Start and end, on a level or an upright line.
    around : sequence of Rect
        Marks of other hops on that line, which it must not strike through.
    """
    (x0, y0), (x1, y1) = points
    length = math.hypot(x1 - x0, y1 - y0)
    dx, dy = (x1 - x0) / length, (y1 - y0) / length

    def at(distance: float, aside: float = 0) -> Point:
        return x0 + dx * distance - dy * aside, y0 + dy * distance + dx * aside

    ends = [(abs(mark.x - x0), abs(mark.x + mark.width - x0)) for mark in around]
    holes = [(min(pair), max(pair)) for pair in ends]
    pieces = tuple((at(low), at(high)) for low, high in _pieces(length - _HEAD, holes))
    shapes = [Path("line", pieces, dashed=not hop.observed)]
    if hop.failed:
        cross = length - 2 * _HEAD
        strokes = [(at(cross - _HALF, -side), at(cross + _HALF, side)) for side in (_HALF, -_HALF)]
        shapes.append(Path("cross", tuple(strokes)))
    tip = at(length), at(length - _HEAD, _HALF), at(length - _HEAD, -_HALF)
    shapes.append(Path("head", (tip,), closed=True))
    return tuple(shapes)


def _pieces(length: float, holes: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return what is left of a line; each piece begins where a dash does, so that lines on each other show as one."""
    pieces = []
    start = 0.0
    for low, high in sorted(holes):
        if low > start:
            pieces.append((start, low))
        start = max(start, math.ceil(high / DASHES) * DASHES)
    return [*pieces, (start, length)] if start < length else pieces


def number(text: str, at: Point, *, over: bool = False, square: bool = False) -> tuple[Rect, Text]:
    """Return a mark with a number in it; a square one says that the answer was a refusal."""
    x, y = at
    wide = number_width(text)
    return (
        Rect("over" if over else "mark", x - wide / 2, y - MARK / 2, wide, MARK, 1 if square else MARK / 2),
        Text("overnumber" if over else "number", x, y + BASELINE * SMALL, text, SMALL, "middle", bold=True),
    )


def number_width(text: str) -> float:
    """Return how wide a mark around this text is: even, and wide enough for the text in bold."""
    return max(MARK, 2 * round((width(text, SMALL, bold=True) + 7) / 2))


def mark_width(hop: Hop) -> float:
    """Return how wide the mark around a hop's number is."""
    return number_width(str(hop.number))


def hop_group(hops: Sequence[Hop], shapes: Sequence[Shape], step: int | None) -> Group:
    """Return the group of one hop, or of several that are drawn as one."""
    first = hops[0]
    numbers = [hop.number for hop in hops]
    data = {
        "hop": str(first.number),
        "hops": " ".join(map(str, numbers)),
        "kind": first.kind,
        "observed": str(first.observed).lower(),
        "source": first.source.id,
        "target": first.target.id,
    }
    said = "\n".join(f"{hop.number}. {words.sentence(hop)}" for hop in hops[:_TOLD])
    if len(hops) > _TOLD:
        said += gettext("\n… and {count} more").format(count=len(hops) - _TOLD)
    return Group("hop", tuple(shapes), paint_of(first), data, state(numbers, step), said)


def paint_of(hop: Hop) -> str:
    """Return the key of a hop's colour: its source's, but Events are dim."""
    return "faint" if hop.kind == "record" else paint(hop.source)


def state(numbers: Sequence[int], step: int | None) -> State:
    """Return whether hops are the present one or were before it; nothing in an overview."""
    if step is None:
        return ""
    return "now" if step in numbers else "past"


def component_data(actors: Sequence[Actor], flow: Flow, step: int | None) -> dict[str, str]:
    """Return what a component's group can be found by, and whether the present hop lights it."""
    data = {"actor": " ".join(actor.id for actor in actors)}
    present = [hop for hop in flow.hops if hop.number == step]
    lit = any(actor in (hop.source, hop.target) for hop in present for actor in actors)
    return data | {"lit": ""} if lit else data


def heading(flow: Flow, step: int | None, room: float) -> Group:
    """Return what stands above a picture: its title, and its summary or what the present hop is."""
    second = words.summary(flow)
    if step is not None:
        second = words.caption(flow, next(hop for hop in flow.hops if hop.number == step))
    return Group(
        "heading",
        (
            Text("title", 16, 32, fit(words.title(flow), room - 32, LARGE, bold=True), LARGE, bold=True),
            Text("quiet", 16, 56, fit(second, room - 32, MEDIUM), MEDIUM),
        ),
    )


def foot(flow: Flow, room: float, *more: str) -> float:
    """Return how high `footing` is."""
    return _NOTE * len(_notes(flow, room, *more)) + 24


def footing(flow: Flow, room: float, top: float, *more: str) -> Group:
    """Return what stands below a picture: how to read it, `more` on that, and what the evidence lacks."""
    lines = enumerate(_notes(flow, room, *more))
    return Group("note", tuple(Text("quiet", 16, top + 24 + index * _NOTE, line, SMALL) for index, line in lines))


def _notes(flow: Flow, room: float, *more: str) -> list[str]:
    return [line for note in words.notes(flow, *more) for line in wrap(note, room - 32, SMALL)]
