"""Every notebook has exercises, and a test answers for each of them."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from tests.checks import exercises
from tests.checks.exercises import TESTS, notebooks


@pytest.mark.parametrize("notebook", notebooks())
def test_a_notebook_has_three_exercises_each_with_a_check(notebook: str) -> None:
    found = exercises.exercises(notebook)
    assert len(found) >= 3
    assert all(len(each.checks) == 1 for each in found), [str(each) for each in found if len(each.checks) != 1]


@pytest.mark.parametrize("notebook", notebooks())
def test_a_test_answers_for_each_exercise(notebook: str) -> None:
    found = exercises.exercises(notebook)
    without = [f"{each}: {'.'.join(*each.checks)}" for each in found if each.test is None]
    assert not without, f"give each a test in {Path(exercises.__file__).name}: {'; '.join(without)}"
    assert len(TESTS[notebook]) == len(found), "the table has more tests than the notebook has exercises"
    for each in found:
        assert each.test is not None
        file, name = each.test
        assert callable(getattr(importlib.import_module(f"tests.checks.{file}"), name)), f"{each}: no test {name}"


def test_no_test_answers_for_two_exercises() -> None:
    tests = [test for row in TESTS.values() for test in row]
    assert len(set(tests)) == len(tests)
