"""A flow in a terminal: step by step as a table, and drawn into a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.flow import Flow


def show(flow: Flow) -> None:
    """Print a flow's requests in order, with milliseconds since the first."""
    print(flow)


def draw(flow: Flow, path: Path) -> None:
    """Draw a flow as SVG.

    Raises
    ------
    UsageError
        The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(flow))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written", why=error.strerror or str(error), fix="name another file"
        ) from error
