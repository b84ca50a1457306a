"""What was done one after another, over time: a row for each phase, with a bar, how long it took, and what it wrote.

A bar with a broken line is a phase that failed; its row also says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from labkit.language import gettext, gettext_noop
from labkit.views import svg
from labkit.views.metrics import fit, width, wrap
from labkit.views.scene import BASELINE, LARGE, SMALL, Group, Path, Rect, Scene, Shape, Text

HEADINGS = (
    gettext_noop("phase"),
    gettext_noop("begins at s"),
    gettext_noop("takes s"),
    gettext_noop("who"),
    gettext_noop("what it wrote"),
)
RIGHT = frozenset({"begins at s", "takes s"})

_MARGIN, _GAP, _LABELLED, _AXIS, _TOOK, _WROTE = 16.0, 8.0, 264.0, 312.0, 56.0, 336.0
_TITLE, _ROW, _LINE, _FOOT = 56.0, 40.0, 16.0, 40.0
_THIN = 2.0  # pixels: what took no time is still to be seen
_BAR = 16.0
_STEPS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)  # seconds between two ticks
_TICKS = 7  # at most


@dataclass(frozen=True, slots=True)
class Bar:
    """A phase.

    Attributes
    ----------
    name : str
        Its name.
    start, seconds : float
        When it began, from the beginning of the whole, and how long it took, both in seconds.
    wrote : str
        What came of it, in a line.
    who : str
        Who did it: ``"kubeadm"``.
    paint : str
        The key of that one's colour in the palette.
    failed : bool
        Whether it came to no good end.
    """

    name: str
    start: float
    seconds: float
    wrote: str = ""
    who: str = ""
    paint: str = "client"
    failed: bool = False


def rows(bars: Sequence[Bar]) -> list[tuple[str, ...]]:
    """Return the same as text: a row for each phase, under `HEADINGS`."""
    return [(bar.name, f"{bar.start:.2f}", f"{bar.seconds:.2f}", bar.who, _wrote(bar)) for bar in bars]


def to_svg(bars: Sequence[Bar], title: str, *, prefix: str) -> str:
    """Return the picture as SVG.

    Parameters
    ----------
    bars : sequence of Bar
        From top to bottom.
    title : str
        What it shows.
    prefix : str
        What the picture's ids begin with: several on a page need different ones.
    """
    return svg.write(scene(bars, title), prefix)


def scene(bars: Sequence[Bar], title: str) -> Scene:
    """Return the picture as shapes."""
    end = max((bar.start + bar.seconds for bar in bars), default=0.0) or 1.0
    top = _MARGIN + _TITLE
    left = _MARGIN + _GAP + min(_LABELLED, max((width(bar.name, SMALL, bold=True) for bar in bars), default=0.0))
    wide = left + _AXIS + _TOOK + _GAP + _WROTE + _MARGIN
    bottom = top + len(bars) * _ROW
    headline = Text("title", _MARGIN, _MARGIN + 20, fit(title, wide - 2 * _MARGIN, LARGE, bold=True), LARGE, bold=True)
    groups = [
        Group("page", (Rect("paper", 0, 0, wide, bottom + _FOOT, 0),)),
        Group("caption", (headline,)),
        Group("axis", tuple(_ticks(end, left, top - 8, bottom))),
    ]
    groups += [_row(bar, left, top + index * _ROW, end) for index, bar in enumerate(bars)]
    return Scene("phases", title, _words(bars), wide, bottom + _FOOT, tuple(groups))


def _ticks(end: float, left: float, top: float, bottom: float) -> Iterator[Shape]:
    step = next((step for step in _STEPS if end / step <= _TICKS), end / _TICKS)
    for number in range(int(end / step) + 1):
        x = left + _AXIS * number * step / end
        yield Path("axis", (((x, top), (x, bottom + 4)),))
        yield Text("quiet", x, bottom + 22, f"{number * step:.3g} s", SMALL, "middle")


def _row(bar: Bar, left: float, y: float, end: float) -> Group:
    middle, text = y + _ROW / 2, left + _AXIS + _TOOK + _GAP
    baseline = middle + BASELINE * SMALL
    begin = left + _AXIS * bar.start / end
    right = begin + max(_THIN, _AXIS * bar.seconds / end)
    high, low = middle - _BAR / 2, middle + _BAR / 2
    border = ((begin, high), (right, high), (right, low), (begin, low), (begin, high))
    lines = _two_lines(_wrote(bar))
    shapes: tuple[Shape, ...] = (
        Text("name", _MARGIN, baseline, fit(bar.name, left - _GAP - _MARGIN, SMALL, bold=True), SMALL, bold=True),
        Path("line", (border,), dashed=True) if bar.failed else Rect("bar", begin, high, right - begin, _BAR, 2),
        Path("line", (((begin, high), (begin, low)),)),
        Text("name", text - _GAP, baseline, f"{bar.seconds:.2f} s", SMALL, "end"),
        *(
            Text("quiet", text, baseline + (at - (len(lines) - 1) / 2) * _LINE, line, SMALL)
            for at, line in enumerate(lines)
        ),
    )
    return Group("phase", shapes, bar.paint, {"phase": bar.name, "failed": str(bar.failed).lower()}, title=_said(bar))


def _two_lines(text: str) -> tuple[str, ...]:
    lines = wrap(text, _WROTE, SMALL)
    if len(lines) <= 2:
        return lines
    return (lines[0], fit(text[len(lines[0]) :].strip(), _WROTE, SMALL))


def _wrote(bar: Bar) -> str:
    if not bar.failed:
        return bar.wrote
    return gettext("failed: {wrote}").format(wrote=bar.wrote) if bar.wrote else gettext("failed")


def _said(bar: Bar) -> str:
    who = f" ({bar.who})" if bar.who else ""
    return gettext("{name}{who}: from {start:.2f} s, {seconds:.2f} s long; {wrote}").format(
        name=bar.name, who=who, start=bar.start, seconds=bar.seconds, wrote=_wrote(bar) or gettext("nothing written")
    )


def _words(bars: Sequence[Bar]) -> str:
    """Return the picture in words."""
    return "\n".join(map(_said, bars))
