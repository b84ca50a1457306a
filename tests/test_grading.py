"""Notebooks graded with the checks of `labkit.checks`, on recorded sessions and with no cluster: docs/grading.md."""

from __future__ import annotations

import csv
import html
import json
import os
import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import pytest

from labkit.lab.session import replayed

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "scripts"
PAGE = ROOT / "docs" / "grading.md"
BIN = Path(sys.executable).parent
needs_nbgrader = pytest.mark.skipif(find_spec("nbgrader") is None, reason='pip install -e ".[grading]"')
needs_otter = pytest.mark.skipif(find_spec("otter") is None, reason='pip install -e ".[grading]"')

_START = {
    "the deployment": "kubectl",
    "the replica set": "deployment-controller",
    "the pod": "replicaset-controller",
    "the pod's node": "kube-scheduler",
}
_STOPPED = {
    "the deployment is stored": True,
    "a replica set is made": True,
    "a pod is made": True,
    "the pod gets a node": False,
    "the pod runs": False,
}
_NOTICED = {
    "image-repository": "container runtime",
    "kubernetes-version": "kubeadm",
    "overlapping-ranges": "kube-controller-manager",
    "advertise-address": "etcd",
}
_MADE = {"A": "etcd", "B": "certs", "C": "kubelet-start", "D": "upload-config", "E": "addon"}
#: A right and a wrong answer by notebook and exercise: those that a recording can tell apart, and that name nothing
#: which is different in each lab.
ANSWERS: dict[str, dict[int, tuple[Any, Any]]] = {
    "00_start_here": {1: (_START, _START | {"the pod": "kubelet"}), 2: ({"master"}, {"node-01"})},
    "01_architecture": {
        1: ({"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}, {"etcd"}),
        2: ("kube-apiserver", "kubelet"),
        3: ("system:kube-scheduler", "kubernetes-admin"),
        4: (_STOPPED, _STOPPED | {"the pod gets a node": True}),
    },
    "02_pods": {1: ({"net", "ipc", "uts"}, {"pid"}), 2: ("127.0.0.1:3306", "mysql:3306")},
    "03_deploy_tomcat": {1: ("DEBAC", "ABCDE"), 2: ({3, 4, 7, 10, 11}, {1})},
    "04_scheduler": {1: ("TaintToleration", "NodeAffinity"), 2: ("NodeAffinity", "TaintToleration")},
    "07_birth": {
        1: ("pod network", "clock"),
        2: (_NOTICED, _NOTICED | {"advertise-address": "kubeadm"}),
        3: (_MADE, _MADE | {"A": "addon"}),
    },
    "07_birth_join": {2: ("certificate-controller", "kubelet")},
    "08_drills": {1: (set(), {"etcd"})},
}
GRADED = "01_architecture"
LESSON = ROOT / "notebooks" / f"{GRADED}.ipynb"
#: What ann answers, and bob, who is right in one of four.
ANN = {number: right for number, (right, _) in ANSWERS[GRADED].items()}
BOB = {number: both[number != 2] for number, both in ANSWERS[GRADED].items()}
#: As in an environment that is activated: nbgrader calls a program of it, alembic.
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{BIN}:{os.environ['PATH']}",
    "LABKIT_PROVIDER": "replay",
    "JUPYTER_PLATFORM_DIRS": "1",
}


@pytest.fixture
def assignment(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What makes an assignment, in this process."""
    monkeypatch.syspath_prepend(SCRIPTS)
    return import_module("make_assignment").assignment


def make_assignment(notebook: str, course: Path, *options: str) -> Path:
    """Make an assignment as the page says; return the notebook."""
    command = [sys.executable, str(SCRIPTS / "make_assignment.py"), notebook, str(course), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def _read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def answered(source: str, answer: object) -> str:
    """Return a cell with an answer below what it has, as a learner may write it."""
    (variable,) = re.findall(r"^(\w+) = (?:None|\{)", source, re.MULTILINE)
    return f"{source}\n{variable} = {answer!r}"


def test_an_assignment_has_two_cells_for_an_exercise_and_the_rest_of_the_notebook(tmp_path: Path) -> None:
    path = make_assignment("02_pods", tmp_path, "--exercise", "1", "--exercise", "2", "--points", "3")
    made = _read(path)
    marks = [cell.metadata.nbgrader for cell in made.cells if "nbgrader" in cell.metadata]
    assert [mark.grade_id for mark in marks if mark.grade] == ["exercise-1-check", "exercise-2-check"]
    assert {mark.points for mark in marks if mark.grade} == {3}
    assert [mark.grade_id for mark in marks if mark.solution] == ["exercise-1-answer", "exercise-2-answer"]
    assert all(mark.locked is not mark.solution for mark in marks)
    assert any("pods.shares_a_file" in cell.source for cell in made.cells), "the third is there"
    assert (tmp_path / "nbgrader_config.py").read_text() == (ROOT / "docs/grading/nbgrader_config.py").read_text()


def test_what_is_no_assignment_is_refused(assignment: Any) -> None:
    with pytest.raises(ValueError, match="02_pods has 3 exercises, and no 4"):
        assignment("02_pods", (1, 4))
    with pytest.raises(ValueError, match="exercise-1 asks in a panel, and has no cell for an answer"):
        assignment("10_exam")
    with pytest.raises(ValueError, match="there is no notebook 77_none; there are 00_start_here"):
        assignment("77_none")


def test_the_page_names_the_exercises_that_a_recording_can_grade() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d, ]+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert {name: list(map(int, numbers.split(","))) for name, numbers in rows} == {
        name: list(answers) for name, answers in ANSWERS.items()
    }


@pytest.mark.parametrize("notebook", ANSWERS)
def test_a_recording_tells_a_right_answer_from_a_wrong_one(
    notebook: str, assignment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABKIT_PROVIDER", "replay")
    monkeypatch.setattr(replayed, "running_notebook", lambda: notebook)  # else a kernel says it
    monkeypatch.chdir(tmp_path)
    made = assignment(notebook, tuple(ANSWERS[notebook]))
    names: dict[str, Any] = {"display": print}
    left = dict(ANSWERS[notebook])
    for cell in (cell for cell in made.cells if cell.cell_type == "code"):
        part = re.fullmatch(r"exercise-(\d+)-(answer|check)", cell.metadata.get("nbgrader", {}).get("grade_id", ""))
        if part is None:
            exec(cell.source, names)  # noqa: S102 - our own notebook
        elif part[2] == "answer":
            answer = cell
        else:
            right, wrong = left.pop(int(part[1]))
            exec(f"{answered(answer.source, right)}\n{cell.source}", names)  # noqa: S102 - as above
            with pytest.raises(AssertionError, match=r"^✘ Not yet\. "):
                exec(f"{answered(answer.source, wrong)}\n{cell.source}", names)  # noqa: S102 - as above
        if not left:
            break
    assert not left


@needs_nbgrader
@pytest.mark.notebook
def test_nbgrader_gives_points_for_right_answers_and_says_why_others_are_wrong(tmp_path: Path) -> None:
    course = tmp_path / "course"
    make_assignment(GRADED, course)
    _run(course, "nbgrader", "generate_assignment", GRADED)
    _submit(course, "ann", ANN)
    _submit(course, "bob", BOB)
    for command in (("autograde", GRADED), ("generate_feedback", GRADED), ("export",)):
        _run(course, "nbgrader", *command)
    with (course / "grades.csv").open(encoding="utf-8") as file:
        scores = {row["student_id"]: (float(row["score"]), float(row["max_score"])) for row in csv.DictReader(file)}
    assert scores == {"ann": (4.0, 4.0), "bob": (1.0, 4.0)}
    feedback = {learner: _feedback(course, learner) for learner in scores}
    assert "Not yet" not in feedback["ann"]
    assert feedback["bob"].count("✘ Not yet.") >= 3
    assert "kubelet" in feedback["bob"]


def _run(course: Path, program: str, *words: str) -> None:
    """Run a grader's program in a course's folder."""
    command = [str(BIN / program), *words]
    done = subprocess.run(
        command, cwd=course, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]


def _submit(course: Path, learner: str, answers: dict[int, Any]) -> None:
    """Write what a learner hands in: the released notebook with answers."""
    notebook = _read(course / "release" / GRADED / f"{GRADED}.ipynb")
    for cell in notebook.cells:
        number = re.fullmatch(r"exercise-(\d+)-answer", cell.metadata.get("nbgrader", {}).get("grade_id", ""))
        if number:
            cell.source = answered(cell.source, answers[int(number[1])])
    path = course / "submitted" / learner / GRADED / f"{GRADED}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]


def _feedback(course: Path, learner: str) -> str:
    page = course / "feedback" / learner / GRADED / f"{GRADED}.html"
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text("utf-8")))


@needs_otter
@pytest.mark.notebook
def test_otter_gives_points_for_right_answers_and_says_why_others_are_wrong(tmp_path: Path) -> None:
    made = make_assignment(GRADED, tmp_path, "--for", "otter", "--points", "2")
    _run(tmp_path, "otter", "assign", str(made), "dist")
    results = {learner: _otter(tmp_path, learner, answers) for learner, answers in {"ann": ANN, "bob": BOB}.items()}
    points = {learner: [(test["score"], test["max_score"]) for test in tests] for learner, tests in results.items()}
    assert points == {"ann": [(2, 2)] * 4, "bob": [(0, 2), (2, 2), (0, 2), (0, 2)]}
    assert not any("Not yet" in test["output"] for test in results["ann"])
    assert all(("AssertionError: ✘ Not yet. " in test["output"]) is not bool(test["score"]) for test in results["bob"])
    assert "Those are, and 3 more. Look at the files that the kubelet reads." in results["bob"][0]["output"]

    given = _read(tmp_path / "dist" / "student" / f"{GRADED}.ipynb")
    assert [cell.source for cell in given.cells[1:]] == [cell.source for cell in _read(LESSON).cells]
    assert not any(repr(right) in given.metadata.otter.tests[f"exercise-{number}"] for number, right in ANN.items())


def _otter(course: Path, learner: str, answers: dict[int, Any]) -> list[dict[str, Any]]:
    """Hand in a learner's answers, each above the check in its cell; return what otter says of each exercise."""
    notebook = _read(course / "dist" / "student" / f"{GRADED}.ipynb")
    for cell in notebook.cells:
        for name in cell.metadata.get("otter", {}).get("tests", []):
            above, _, check = cell.source.rpartition("\n")
            cell.source = f"{answered(above, answers[int(name.removeprefix('exercise-'))])}\n{check}"
    path = course / learner / f"{GRADED}.ipynb"
    path.parent.mkdir()
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
    (tests,) = (course / "dist" / "autograder").glob("*.zip")
    _run(course, "otter", "run", str(path), "--autograder", str(tests), "--output-dir", learner)
    told = json.loads((path.parent / "results.json").read_text("utf-8"))["tests"]
    return [test for test in told if "score" in test]
