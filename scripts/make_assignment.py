"""Make an assignment of a notebook, for nbgrader or otter-grader: its exercises give points.

    make_assignment.py NOTEBOOK COURSE [--for otter] [--exercise N ...] [--points P]

It is written to COURSE/source/NOTEBOOK/NOTEBOOK.ipynb; for nbgrader with COURSE/nbgrader_config.py where there is none.
The checks are the notebook's own, those of `labkit.checks`: what a learner reads while learning is what the feedback
says.
"""

from __future__ import annotations

import argparse
import ast
import copy
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_raw_cell

_ROOT = Path(__file__).parents[1]
FOLDER = _ROOT / "notebooks"
CONFIG = _ROOT / "docs/grading/nbgrader_config.py"
GRADERS = ("nbgrader", "otter")
_CHECKS = "labkit.checks"
_TAG = "exercise"
_POINTS = 1
#: Where no lab runs, a kernel has to know which notebook's recording answers; Jupyter Server says it in this variable.
_WHICH = """\
# Which notebook this is, for a kernel that is started to grade it.
import os

_ = os.environ.setdefault("JPY_SESSION_NAME", "{name}.ipynb")"""
#: nbgrader puts a learner's copy together without what stands between these lines.
_SOLUTION = "### BEGIN SOLUTION\n### END SOLUTION"
_CHECK = """\
{imports}

verdict = {check}
display(verdict)
assert verdict.right, verdict.said"""
#: Learners need nothing of otter: they hand in the notebook itself. There is no model answer to run the tests on.
_OTTER = """\
# ASSIGNMENT CONFIG
name: {name}
init_cell: false
export_cell: false
run_tests: false
tests:
  ok_format: false"""
#: Where there is no cell for learners that calls otter, it marks the answer's cell, and runs the test right after that
#: cell; otherwise every test would see the notebook's last answer (otter/assign/notebook_transformer.py).
_QUESTION = """\
# BEGIN QUESTION
name: {name}
points: {points}
check_cell: false"""


@dataclass(frozen=True)
class _Exercise:
    """A cell of a notebook, in parts."""

    name: str
    cell: Any
    answer: str
    """What is before the check."""
    check: str
    """Code that fails where the answer is not right."""
    reads: Sequence[str]
    """The notebook's names that the check uses."""


def assignment(name: str, exercises: Sequence[int] = (), points: int = _POINTS, grader: str = GRADERS[0]) -> Any:
    """Return a notebook as nbgrader's source version, or as Otter Assign's master notebook.

    Parameters
    ----------
    name : str
        The notebook's.
    exercises : sequence of int
        The numbers of those that give points; all where there are none.
    points : int
        What each of them gives.
    grader : str
        One of `GRADERS`.

    Raises
    ------
    ValueError
        There is no such notebook; or it has no such exercise, or one that no cell can check.
    """
    path = FOLDER / f"{name}.ipynb"
    if not path.exists():
        raise ValueError(f"there is no notebook {name}; there are {', '.join(_names())}")
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    modules = _modules(notebook.cells)
    which = new_code_cell(_WHICH.format(name=name))
    for_otter = grader == "otter"
    cells = [new_raw_cell(_OTTER.format(name=name)), which] if for_otter else [_marked(which, "which-notebook")]
    number = 0
    for cell in notebook.cells:
        if _TAG in cell.metadata.get("tags", []):
            number += 1
            if not exercises or number in exercises:
                exercise = _exercise(_not_run(cell), f"exercise-{number}", modules)
                cells += _question(exercise, points) if for_otter else _graded(exercise, points)
                continue
        cells.append(_not_run(cell))
    if missing := set(exercises) - set(range(1, number + 1)):
        raise ValueError(f"{name} has {number} exercises, and no {min(missing)}")
    notebook.cells = cells
    return notebook


def _names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def _not_run(cell: Any) -> Any:
    """Return a cell as it is before anybody has run it."""
    fresh = copy.deepcopy(cell)
    if fresh.cell_type == "code":
        fresh.outputs, fresh.execution_count = [], None
    return fresh


def _modules(cells: Sequence[Any]) -> dict[str, str]:
    """Return the lines by which a notebook imports modules of checks, by the names that it has for them."""
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    imports = [each for each in ast.walk(ast.parse(code)) if isinstance(each, ast.ImportFrom)]
    names = [alias for each in imports if each.module == _CHECKS for alias in each.names]
    return {alias.asname or alias.name: f"from {_CHECKS} import {ast.unparse(alias)}" for alias in names}


def _exercise(cell: Any, name: str, modules: Mapping[str, str]) -> _Exercise:
    """Return the parts of a cell: its last statement is the check, what is before it the answer."""
    check = ast.parse(cell.source).body[-1]
    code = ast.unparse(check)
    module = code.partition(".")[0]
    if module not in modules:
        raise ValueError(f"{name} asks in a panel, and has no cell for an answer")
    answer = "\n".join(cell.source.splitlines()[: check.lineno - 1]).rstrip()
    reads = {node.id for node in ast.walk(check) if isinstance(node, ast.Name)} - {module}
    return _Exercise(name, cell, answer, _CHECK.format(imports=modules[module], check=code), sorted(reads))


def _graded(exercise: _Exercise, points: int) -> Iterator[Any]:
    """Yield an exercise as nbgrader has it: a cell for the answer, and a locked one that checks it."""
    yield _marked(new_code_cell(f"{exercise.answer}\n{_SOLUTION}"), f"{exercise.name}-answer", solution=True)
    yield _marked(new_code_cell(exercise.check), f"{exercise.name}-check", grade=True, points=points)


def _question(exercise: _Exercise, points: int) -> Iterator[Any]:
    """Yield an exercise as Otter Assign has it: the notebook's own cell, and a test that gets the names it asks for."""
    yield new_raw_cell(_QUESTION.format(name=exercise.name, points=points))
    yield new_raw_cell("# BEGIN SOLUTION")
    yield exercise.cell
    yield new_raw_cell("# END SOLUTION")
    yield new_raw_cell("# BEGIN TESTS")
    yield new_code_cell(f"def check({', '.join(exercise.reads)}):\n{indent(exercise.check, '    ')}")
    yield new_raw_cell("# END TESTS")
    yield new_raw_cell("# END QUESTION")


def _marked(cell: Any, name: str, *, solution: bool = False, grade: bool = False, points: int | None = None) -> Any:
    """Return a cell with what nbgrader reads of it (nbgrader/nbgraderformat, schema version 3)."""
    mark = {
        "schema_version": 3,
        "grade_id": name,
        "solution": solution,
        "grade": grade,
        "locked": not solution,
        "task": False,
    }
    cell.id = name
    cell.metadata["nbgrader"] = mark if points is None else {**mark, "points": points}
    return cell


def main() -> None:
    """Write the assignment that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebook", help=f"a notebook of {FOLDER}: 02_pods")
    parser.add_argument("course", type=Path, help="the course's folder")
    parser.add_argument("--for", dest="grader", choices=GRADERS, default=GRADERS[0], help=f"default {GRADERS[0]}")
    parser.add_argument("--exercise", type=int, action="append", default=[], help="one of them (default: all)")
    parser.add_argument("--points", type=int, default=_POINTS, help=f"what each gives (default {_POINTS})")
    options = parser.parse_args()
    name = Path(options.notebook).stem
    try:
        notebook = assignment(name, options.exercise, options.points, options.grader)
    except ValueError as error:
        sys.exit(f"No assignment was made: {error}")
    path = options.course / "source" / name / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
    if options.grader == "nbgrader" and not (options.course / CONFIG.name).exists():
        shutil.copy(CONFIG, options.course)
    print(path)


if __name__ == "__main__":
    main()
