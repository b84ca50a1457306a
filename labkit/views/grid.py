"""Rows and columns, as plain text and as HTML."""

from __future__ import annotations

import html
from collections.abc import Container, Iterable, Sequence

from labkit.language import columns, gettext
from labkit.views.scene import plain


def text(headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: Container[str] = ()) -> str:
    """Return a table of plain text, no line with blanks at its end and none that a cell breaks.

    Parameters
    ----------
    headings : sequence of str
        One for each column; they are shown in the learner's language.
    rows : iterable of sequence of str
        The cells.
    right : container of str
        The headings of the columns whose cells end at the right.
    """
    lines = [tuple(map(gettext, headings)), *([plain(cell) for cell in row] for row in rows)]
    widths = [max(map(columns, column)) for column in zip(*lines, strict=True)]
    found = [
        "  ".join(
            _filled(cell, width, right=heading in right)
            for heading, cell, width in zip(headings, line, widths, strict=True)
        ).rstrip()
        for line in lines
    ]
    found.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(found)


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    caption: str,
    right: Container[str] = (),
    dim: Container[int] = (),
) -> str:
    """Return an HTML table whose every cell is escaped.

    Parameters
    ----------
    headings : sequence of str
        One for each column.
    rows : iterable of sequence of str
        The cells; the first one of a row is its heading.
    caption : str
        What the table shows.
    right : container of str
        The headings of the columns whose cells end at the right.
    dim : container of int
        The rows that count for less, from 0.
    """
    sides = [f'style="text-align:{"right" if heading in right else "left"}"' for heading in headings]
    head = "".join(
        f'<th scope="col" {side}>{escape(gettext(heading))}</th>' for heading, side in zip(headings, sides, strict=True)
    )
    body = []
    for index, row in enumerate(rows):
        style = ' style="opacity:.7"' if index in dim else ""
        first, *others = (f"{side}>{escape(cell)}" for cell, side in zip(row, sides, strict=True))
        cells = "".join(f"<td {cell}</td>" for cell in others)
        body.append(f'<tr{style}><th scope="row" {first}</th>{cells}</tr>')
    inside = f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody>"
    return f"<table>{inside}</table>"


def _filled(cell: str, width: int, *, right: bool) -> str:
    blanks = " " * (width - columns(cell))
    return blanks + cell if right else cell + blanks


def escape(words: str) -> str:
    """Return words as HTML shows them: on one line, and nothing in them is markup."""
    return html.escape(plain(words))
