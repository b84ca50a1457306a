"""The picture of what works while components stand still: it says in words what it shows; nothing covers a text."""

from __future__ import annotations

import pytest

from labkit.checks.outage import ABILITIES
from labkit.views import outages
from labkit.views.outages import Cell, Row
from labkit.views.scene import Path
from tests.views.svgs import inside, overlap, parsed, texts, words

SCHEDULER = Row(
    "kube-scheduler",
    "scheduler",
    tuple(
        Cell(ability, predicted, worked, "after 12.3 s")
        for ability, predicted, worked in zip(ABILITIES, (True, None, True, False) * 2, (True, False) * 4, strict=True)
    ),
)
LONG = Row("kube-controller-manager", "controller", SCHEDULER.cells)
BAD = Row("<b>", "etcd", (Cell("<i>", False, True, "<script>"), Cell("n" * 99, True, False, "w" * 99)))
PICTURES = {"one": [SCHEDULER], "two": [SCHEDULER, LONG], "bad": [BAD], "nothing": []}


@pytest.mark.parametrize("name", PICTURES)
def test_no_text_leaves_the_picture_or_covers_another(name: str) -> None:
    scene = outages.scene(PICTURES[name])
    extents = list(texts(scene))
    for at, (text, extent) in enumerate(extents):
        assert inside(extent, scene), text
        for other, second in extents[at + 1 :]:
            assert not overlap(extent, second), f"{text!r} covers {other!r}"


def test_what_did_not_work_has_a_broken_line_and_says_so() -> None:
    scene = outages.scene([SCHEDULER])
    cells = [group for group in scene.groups if "worked" in group.data]
    assert [group.data["worked"] for group in cells] == ["true", "false"] * 4
    for group in cells:
        broken = any(isinstance(shape, Path) and shape.dashed for shape in group.shapes)
        assert broken == (group.data["worked"] == "false")
    drawn = words(outages.to_svg([SCHEDULER], prefix="p"))
    assert drawn.count("works") == drawn.count("stops") == 4


def test_a_prediction_that_did_not_come_true_is_marked() -> None:
    drawn = words(outages.to_svg([SCHEDULER], prefix="p"))
    assert [each for each in drawn if each.startswith("you:")] == ["you: works", "you: works", "you: stops"] * 2
    wrong = Row("etcd", "etcd", (Cell("it rains", True, False, "never"),))
    assert "you: works ≠" in words(outages.to_svg([wrong], prefix="p"))
    assert "While etcd stands still: it rains: stops (never)" in outages.to_svg([wrong], prefix="p")


def test_words_from_a_cluster_are_no_markup() -> None:
    drawn = outages.to_svg([BAD], prefix="p")
    for tag in ("<b>", "<i>", "<script>"):
        assert tag not in drawn
    assert parsed(drawn).tag.endswith("svg")
