"""A deployment's pods over time, drawn."""

from __future__ import annotations

from itertools import combinations

import pytest

from labkit.lab import replay
from labkit.views import rollout
from labkit.views.scene import Rect
from tests.views.svgs import inside, overlap, parsed, shapes, texts, words

UPDATE = replay("update-tomcat").rollout("tomcat").rollout


def test_a_bar_begins_and_ends_with_its_stretch() -> None:
    bars = [group for group in rollout.scene(UPDATE).groups if group.kind == "stretch"]
    stretches = [stretch for life in UPDATE.lives for stretch in life.stretches]
    assert len(bars) == len(stretches) == 12
    for first, second in combinations(range(len(bars)), 2):
        a, b = bars[first].shapes[0], bars[second].shapes[0]
        assert isinstance(a, Rect)
        assert isinstance(b, Rect)
        if stretches[first].start < stretches[second].start:
            assert a.x < b.x
        assert not overlap((a.x, a.y, a.x + a.width, a.y + a.height), (b.x, b.y, b.x + b.width, b.y + b.height))


def test_all_is_on_the_page_and_no_words_cover_others() -> None:
    scene = rollout.scene(UPDATE)
    said = list(texts(scene))
    assert all(inside(extent, scene) for _, extent in said)
    assert not [(a, b) for (a, one), (b, other) in combinations(said, 2) if overlap(one, other)]
    assert all(inside(extent, scene) for kind in ("ready", "alive", "limit") for extent in shapes(scene, kind))


def test_it_is_said_in_words_too() -> None:
    drawn = rollout.to_svg(UPDATE, prefix="r")
    assert "revision 2 · tomcat-7c55c5864f · tomcat:9" in words(drawn)
    assert {"at most 4 at a time", "at least 3 ready"} <= set(words(drawn))
    description = parsed(drawn)[1].text or ""
    assert "At most 4 at a time, never fewer than 3 ready." in description
    shown = replay("update-tomcat").rollout("tomcat")
    assert "terminating from 0.9 s, gone at 1.9 s" in repr(shown)
    assert shown._repr_html_().count("<svg") == 1


@pytest.mark.parametrize("name", ["scale-tomcat", "delete-tomcat", "deploy-tomcat"])
def test_other_actions_have_no_limits(name: str) -> None:
    scene = rollout.scene(replay(name).rollout("tomcat").rollout)
    assert not [group for group in scene.groups if group.kind == "limit"]
    assert all(inside(extent, scene) for _, extent in texts(scene))
