"""Components drawn in their nodes, with room for a button at each."""

from __future__ import annotations

import itertools

from labkit.views import components_by_node
from labkit.views.components_by_node import ComponentSeen, NodeSeen
from labkit.views.scene import Rect
from tests.views import svgs

HOSTILE = "<b>kubelet</b>" * 9
MASTER = NodeSeen(
    "master",
    "control plane",
    running=True,
    ready=True,
    components=(
        ComponentSeen("kubelet", "runs", 12, ("*:10250", "127.0.0.1:10248")),
        ComponentSeen("container runtime", "runs", 6, ("/run/labkit/cri.sock",)),
        ComponentSeen("kube-scheduler", "frozen", 88, ("127.0.0.1:10259",), "8 min left"),
        ComponentSeen("kube-controller-manager", "awaited", note="CrashLoopBackOff"),
    ),
)
OFF = NodeSeen("node-01", "worker", running=False, ready=True, components=(ComponentSeen("kubelet", "off"),))
ODD = NodeSeen(HOSTILE, "worker", running=True, ready=None, components=(ComponentSeen(HOSTILE, "runs", 1),))
NODES = (MASTER, OFF, ODD, OFF)


def test_nodes_stand_apart_and_nothing_is_outside() -> None:
    scene = components_by_node.scene(NODES)
    frames = list(svgs.shapes(scene, "frame"))
    assert len(frames) == 4
    assert not any(svgs.overlap(*pair) for pair in itertools.combinations(frames, 2))
    for _, extent in svgs.texts(scene):
        assert svgs.inside(extent, scene)
        assert sum(svgs.overlap(extent, frame) for frame in frames) == 1


def test_a_button_has_room_of_its_own() -> None:
    scene = components_by_node.scene((MASTER, ODD))
    places = [(x, y, x + wide, y + high) for x, y, wide, high in components_by_node.places((MASTER, ODD)).values()]
    assert len(places) == 7
    assert not any(svgs.overlap(*pair) for pair in itertools.combinations(places, 2))
    for place in places:
        assert place[3] - place[1] >= 24, "WCAG 2.2, 2.5.8"
        assert sum(svgs.overlap(place, frame) for frame in svgs.shapes(scene, "frame")) == 1
        assert not [text for text, extent in svgs.texts(scene) if svgs.overlap(place, extent)]


def test_states_are_told_in_words() -> None:
    assert MASTER.told == "Ready"
    assert OFF.told == "off, still called Ready"
    assert ODD.told == "Ready or not: unknown"
    drawn = components_by_node.to_svg(NODES, prefix="n")
    words = svgs.words(drawn)
    assert "frozen, 8 min left" in words
    assert "pid 12 · :10250" in words
    assert "pid 6" in words
    assert "<b>" not in drawn
    rows = components_by_node.rows(NODES)
    assert rows[0] == ("kubelet", "master (Ready)", "runs", "12", "*:10250, 127.0.0.1:10248")
    assert rows[3] == ("kube-controller-manager", "master (Ready)", "has no process, CrashLoopBackOff", "", "")
    assert rows[4] == ("kubelet", "node-01 (off, still called Ready)", "off, as its node is", "", "")


def test_only_what_runs_has_a_full_line_and_its_colour() -> None:
    groups = {
        (group.data["node"], group.data["component"]): group
        for group in components_by_node.scene(NODES).groups
        if group.kind == "component"
    }
    assert groups["master", "kubelet"].paint == "kubelet"
    assert groups["master", "kube-scheduler"].paint == "scheduler"
    assert groups["node-01", "kubelet"].paint == "faint"
    full = {key for key, group in groups.items() if isinstance(group.shapes[0], Rect)}
    assert full == {("master", "kubelet"), ("master", "container runtime"), (HOSTILE, HOSTILE)}


def test_no_node_is_a_picture_too() -> None:
    scene = components_by_node.scene(())
    assert scene.width > 0
    assert scene.height > 0
