"""A deployment's pods over time: a bar per pod, by version, and below how many there were at each moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from labkit.flow.rollout import Count, PodLife, Rollout, Stretch, Version
from labkit.language import gettext, gettext_noop
from labkit.views import svg
from labkit.views.metrics import fit, width
from labkit.views.scene import BASELINE, MEDIUM, SMALL, Group, Path, Point, Rect, Scene, Shape, Text

HEADINGS = (gettext_noop("pod"), gettext_noop("revision"), gettext_noop("what became of it"))

_LEFT, _TIME, _MARGIN = 216.0, 712.0, 16.0
_TOP, _HEAD, _BAR, _PITCH, _GAP = 48.0, 32.0, 24.0, 32.0, 16.0
_STEP, _MOST_HIGH = 20.0, 200.0  # of one pod in the counts, and of all of them
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)  # seconds between two
_MOST_TICKS = 12
_END = 1.03  # of the time, so that the last bars can be seen to end


def to_svg(rollout: Rollout, *, prefix: str) -> str:
    """Return the picture as SVG.

    Parameters
    ----------
    rollout : Rollout
        What to draw.
    prefix : str
        What the picture's ids begin with: several on a page need different ones.
    """
    return svg.write(scene(rollout), prefix)


def rows(rollout: Rollout) -> list[tuple[str, ...]]:
    """Return a row of text per pod, under `HEADINGS`."""
    return [(life.name, life.version.revision, _told(life)) for life in rollout.lives]


def scene(rollout: Rollout) -> Scene:
    """Return the picture as shapes."""
    whole = 2 * _MARGIN + _LEFT + _TIME
    y = _TOP
    frames, bars, stretches = [], [], []
    for version in rollout.versions:
        own = [life for life in rollout.lives if life.version == version]
        low = y + _HEAD + len(own) * _PITCH
        frames.append(_frame(version, y, low))
        bars += list(_bars(own, y + _HEAD, rollout.end))
        stretches.append((y + _HEAD - 4, low - 4))
        y = low + _GAP
    bottom = y + _HEAD + _high(rollout) * _highest(rollout)
    stretches.append((y + _HEAD - 4, bottom + 8))
    height = bottom + 48
    title = fit(rollout.action, whole - 48, MEDIUM, bold=True)
    groups = (
        Group("page", (Rect("paper", 0, 0, whole, height, 0),)),
        Group("caption", (Text("title", _MARGIN, 28, title, MEDIUM, bold=True),)),
        *frames,
        _ticks(rollout.end, stretches),
        *bars,
        *_counts(rollout, y),
    )
    return Scene(
        "rollout",
        gettext("Pods over time: {action}").format(action=rollout.action),
        _words(rollout),
        whole,
        height,
        groups,
    )


def _x(at: float, end: float) -> float:
    return _MARGIN + _LEFT + _TIME * at / (end * _END)


def _frame(version: Version, y: float, low: float) -> Group:
    room = _LEFT + _TIME
    told = gettext("revision {number} · {replica_set} · {images}").format(
        number=version.revision, replica_set=version.replica_set, images=version.images
    )
    heading = Text("quiet", _MARGIN + 12, y + 21, fit(told, room - 24, SMALL, bold=True), SMALL)
    return Group("frame", (Rect("frame", _MARGIN, y, room, low - y, 8), heading))


def _bars(lives: Sequence[PodLife], y: float, end: float) -> Iterator[Group]:
    """Return the pods of a version, one below the other."""
    for index, life in enumerate(lives):
        top = y + index * _PITCH
        name = fit(life.name, _LEFT - 24, SMALL)
        yield Group("caption", (Text("name", _MARGIN + 12, top + _BAR / 2 + BASELINE * SMALL, name, SMALL),))
        yield from (_stretch(life, each, top, end) for each in life.stretches)


def _stretch(life: PodLife, stretch: Stretch, y: float, end: float) -> Group:
    """Return a bar: empty as long as the pod is not ready, then full, then pale; the word says it where it fits."""
    x, right = _x(stretch.start, end), _x(stretch.end, end)
    ready = stretch.phase == "ready"
    shapes: list[Shape] = [Rect("mark" if stretch.phase == "not ready" else "bar", x, y, right - x, _BAR, 2)]
    if width(gettext(stretch.phase), SMALL) + 8 <= right - x:
        middle = y + _BAR / 2 + BASELINE * SMALL
        shapes.append(Text("number", (x + right) / 2, middle, gettext(stretch.phase), SMALL, "middle"))
    title = gettext("{name}: {phase} from {start} to {end}").format(
        name=life.name, phase=gettext(stretch.phase), start=_seconds(stretch.start), end=_seconds(stretch.end)
    )
    data = {"pod": life.name, "phase": stretch.phase}
    return Group("stretch", tuple(shapes), "scheduler", data, "now" if ready else "", title)


def _counts(rollout: Rollout, y: float) -> Iterator[Group]:
    """Return how many pods there were: an area for those that are ready, a line for all that nobody had deleted."""
    counts = rollout.counts()
    high, base = _high(rollout), y + _HEAD + _high(rollout) * _highest(rollout)
    note = gettext("How many at a time: the area is the ready ones, the line all that nobody had deleted")
    yield Group("note", (Text("quiet", _MARGIN, y + 18, note, SMALL),))
    ready = _steps([(each.at, base - each.ready * high) for each in counts], rollout.end)
    area = (*ready, (ready[-1][0], base), (ready[0][0], base))
    yield Group("ready", (Path("bar", (area,), closed=True),), "scheduler")
    alive = _steps([(each.at, base - each.alive * high) for each in counts], rollout.end)
    yield Group("alive", (Path("line", (alive,)),), "ink")
    for number, told in (
        (rollout.most, gettext("at most {number} at a time")),
        (rollout.least, gettext("at least {number} ready")),
    ):
        if number is not None:
            level = base - number * high
            line = Path("line", (((_MARGIN + _LEFT, level), (_MARGIN + _LEFT + _TIME, level)),), dashed=True)
            label = Text(
                "quiet", _MARGIN + _LEFT - 12, level + BASELINE * SMALL, told.format(number=number), SMALL, "end"
            )
            yield Group("limit", (line, label), "deployment")


def _steps(points: Sequence[Point], end: float) -> tuple[Point, ...]:
    """Return a line that stays level from point to point."""
    placed = [(_x(at, end), level) for at, level in [*points, (end, points[-1][1])]]
    found = [placed[0]]
    for (_, before), (x, level) in pairwise(placed):
        found += [(x, before), (x, level)]
    return tuple(found)


def _highest(rollout: Rollout) -> int:
    return max(rollout.most or 0, *(count.alive for count in rollout.counts()), 1)


def _high(rollout: Rollout) -> float:
    """Return how high one pod is."""
    return min(_STEP, _MOST_HIGH / _highest(rollout))


def _ticks(end: float, heights: Sequence[tuple[float, float]]) -> Group:
    """Return the axis of time: for each tick lines through what is above, and when it is."""
    seconds = end / 1000
    step = next((each for each in _TICKS if seconds / each <= _MOST_TICKS), _TICKS[-1])
    shapes: list[Shape] = []
    for number in range(int(seconds / step) + 1):
        x = _x(number * step * 1000, end)
        shapes.append(Path("axis", tuple(((x, top), (x, low)) for top, low in heights)))
        shapes.append(Text("quiet", x, heights[-1][1] + 20, f"{number * step:g} s", SMALL, "middle"))
    return Group("axis", tuple(shapes))


def _told(life: PodLife) -> str:
    parts = [
        gettext("{phase} from {start}").format(phase=gettext(each.phase), start=_seconds(each.start))
        for each in life.stretches
    ]
    return ", ".join(
        [*parts, *([gettext("gone at {time}").format(time=_seconds(life.stretches[-1].end))] if life.gone else [])]
    )


def _seconds(milliseconds: float) -> str:
    return f"{milliseconds / 1000:.1f} s"


def _words(rollout: Rollout) -> str:
    """Return the picture in words."""
    lives = " ".join(
        gettext("{name}, revision {number}: {told}.").format(
            name=life.name, number=life.version.revision, told=_told(life)
        )
        for life in rollout.lives
    )
    counts: tuple[Count, ...] = rollout.counts()
    most, least = max(count.alive for count in counts), min(count.ready for count in counts)
    return gettext("{lives} At most {most} at a time, never fewer than {least} ready.").format(
        lives=lives, most=most, least=least
    )
