"""The teacher's view as a page; test_hub.py has it served by a real Hub."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from labkit.classroom.limits import Usage
from labkit.classroom.students import Student, look
from labkit.classroom.told import Told

pytest.importorskip("jupyterhub", reason="the extra classroom is not installed")
from labkit.classroom.overview import page

_NOW = datetime(2026, 1, 1, 10, 0, tzinfo=UTC)


def _told(cell: str, right: bool | None, notebook: str = "02_pods") -> Told:
    return Told("2026-01-01T09:59:00+00:00", notebook, cell, right)


def test_what_a_student_did_is_counted_once_for_each_exercise() -> None:
    checks = [_told("a", None), _told("a", False), _told("a", True), _told("a", True), _told("b", False)]
    student = Student("ann", "2026-01-01T09:30:00Z", {"lab": True, "second": False}, Usage(7 * 10**8, 0, 0, 2), checks)
    assert (student.right, student.tried) == (1, 2)
    shown = page([student], _NOW)
    for text in ("ann", "since 09:30", "lab runs, second is stopped", "700 MB (limit reached, 2 ended)"):
        assert text in shown
    assert "<td>02_pods, 09:59</td><td>1 right of 2 tried</td>" in shown


def test_text_of_a_student_is_no_markup() -> None:
    checks = [_told("a", True, "<script>alert(1)</script>")]
    shown = page([Student("<b>", "", {"<i>": True}, None, checks)], _NOW)
    assert "<script" not in shown
    assert "<b>" not in shown
    assert "<i>" not in shown


def test_who_never_logged_in_is_there_too() -> None:
    (student,) = look(
        [{"name": "nobody-of-that-name", "kind": "user", "servers": {}}, {"name": "x", "kind": "service"}]
    )
    assert student == Student("nobody-of-that-name", "", {}, None, ())
    assert "<td>off</td><td>none</td>" in page([student], _NOW)
