"""A test that answers for an exercise is held to it: it must have seen the check say right, and say why not."""

from __future__ import annotations

import functools
import importlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from labkit.checks.verdict import Verdict
from tests.checks import exercises


@pytest.fixture(autouse=True)
def _answers_for_its_exercises(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    own = exercises.of_test(request.path.stem, request.function.__name__)
    seen: defaultdict[tuple[str, str], list[Verdict]] = defaultdict(list)
    for module, name in {each.checks[0] for each in own}:
        home = importlib.import_module(f"{exercises.CHECKS}.{module}")
        monkeypatch.setattr(home, name, _heard(getattr(home, name), seen[module, name]))
    yield
    for exercise in own:
        verdicts = seen[exercise.checks[0]]
        assert any(each.right for each in verdicts), f"{exercise}: no solution was seen to be right"
        wrong = [each for each in verdicts if each.right is False]
        assert any(each.why and each.evidence for each in wrong), f"{exercise}: no wrong answer was seen explained"


def _heard(check: Callable[..., Verdict], verdicts: list[Verdict]) -> Callable[..., Verdict]:
    @functools.wraps(check)
    def listening(*arguments: Any, **options: Any) -> Verdict:
        verdict = check(*arguments, **options)
        verdicts.append(verdict)
        return verdict

    return listening
