"""Revisions drawn: a lane per key, a mark per revision."""

from __future__ import annotations

from itertools import combinations

import pytest

from labkit.evidence.model import Revision
from labkit.views import revisions
from labkit.views.scene import Path, Rect, Scene
from tests.views.svgs import inside, overlap, parsed, shapes, texts

WEB = "/registry/deployments/default/web"
POD = "/registry/pods/default/<b>web-1</b>"
SEEN = (
    Revision(10, WEB, {}, created=10),
    Revision(12, POD, {}, created=12),
    Revision(13, WEB, {}, created=10),
    Revision(15, POD, None, removed=True),
)


def _marks(scene: Scene) -> dict[str, Rect]:
    found = {}
    for group in scene.groups:
        if group.kind == "revision":
            assert isinstance(group.shapes[0], Rect)
            found[group.data["revision"]] = group.shapes[0]
    return found


def test_a_later_revision_is_further_right_and_a_key_has_its_lane() -> None:
    marks = _marks(revisions.scene(SEEN))
    assert list(marks) == ["10", "13", "12", "15"]
    assert marks["10"].y == marks["13"].y < marks["12"].y == marks["15"].y
    assert marks["10"].x < marks["12"].x < marks["13"].x < marks["15"].x


def test_a_key_that_was_removed_ends_at_its_mark() -> None:
    scene = revisions.scene(SEEN)
    lines = {group.title: group.shapes[1] for group in scene.groups if group.kind == "lane"}
    web, pod = lines["deployments/default/web"], lines["pods/default/<b>web-1</b>"]
    assert isinstance(web, Path)
    assert isinstance(pod, Path)
    assert web.pieces[0][1][0] > scene.width - 20
    assert pod.pieces[0][1][0] == pytest.approx(_marks(scene)["15"].x + 10)
    older = revisions.scene([Revision(13, WEB, {}, created=10)])
    (line,) = [group.shapes[1] for group in older.groups if group.kind == "lane"]
    assert isinstance(line, Path)
    assert line.pieces[0][0][0] < _marks(older)["13"].x, "it was there before"


def test_it_is_said_in_words_by_signs_and_as_a_table() -> None:
    told = [row[1].split("\N{NO-BREAK SPACE}") for row in revisions.rows(SEEN)]
    assert told == [["+", "created"], ["+", "created"], ["~", "changed"], ["\N{MINUS SIGN}", "removed"]]
    drawn = revisions.to_svg(SEEN, prefix="p", chosen=(WEB, 13))
    assert "Revision 15: removed pods/default/&lt;b&gt;web-1" in drawn
    assert "<b>" not in drawn
    now = [group for group in parsed(drawn).iter() if "now" in group.get("class", "").split()]
    assert [group.get("data-revision") for group in now] == ["13"]
    assert "Nothing was written." in revisions.to_svg((), prefix="p")


@pytest.mark.parametrize("count", [1, 2, 40, 400])
def test_of_many_the_latest_are_drawn_and_nothing_overlaps(count: int) -> None:
    keys = [
        f"/registry/events/default/a-rather-long-name-of-an-event-{number}.18ead42039e999d1" for number in range(40)
    ]
    many = [Revision(99_000 + number, keys[number % 40], {}, created=99_000 + number) for number in range(count)]
    scene = revisions.scene(many)
    drawn = list(texts(scene))
    assert str(99_000 + count - 1) in {text for text, _ in drawn}
    assert all(inside(extent, scene) for _, extent in drawn)
    assert not [(a, b) for (a, first), (b, second) in combinations(drawn, 2) if overlap(first, second)]
    assert not [1 for first, second in combinations(shapes(scene, "revision"), 2) if overlap(first, second)]
    assert scene.height < 600


def test_a_value_as_text_is_without_bookkeeping() -> None:
    text = revisions.value_text({"kind": "Pod", "metadata": {"name": "é", "managedFields": [{"manager": "kubelet"}]}})
    assert text == "kind: Pod\nmetadata:\n  name: é\n"
    assert "not JSON" in revisions.value_text(None)
