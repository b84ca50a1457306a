"""Pods drawn in their nodes."""

from __future__ import annotations

from labkit.views import pods_by_node
from labkit.views.pods_by_node import PodSeen
from labkit.views.scene import Group, Rect, Text

NODES = ("master", "node-01")
PODS = (
    PodSeen("web-a", "node-01", "Running", ready=True, address="192.168.1.2"),
    PodSeen("web-b", "node-01", "ErrImagePull", ready=False),
    PodSeen("<i>web-c</i>", "", "Pending", ready=False),
)


def _frames(groups: tuple[Group, ...]) -> dict[str, Rect]:
    found = {}
    for group in groups:
        if group.kind == "frame":
            rect, text = group.shapes
            assert isinstance(rect, Rect)
            assert isinstance(text, Text)
            found[text.text] = rect
    return found


def test_a_pod_lies_in_its_node() -> None:
    scene = pods_by_node.scene(NODES, PODS)
    frames = _frames(scene.groups)
    assert list(frames) == ["master", "node-01", "no node yet"]
    for pod, where in zip(PODS, ("node-01", "node-01", "no node yet"), strict=True):
        (group,) = [group for group in scene.groups if group.data.get("pod") == pod.name]
        box, frame = group.shapes[0], frames[where]
        assert isinstance(box, Rect)
        assert frame.x < box.x
        assert box.x + box.width < frame.x + frame.width
        assert frame.y < box.y
        assert box.y + box.height < frame.y + frame.height


def test_it_is_said_in_words_and_as_a_table() -> None:
    assert pods_by_node.rows(PODS)[0] == ("web-a", "node-01", "Running, ready", "192.168.1.2")
    assert pods_by_node.rows(PODS)[2][1] == "no node yet"
    drawn = pods_by_node.to_svg(NODES, PODS, prefix="p")
    assert "web-b on node-01: ErrImagePull." in drawn
    assert "<i>" not in drawn
    assert "No pods." in pods_by_node.to_svg(NODES, (), prefix="p")


def test_hundred_pods_are_counted() -> None:
    many = [PodSeen(f"web-{number}", "node-01", "Running", ready=True) for number in range(100)]
    scene = pods_by_node.scene(NODES, many)
    assert "node-01 · 12 of 100 pods" in _frames(scene.groups)
    assert scene.height < 800
