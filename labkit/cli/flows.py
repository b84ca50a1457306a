"""A flow in a terminal: step by step as a table, and drawn into a file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.cli import console
from labkit.errors import UsageError
from labkit.views import architecture, table

if TYPE_CHECKING:
    from labkit.flow import Flow


def show(flow: Flow) -> None:
    """Print a flow's hops in order, with milliseconds since the first; a pipe gets all, a terminal what fits."""
    width = console.out().width
    for columns in (table.HEADINGS, table.HEADINGS[:-1], table.COMPACT):
        whole = table.to_text(flow, columns)
        if max(map(len, whole.splitlines())) <= width:
            console.say(whole)
            return
    console.table(table.NARROW, table.rows(flow, table.NARROW), right=table.RIGHT)


def draw(flow: Flow, path: Path, control_plane: str) -> None:
    """Draw a flow as SVG and say where.

    Raises
    ------
    UsageError
        The file cannot be written.
    """
    svg = architecture.to_svg(dataclasses.replace(flow, control_plane=control_plane))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(svg, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"{path} cannot be written", why=reason, fix="name another file") from error
    console.say(f"Drawn: {path}")
