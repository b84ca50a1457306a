"""Components in the nodes they run on: a box per node, a box per component, with its process and how that is.

The same component has the same colour everywhere. A full line is around what runs, a broken one around what does not
go on: it is frozen, awaited, or its node is off; the words say which.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from labkit.language import gettext, gettext_noop
from labkit.views import svg
from labkit.views.metrics import fit, width
from labkit.views.palette import COMPONENTS
from labkit.views.scene import BASELINE, MEDIUM, SMALL, Group, Path, Rect, Scene, Shape, Text

HEADINGS = (
    gettext_noop("component"),
    gettext_noop("node"),
    gettext_noop("state"),
    "pid",
    gettext_noop("listens on"),
)
ComponentState = Literal["runs", "frozen", "awaited", "off"]
Place = tuple[float, float, float, float]

_COLUMN, _GAP, _MARGIN = 256.0, 16.0, 8.0
_COLUMNS = 3  # side by side; further nodes stand below
_HEAD, _BOX, _PITCH = 64.0, 56.0, 64.0
_INSET = 12.0
_STRIPE = 6.0
_BUTTON = (72.0, 24.0)
_LOOPBACK = ("127.", "[::1]")
_ROOM = _COLUMN - 2 * _INSET - _STRIPE - 2 * 8  # for a component's name
_LINE = _ROOM - _BUTTON[0] + 8 - 4  # for what is left of its button


@dataclass(frozen=True, slots=True)
class ComponentSeen:
    """A component as it is to be shown.

    Attributes
    ----------
    name : str
        ``"kube-scheduler"``.
    state : {"runs", "frozen", "awaited", "off"}
        ``awaited``: it has no process though its node runs; ``off``: its node does not.
    pid : int
        Its process's, as the node numbers it; 0 where it has none.
    listens : tuple of str
        Addresses and ports.
    note : str
        What else is to be said of its state: ``"8 min left"``, ``"CrashLoopBackOff"``.
    """

    name: str
    state: ComponentState
    pid: int = 0
    listens: tuple[str, ...] = ()
    note: str = ""

    @property
    def told(self) -> str:
        """Its state in words: ``"frozen, 8 min left"``."""
        return ", ".join(filter(None, (gettext(_WORDS[self.state]), self.note)))


_WORDS = {
    "runs": gettext_noop("runs"),
    "frozen": gettext_noop("frozen"),
    "awaited": gettext_noop("has no process"),
    "off": gettext_noop("off, as its node is"),
}


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """A node as it is to be shown.

    Attributes
    ----------
    name, role : str
        ``"master"``, ``"control plane"``.
    running : bool
        Whether it is switched on.
    ready : bool or None
        Whether the API server calls it Ready; None where nobody tells.
    components : tuple of ComponentSeen
        Those that it should have.
    """

    name: str
    role: str
    running: bool
    ready: bool | None
    components: tuple[ComponentSeen, ...]

    @property
    def told(self) -> str:
        """Its state in words; a node that is off is called Ready until its Lease is too old."""
        called = {True: "Ready", False: "NotReady", None: gettext("Ready or not: unknown")}[self.ready]
        if self.running:
            return called
        return gettext("off, still called Ready") if self.ready else gettext("off, {called}").format(called=called)


def to_svg(nodes: Sequence[NodeSeen], *, prefix: str) -> str:
    """Return the picture as SVG.

    Parameters
    ----------
    nodes : sequence of NodeSeen
        The control plane first.
    prefix : str
        What the picture's ids begin with: several on a page need different ones.
    """
    return svg.write(scene(nodes), prefix)


def scene(nodes: Sequence[NodeSeen]) -> Scene:
    """Return the picture as shapes; the parameter is that of `to_svg`."""
    wide, high = size(nodes)
    groups = [Group("page", (Rect("paper", 0, 0, wide, high, 0),))]
    for node, (x, y) in zip(nodes, _corners(nodes), strict=True):
        groups += _node(node, x, y)
    words = "\n".join(f"{node.name}: {node.told}. {_listed(node)}." for node in nodes)
    return Scene("nodes", gettext("Components on their nodes"), words, wide, high, tuple(groups))


def size(nodes: Sequence[NodeSeen]) -> tuple[float, float]:
    """Return how wide and how high the picture is, in pixels."""
    columns = min(_COLUMNS, max(1, len(nodes)))
    lowest = max((y + _height(node) for node, (_, y) in zip(nodes, _corners(nodes), strict=True)), default=_MARGIN)
    return 2 * _MARGIN + columns * (_COLUMN + _GAP) - _GAP, lowest + _MARGIN


def places(nodes: Sequence[NodeSeen]) -> dict[tuple[str, str], Place]:
    """Return where the picture has room for a button (left, top, width, height), by node and component.

    A node's own has an empty component.
    """
    wide, high = _BUTTON
    found = {}
    for node, (x, y) in zip(nodes, _corners(nodes), strict=True):
        left = x + _COLUMN - _INSET - wide
        found[node.name, ""] = (left, y + 10, wide, high)
        for row, component in enumerate(node.components):
            inside = y + _HEAD + row * _PITCH + _BOX - high - 4
            found[node.name, component.name] = (left - 4, inside, wide, high)
    return found


def rows(nodes: Sequence[NodeSeen]) -> list[tuple[str, ...]]:
    """Return a row of text per component, under `HEADINGS`."""
    return [
        (each.name, f"{node.name} ({node.told})", each.told, str(each.pid or ""), ", ".join(each.listens))
        for node in nodes
        for each in node.components
    ]


def _corners(nodes: Sequence[NodeSeen]) -> Iterator[tuple[float, float]]:
    """Return each node's left and top."""
    top = _MARGIN
    for start in range(0, len(nodes), _COLUMNS):
        line = nodes[start : start + _COLUMNS]
        for column in range(len(line)):
            yield _MARGIN + column * (_COLUMN + _GAP), top
        top += max(map(_height, line)) + _GAP


def _height(node: NodeSeen) -> float:
    return _HEAD + len(node.components) * _PITCH + _INSET - (_PITCH - _BOX)


def _node(node: NodeSeen, x: float, y: float) -> Iterator[Group]:
    room = _COLUMN - 2 * _INSET
    texts = (
        Text("name", x + _INSET, y + 28, fit(node.name, room - _BUTTON[0] - 8, MEDIUM, bold=True), MEDIUM, bold=True),
        Text("quiet", x + _INSET, y + 50, fit(node.told, room, SMALL, bold=True), SMALL),
    )
    frame = Rect("frame", x, y, _COLUMN, _height(node), 8)
    yield Group("frame", (frame, *texts), data={"node": node.name}, title=f"{node.name}, {node.role}: {node.told}")
    for row, component in enumerate(node.components):
        yield _component(component, node.name, x + _INSET, y + _HEAD + row * _PITCH)


def _component(component: ComponentSeen, node: str, x: float, y: float) -> Group:
    paint = "faint" if component.state == "off" else COMPONENTS.get(component.name, "controller")
    runs = component.state == "runs"
    wide = _COLUMN - 2 * _INSET
    box: Shape = Rect("box", x, y, wide, _BOX) if runs else _outline(x, y, wide, _BOX)
    left = x + _STRIPE + 8
    name = fit(component.name, _ROOM, SMALL, bold=True)
    below = fit(_process(component), _LINE, SMALL)
    shapes = (
        box,
        Rect("bar", x, y, _STRIPE, _BOX, 2),
        Text("name", left, y + 16 + BASELINE * SMALL, name, SMALL, bold=True),
        Text("quiet" if runs else "name", left, y + 40 + BASELINE * SMALL, below, SMALL),
    )
    data = {"component": component.name, "node": node, "state": component.state}
    title = gettext("{name} on {node}: {told}").format(name=component.name, node=node, told=component.told)
    return Group("component", shapes, paint, data, "now" if runs else "", title=title)


def _outline(x: float, y: float, wide: float, high: float) -> Path:
    corners = ((x, y), (x + wide, y), (x + wide, y + high), (x, y + high), (x, y))
    return Path("line", (corners,), dashed=True)


def _process(component: ComponentSeen) -> str:
    """Return the second line of a component's box: what matters most of it."""
    if component.state == "off":
        return gettext("off")
    if component.state != "runs":
        return component.told
    # Ports that other machines can reach come first; what there is no room for is in the table.
    reachable = sorted(component.listens, key=lambda address: address.startswith(_LOOPBACK))
    told = gettext("pid {pid}").format(pid=component.pid)
    for port in dict.fromkeys(address.rpartition(":")[2] for address in reachable if not address.startswith("/")):
        longer = f"{told}{' ·' if ':' not in told else ''} :{port}"
        if width(longer, SMALL) > _LINE:
            break
        told = longer
    return told


def _listed(node: NodeSeen) -> str:
    return ", ".join(f"{each.name} {each.told}" for each in node.components)
