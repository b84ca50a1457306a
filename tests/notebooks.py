"""What tests take from the notebooks' sources, so that what is tested is what a learner sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jupytext

FOLDER = Path(__file__).parents[1] / "notebooks"


def cell(name: str, beginning: str) -> dict[str, Any]:
    """Return what the first assignment of a cell assigns: the cell whose source begins so, of a notebook."""
    source = jupytext.read(FOLDER / "src" / f"{name}.py")
    (found,) = [cell.source for cell in source.cells if cell.source.startswith(beginning)]
    values: dict[str, Any] = {}
    assignment = found.split('"""')[0] + '"""' + found.split('"""')[1] + '"""'
    exec(assignment, values)  # noqa: S102 - our own source
    return values
