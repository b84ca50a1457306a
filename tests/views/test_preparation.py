"""The picture of a host's preparation: each check is in the part that it protects, and no text covers another."""

from __future__ import annotations

import pytest

from labkit.cluster.preflight.preparation import STEPS
from labkit.views import preparation
from labkit.views.preparation import CheckSeen
from labkit.views.scene import Path
from tests.views.svgs import inside, overlap, parsed, texts, words

STATES = ("met", "unmet", "unknown", "not needed")
CHECKS = [
    CheckSeen(step.need.name, step.part, STATES[at % 4], step.need.why.replace("kubelet", "<b>"))
    for at, step in enumerate(STEPS)
]


@pytest.mark.parametrize("lit", ["", *(check.name for check in CHECKS)])
def test_no_text_leaves_the_picture_or_covers_another(lit: str) -> None:
    scene = preparation.scene("node-01", CHECKS, lit=lit)
    extents = list(texts(scene))
    for at, (text, extent) in enumerate(extents):
        assert inside(extent, scene), text
        for other, second in extents[at + 1 :]:
            assert not overlap(extent, second), f"{text!r} covers {other!r}"
    assert not any(text.endswith("…") for text, _ in extents)


def test_each_check_stands_in_the_part_that_it_protects() -> None:
    groups = {group.data["part"]: group for group in preparation.scene("m", CHECKS).groups if "part" in group.data}
    for check in CHECKS:
        said = [shape.text for shape in groups[check.part].shapes if hasattr(shape, "text")]
        assert any(text.endswith(check.name) for text in said), check
    for part, group in groups.items():
        broken = any(isinstance(shape, Path) and shape.dashed for shape in group.shapes)
        assert broken == any(check.part == part and check.status == "unmet" for check in CHECKS)


def test_what_is_lit_says_why() -> None:
    scene = preparation.scene("m", CHECKS, lit="swap")
    lit = [group for group in scene.groups if "lit" in group.data]
    assert [group.data["part"] for group in lit] == ["kubelet"]
    drawn = preparation.to_svg("m", CHECKS, lit="swap", prefix="p")
    assert any(text.startswith("swap: the scheduler counts") for text in words(drawn))
    assert parsed(drawn).tag.endswith("svg")
    assert "<b>" not in drawn
