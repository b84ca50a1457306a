"""The picture of a restart: each moment has its number and words, each request its line; nothing covers a text."""

from __future__ import annotations

import pytest

from labkit.views import restart
from labkit.views.restart import Moment, RestartSeen
from labkit.views.scene import Path
from tests.views.svgs import inside, overlap, parsed, texts, words

CLOSE = [Moment(4 + at / 100, "kubelet", f"does {at}", "kubelet's log") for at in range(8)]
LATE = [Moment(12.0, "container runtime", "starts <b>", "runtime's log"), Moment(13.0, "kubelet", "w" * 99, "log")]
ANSWERS = [(at / 10, not 20 < at < 30) for at in range(140)]
PICTURES = {
    "all": RestartSeen("node-01 was off", "node-01", "tomcat", 3.0, 14.0, [*CLOSE, *LATE], ANSWERS),
    "no service": RestartSeen("master was off", "master", "", 2.0, 70.0, CLOSE, []),
    "long": RestartSeen("t" * 200, "n" * 60, "s" * 60, 0.2, 14.0, LATE, ANSWERS),
}


@pytest.mark.parametrize("name", PICTURES)
def test_no_text_leaves_the_picture_or_covers_another(name: str) -> None:
    scene = restart.scene(PICTURES[name])
    extents = list(texts(scene))
    for at, (text, extent) in enumerate(extents):
        assert inside(extent, scene), text
        for other, second in extents[at + 1 :]:
            assert not overlap(extent, second), f"{text!r} covers {other!r}"


def test_each_moment_and_each_request_is_drawn() -> None:
    seen = PICTURES["all"]
    scene = restart.scene(seen)
    numbers = [int(group.data["moment"]) for group in scene.groups if "moment" in group.data]
    assert sorted(numbers) == list(range(1, 11))
    drawn = {key: group for group in scene.groups for key in ("answered", "failed") if key in group.data}
    assert (drawn["answered"].data["answered"], drawn["failed"].data["failed"]) == ("131", "9")
    crossed = next(shape for shape in drawn["failed"].shapes if isinstance(shape, Path))
    assert len(crossed.pieces) == 2 * 9
    picture = restart.to_svg(seen, prefix="p")
    assert "9. After 12.0 s, container runtime: starts &lt;b&gt;." in picture
    assert "Service tomcat: 131 of 140 requests answered." in picture
    assert "Service tomcat" in words(picture)
    assert parsed(picture).tag.endswith("svg")
