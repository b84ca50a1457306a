"""Who is connected to whom: the components of a cluster on their nodes, an arrow for each that calls another.

The API server stands in the middle, the control plane's other components to its left, the workers to its right; etcd
is below the API server. Every arrow is a connection that was seen; a dashed one leads to the Service in front of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from labkit.language import gettext, gettext_noop
from labkit.views import svg
from labkit.views.metrics import fit
from labkit.views.palette import COMPONENTS
from labkit.views.scene import BASELINE, MEDIUM, SMALL, Group, Path, Rect, Scene, Text

SERVER = "kube-apiserver"
STORE = "etcd"
KUBELET = "kubelet"
RUNTIME = "container runtime"
#: The Service in front of the API server, by which pods call it.
SERVICE = "Service kubernetes"

#: Who stands above whom; a node's other components come after these.
_ORDER = ("kube-scheduler", "kube-controller-manager", KUBELET, RUNTIME, "kube-proxy")
_NOTES = (
    gettext_noop("An arrow: a connection that was open, from the one who called."),
    gettext_noop("Dashed: to the Service kubernetes, whose rules lead to the API server."),
)
_WIDTH = 960.0
_MARGIN, _TOP = 16.0, 16.0
_BOX, _PITCH = (208.0, 32.0), 48.0
_HEAD = 40.0  # of a frame, with its label
_SERVER_X, _SERVER_WIDTH = 424.0, 128.0
_WORKERS_X = 688.0
_LINE = 20.0


@dataclass(frozen=True, slots=True)
class Member:
    """A component on a node.

    Attributes
    ----------
    node, name : str
        Where, and what.
    count : int
        How many of the name are there.
    calls : tuple of str
        The names of those whom it calls.
    """

    node: str
    name: str
    count: int
    calls: tuple[str, ...]

    @property
    def label(self) -> str:
        """Its name, with the number where there are several."""
        return self.name if self.count == 1 else f"{self.count} {self.name}"


def to_svg(members: Sequence[Member], *, prefix: str = "labkit-connections") -> str:
    """Return the picture as SVG.

    Parameters
    ----------
    members : sequence of Member
        All components; the first one's node is the control plane's.
    prefix : str
        What the picture's ids begin with: several on a page need different ones.
    """
    return svg.write(scene(members), prefix)


def scene(members: Sequence[Member]) -> Scene:
    """Return the picture as shapes; the parameter is that of `to_svg`."""
    master, *workers = dict.fromkeys(member.node for member in members)
    left = _rows(members, master)
    groups, y = [], _TOP
    for node in workers:
        own = _rows(members, node)
        height = _HEAD + len(own) * _PITCH
        groups.append(_frame(node, _WORKERS_X, y, _WIDTH - _MARGIN - _WORKERS_X, height))
        x = _WORKERS_X + 24
        groups += _callers(own, (x, y + _HEAD), x, _SERVER_X + _SERVER_WIDTH)
        y += height + 16
    # The row beneath everybody's is etcd's.
    bottom = max(_TOP + _HEAD + len(left) * _PITCH, y - 16) + _PITCH
    frame = _frame(
        gettext("{node} · control plane").format(node=master),
        _MARGIN,
        _TOP,
        _SERVER_X + _SERVER_WIDTH + 24 - _MARGIN,
        bottom - _TOP,
    )
    groups = [frame, *groups, *_callers(left, (40.0, _TOP + _HEAD), 40.0 + _BOX[0], _SERVER_X)]
    groups += _middle(members, bottom)
    notes = [Text("quiet", _MARGIN, bottom + 24 + row * _LINE, gettext(note), SMALL) for row, note in enumerate(_NOTES)]
    height = notes[-1].y + 12
    paper = Group("page", (Rect("paper", 0, 0, _WIDTH, height, 0),))
    groups = [paper, *groups, Group("note", tuple(notes))]
    return Scene("connections", gettext("Who is connected to whom"), _words(members), _WIDTH, height, tuple(groups))


def _rows(members: Sequence[Member], node: str) -> list[Member]:
    """Return a node's components from top to bottom, without the API server and etcd, which have their own places."""
    own = [each for each in members if each.node == node and each.name not in {SERVER, STORE}]
    return sorted(own, key=lambda each: _ORDER.index(each.name) if each.name in _ORDER else len(_ORDER))


def _frame(label: str, x: float, y: float, width: float, height: float) -> Group:
    text = Text("quiet", x + 16, y + 24, fit(label, width - 32, SMALL), SMALL)
    return Group("frame", (Rect("frame", x, y, width, height, 8), text))


def _callers(members: Sequence[Member], at: tuple[float, float], start: float, end: float) -> Iterator[Group]:
    """Return components one above the other, with their arrows: to the API server, and from kubelet to its runtime."""
    x, top = at
    for row, member in enumerate(members):
        y = top + row * _PITCH
        middle = y + _BOX[1] / 2
        if SERVER in member.calls or SERVICE in member.calls:
            yield _arrow(member, (start, middle), (end, middle), dashed=SERVER not in member.calls)
        if member.name == KUBELET and RUNTIME in member.calls:
            yield _arrow(member, (x + 32, y + _BOX[1]), (x + 32, y + _PITCH))
        yield _box(member, x, y, *_BOX)


def _middle(members: Sequence[Member], bottom: float) -> Iterator[Group]:
    """Return the API server, as tall as there is room, and etcd beneath it."""
    store_y = bottom - 16 - _BOX[1]
    for member in members:
        if member.name == SERVER:
            end = store_y - _PITCH + _BOX[1] - 8
            if STORE in member.calls:
                x = _SERVER_X + _SERVER_WIDTH / 2
                yield _arrow(member, (x, end), (x, store_y))
            yield _box(member, _SERVER_X, _TOP + _HEAD, _SERVER_WIDTH, end - _TOP - _HEAD)
        elif member.name == STORE:
            yield _box(member, _SERVER_X, store_y, _SERVER_WIDTH, _BOX[1])


def _box(member: Member, x: float, y: float, width: float, height: float) -> Group:
    name = fit(member.label, width - 8, MEDIUM, bold=True)
    text = Text("name", x + width / 2, y + height / 2 + BASELINE * MEDIUM, name, MEDIUM, "middle", bold=True)
    data = {"node": member.node, "name": member.name}
    paint = COMPONENTS.get(member.name, "controller")
    return Group(
        "component", (Rect("box", x, y, width, height), text), paint, data, title=f"{member.name}, {member.node}"
    )


def _arrow(member: Member, start: tuple[float, float], end: tuple[float, float], *, dashed: bool = False) -> Group:
    (x, y), back = end, 8.0
    if start[1] == end[1]:
        step = back if end[0] > start[0] else -back
        head, stop = ((x, y), (x - step, y - 4), (x - step, y + 4)), (x - step, y)
    else:
        head, stop = ((x, y), (x - 4, y - back), (x + 4, y - back)), (x, y - back)
    shapes = (Path("line", ((start, stop),), dashed=dashed), Path("head", (head,), closed=True))
    return Group("hop", shapes, COMPONENTS.get(member.name, "controller"), {"from": member.name, "node": member.node})


def _words(members: Sequence[Member]) -> str:
    """Return the picture in words."""
    return " ".join(
        gettext("{name} on {node} calls {peers}.").format(
            name=member.label, node=member.node, peers=", ".join(member.calls) or gettext("nobody")
        )
        for member in members
    )
