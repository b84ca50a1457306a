"""The picture of phases over time: it says in words what it shows, a failure has a broken line; no text is covered."""

from __future__ import annotations

import pytest

from labkit.views import phases
from labkit.views.phases import Bar
from labkit.views.scene import Path, Rect
from tests.views.svgs import inside, overlap, parsed, texts, words

RUN = [
    Bar("preflight", 0.0, 1.25, "", "kubeadm"),
    Bar("certs", 1.25, 0.001, "/etc/kubernetes/pki: 17 files; /etc/kubernetes/pki/etcd: 8 files; and more", "kubeadm"),
    Bar("wait-control-plane", 1.251, 4.0, "nobody answers", "kubeadm", failed=True),
]
LONG = [Bar("node-with-a-very-long-name: CNI configuration is written", 0, 1, "word " * 60, "w" * 99)]
BAD = [Bar("<b>", 0.0, 0.0, "<script>", "<i>")]
PICTURES = {"run": RUN, "long": LONG, "bad": BAD, "nothing": []}


@pytest.mark.parametrize("name", PICTURES)
def test_no_text_leaves_the_picture_or_covers_another(name: str) -> None:
    scene = phases.scene(PICTURES[name], "kubeadm init")
    extents = list(texts(scene))
    for at, (text, extent) in enumerate(extents):
        assert inside(extent, scene), text
        for other, second in extents[at + 1 :]:
            assert not overlap(extent, second), f"{text!r} covers {other!r}"


def test_bars_lie_where_their_phases_were_and_one_that_failed_has_a_broken_line() -> None:
    groups = [group for group in phases.scene(RUN, "t").groups if group.kind == "phase"]
    assert [group.data["failed"] for group in groups] == ["false", "false", "true"]
    first, second = (next(shape for shape in group.shapes if isinstance(shape, Rect)) for group in groups[:2])
    assert first.x + first.width == pytest.approx(second.x)
    assert second.width == 2, "what took no time is still to be seen"
    assert [any(isinstance(s, Path) and s.dashed for s in group.shapes) for group in groups] == [False, False, True]
    assert "failed: nobody answers" in words(phases.to_svg(RUN, "t", prefix="p"))


def test_the_twin_and_the_description_say_the_same() -> None:
    assert phases.rows(RUN)[2] == ("wait-control-plane", "1.25", "4.00", "kubeadm", "failed: nobody answers")
    drawn = phases.to_svg(RUN, "t", prefix="p")
    assert "preflight (kubeadm): from 0.00 s, 1.25 s long; nothing written" in drawn


def test_words_from_a_cluster_are_no_markup() -> None:
    drawn = phases.to_svg(BAD, "<u>", prefix="p")
    for tag in ("<b>", "<i>", "<script>", "<u>"):
        assert tag not in drawn
    assert parsed(drawn).tag.endswith("svg")
