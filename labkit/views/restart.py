"""A node that was switched off and on again, over time: a lane for each who did something, and one for a Service.

Each mark has a number, which the table beside explains. A Service's lane has a line per request: a short one was
answered, a long one with a cross was not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from labkit.language import gettext
from labkit.views import svg
from labkit.views.metrics import fit
from labkit.views.palette import COMPONENTS
from labkit.views.scene import BASELINE, MEDIUM, SMALL, Group, Path, Rect, Scene, Shape, Text

_MARGIN, _LEFT, _TIME, _TOP, _LANE = 16.0, 176.0, 752.0, 48.0, 48.0
_MARK = 24.0  # how wide a mark is: marks that are closer stand side by side
_TICKS = (0.5, 1, 2, 5, 10, 20, 30, 60)  # seconds between two
_MOST_TICKS = 12
_OK, _FAILED = 6.0, 14.0  # half of the height of a request's line


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened.

    Attributes
    ----------
    at : float
        Seconds since the node was switched off.
    who : str
        A component's name.
    what, known : str
        In words, and from where that is known.
    """

    at: float
    who: str
    what: str
    known: str


@dataclass(frozen=True, slots=True)
class RestartSeen:
    """A restart as it is to be shown.

    Attributes
    ----------
    title, node, service : str
        In a line what it is; which node; which Service was asked, empty for none.
    on, end : float
        When the node was switched on, and when nobody looked any more: seconds since it was switched off.
    moments : sequence of Moment
        In order of time.
    answers : sequence of (float, bool)
        When the Service was asked, and whether it answered.
    """

    title: str
    node: str
    service: str
    on: float
    end: float
    moments: Sequence[Moment]
    answers: Sequence[tuple[float, bool]]


def to_svg(seen: RestartSeen, *, prefix: str) -> str:
    """Return the picture as SVG.

    Parameters
    ----------
    seen : RestartSeen
        What to draw.
    prefix : str
        What the picture's ids begin with: several on a page need different ones.
    """
    return svg.write(scene(seen), prefix)


def scene(seen: RestartSeen) -> Scene:
    """Return the picture as shapes."""
    lanes = list(dict.fromkeys(moment.who for moment in seen.moments))
    count = 1 + len(lanes) + bool(seen.answers)
    width, low = 2 * _MARGIN + _LEFT + _TIME, _TOP + count * _LANE
    groups = [
        Group("page", (Rect("paper", 0, 0, width, low + 40, 0),)),
        Group(
            "caption", (Text("title", _MARGIN, 28, fit(seen.title, width - 32, MEDIUM, bold=True), MEDIUM, bold=True),)
        ),
        _axis(seen, low),
        *_power(seen),
    ]
    for index, who in enumerate(lanes, 1):
        groups += _marks(seen, who, _TOP + index * _LANE)
    if seen.answers:
        groups += _answers(seen, _TOP + (count - 1) * _LANE)
    return Scene("restart", seen.title, _words(seen), width, low + 40, tuple(groups))


def _x(at: float, seen: RestartSeen) -> float:
    return _MARGIN + _LEFT + _TIME * at / seen.end


def _name(words: str, y: float) -> Text:
    return Text("name", _MARGIN, y + _LANE / 2 + BASELINE * SMALL, fit(words, _LEFT - 16, SMALL, bold=True), bold=True)


def _axis(seen: RestartSeen, low: float) -> Group:
    step = next((each for each in _TICKS if seen.end / each <= _MOST_TICKS), _TICKS[-1])
    shapes: list[Shape] = []
    for number in range(int(seen.end / step) + 1):
        x = _x(number * step, seen)
        shapes += [
            Path("axis", (((x, _TOP), (x, low)),)),
            Text("quiet", x, low + 20, f"{number * step:g} s", SMALL, "middle"),
        ]
    return Group("axis", tuple(shapes))


def _power(seen: RestartSeen) -> Iterator[Group]:
    """Return the node's lane: an outline while it is off, a bar while it is on."""
    left, on, right = _x(0, seen), _x(seen.on, seen), _x(seen.end, seen)
    y = _TOP + 12
    outline = ((left, y), (on, y), (on, y + 24), (left, y + 24), (left, y))
    middle = y + 12 + BASELINE * SMALL
    off = (
        Path("line", (outline,), dashed=True),
        Text("name", (left + on) / 2, middle, gettext("off"), SMALL, "middle", bold=True),
    )
    yield Group("lane", (_name(seen.node, _TOP),))
    yield Group("power", off, "faint", {"power": "off"})
    bar = (
        Rect("bar", on, y, right - on, 24, 2),
        Text("name", (on + right) / 2, middle, gettext("on"), SMALL, "middle", bold=True),
    )
    yield Group("power", bar, "controller", {"power": "on"})


def _marks(seen: RestartSeen, who: str, y: float) -> Iterator[Group]:
    yield Group("lane", (_name(who, y),))
    free = _MARGIN + _LEFT  # where the next mark has room
    for number, moment in enumerate(seen.moments, 1):
        if moment.who != who:
            continue
        x = max(_x(moment.at, seen), free)
        free = x + _MARK
        shapes = (
            Rect("mark", x, y + 14, _MARK - 2, 20, 4),
            Text(
                "number", x + (_MARK - 2) / 2, y + _LANE / 2 + BASELINE * SMALL, str(number), SMALL, "middle", bold=True
            ),
        )
        title = f"{moment.at:.1f} s, {who}: {moment.what}"
        yield Group("moment", shapes, COMPONENTS.get(who, "controller"), {"moment": str(number)}, title=title)


def _answers(seen: RestartSeen, y: float) -> Iterator[Group]:
    middle = y + _LANE / 2
    yield Group("lane", (_name(gettext("Service {service}").format(service=seen.service), y),))
    good = [_x(at, seen) for at, answered in seen.answers if answered]
    bad = [_x(at, seen) for at, answered in seen.answers if not answered]
    if good:
        lines = tuple(((x, middle - _OK), (x, middle + _OK)) for x in good)
        yield Group("answers", (Path("line", lines),), "scheduler", {"answered": str(len(good))})
    if bad:
        top = middle - _FAILED
        lines = tuple(((x, top), (x, middle + _FAILED)) for x in bad)
        crosses = tuple(((x - 3, top + 3), (x + 3, top + 9)) for x in bad)
        yield Group("answers", (Path("line", lines + crosses),), "etcd", {"failed": str(len(bad))})


def _words(seen: RestartSeen) -> str:
    """Return the picture in words."""
    lines = [gettext("{node} is off for {seconds:.1f} s.").format(node=seen.node, seconds=seen.on)]
    lines += [
        gettext("{number}. After {seconds:.1f} s, {who}: {what}.").format(
            number=at, seconds=each.at, who=each.who, what=each.what
        )
        for at, each in enumerate(seen.moments, 1)
    ]
    if seen.answers:
        failed = sum(not answered for _, answered in seen.answers)
        lines.append(
            gettext("Service {service}: {answered} of {count} requests answered.").format(
                service=seen.service, answered=len(seen.answers) - failed, count=len(seen.answers)
            )
        )
    return "\n".join(lines)
