"""A sheet of exercises: each counts, and the score says how all stand."""

from __future__ import annotations

import time

from labkit.checks.sheet import Sheet
from labkit.checks.verdict import Verdict
from labkit.widgets.exercise import ExercisePanel


def _answer(panel: ExercisePanel, answer: object) -> None:
    panel._handle_custom_msg({"check": answer}, [])
    end = time.monotonic() + 10
    while panel.paint() or panel.state["working"]:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_counts() -> None:
    sheet = Sheet()
    first = sheet.ask("First", "Two?", lambda answer: Verdict(answer == "2", "Count."), field="A number")
    sheet.ask("Second", "Nothing to do?", lambda _: Verdict(None, "Not yet."))
    assert repr(sheet.score()).startswith("0 of 2 right\n")
    for answer in ("3", "2", "4"):
        _answer(first, answer)
    score = sheet.score()
    assert [(each.title, each.right, each.attempts) for each in score.tasks] == [
        ("First", True, 3),
        ("Second", None, 0),
    ]
    assert "1 of 2 right" in score._repr_html_()
    sheet.ask("First", "Two?", lambda _: Verdict(False, "No."), field="A number")
    assert sheet.score().tasks[0].right is None
