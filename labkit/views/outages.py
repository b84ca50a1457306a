"""What works while one component stands still: a row per component, a cell for each thing that was tried.

A full line around a cell: it worked. A broken line: it did not. Each cell also says so, and how it came to be known;
below stands what the reader had predicted, if they said so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from labkit.language import gettext, gettext_noop
from labkit.views import svg
from labkit.views.metrics import fit, wrap
from labkit.views.scene import BASELINE, LARGE, SMALL, Group, Path, Rect, Scene, Shape, Text

TITLE = gettext_noop("What works while one component stands still")
NOTE = gettext_noop(
    "Full line: it worked. Broken line: it did not; “later” is counted from when the component went on."
)

_MARGIN, _LABEL, _CELL, _GAP = 16.0, 144.0, 104.0, 8.0
_TITLE, _LINE, _NOTE = 48.0, 16.0, 32.0
_HEIGHT, _PREDICTED = 48.0, 17.0  # of a cell, and what a line about predictions adds


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing that was tried while a component stood still.

    Attributes
    ----------
    ability : str
        What: ``"the pod gets a node"``.
    predicted : bool or None
        Whether the reader said that it works; None where they said nothing.
    worked : bool
        Whether it did.
    note : str
        In a word or two, how that was seen: ``"after 0.3 s"``.
    """

    ability: str
    predicted: bool | None
    worked: bool
    note: str


@dataclass(frozen=True, slots=True)
class Row:
    """A component that stood still.

    Attributes
    ----------
    component : str
        Which.
    paint : str
        The key of its colour in the palette.
    cells : tuple of Cell
        In the order of the columns, the same for every row of a picture.
    """

    component: str
    paint: str
    cells: tuple[Cell, ...]


def word(works: bool | None) -> str:
    """Return ``"works"``, ``"stops"``, or nothing where nobody said."""
    return "" if works is None else gettext_noop("works") if works else gettext_noop("stops")


def to_svg(rows: Sequence[Row], *, prefix: str) -> str:
    """Return the picture as SVG.

    Parameters
    ----------
    rows : sequence of Row
        From top to bottom.
    prefix : str
        What the picture's ids begin with: several on a page need different ones.
    """
    return svg.write(scene(rows), prefix)


def scene(rows: Sequence[Row]) -> Scene:
    """Return the picture as shapes."""
    headings = [wrap(cell.ability, _CELL, SMALL) for cell in rows[0].cells] if rows else []
    top = _MARGIN + _TITLE + max(map(len, headings), default=0) * _LINE + 8
    width = 2 * _MARGIN + _LABEL + max(4, len(headings)) * (_CELL + _GAP)
    asked = any(cell.predicted is not None for row in rows for cell in row.cells)
    tall = _HEIGHT + _PREDICTED * asked
    height = top + len(rows) * (tall + _GAP) + _NOTE
    groups = [
        Group("page", (Rect("paper", 0, 0, width, height, 0),)),
        Group("caption", (Text("title", _MARGIN, _MARGIN + 20, gettext(TITLE), LARGE, bold=True),)),
    ]
    groups += [_heading(lines, _left(index), top) for index, lines in enumerate(headings)]
    for index, row in enumerate(rows):
        groups += _row(row, top + index * (tall + _GAP), tall)
    note = Text("quiet", _MARGIN, height - 14, fit(gettext(NOTE), width - 2 * _MARGIN, SMALL), SMALL)
    return Scene("outages", gettext(TITLE), _words(rows), width, height, (*groups, Group("notes", (note,))))


def _left(index: int) -> float:
    return _MARGIN + _LABEL + _GAP + index * (_CELL + _GAP)


def _heading(lines: Sequence[str], x: float, bottom: float) -> Group:
    first = bottom - 14 - (len(lines) - 1) * _LINE
    shapes = tuple(
        Text("quiet", x + _CELL / 2, first + at * _LINE, line, SMALL, "middle") for at, line in enumerate(lines)
    )
    return Group("caption", shapes)


def _row(row: Row, y: float, tall: float) -> Iterator[Group]:
    lines = wrap(row.component, _LABEL - 16, SMALL, bold=True)
    middle = y + tall / 2 + BASELINE * SMALL - (len(lines) - 1) * _LINE / 2
    shapes: tuple[Shape, ...] = (
        Rect("box", _MARGIN, y, _LABEL, tall),
        *(
            Text("name", _MARGIN + _LABEL / 2, middle + at * _LINE, line, SMALL, "middle", bold=True)
            for at, line in enumerate(lines)
        ),
    )
    yield Group("component", shapes, row.paint, {"component": row.component})
    for index, cell in enumerate(row.cells):
        yield _cell(cell, _left(index), y, tall)


def _cell(cell: Cell, x: float, y: float, tall: float) -> Group:
    middle, right, bottom = x + _CELL / 2, x + _CELL, y + tall
    border = ((x, y), (right, y), (right, bottom), (x, bottom), (x, y))
    wrong = cell.predicted not in {None, cell.worked}
    said = ""
    if cell.predicted is not None:
        said = gettext("you: {word}").format(word=gettext(word(cell.predicted))) + " ≠" * wrong
    shapes: tuple[Shape, ...] = (
        Rect("box", x, y, _CELL, tall, 8) if cell.worked else Path("line", (border,), dashed=True),
        Text("name", middle, y + 20, gettext(word(cell.worked)), SMALL, "middle", bold=True),
        Text("quiet", middle, y + 37, fit(cell.note, _CELL - 8, SMALL), SMALL, "middle"),
        Text("name" if wrong else "quiet", middle, y + 54, said, SMALL, "middle", bold=wrong),
    )
    data = {"worked": str(cell.worked).lower(), "predicted": word(cell.predicted)}
    kind, paint = ("component", "scheduler") if cell.worked else ("pod", "faint")
    return Group(kind, shapes if said else shapes[:-1], paint, data)


def _told(cell: Cell) -> str:
    return f"{cell.ability}: {gettext(word(cell.worked))} ({cell.note})"


def _words(rows: Sequence[Row]) -> str:
    """Return the picture in words."""
    return "\n".join(
        gettext("While {component} stands still: {told}").format(
            component=row.component, told="; ".join(map(_told, row.cells))
        )
        for row in rows
    )
