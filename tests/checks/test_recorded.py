"""Checks of a recorded lab: where it was not asked what an answer needs, they say so, without right or wrong."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

import pytest

from labkit import checks
from labkit.checks.verdict import Verdict, looks
from labkit.errors import ClusterError, NotRecordedError


@looks
def _check(error: Exception) -> Verdict:
    raise error


def test_what_was_not_recorded_is_neither_right_nor_wrong() -> None:
    verdict = _check(NotRecordedError("no answer to: kubectl get pods", fix="a lab that runs"))
    assert verdict.right is None
    assert "This lab is a recording" in verdict.why
    assert verdict.evidence == ("no answer to: kubectl get pods", "a lab that runs")
    with pytest.raises(ClusterError):
        _check(ClusterError("another failure"))


def _of_labs() -> list[Any]:
    modules = [
        importlib.import_module(f"labkit.checks.{module.name}") for module in pkgutil.iter_modules(checks.__path__)
    ]
    functions = [each for module in modules for _, each in inspect.getmembers(module, inspect.isfunction)]
    return [each for each in functions if _gives_a_verdict_of_a_lab(each)]


def _gives_a_verdict_of_a_lab(function: Any) -> bool:
    signature = inspect.signature(function)
    public = not function.__name__.startswith("_")
    return public and signature.return_annotation == "Verdict" and "lab" in signature.parameters


def test_every_check_that_looks_at_a_lab_can_say_so() -> None:
    found = _of_labs()
    assert len(found) >= 9
    assert [each.__name__ for each in found if not hasattr(each, "__wrapped__")] == []
