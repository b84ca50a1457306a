"""Static pods in columns: manifest, process, mirror pod; the kubelet is between the first and the others.

The arrows are the kubelet's work: it reads the file, starts the process, and tells the API of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from labkit.language import gettext, gettext_noop
from labkit.views.metrics import fit
from labkit.views.palette import COMPONENTS
from labkit.views.scene import BASELINE, MEDIUM, SMALL, Group, Path, Rect, Scene, Shape, Text

_WIDTH, _MARGIN = 960.0, 16.0
_FILE, _KUBELET, _PROCESS, _MIRROR = (16.0, 240.0), (304.0, 80.0), (424.0, 216.0), (680.0, 264.0)  # left, width
_HEAD, _HIGH, _PITCH = 40.0, 48.0, 64.0
_ARROW = 8.0
_HEADINGS = (
    (_FILE, gettext_noop("manifest, a file of the node")),
    (_PROCESS, gettext_noop("process")),
    (_MIRROR, gettext_noop("mirror pod, in the API")),
)


@dataclass(frozen=True, slots=True)
class Item:
    """A static pod as it is to be shown.

    Attributes
    ----------
    name, file : str
        Its own, and its manifest's.
    process, mirror, uid : str
        The process in words; the mirror pod's name and uid.
    runs : bool
        Whether there is a process.
    """

    name: str
    file: str
    process: str
    mirror: str
    uid: str
    runs: bool


def scene(node: str, items: Sequence[Item]) -> Scene:
    """Return the picture as shapes.

    Parameters
    ----------
    node : str
        Where they run.
    items : sequence of Item
        By name.
    """
    top = _MARGIN + _HEAD
    high = top + len(items) * _PITCH - (_PITCH - _HIGH) + _MARGIN
    page = Group("page", (Rect("paper", 0, 0, _WIDTH, high, 0),))
    heads = (Text("quiet", left + 2, _MARGIN + 20, gettext(text), SMALL) for (left, _), text in _HEADINGS)
    caption = Group("caption", tuple(heads))
    kubelet = _kubelet(top, high - top - _MARGIN)
    rows = [group for row, item in enumerate(items) for group in _row(item, top + row * _PITCH)]
    title = gettext("Static pods of {node}").format(node=node)
    words = " ".join(
        gettext("{file} is read by the kubelet, which runs {name} ({process}) and mirrors it as {mirror}.").format(
            file=each.file, name=each.name, process=each.process, mirror=each.mirror
        )
        for each in items
    )
    return Scene("static-pods", title, words, _WIDTH, high, (page, caption, *rows, kubelet))


def _kubelet(y: float, high: float) -> Group:
    left, wide = _KUBELET
    text = Text("name", left + wide / 2, y + high / 2 + BASELINE * MEDIUM, "kubelet", MEDIUM, "middle", bold=True)
    return Group("component", (Rect("box", left, y, wide, high), text), COMPONENTS["kubelet"], {"name": "kubelet"})


def _row(item: Item, y: float) -> Iterator[Group]:
    middle = y + _HIGH / 2
    yield _arrow(_FILE[0] + _FILE[1], _KUBELET[0], middle, "kubelet")
    yield _arrow(_KUBELET[0] + _KUBELET[1], _PROCESS[0], middle, "kubelet")
    yield _arrow(_PROCESS[0] + _PROCESS[1], _MIRROR[0], middle, "kubelet", dashed=True)
    paint = COMPONENTS.get(item.name, "controller")
    yield _box(_FILE, y, item.file, "", "quiet", item.name)
    yield _box(_PROCESS, y, item.name, item.process, paint, item.name, missing=not item.runs)
    yield _box(_MIRROR, y, item.mirror, item.uid, "quiet", item.name, missing=not item.uid)


def _box(  # noqa: PLR0917 - a place, two lines, a look
    place: tuple[float, float], y: float, name: str, told: str, paint: str, of: str, *, missing: bool = False
) -> Group:
    left, wide = place
    corners = ((left, y), (left + wide, y), (left + wide, y + _HIGH), (left, y + _HIGH), (left, y))
    outline: Shape = Path("line", (corners,), dashed=True) if missing else Rect("box", left, y, wide, _HIGH)
    first = 15 if told else _HIGH / 2
    name_text = fit(name, wide - 24, SMALL, bold=True)
    texts = [Text("name", left + 12, y + first + BASELINE * SMALL, name_text, SMALL, bold=True)]
    if told:
        texts.append(Text("quiet", left + 12, y + 33 + BASELINE * SMALL, fit(told, wide - 24, SMALL), SMALL))
    return Group("component", (outline, *texts), paint, {"name": of}, title=f"{name} {told}".strip())


def _arrow(start: float, end: float, y: float, paint: str, *, dashed: bool = False) -> Group:
    head = ((end, y), (end - _ARROW, y - 5), (end - _ARROW, y + 5))
    line = Path("line", (((start, y), (end - _ARROW, y)),), dashed=dashed)
    return Group("reference", (line, Path("head", (head,), closed=True)), paint)
