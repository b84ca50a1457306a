"""Pods in the nodes they run on: a box per node, a box per pod, with what it is doing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labkit.language import gettext, gettext_noop
from labkit.views import svg
from labkit.views.metrics import fit
from labkit.views.scene import BASELINE, SMALL, Group, Rect, Scene, Shape, Text

HEADINGS = (gettext_noop("pod"), gettext_noop("node"), gettext_noop("state"), gettext_noop("address"))
NOWHERE = gettext_noop("no node yet")

_NODE, _GAP, _MARGIN = 256.0, 16.0, 8.0
_HEAD, _POD, _PITCH = 40.0, 44.0, 52.0
_LEAST = 2  # rows, so that the picture does not jump with the first pods
_MOST = 12  # rows; more are counted


@dataclass(frozen=True, slots=True)
class PodSeen:
    """A pod as it is to be shown.

    Attributes
    ----------
    name, node : str
        The node is empty as long as none was chosen.
    state : str
        ``"Running"``, ``"ContainerCreating"``, ``"ErrImagePull"``, ``"Terminating"``, …
    ready : bool
        Whether it takes requests.
    address : str
        Its own; empty as long as it has none.
    """

    name: str
    node: str
    state: str
    ready: bool
    address: str = ""


def to_svg(nodes: Sequence[str], pods: Sequence[PodSeen], *, prefix: str) -> str:
    """Return the picture as SVG.

    Parameters
    ----------
    nodes : sequence of str
        In order.
    pods : sequence of PodSeen
        In order.
    prefix : str
        What the picture's ids begin with: several on a page need different ones.
    """
    return svg.write(scene(nodes, pods), prefix)


def scene(nodes: Sequence[str], pods: Sequence[PodSeen]) -> Scene:
    """Return the picture as shapes; the parameters are those of `to_svg`."""
    columns = {node: [pod for pod in pods if pod.node == node] for node in nodes}
    if nowhere := [pod for pod in pods if pod.node not in columns]:
        columns[NOWHERE] = nowhere
    rows = min(_MOST, max(_LEAST, *map(len, columns.values())))
    width = 2 * _MARGIN + len(columns) * (_NODE + _GAP) - _GAP
    height = 2 * _MARGIN + _HEAD + rows * _PITCH
    groups = [Group("page", (Rect("paper", 0, 0, width, height, 0),))]
    for index, (node, own) in enumerate(columns.items()):
        x = _MARGIN + index * (_NODE + _GAP)
        label = (
            gettext(node)
            if len(own) <= _MOST
            else gettext("{node} · {shown} of {count} pods").format(node=node, shown=_MOST, count=len(own))
        )
        frame = Rect("frame", x, _MARGIN, _NODE, height - 2 * _MARGIN, 8)
        groups.append(
            Group("frame", (frame, Text("quiet", x + 12, _MARGIN + 24, fit(label, _NODE - 24, SMALL), SMALL)))
        )
        groups += [_pod(pod, x + 12, _MARGIN + _HEAD + row * _PITCH) for row, pod in enumerate(own[:_MOST])]
    return Scene("pods", gettext("Pods on their nodes"), _words(pods), width, height, tuple(groups))


def rows(pods: Sequence[PodSeen]) -> list[tuple[str, ...]]:
    """Return a row of text per pod, under `HEADINGS`."""
    return [
        (
            pod.name,
            pod.node or gettext(NOWHERE),
            gettext("{state}, ready").format(state=pod.state) if pod.ready else pod.state,
            pod.address,
        )
        for pod in pods
    ]


def _pod(pod: PodSeen, x: float, y: float) -> Group:
    """Return a pod: a full line around one that takes requests, and the words say it, too."""
    room = _NODE - 24
    shapes: tuple[Shape, ...] = (
        Rect("box" if pod.ready else "pod", x, y, room, _POD, 12),
        Text("name", x + 12, y + 14 + BASELINE * SMALL, fit(pod.name, room - 24, SMALL, bold=True), SMALL, bold=True),
        Text("quiet", x + 12, y + 31 + BASELINE * SMALL, fit(_told(pod), room - 24, SMALL), SMALL),
    )
    paint = "scheduler" if pod.ready else "quiet"
    title = f"{pod.name}: {_told(pod)}"
    return Group("component" if pod.ready else "pod", shapes, paint, {"pod": pod.name}, title=title)


def _told(pod: PodSeen) -> str:
    return " · ".join(
        filter(None, (gettext("{state}, ready").format(state=pod.state) if pod.ready else pod.state, pod.address))
    )


def _words(pods: Sequence[PodSeen]) -> str:
    """Return the picture in words."""
    return " ".join(
        gettext("{name} on {node}: {told}.").format(name=pod.name, node=pod.node or gettext(NOWHERE), told=_told(pod))
        for pod in pods
    ) or gettext("No pods.")
