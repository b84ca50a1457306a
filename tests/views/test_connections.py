"""The picture of who is connected to whom."""

from __future__ import annotations

from itertools import pairwise

from labkit.views import connections
from labkit.views.connections import Member
from labkit.views.scene import Group, Path, Rect

MEMBERS = [
    Member("master", "etcd", 1, ("etcd",)),
    Member("master", "kube-apiserver", 1, ("etcd",)),
    Member("master", "kube-scheduler", 1, ("kube-apiserver",)),
    Member("master", "kubelet", 1, ("container runtime", "kube-apiserver")),
    Member("master", "container runtime", 1, ()),
    Member("node-01", "kubelet", 1, ("container runtime", "kube-apiserver")),
    Member("node-01", "container runtime", 1, ()),
    Member("node-01", "coredns", 2, ("Service kubernetes",)),
    Member("node-01", "<b>bold</b>", 1, ()),
]


def _groups(kind: str) -> list[Group]:
    return [group for group in connections.scene(MEMBERS).groups if group.kind == kind]


def _box(node: str, name: str) -> Rect:
    (group,) = [each for each in _groups("component") if each.data == {"node": node, "name": name}]
    (rect,) = [shape for shape in group.shapes if isinstance(shape, Rect)]
    return rect


def test_an_arrow_ends_at_whom_it_was_made_to() -> None:
    arrows = [(group.data["from"], group.shapes[1], group.shapes[0]) for group in _groups("hop")]
    ends = []
    for name, head, line in arrows:
        assert isinstance(head, Path)
        assert isinstance(line, Path)
        x, y = head.pieces[0][0]
        hit = [
            each.data["name"]
            for each in _groups("component")
            for box in each.shapes
            if isinstance(box, Rect) and box.x <= x <= box.x + box.width and box.y <= y <= box.y + box.height
        ]
        ends.append((name, hit, line.dashed))
    server = ["kube-apiserver"]
    assert sorted(ends) == [
        ("coredns", server, True),
        ("kube-apiserver", ["etcd"], False),
        ("kube-scheduler", server, False),
        *[("kubelet", ["container runtime"], False)] * 2,
        *[("kubelet", server, False)] * 2,
    ]


def test_no_box_lies_on_another() -> None:
    boxes = [shape for group in _groups("component") for shape in group.shapes if isinstance(shape, Rect)]
    assert len(boxes) == len(MEMBERS)
    for column in {box.x for box in boxes}:
        stacked = sorted((box for box in boxes if box.x == column), key=lambda box: box.y)
        assert all(upper.y + upper.height < lower.y for upper, lower in pairwise(stacked))


def test_words_say_the_same() -> None:
    scene = connections.scene(MEMBERS)
    assert "2 coredns on node-01 calls Service kubernetes." in scene.description
    drawn = connections.to_svg(MEMBERS)
    assert "<b>" not in drawn
    assert "An arrow: a connection that was open" in drawn


def test_etcd_stands_below_all_who_call() -> None:
    lowest = max(_box(member.node, member.name).y for member in MEMBERS if member.name not in {"etcd"})
    assert _box("master", "etcd").y > lowest
