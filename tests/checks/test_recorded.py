"""Checks of a recorded lab: where it was not asked what an answer needs, they say so, without right or wrong."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

import pytest

from labkit import checks
from labkit.checks import architecture, outage, pods, scheduling, steps
from labkit.checks.verdict import Verdict, looks
from labkit.errors import ClusterError, NotRecordedError
from labkit.lab import up


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


def test_the_exercises_of_a_recorded_notebook_01_are_checked() -> None:
    lab = up("01_architecture", provider="replay")
    assert architecture.speaks_to_etcd(lab, "kube-apiserver").right
    assert architecture.speaks_to_etcd(lab, "kubelet").right is False
    assert architecture.static_pods(lab, {"etcd"}).right is False
    assert architecture.known_as(lab, "kube-scheduler", "system:kube-scheduler").right
    assert architecture.known_as(lab, "kube-scheduler", "kubernetes-admin").right is False
    predicted = dict.fromkeys(outage.HAPPENINGS, True)
    assert architecture.stopped(lab, "kube-scheduler", predicted).right is False
    predicted |= {outage.NODE: False, outage.RUNS: False}
    assert architecture.stopped(lab, "kube-scheduler", predicted).right
    assert architecture.stopped(lab, "etcd", predicted).right is None


def test_the_exercises_of_other_recorded_notebooks_are_checked_or_say_why_not() -> None:
    lab = up("02_pods", provider="replay")
    assert pods.shared(lab, "blog", {"net", "ipc", "uts"}).right
    assert pods.shared(lab, "blog", {"pid"}).right is False
    assert pods.reaches(lab, "127.0.0.1:3306").right
    assert pods.reaches(lab, "mysql:3306").right is False
    for verdict in (pods.reaches(lab, "127.0.0.1:80"), pods.shares_a_file(lab, "spec: {containers: []}")):
        assert verdict.right is None or "no container" in verdict.why
    lab = up("04_scheduler", provider="replay")
    assert scheduling.sent_to(lab, "mine", "node-02").right is None
    assert scheduling.sent_to(lab, "other", "node-02").right is None
    lab = up("03_deploy_tomcat", provider="replay")
    assert steps.order(lab.flow("tomcat"), "DEBAC").right
    assert steps.held(lab, "held").right is None
