"""The picture and table of a score."""

from __future__ import annotations

from xml.etree import ElementTree

from labkit.views import score
from labkit.views.score import Task

TASKS = (Task("1. Repair the shop", True, 1), Task("2. <b>Follow</b> a packet", False, 3), Task("3. Twins", None, 0))


def test_text_and_table_tell_what_the_picture_does() -> None:
    assert score.to_text(TASKS).splitlines()[0] == "1 of 3 right"
    assert score.rows(TASKS)[1] == ("2. <b>Follow</b> a packet", "✘ not yet", "3")
    page = score.to_html(TASKS, prefix="labkit-score-a")
    assert "<b>" not in page
    drawn = ElementTree.fromstring(score.to_svg(TASKS, prefix="labkit-score-a"))  # noqa: S314 - our own
    words = "".join(drawn.itertext())
    for told in ("1 of 3 right", "right · 1 attempt", "not yet · 3 attempts", "no answer"):
        assert told in words


def test_no_tile_is_outside_the_picture() -> None:
    drawn = score.scene([Task(f"{number}. A task with a very long name indeed", None, 0) for number in range(9)])
    for group in drawn.groups:
        for shape in group.shapes:
            assert 0 <= getattr(shape, "x", 0) <= drawn.width
            assert getattr(shape, "y", 0) + getattr(shape, "height", 0) <= drawn.height
