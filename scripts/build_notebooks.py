"""Make notebooks/NAME.ipynb from notebooks/src/NAME.py (percent scripts) and run them; outputs are kept.

    python -m scripts.build_notebooks [NAME ...]     # all by default

Each notebook is run on a lab of its own; where one fails, the one that was there stays. It is made in Chinese, too.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from rich.console import Console

from scripts import catalogues
from scripts.notebook_texts import same_code, texts, translated

FOLDER = catalogues.NOTEBOOKS
_CELL_SECONDS = 300
_COMPARED = "nbval-check-output"
_KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}


def source(name: str) -> Any:
    """Return a notebook as its percent script has it, without outputs; cells are named by their place."""
    notebook = catalogues.cells(name)
    notebook.metadata = nbformat.from_dict({"kernelspec": _KERNEL})  # type: ignore[no-untyped-call]
    for number, cell in enumerate(notebook.cells):
        cell.id = f"{name[:2]}-{number:02}"
    return notebook


def build(name: str) -> None:
    """Run a notebook from top to bottom and store it."""
    notebook = source(name)
    # Panels leave a still of themselves in the outputs; their state on top of it would make files four times as large.
    options = {"timeout": _CELL_SECONDS, "store_widget_state": False}
    NotebookClient(notebook, **options, resources={"metadata": {"path": str(FOLDER)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of day, which tell nothing and differ each time
    nbformat.write(notebook, FOLDER / f"{name}.ipynb")  # type: ignore[no-untyped-call]
    translate(name)


def translate(name: str) -> None:
    """Store a notebook in Chinese."""
    path = FOLDER / catalogues.LANGUAGE / f"{name}.ipynb"
    path.parent.mkdir(exist_ok=True)
    nbformat.write(in_chinese(name), path)  # type: ignore[no-untyped-call]


def in_chinese(name: str) -> Any:
    """Return a notebook in Chinese, with the outputs that it has in English: they are of the same code.

    Where a panel asks in Chinese, what says it in English is left out: nobody has run that. No output is compared: when
    it is run, labkit says it in Chinese.
    """
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    translations = catalogues.translations(catalogues.of_notebook(name))
    asked: set[str] = set()
    for cell in notebook.cells:
        english, cell.source = cell.source, translated(cell.cell_type, cell.source, translations)
        if cell.cell_type == "code":
            if not same_code(english, cell.source):
                asked |= {text.message for text in texts("code", english)}
            if any(text in str(cell.outputs) for text in asked):
                cell.outputs, cell.execution_count = [], None
            if _COMPARED in cell.metadata.get("tags", []):
                cell.metadata["tags"].remove(_COMPARED)
    return notebook


def named(arguments: list[str]) -> list[str]:
    """Return the names of the notebooks that arguments name, of all where there are none; or end with what is wrong."""
    known = sorted(path.stem for path in (FOLDER / "src").glob("*.py"))
    names = [Path(argument).stem for argument in arguments] or known
    if unknown := set(names) - set(known):
        sys.exit(f"There is no notebook {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return names


def main() -> None:
    """Build the notebooks that are named, or all."""
    console = Console(stderr=True)
    os.environ["LABKIT_PROVIDER"] = "rootless"  # whatever else this machine could do
    names = named(sys.argv[1:])
    for number, name in enumerate(names, start=1):
        console.print(f"[{number}/{len(names)}] {name} …", markup=False)
        build(name)


if __name__ == "__main__":
    main()
