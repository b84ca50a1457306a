"""Where everything of the architecture's picture is: pure geometry, in pixels, y downwards.

The API server stands in the middle and etcd beneath it. Left of it are the clients, the controllers and the scheduler;
right of it, node by node, what runs on each. So every edge to the API server is a level line with room for its numbers
and its words, and no two share a height. The control plane's outline leaves out the clients and the workers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import networkx

from labkit.flow import API_SERVER, Actor, Flow, Hop, to_graph
from labkit.flow.actors import ETCD
from labkit.language import gettext
from labkit.views.arrows import mark_width, number_width
from labkit.views.places import PODS_SHOWN, Place, actors, places, seats
from labkit.views.scene import Point

WIDTH = 952.0  # a notebook's width and the player's middle column show 13 pixels as 11 or more
TOP = 80.0  # below title and summary
PITCH = 32.0  # the height of one edge: its words and its numbers
PADDING, HEADER, GAP = 16.0, 32.0, 8.0

CONTROLLERS, API, NODES = 16.0, 360.0, 632.0  # left edges of the columns
CONTROLLERS_WIDTH, API_WIDTH, NODE_WIDTH = 144.0, 72.0, 288.0
_INSET = 12.0  # from a node's frame to what is in it
_BOX = 76.0  # the width of a node's components
_LEFT = CONTROLLERS + CONTROLLERS_WIDTH  # left of the API server, words and numbers begin here
_END = NODES + NODE_WIDTH + 2 * _INSET
_SPINE = API + API_WIDTH + _INSET  # right edge of the control plane's outline, below its own node components
_FOOT = NODES - GAP  # its right edge at etcd
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
        Where its words are (x, baseline y) and how much room they have.
    anchor : {"start", "end"}
        Whether the words begin or end there.
    """

    hops: tuple[Hop, ...]
    points: tuple[Point, Point]
    marks: tuple[Point, ...]
    label: tuple[float, float, float]
    anchor: Literal["start", "end"] = "start"

    @property
    def crowded(self) -> int:
        """How many hops share the last mark; 1 if each has its own."""
        return sum(mark == self.marks[-1] for mark in self.marks)


@dataclass
class Layout:
    """The architecture's boxes and edges, the control plane's outline; `height` ends with the lowest."""

    outline: tuple[Point, ...] = ()
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
        notch, left = self._left()
        arm, right, low = self._right()
        bottom = self._middle(max(left, right))
        self.layout.outline = _outline(notch, arm, max(left, right), bottom)
        self.layout.height = max(bottom, low)
        self.layout.boxes[:0] = self._frames

    def _left(self) -> tuple[float, float]:
        """Place the clients outside, the controllers in their frame, the scheduler; return both parts' lower edges."""
        y = TOP
        clients = [(actor.name, actor.id) for actor in self._of_kind("client", "other")]
        if (ITSELF, API_SERVER.id) in self._bundles:
            clients.append(("API server itself", ITSELF))
        for name, id_ in clients:
            y = self._component(Box(name, GAP, y + GAP, CONTROLLERS_WIDTH - PADDING, 0), [id_])
        notch = y + GAP if clients else TOP
        top = notch + GAP
        y = top + HEADER
        for actor in self._of_kind("controller"):
            y = self._component(Box(actor.name, CONTROLLERS + GAP, y, CONTROLLERS_WIDTH - 16, 0), [actor.id]) + GAP
        height = max(64, y - top)
        self._frames.append(Box("controller-manager", CONTROLLERS, top, CONTROLLERS_WIDTH, height, kind="frame"))
        scheduler = Box("scheduler", CONTROLLERS, top + height + GAP, CONTROLLERS_WIDTH, 0)
        return notch, self._component(scheduler, ["kube-scheduler"])

    def _right(self) -> tuple[float, float, float]:
        """Place the master's node components and the workers.

        Returns
        -------
        tuple of float
            The lower edges of the master's components, of what the API server must reach, and of all.
        """
        x = NODES + _INSET
        arm = end = low = self._node(self._places[0], x, TOP + HEADER) + GAP
        for place in self._places[1:]:
            top = low + PADDING
            low = self._node(place, x, top + HEADER) + GAP
            self._frames.append(Box(place.label, NODES, top, _END - NODES, low - top, kind="frame"))
            end = low if place.nodes else end
        return arm, end, low

    def _node(self, place: Place, x: float, y: float) -> float:
        """Place a node's kubelet, runtime, kube-proxy and pods, and return the lowest edge."""
        if not place.nodes:
            return self._pods(place.pods, x, y, NODE_WIDTH)
        kubelets, runtimes, proxies = (self._at(place, kind) for kind in ("kubelet", "runtime", "kube-proxy"))
        calls = [hops for kubelet in kubelets for hops in self._bundles.get((kubelet, (*runtimes, "")[0]), ())]
        count = "" if len(place.nodes) == 1 else f"{len(place.nodes)} "
        plural = "s" if count else ""
        right = x + NODE_WIDTH - _BOX
        runtime = Box(f"{count}runtime{plural}", right, y, _BOX, max(40, len(calls) * PITCH + GAP))
        self._box(runtime, runtimes)
        for index, hops in enumerate(calls):
            self._edge(hops, x + _BOX, right, y + (index + 0.5) * PITCH + GAP)
        low = self._pods(place.pods, x + _BOX + _INSET, y + runtime.height + GAP, NODE_WIDTH - _BOX - _INSET)
        kubelet = Box(f"{count}kubelet{plural}", x, y, _BOX, runtime.height)
        y = self._component(kubelet, kubelets) + GAP
        proxy = Box("kube-proxy" if not count else f"{count}kube- proxies", x, y, _BOX, 40)
        return max(low, self._component(proxy, proxies))

    def _pods(self, pods: Sequence[str], x: float, y: float, room: float) -> float:
        """Place pods in a column, many as one line, and return the lower edge."""
        shown = len(pods) if len(pods) <= PODS_SHOWN else PODS_SHOWN - 1
        for pod in pods[:shown]:
            self.layout.boxes.append(Box(pod, x, y, room, 24, kind="pod", pods=(pod,)))
            y += 32
        rest = tuple(pods[shown:])
        if rest:
            self.layout.boxes.append(
                Box(gettext("{count} more pods").format(count=len(rest)), x, y, room, 24, kind="pod", pods=rest)
            )
            y += 32
        return y - GAP

    def _middle(self, low: float) -> float:
        """Place the API server between the columns and etcd beneath it, and return the lower edge of both."""
        top = TOP + GAP
        self._box(Box("API server", API, top, API_WIDTH, low - top), [API_SERVER.id])
        found = self._between([ETCD.id])
        first = API + (API_WIDTH - (len(found) - 1) * PADDING) / 2
        last = first + (len(found) - 1) * PADDING
        lines = [rows(hops, last + GAP, _FOOT - GAP) for _, hops in found]
        gap = max(48.0, sum(PADDING + len(middles) * _ROW for middles in lines) + PADDING)
        y = low + PADDING
        for index, ((ends, hops), middles) in enumerate(zip(found, lines, strict=True)):
            x = first + index * PADDING
            points = (x, low), (x, low + gap)
            marks = tuple((at, y + (line + 0.5) * _ROW) for line, xs in enumerate(middles) for at in xs)
            points = points if ends[1] == ETCD.id else points[::-1]
            label = (first - GAP, y + 14, first - GAP - CONTROLLERS)
            self.layout.edges.append(Edge(hops, points, marks, label, "end"))
            y += PADDING + len(middles) * _ROW
        self._box(Box("etcd", API - GAP, low + gap, API_WIDTH + PADDING, 40), [ETCD.id])
        return low + gap + 40 + GAP

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
        if low == API + API_WIDTH:  # between the outlines of the control plane and of a node
            first, last = _SPINE + GAP, NODES - GAP
        marks = tuple((x, y) for x in row(hops, first, last))
        room = min(high, NODES if low < NODES else high) - GAP - first
        self.layout.edges.append(Edge(hops, ((start, y), (end, y)), marks, (first, y - 12, room)))


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


def _outline(notch: float, arm: float, low: float, bottom: float) -> tuple[Point, ...]:
    """Return the control plane's outline, without the clients' corner above left and the nodes' below right."""
    left, side = GAP, CONTROLLERS_WIDTH
    corners = [(left, notch), (side, notch), (side, TOP)] if notch > TOP else [(left, TOP)]
    corners += [(_END, TOP), (_END, arm), (_SPINE, arm), (_SPINE, low), (_FOOT, low), (_FOOT, bottom), (left, bottom)]
    return _rounded(corners)


def _rounded(corners: Sequence[Point]) -> tuple[Point, ...]:
    """Return a closed line of level and upright pieces with its corners rounded."""
    points = []
    for index, (x, y) in enumerate(corners):
        before, after = corners[index - 1], corners[(index + 1) % len(corners)]
        (ax, ay), (bx, by) = (
            (math.copysign(GAP, end[0] - x) * (end[0] != x), math.copysign(GAP, end[1] - y) * (end[1] != y))
            for end in (before, after)
        )
        for turn in range(5):
            near, far = 1 - math.sin(turn * math.pi / 8), 1 - math.cos(turn * math.pi / 8)
            points.append((x + ax * near + bx * far, y + ay * near + by * far))
    return tuple(points)
