"""Who owns whom, drawn."""

from __future__ import annotations

from itertools import combinations

from labkit.views import owners
from labkit.views.owners import Item
from labkit.views.scene import Group, Path, Rect
from tests.views.svgs import inside, overlap, shapes, texts, words

ITEMS = (
    Item("d", "", "Deployment", "web", "2 of 2 ready · revision 2", active=True),
    Item("s", "", "DaemonSet", "agent", "1 of 1 ready", active=True),
    Item("r1", "d", "ReplicaSet", "web-1", "0 of 0 ready · revision 1 · nginx:1.27", active=False),
    Item("r2", "d", "ReplicaSet", "web-2", "2 of 2 ready · revision 2 · nginx:1.28", active=True),
    Item("p1", "r2", "Pod", "web-2-a", "Running, ready · node-01", active=True),
    Item("p2", "r2", "Pod", "web-2-b", "Running, ready · node-02", active=True),
    Item("p3", "s", "Pod", "agent-a", "Running, ready · node-01", active=True),
    Item("p4", "", "Pod", "<b>web-1-c</b>", "no owner · Running · node-01", active=False),
)


def _boxes(groups: tuple[Group, ...]) -> dict[str, Rect]:
    found = {}
    for group in groups:
        if uid := group.data.get("uid"):
            assert isinstance(group.shapes[0], Rect)
            found[uid] = group.shapes[0]
    return found


def test_an_arrow_leads_from_the_owned_to_its_owner() -> None:
    groups = owners.scene("Namespace default", ITEMS).groups
    boxes = _boxes(groups)
    ways = []
    for group in groups:
        if group.kind == "reference":
            line, head = group.shapes
            assert isinstance(line, Path)
            assert isinstance(head, Path)
            ways.append((_at(boxes, line.pieces[0][0]), _at(boxes, head.pieces[0][0])))
    assert sorted(ways) == sorted((item.uid, item.owner) for item in ITEMS if item.owner)


def _at(boxes: dict[str, Rect], point: tuple[float, float]) -> str:
    """Return the box at whose left or right side a point is."""
    x, y = point
    (found,) = [uid for uid, box in boxes.items() if x in {box.x, box.x + box.width} and box.y < y < box.y + box.height]
    return found


def test_nothing_covers_anything() -> None:
    scene = owners.scene("Namespace default", ITEMS)
    placed = [(box.x, box.y, box.x + box.width, box.y + box.height) for box in _boxes(scene.groups).values()]
    assert not [pair for pair in combinations(placed, 2) if overlap(*pair)]
    said = [extent for _, extent in texts(scene)]
    assert not [pair for pair in combinations(said, 2) if overlap(*pair)]
    assert all(inside(extent, scene) for extent in [*placed, *said, *shapes(scene, "reference")])


def test_kinds_have_columns_of_their_own() -> None:
    boxes = _boxes(owners.scene("Namespace default", ITEMS).groups)
    assert boxes["d"].x == boxes["s"].x < boxes["r1"].x == boxes["r2"].x < boxes["p1"].x == boxes["p4"].x


def test_it_is_said_in_words() -> None:
    drawn = owners.to_svg("Namespace default", ITEMS, prefix="o")
    assert "ReplicaSet web-2, owned by Deployment web: 2 of 2 ready" in drawn
    assert "owned by nobody: no owner · Running" in drawn
    assert "<b>" not in drawn
    assert "Nothing is here." in words(owners.to_svg("Namespace empty", (), prefix="o"))


def test_hundred_pods_are_counted() -> None:
    pods = [Item(f"x{number}", "r2", "Pod", f"web-{number}", "Running", active=True) for number in range(100)]
    scene = owners.scene("Namespace default", [*ITEMS[:4], *pods])
    assert "and 90 more" in [text for text, _ in texts(scene)]
    assert scene.height < 1000
