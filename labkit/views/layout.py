"""Where everything of the architecture's picture is: pure geometry, in pixels, y downwards.

The API server stands in the middle of the control plane's frame and etcd beneath it. Left of it are the controllers
and, outside, the clients; right of it the scheduler, the control plane's own node components and, outside, the workers.
So every edge to the API server is a level line with room for its numbers and its words, and no two share a height.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import networkx

from labkit.flow import API_SERVER, Actor, Flow, Hop, to_graph
from labkit.flow.actors import ETCD
from labkit.views.arrows import mark_width, number_width
from labkit.views.places import PODS_SHOWN, Place, actors, places, seats
from labkit.views.scene import Point

WIDTH = 1304.0
TOP = 80.0  # below title and summary
PITCH = 32.0  # the height of one edge: its words and its numbers
PADDING, HEADER, GAP = 16.0, 32.0, 8.0

CLIENT, CONTROLLERS, API, RIGHT, WORKER = 16.0, 136.0, 456.0, 656.0, 976.0  # left edges of the columns
CLIENT_WIDTH, CONTROLLERS_WIDTH, API_WIDTH, NODE_WIDTH = 96.0, 144.0, 72.0, 280.0
_LEFT = CONTROLLERS + CONTROLLERS_WIDTH  # left of the API server, words and numbers begin here
_BOX, _RUNTIME = 80.0, 200.0  # width of a node's components; how far the runtime is right of the kubelet
_MASTER, _MASTER_END = 120.0, 952.0
_ROW = 20.0  # of the numbers beside etcd's edge
_ROWS = 3
_ARROW = 16.0  # of an edge's end, where no number may be

ITSELF = f"{API_SERVER.id}/itself"
_KINDS = {"request": 0, "runtime": 1, "persist": 2, "notify": 3, "record": 4}


@dataclass(frozen=True, slots=True)
class Box:
    """A frame, a component or a pod.

    Attributes
    ----------
    label : str
        What to write: in a frame at its top left, else in the middle.
    x, y, width, height : float
        Pixels.
    kind : {"frame", "component", "pod"}
        How to draw it.
    actors : tuple of Actor
        Whose box it is; none for a frame, for a pod and for what took no part.
    pods : tuple of str
        The pods that it stands for.
    """

    label: str
    x: float
    y: float
    width: float
    height: float
    kind: Literal["frame", "component", "pod"] = "component"
    actors: tuple[Actor, ...] = ()
    pods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """All hops of one kind from one box to another.

    Attributes
    ----------
    hops : tuple of Hop
        In order; all observed or all inferred.
    points : tuple of (float, float)
        From the source's edge to the target's.
    marks : tuple of (float, float)
        The middle of each hop's number; where there is no room for more, the rest share the last one.
    label : tuple of float
        Where its words begin (x, baseline y) and how much room they have.
    """

    hops: tuple[Hop, ...]
    points: tuple[Point, Point]
    marks: tuple[Point, ...]
    label: tuple[float, float, float]

    @property
    def crowded(self) -> int:
        """How many hops share the last mark; 1 if each has its own."""
        return sum(mark == self.marks[-1] for mark in self.marks)


@dataclass
class Layout:
    """The architecture's boxes and edges; `height` ends with the lowest."""

    boxes: list[Box] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    height: float = 0.0


Bundle = tuple[Hop, ...]


def bundles(graph: networkx.MultiDiGraph, seat: dict[str, str]) -> dict[tuple[str, str], list[Bundle]]:
    """Return the hops by the seats of their two ends, those of the same kind together; Events come last.

    Parameters
    ----------
    graph : networkx.MultiDiGraph
        From `labkit.flow.to_graph`.
    seat : dict of str to str
        Where each actor sits.
    """
    found: dict[tuple[str, str], dict[tuple[str, bool], list[Hop]]] = {}
    for _, _, hop in sorted(graph.edges(data="hop"), key=lambda edge: edge[2].number):
        ends = seat[hop.source.id], seat[hop.target.id]
        if ends[0] == ends[1]:  # the API server's own client, "system:apiserver"
            ends = ITSELF, ends[1]
        found.setdefault(ends, {}).setdefault((hop.kind, hop.observed), []).append(hop)
    return {
        ends: [tuple(kinds[key]) for key in sorted(kinds, key=lambda key: (_KINDS[key[0]], not key[1]))]
        for ends, kinds in found.items()
    }


def arrange(flow: Flow) -> Layout:
    """Return the picture's geometry."""
    return _Architect(flow).layout


class _Architect:
    """Places column by column, each from the top."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._places = places(flow)
        self._actors = actors(flow)
        self._seats = seats(self._places, self._actors)
        self._bundles = bundles(to_graph(flow), self._seats)
        self._frames: list[Box] = []
        self.layout = Layout()
        left, right = self._left(), self._right()
        self._middle(max(left, right[0]))
        self.layout.height = max(self._frames[0].y + self._frames[0].height, right[1])
        self.layout.boxes[:0] = self._frames

    def _left(self) -> float:
        """Place the clients outside and the controllers in their frame, and return the lowest edge."""
        y = TOP + HEADER + GAP
        for actor in self._of_kind("client", "other"):
            y = self._component(Box(actor.name, CLIENT, y, CLIENT_WIDTH, 0), [actor.id]) + GAP
        if (ITSELF, API_SERVER.id) in self._bundles:
            y = self._component(Box("API server itself", CLIENT, y, CLIENT_WIDTH, 0), [ITSELF]) + GAP
        top = y + GAP
        y = top + HEADER
        for actor in self._of_kind("controller"):
            y = self._component(Box(actor.name, CONTROLLERS + GAP, y, CONTROLLERS_WIDTH - 16, 0), [actor.id]) + GAP
        height = max(64, y - top)
        frame = Box("controller-manager", CONTROLLERS, top, CONTROLLERS_WIDTH, height, kind="frame")
        self._frames.append(frame)
        return top + height

    def _right(self) -> tuple[float, float]:
        """Place the scheduler, the master's node components and the workers.

        Returns
        -------
        tuple of float
            The lowest edge that the API server must reach, and the lowest of all.
        """
        y = TOP + HEADER + GAP
        y = self._component(Box("scheduler", RIGHT, y, _BOX, 0), ["kube-scheduler"]) + PADDING
        y = self._node(self._places[0], RIGHT, y) + PADDING + GAP
        end = low = y
        for place in self._places[1:]:
            top = y
            y = self._node(place, WORKER + PADDING, top + HEADER) + GAP
            self._frames.append(Box(place.label, WORKER, top, NODE_WIDTH + 2 * PADDING, y - top, kind="frame"))
            low = y
            end = y if place.nodes else end
            y += PADDING
        return end, low

    def _node(self, place: Place, x: float, y: float) -> float:
        """Place a node's kubelet, runtime, kube-proxy and pods, and return the lowest edge."""
        if not place.nodes:
            return self._pods(place.pods, x, y, NODE_WIDTH)
        kubelets, runtimes, proxies = (self._at(place, kind) for kind in ("kubelet", "runtime", "kube-proxy"))
        calls = [hops for kubelet in kubelets for hops in self._bundles.get((kubelet, (*runtimes, "")[0]), ())]
        count = "" if len(place.nodes) == 1 else f"{len(place.nodes)} "
        plural = "s" if count else ""
        runtime = Box(f"{count}runtime{plural}", x + _RUNTIME, y, _BOX, max(40, len(calls) * PITCH + GAP))
        self._box(runtime, runtimes)
        for index, hops in enumerate(calls):
            self._edge(hops, x + _BOX, x + _RUNTIME, y + (index + 0.5) * PITCH + GAP)
        low = self._pods(place.pods, x + _BOX + PADDING, y + runtime.height + GAP, NODE_WIDTH - _BOX - PADDING)
        kubelet = Box(f"{count}kubelet{plural}", x, y, _BOX, runtime.height)
        y = self._component(kubelet, kubelets) + GAP
        proxy = Box("kube-proxy" if not count else f"{count}kube- proxies", x, y, _BOX, 32)
        return max(low, self._component(proxy, proxies))

    def _pods(self, pods: Sequence[str], x: float, y: float, room: float) -> float:
        """Place pods in a column, many as one line, and return the lower edge."""
        shown = len(pods) if len(pods) <= PODS_SHOWN else PODS_SHOWN - 1
        for pod in pods[:shown]:
            self.layout.boxes.append(Box(pod, x, y, room, 24, kind="pod", pods=(pod,)))
            y += 32
        rest = tuple(pods[shown:])
        if rest:
            self.layout.boxes.append(Box(f"{len(rest)} more pods", x, y, room, 24, kind="pod", pods=rest))
            y += 32
        return y - GAP

    def _middle(self, low: float) -> None:
        """Place the API server between the columns, etcd beneath it, and the frame around the control plane."""
        top = TOP + HEADER
        server = Box("API server", API, top, API_WIDTH, low - top)
        self._box(server, [API_SERVER.id])
        gap = 48.0
        found = self._between([ETCD.id])
        lines = [rows(hops, API + API_WIDTH + GAP, _MASTER_END - PADDING) for _, hops in found]
        gap = max(gap, sum(32 + len(middles) * _ROW for middles in lines) + GAP)
        y = low
        for index, ((ends, hops), middles) in enumerate(zip(found, lines, strict=True)):
            x = API + (API_WIDTH + (len(found) - 1) * PADDING) / 2 - index * PADDING
            points = (x, low), (x, low + gap)
            marks = tuple((at, y + 36 + line * _ROW) for line, xs in enumerate(middles) for at in xs)
            label = (API + API_WIDTH + GAP, y + 20, _MASTER_END - API - API_WIDTH - 3 * GAP)
            points = points if ends[1] == ETCD.id else points[::-1]
            self.layout.edges.append(Edge(hops, points, marks, label))
            y += 32 + len(middles) * _ROW
        self._box(Box("etcd", API - GAP, low + gap, API_WIDTH + PADDING, 40), [ETCD.id])
        bottom = low + gap + 40 + PADDING
        self._frames.insert(
            0,
            Box(
                f"{self._flow.control_plane} · control plane",
                _MASTER,
                TOP,
                _MASTER_END - _MASTER,
                bottom - TOP,
                kind="frame",
            ),
        )

    def _at(self, place: Place, kind: str) -> list[str]:
        """Return the seats at a place of those of one kind who take part."""
        here = [actor for actor in self._actors.values() if actor.kind == kind and actor.node in place.nodes]
        return list(dict.fromkeys(self._seats[actor.id] for actor in here))

    def _of_kind(self, *kinds: str) -> list[Actor]:
        return [actor for actor in self._actors.values() if actor.kind in kinds]

    def _component(self, box: Box, ids: Iterable[str]) -> float:
        """Place a component as high as its edges to the API server need, the edges too, and return its lower edge."""
        mine = list(ids)
        between = self._between(mine)
        height = max(box.height, 40, len(between) * PITCH + GAP)
        near, far = (box.x + box.width, API) if box.x < API else (box.x, API + API_WIDTH)
        top = box.y + (height - len(between) * PITCH) / 2 + 4
        for index, ((source, _), hops) in enumerate(between):
            start, end = (near, far) if source in mine else (far, near)
            self._edge(hops, start, end, top + (index + 0.5) * PITCH)
        self._box(Box(box.label, box.x, box.y, box.width, height), mine)
        return box.y + height

    def _between(self, mine: Sequence[str]) -> list[tuple[tuple[str, str], Bundle]]:
        """Return what goes between some seats and the API server: what asks before what tells, Events last."""
        ends = [pair for id_ in mine for pair in ((id_, API_SERVER.id), (API_SERVER.id, id_))]
        found = [(pair, hops) for pair in ends for hops in self._bundles.get(pair, ())]
        return sorted(found, key=lambda item: (_KINDS[item[1][0].kind], not item[1][0].observed))

    def _box(self, box: Box, sitting: Iterable[str]) -> None:
        mine = set(sitting)
        mine = {API_SERVER.id} if mine == {ITSELF} else mine
        who = tuple(actor for actor in self._actors.values() if self._seats[actor.id] in mine)
        self.layout.boxes.append(Box(box.label, box.x, box.y, box.width, box.height, box.kind, who))

    def _edge(self, hops: Bundle, start: float, end: float, y: float) -> None:
        low, high = sorted((start, end))
        low = max(low, _LEFT) if high == API else low
        first, last = low + GAP, high - _ARROW
        if low == API + API_WIDTH or high == API:
            first += GAP
        if low < _MASTER_END:
            last = min(last, _MASTER_END - PADDING)
        marks = tuple((x, y) for x in row(hops, first, last))
        self.layout.edges.append(Edge(hops, ((start, y), (end, y)), marks, (first, y - 12, high - GAP - first)))


def row(hops: Sequence[Hop], start: float, end: float) -> list[float]:
    """Return the middles of the marks on a level line, from its left; those that do not fit share the last."""
    widths = [mark_width(hop) for hop in hops]
    ends = list(itertools.accumulate(widths, lambda end, mark: end + mark + 2, initial=0.0))
    room = end - start
    shown, more = len(hops), 0.0
    while shown and ends[shown] - 2 + more > room:
        shown -= 1
        more = number_width(f"+{len(hops) - shown}") + 2
    x = start
    middles = []
    for mark in widths[:shown]:
        middles.append(x + mark / 2)
        x += mark + 2
    return middles + [x + (more - 2) / 2] * (len(hops) - shown)


def rows(hops: Sequence[Hop], start: float, end: float) -> list[list[float]]:
    """Return the middles of the marks on a few lines; those that do not fit share the last one."""
    found: list[list[float]] = []
    while hops and len(found) < _ROWS - 1:
        middles = row(hops, start, end)
        shown = len(set(middles)) if len(set(middles)) == len(hops) else len(set(middles)) - 1
        found.append(middles[:shown])
        hops = hops[shown:]
    return [*found, row(hops, start, end)] if hops else found
