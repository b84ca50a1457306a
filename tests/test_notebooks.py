"""The notebooks, run from top to bottom on a real cluster; cells that promise an output are held to it (nbval)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
WIDGET = "application/vnd.jupyter.widget-view+json"


def test_there_is_a_source_of_every_notebook() -> None:
    assert [path.stem for path in NOTEBOOKS] == sorted(path.stem for path in (FOLDER / "src").glob("*.py"))


#: Of a measurement in a notebook: one number of Services, once.
SMALL = {"LABKIT_BENCH_SERVICES": "5", "LABKIT_BENCH_REPEATS": "1"}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_what_its_source_says(notebook: Path) -> None:
    stored = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    source = jupytext.read(FOLDER / "src" / f"{notebook.stem}.py")
    assert _cells(stored) == _cells(source), f"build it anew: make notebooks NAME={notebook.stem}"


def _cells(notebook: nbformat.NotebookNode) -> list[tuple[str, str, list[str]]]:
    return [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_that_are_compared_exist_and_hold_output(notebook: Path) -> None:
    stored = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    cells = [cell for cell in stored.cells if cell.cell_type == "code"]
    compared = [cell for cell in cells if "nbval-check-output" in cell.metadata.get("tags", [])]
    assert compared, "nothing is compared"
    assert all(cell.outputs for cell in compared)
    assert all(cell.execution_count for cell in cells), "it is stored without having been run"
    assert not [out for cell in cells for out in cell.outputs if out.output_type == "error"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_opened_without_a_kernel_every_panel_has_a_still(notebook: Path) -> None:
    """What a reader sees whom no kernel serves: HTML that needs no script and fetches nothing."""
    stored = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    for cell in (cell for cell in stored.cells if cell.cell_type == "code"):
        shown = [output.get("data", {}) for output in cell.outputs]
        stills = [data["text/html"] for data in shown if "text/html" in data]
        if any(WIDGET in data for data in shown):
            assert any(re.search("<svg|src=.data:image", still) and "<table" in still for still in stills), cell.source
        for still in stills:
            assert "<script" not in still
            assert not re.search(r"""(src|href)=["']?(https?:)?//""", still)


@pytest.mark.cluster
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(notebook: Path) -> None:
    options = ["--nbval-lax", "--nbval-cell-timeout=90", "-p", "no:cacheprovider", "-W", "default"]
    command = [sys.executable, "-m", "pytest", *options, str(notebook)]
    environment = {**os.environ, "JUPYTER_PLATFORM_DIRS": "1", **SMALL}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout[-4000:]
