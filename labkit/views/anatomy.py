"""What the containers of a Pod share and what each has alone: a column per container, a bar per thing they have.

A bar goes over all the containers that have the same: the same namespace of the kernel, by its number, or the same
volume. What nobody else has is a bar over one column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from labkit.language import gettext
from labkit.views import svg
from labkit.views.metrics import fit
from labkit.views.scene import BASELINE, MEDIUM, SMALL, Group, Rect, Scene, Text

_LABELS, _COLUMN, _GAP = 152.0, 224.0, 16.0
_HEAD, _BAR, _PITCH = 72.0, 32.0, 44.0
_TOP, _MARGIN, _NOTE = 48.0, 16.0, 40.0


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that containers have.

    Attributes
    ----------
    label : str
        ``"network"``, ``"volume notes"``.
    holds : mapping of str to tuple of str
        By container: what it has, which is the same where it is equal, and how it is told.
    """

    label: str
    holds: Mapping[str, tuple[str, str]]


def to_svg(title: str, columns: Mapping[str, str], rows: Sequence[Row], *, prefix: str = "labkit-anatomy") -> str:
    """Return the picture as SVG.

    Parameters
    ----------
    title : str
        Which pod, where.
    columns : mapping of str to str
        Each container's name, and what runs in it.
    rows : sequence of Row
        From top to bottom.
    prefix : str
        What the picture's ids begin with: several on a page need different ones.
    """
    return svg.write(scene(title, columns, rows), prefix)


def scene(title: str, columns: Mapping[str, str], rows: Sequence[Row]) -> Scene:
    """Return the picture as shapes; the parameters are those of `to_svg`."""
    width = _MARGIN + _LABELS + len(columns) * (_COLUMN + _GAP) + _MARGIN
    top = _TOP + _HEAD + _GAP
    height = top + len(rows) * _PITCH + _NOTE
    groups = [
        Group("page", (Rect("paper", 0, 0, width, height, 0),)),
        Group("frame", (Rect("frame", 8, 8, width - 16, height - _NOTE - 8, 8),)),
        Group("caption", (Text("title", 24, 34, fit(title, width - 48, MEDIUM, bold=True), MEDIUM, bold=True),)),
    ]
    groups += [_column(index, name, what) for index, (name, what) in enumerate(columns.items())]
    for index, row in enumerate(rows):
        y = top + index * _PITCH
        label = fit(row.label, _LABELS - 24, SMALL)
        groups.append(Group("caption", (Text("quiet", 24, y + _BAR / 2 + BASELINE * SMALL, label, SMALL),)))
        groups += _bars(row, list(columns), y)
    note = gettext("A bar over several: they share it. Numbers are the kernel's, of namespaces (namespaces(7)).")
    groups.append(Group("note", (Text("quiet", _MARGIN, height - 16, fit(note, width - 32, SMALL), SMALL),)))
    return Scene("anatomy", title, _words(columns, rows), width, height, tuple(groups))


def _left(index: int) -> float:
    return _MARGIN + _LABELS + index * (_COLUMN + _GAP)


def _column(index: int, name: str, what: str) -> Group:
    x, middle = _left(index), _left(index) + _COLUMN / 2
    shapes = (
        Rect("box", x, _TOP, _COLUMN, _HEAD - 8),
        Text("name", middle, _TOP + 26, fit(name, _COLUMN - 16, MEDIUM, bold=True), MEDIUM, "middle", bold=True),
        Text("quiet", middle, _TOP + 48, fit(what, _COLUMN - 16, SMALL), SMALL, "middle"),
    )
    return Group("component", shapes, "runtime", {"name": name})


def _bars(row: Row, columns: Sequence[str], y: float) -> Iterator[Group]:
    """Return a bar for each stretch of containers side by side that have the same."""
    start = 0
    while start < len(columns):
        held = row.holds.get(columns[start])
        end = start + 1
        while end < len(columns) and held and row.holds.get(columns[end], ("", ""))[0] == held[0]:
            end += 1
        if held:
            x, right = _left(start), _left(end - 1) + _COLUMN
            text = fit(held[1], right - x - 16, SMALL)
            shared = end - start > 1 or sum(other[0] == held[0] for other in row.holds.values()) > 1
            shapes = (
                Rect("box" if shared else "pod", x, y, right - x, _BAR, 8),
                Text("name", (x + right) / 2, y + _BAR / 2 + BASELINE * SMALL, text, SMALL, "middle", bold=shared),
            )
            data = {"of": " ".join(columns[start:end])}
            yield Group("component" if shared else "pod", shapes, "client" if shared else "quiet", data)
        start = end


def _shared(names: Sequence[str]) -> str:
    if len(names) == 1:
        return gettext("{name} has its own").format(name=names[0])
    return gettext("{names} share one").format(names=gettext(" and ").join(names))


def _words(columns: Mapping[str, str], rows: Sequence[Row]) -> str:
    """Return the picture in words."""
    said = []
    for row in rows:
        by: dict[str, list[str]] = {}
        for name in columns:
            if name in row.holds:
                by.setdefault(row.holds[name][0], []).append(name)
        parts = [_shared(names) for names in by.values()]
        said.append(f"{row.label}: {'; '.join(parts)}.")
    return " ".join(said)
