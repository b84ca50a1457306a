"""Who owns whom, in columns: owners, replica sets and jobs, pods. An arrow leads from the owned to its owner.

It is an entry of the owned object's ``metadata.ownerReferences``: owners have no list of what they own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from labkit.language import gettext, gettext_noop
from labkit.views import svg
from labkit.views.metrics import fit
from labkit.views.scene import BASELINE, SMALL, Group, Path, Rect, Scene, Text

_BOX, _BETWEEN, _MARGIN = 296.0, 48.0, 16.0
_HEAD, _HIGH, _PITCH, _GAP = 40.0, 48.0, 56.0, 16.0
_ARROW = 8.0
_MOST = 10  # of what one owner owns; more are counted
_HEADINGS = (gettext_noop("replica sets and jobs"), gettext_noop("pods"))
_COLUMNS = {"ReplicaSet": 1, "Job": 1, "Pod": 2}  # any other kind is in the first
_PAINTS = {"Deployment": "deployment", "ReplicaSet": "replicaset", "Pod": "scheduler"}


@dataclass(frozen=True, slots=True)
class Item:
    """An object as it is to be shown.

    Attributes
    ----------
    uid, owner : str
        Its own, and its owner's, empty where nobody owns it.
    kind, name : str
        ``"ReplicaSet"``, and the object's name.
    told : str
        How it is, in a few words.
    active : bool
        Whether it is there for something: a pod that is ready, a replica set that wants pods.
    """

    uid: str
    owner: str
    kind: str
    name: str
    told: str
    active: bool


def to_svg(title: str, items: Sequence[Item], *, prefix: str) -> str:
    """Return the picture as SVG.

    Parameters
    ----------
    title : str
        Whose objects they are.
    items : sequence of Item
        Each owner before what it owns.
    prefix : str
        What the picture's ids begin with: several on a page need different ones.
    """
    return svg.write(scene(title, items), prefix)


def scene(title: str, items: Sequence[Item]) -> Scene:
    """Return the picture as shapes; the parameters are those of `to_svg`."""
    owned: dict[str, list[Item]] = {}
    for item in items:
        owned.setdefault(item.owner, []).append(item)
    groups: list[Group] = []
    y = _MARGIN + _HEAD
    for root in owned.get("", ()):
        found, low = _tree(root, owned, y)
        groups += found
        y = low + (_GAP if root.uid in owned else 0)
    if not items:
        groups.append(Group("note", (Text("quiet", _MARGIN, y + 16, gettext("Nothing is here."), SMALL),)))
        y += _PITCH
    width = 2 * _MARGIN + 3 * _BOX + 2 * _BETWEEN
    page = Group("page", (Rect("paper", 0, 0, width, y + _MARGIN, 0),))
    return Scene("owners", title, _words(items), width, y + _MARGIN, (page, *_headings(title), *groups))


def _left(column: int) -> float:
    return _MARGIN + column * (_BOX + _BETWEEN)


def _headings(title: str) -> Iterator[Group]:
    for column, heading in enumerate((title, *_HEADINGS)):
        text = Text("quiet", _left(column) + 2, _MARGIN + 20, fit(gettext(heading), _BOX, SMALL), SMALL)
        yield Group("caption", (text,))


def _tree(item: Item, owned: Mapping[str, Sequence[Item]], y: float) -> tuple[list[Group], float]:
    """Return an object with all that it owns, from a height on, and where the next one may begin."""
    children = owned.get(item.uid, ())
    groups: list[Group] = []
    middles, low = [], y
    for child in children[:_MOST]:
        found, below = _tree(child, owned, low)
        groups += found
        middles.append(low + _HIGH / 2)
        low = below
    if len(children) > _MOST:
        where = _left(_COLUMNS.get(children[0].kind, 0)) + 2
        more = gettext("and {count} more").format(count=len(children) - _MOST)
        groups.append(Group("note", (Text("quiet", where, low + 16, more, SMALL),)))
        low += _PITCH / 2
    column = _COLUMNS.get(item.kind, 0)
    arrows = [
        _arrow(column, _COLUMNS.get(child.kind, 0), y + _HIGH / 2, middle)
        for child, middle in zip(children, middles, strict=False)
    ]
    return [*arrows, _box(item, _left(column), y), *groups], max(low, y + _PITCH)


def _box(item: Item, x: float, y: float) -> Group:
    """Return an object: a full line in its kind's colour around one that is active, and the words say it, too."""
    name = f"{item.kind} {item.name}" if item.kind not in {"ReplicaSet", "Pod"} else item.name
    shapes = (
        Rect("box" if item.active else "pod", x, y, _BOX, _HIGH, 12 if item.kind == "Pod" else 4),
        Text("name", x + 12, y + 15 + BASELINE * SMALL, fit(name, _BOX - 24, SMALL, bold=True), SMALL, bold=True),
        Text("quiet", x + 12, y + 33 + BASELINE * SMALL, fit(item.told, _BOX - 24, SMALL), SMALL),
    )
    paint = _PAINTS.get(item.kind, "controller") if item.active else "quiet"
    return Group("component" if item.active else "pod", shapes, paint, {"uid": item.uid}, title=f"{name}: {item.told}")


def _arrow(owner: int, column: int, end: float, start: float) -> Group:
    """Return the way from the owned at the right to the owner at its left, its head at the owner."""
    right, left = _left(column), _left(owner) + _BOX
    turn = left + _BETWEEN / 2
    line = ((right, start), (turn, start), (turn, end), (left + _ARROW, end))
    head = ((left, end), (left + _ARROW, end - 5), (left + _ARROW, end + 5))
    return Group("reference", (Path("line", (line,)), Path("head", (head,), closed=True)), "quiet")


def _words(items: Sequence[Item]) -> str:
    """Return the picture in words."""
    named = {item.uid: f"{item.kind} {item.name}" for item in items}
    return " ".join(
        gettext("{name}, owned by {owner}: {told}.").format(
            name=named[item.uid], owner=named[item.owner], told=item.told
        )
        if item.owner
        else gettext("{name}, owned by nobody: {told}.").format(name=named[item.uid], told=item.told)
        for item in items
    )
