"""A story as text and as HTML."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from labkit.flow import EvidenceId, Extra, Step, Stop, Story
from labkit.views.story import ranges, to_html, to_text

NASTY = '<script>alert("1")</script> & \x1b[31m'
STORY = Story(
    "create deployment tomcat",
    (
        Step(0, "Every kubelet watches", (), "not seen"),
        Step(1, "A person says what they want", (1, 2, 3, 7), "observed", "kubectl said it " + "often " * 30),
        Step(2, f"etcd tells of {NASTY}", (4,), "inferred"),
    ),
    (Extra("The replica set", (5, 6), "Versions."),),
    Stop(3, f"no node is good enough {NASTY}", (EvidenceId("scheduler", "12"),), (7,)),
)


def test_text_tells_every_step_extra_and_where_it_stopped() -> None:
    lines = to_text(STORY, width=60).splitlines()
    assert lines[0] == "create deployment tomcat"
    assert lines[2] == "  0  not seen  Every kubelet watches"
    assert lines[3] == "  1  observed  A person says what they want (hops 1 to 3, 7)"
    assert lines[4].startswith("               kubectl said it often")
    assert any(line.startswith("  2  inferred  etcd tells") for line in lines)
    assert "  +  The replica set (hops 5, 6)" in lines
    assert any(line.startswith("Stopped at step 3: no node is good enough") for line in lines)
    assert lines[-1].strip() == "Evidence: scheduler:12"
    assert max(map(len, lines)) <= 60
    assert "\x1b" not in "".join(lines)


def test_html_is_escaped_well_formed_and_says_which_hops_are_which_step() -> None:
    text = to_html(STORY)
    assert "<script" not in text
    section = ET.fromstring(text)  # noqa: S314 - our own text
    steps = section.findall("./ol/li")
    found = [(step.get("value"), step.get("data-hops"), step.get("data-seen")) for step in steps]
    assert found == [("0", "", "not-seen"), ("1", "1 2 3 7", "observed"), ("2", "4", "inferred")]
    assert "Versions." in "".join(section.find("./ul/li").itertext())  # type: ignore[union-attr]
    stop = "".join(section.find("./p").itertext())  # type: ignore[union-attr]
    assert "Stopped at step 3:" in stop
    assert "scheduler:12" in stop


def test_a_story_that_came_to_its_end() -> None:
    whole = Story("expose", (Step(0, "One", (1,), "observed"),))
    assert "Stopped" not in to_text(whole) + to_html(whole)
    assert "reality" not in to_text(whole) + to_html(whole)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [((), ""), ((4,), "4"), ((4, 5), "4, 5"), ((3, 1, 2), "1 to 3"), ((1, 2, 3, 5, 8, 9, 10), "1 to 3, 5, 8 to 10")],
)
def test_numbers_in_few_words(numbers: tuple[int, ...], words: str) -> None:
    assert ranges(numbers) == words
