"""Where everything of a flow's picture is: pure geometry, in pixels, y downwards, on a grid of 8.

The API server stands in the middle of the control plane's frame. Left of it are the controllers and, outside, the
clients; right of it the scheduler, the control plane's kubelet and, outside, the workers. So every request is a level
line with room for its words, and no two share a height.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import networkx

from labkit.flow import Actor, Flow, Hop, to_graph

LANE = 40.0  # the height of one line of requests
WIDTH = 1120.0
TOP = 72.0
WORKERS_SHOWN = 4

_CLIENT, _CONTROLLER, _API, _RIGHT, _WORKER = 16.0, 152.0, 528.0, 776.0, 912.0  # left edges of the columns
_CLIENT_WIDTH, _CONTROLLER_WIDTH, _API_WIDTH, _RIGHT_WIDTH, _WORKER_WIDTH = 88.0, 152.0, 72.0, 96.0, 192.0
_KUBELET_WIDTH = 72.0
_PADDING, _HEADER, _GAP = 16.0, 24.0, 8.0


@dataclass(frozen=True, slots=True)
class Box:
    """A frame or a component.

    Attributes
    ----------
    label : str
        What to write: in a frame at its top left, else in the middle.
    x, y, width, height : float
        Pixels.
    kind : {"frame", "component", "store", "pod"}
        How to draw it.
    actor : Actor or None
        Whose box it is; None for what sent nothing.
    """

    label: str
    x: float
    y: float
    width: float
    height: float
    kind: Literal["frame", "component", "store", "pod"] = "component"
    actor: Actor | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """One level line: all hops by which one component asks for the same kind of thing.

    Attributes
    ----------
    label : str
        Verb and kind of object: ``"create pods/binding"``.
    hops : tuple of Hop
        In order.
    start, end, y : float
        From the component's edge to the API server's.
    """

    label: str
    hops: tuple[Hop, ...]
    start: float
    end: float
    y: float


@dataclass
class Layout:
    """A flow's picture as boxes and lanes; `height` is that of the architecture, without the list of steps."""

    boxes: list[Box] = field(default_factory=list)
    lanes: list[Lane] = field(default_factory=list)
    height: float = 0.0


@dataclass(frozen=True, slots=True)
class _Place:
    """A node's worth of kubelets and pods: one node, or what is left over of many."""

    label: str
    nodes: tuple[str, ...]
    pods: tuple[str, ...]


def lanes(graph: networkx.MultiDiGraph, sources: Iterable[str]) -> list[tuple[str, tuple[Hop, ...]]]:
    """Return the hops that components sent, grouped by what they asked for; Events come last.

    Parameters
    ----------
    graph : networkx.MultiDiGraph
        From `labkit.flow.to_graph`.
    sources : iterable of str
        The components' ids.
    """
    groups: dict[str, list[Hop]] = {}
    edges = (edge for source in sources if source in graph for edge in graph.out_edges(source, data="hop"))
    for hop in sorted((hop for _, _, hop in edges), key=lambda hop: hop.number):
        thing = "/".join(part for part in (hop.object.resource, hop.object.subresource) if part)
        groups.setdefault(f"{hop.verb} {thing}", []).append(hop)
    ordered = sorted(groups.items(), key=lambda item: (item[1][0].kind == "record", item[1][0].number))
    return [(label, tuple(hops)) for label, hops in ordered]


def arrange(flow: Flow, control_plane: str = "master") -> Layout:
    """Return the picture's geometry.

    Parameters
    ----------
    flow : Flow
        What to draw.
    control_plane : str
        The name of the node that the control plane runs on.
    """
    graph = to_graph(flow)
    layout = Layout()
    actors = {hop.source.id: hop.source for hop in flow.hops}
    left = _left_side(layout, graph, list(actors.values()))
    right = _right_side(layout, graph, flow, control_plane, actors)
    bottom = max(left, right)
    layout.boxes.append(Box("API\nserver", _API, TOP + 40, _API_WIDTH, bottom - TOP - 40, actor=_api_server(flow)))
    store = bottom + 24
    layout.boxes.append(Box("etcd", _API, store, _API_WIDTH, 40, kind="store"))
    edge = _RIGHT + _RIGHT_WIDTH + _PADDING
    master = Box(f"{control_plane} · control plane", 136, TOP, edge - 136, store + 40 + _PADDING - TOP, kind="frame")
    layout.boxes.insert(0, master)
    layout.height = master.y + master.height
    return layout


def _api_server(flow: Flow) -> Actor:
    return flow.hops[0].target


def _left_side(layout: Layout, graph: networkx.MultiDiGraph, actors: Sequence[Actor]) -> float:
    """Place the clients outside and the controllers in their frame, and return the lowest edge."""
    y = TOP + 40
    for actor in [actor for actor in actors if actor.kind in {"client", "other", "api server"}]:
        box = Box(actor.name, _CLIENT, y, _CLIENT_WIDTH, 0, actor=actor)
        y = _component(layout, lanes(graph, [actor.id]), box) + _GAP
    top = y + _GAP
    y = top + _HEADER + _GAP
    for actor in [actor for actor in actors if actor.kind == "controller"]:
        box = Box(actor.name, _CONTROLLER + _GAP, y, _CONTROLLER_WIDTH - 2 * _GAP, 0, actor=actor)
        y = _component(layout, lanes(graph, [actor.id]), box) + _GAP
    height = max(64, y - top)
    layout.boxes.insert(0, Box("controller-manager", _CONTROLLER, top, _CONTROLLER_WIDTH, height, kind="frame"))
    return top + height


def _right_side(
    layout: Layout, graph: networkx.MultiDiGraph, flow: Flow, control_plane: str, actors: dict[str, Actor]
) -> float:
    """Place the scheduler, the control plane's kubelet and the workers, and return the lowest edge."""
    y = TOP + 40
    scheduler = "kube-scheduler"
    box = Box("scheduler", _RIGHT, y, _RIGHT_WIDTH, 0, actor=actors.get(scheduler))
    y = _component(layout, lanes(graph, [scheduler]), box) + _GAP
    kubelet = f"kubelet/{control_plane}"
    box = Box("kubelet", _RIGHT, y, _RIGHT_WIDTH, 0, actor=actors.get(kubelet))
    y = _component(layout, lanes(graph, [kubelet]), box) + _PADDING
    for place in _places(flow, control_plane):
        top = y
        sent = lanes(graph, [f"kubelet/{node}" for node in place.nodes])
        actor = sent[0][1][0].source if sent else None
        y = top + _HEADER + _GAP
        low = _pods(layout, place.pods, y)
        if place.nodes:
            box = Box("kubelet", _WORKER + _GAP, y, _KUBELET_WIDTH, 0, actor=actor)
            low = max(low, _component(layout, sent, box))
        y = low + _GAP
        layout.boxes.insert(0, Box(place.label, _WORKER, top, _WORKER_WIDTH, y - top, kind="frame"))
        y += _PADDING
    return y - _PADDING


def _places(flow: Flow, control_plane: str) -> list[_Place]:
    """Return the workers: those with pods first if there are too many, the rest of them as one."""
    workers = [node for node in flow.nodes if node != control_plane]
    if len(workers) > WORKERS_SHOWN:
        busy = set(flow.pods.values())
        workers.sort(key=lambda node: (node not in busy, node))
        shown = sorted(workers[: WORKERS_SHOWN - 1])
    else:
        shown = workers
    rest = tuple(workers[len(shown) :])
    places = [_Place(node, (node,), _pods_on(flow, (node,))) for node in shown]
    if rest:
        places.append(_Place(f"{len(rest)} more nodes", rest, _pods_on(flow, rest)))
    if "" in flow.pods.values():
        places.append(_Place("no node yet", (), _pods_on(flow, ("",))))
    return places


def _pods_on(flow: Flow, nodes: Sequence[str]) -> tuple[str, ...]:
    return tuple(pod for pod, node in flow.pods.items() if node in nodes)


def _component(layout: Layout, sent: Sequence[tuple[str, tuple[Hop, ...]]], box: Box) -> float:
    """Place a component as high as its lanes need, the lanes beside it, and return its lower edge."""
    height = max(40, len(sent) * LANE + _GAP)
    rightwards = box.x < _API
    start = box.x + box.width if rightwards else box.x
    end = _API if rightwards else _API + _API_WIDTH
    top = box.y + (height - len(sent) * LANE) / 2
    for index, (label, hops) in enumerate(sent):
        layout.lanes.append(Lane(label, hops, start, end, top + (index + 0.5) * LANE + 4))
    layout.boxes.append(Box(box.label, box.x, box.y, box.width, height, box.kind, box.actor))
    return box.y + height


def _pods(layout: Layout, pods: Sequence[str], y: float) -> float:
    """Place a node's pods in a column, many as one box, and return the lower edge."""
    x = _WORKER + _GAP + _KUBELET_WIDTH + _GAP
    width = _WORKER_WIDTH - _KUBELET_WIDTH - 3 * _GAP
    labels = [f"pod …{pod[-5:]}" for pod in pods] if len(pods) <= 3 else [f"{len(pods)} pods"]
    for label in labels:
        layout.boxes.append(Box(label, x, y, width, 24, kind="pod"))
        y += 32
    return y - _GAP
