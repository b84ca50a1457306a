"""What is printed and where: results to stdout, all else to stderr; plain where it is no terminal."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Container, Iterable, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_UNICODE = {"done": "✓", "failed": "✗", "unknown": "?", "idle": "·", "to": "→", "more": "…"}
_ASCII = {"done": "ok", "failed": "!!", "unknown": "??", "idle": "--", "to": "->", "more": "..."}
_WIDE = 10_000  # a pipe has no edge to wrap at
_GAP = 2  # columns between columns
_NARROWEST = 24  # columns that the last one must have, to be read with ease


def out() -> Console:
    """Return the console for results."""
    return _console(sys.stdout)


def err() -> Console:
    """Return the console for progress and errors."""
    return _console(sys.stderr)


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can move its cursor, whatever FORCE_COLOR says."""
    return stream.isatty() and not Console(file=stream).is_dumb_terminal


def mark(name: str, console: Console) -> str:
    """Return a sign that the console's encoding has: done, failed, unknown, idle, to, more."""
    return (_UNICODE if console.encoding.lower().startswith("utf") else _ASCII)[name]


def text(words: str, style: str = "") -> Text:
    """Return words as they are: no markup, and no control characters, which could move a terminal's cursor."""
    clean = "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in words)
    return Text(clean, style)


def say(words: str = "", style: str = "") -> None:
    """Print a line of results."""
    out().print(text(words, style), soft_wrap=True)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, right: Container[str] = ()) -> None:
    """Print a table without rules: its last column wraps; a terminal too narrow even so gets a line for each cell.

    Parameters
    ----------
    titles : sequence of str
        Of the columns.
    rows : iterable of sequence of str
        A cell for each column.
    right : container of str
        Titles of columns with numbers.
    """
    console, rows = out(), list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(titles, *rows, strict=True)]
    if sum(widths[:-1]) + _GAP * len(widths) + min(widths[-1], _NARROWEST) > console.width:
        for row in rows:
            say()
            for title, cell in zip(titles, row, strict=True):
                say(textwrap.fill(f"{title}: {cell}", console.width, subsequent_indent="  "))
        return
    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    for title in titles:
        grid.add_column(
            title, overflow="fold", no_wrap=title != titles[-1], justify="right" if title in right else "left"
        )
    for row in rows:
        grid.add_row(*(text(cell) for cell in row))
    with console.capture() as captured:
        console.print(grid)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))  # the last column is padded, too


def indented(label: str, words: str, style: str = "") -> Padding:
    """Return labelled words that keep their indentation where they wrap."""
    return Padding(text(f"{label}: {words}", style), (0, 0, 0, 4), expand=False)


def print_json(value: Any) -> None:
    """Print JSON for programs."""
    print(json.dumps(value, indent=2))


def _console(stream: TextIO) -> Console:
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    if not stream.isatty():
        console.width = _WIDE
    return console
