"""The chain from a request to changed rules: as a graph, and as swim lanes over time with every link told below.

Each component has a lane and each node's rules have one. A filled mark is a request, or rules that changed; a dashed
line says that kube-proxy was told, which nobody sees; the bar on a node's lane is the time that its rules took. Time
runs from left to right; idle stretches are folded and say how long they were.
"""

from __future__ import annotations

from dataclasses import dataclass

import networkx

from labkit.language import gettext, gettext_noop
from labkit.proxy.cause import Chain, Link, NodeFollowed
from labkit.views import svg, words
from labkit.views.arrows import number, number_width
from labkit.views.metrics import fit
from labkit.views.palette import LIGHT
from labkit.views.scene import BASELINE, LARGE, MEDIUM, SMALL, Group, Path, Rect, Scene, Shape, Text

_WIDTH = 900.0  # pixels, at least
_MARGIN = 24.0
_NAMES = 232.0  # where time begins: the lanes' names are left of it
_AXIS = 96.0
_TOP = 128.0  # the middle of the first lane
_PITCH = 40.0
_BAR = 8.0
_LINE = 22.0  # from one told link to the next
_SCALE = 0.5  # pixels for a millisecond
_FOLD = 150.0  # ms: a longer stretch in which nothing was seen is folded
_FOLDED = 72.0
_NEAR = 24.0  # at least, from one moment to the next
_TOGETHER = 5.0  # ms: rules that changed nearer to each other are drawn as of one moment
_ROOM = 72.0  # at least, from a write to rules that follow from it
_DELAY = 136.0  # the room of what a node's last mark says
_TOLD = 40  # links that are told below; the table has all
_API_SERVER = "API server"
_NOTE = gettext_noop(
    "Filled: observed. Dashed: inferred, for nobody sees kube-proxy being told. Bars: until the rules had followed."
)


def to_graph(chain: Chain) -> networkx.MultiDiGraph:
    """Return the chain as a directed graph.

    Parameters
    ----------
    chain : Chain
        What to turn into a graph.

    Returns
    -------
    networkx.MultiDiGraph
        Its nodes are components and each node's rules, by name; each edge has the link's number as its key and the
        `Link` itself as the attribute ``link``.
    """
    graph = networkx.MultiDiGraph(service=chain.service, mode=chain.mode)
    for link in chain.links:
        graph.add_edge(link.source, link.target, key=link.number, link=link)
    return graph


def to_svg(chain: Chain, *, prefix: str = "labkit-cause") -> str:
    """Return the picture as SVG: real text, and words for those who do not see it.

    Parameters
    ----------
    chain : Chain
        What to draw.
    prefix : str
        What the picture's ids begin with: several on a page need different ones.
    """
    return svg.write(scene(chain), prefix)


def scene(chain: Chain) -> Scene:
    """Return the picture as shapes."""
    time = _Time(chain)
    lanes = {name: _TOP + index * _PITCH for index, name in enumerate(_lanes(chain))}
    low = _TOP + (len(lanes) - 0.5) * _PITCH
    wide = max(_WIDTH, time.end + _MARGIN)
    told = _told(chain, low + 28, wide)
    height = low + 28 + (len(told) + 1) * _LINE + _MARGIN / 2
    title, _, followed = chain.caption().partition(": ")
    heading = (
        Text("title", _MARGIN, 40, fit(title, wide - 2 * _MARGIN, LARGE, bold=True), LARGE, bold=True),
        Text("quiet", _MARGIN, 62, fit(followed, wide - 2 * _MARGIN, MEDIUM), MEDIUM),
    )
    groups = [Group("page", (Rect("paper", 0, 0, wide, height, 0),)), Group("caption", heading)]
    groups += [_lane(name, y, time.end) for name, y in lanes.items()]
    groups += [_fold(fold, low) for fold in time.folds]
    groups += [_wait(link, time, lanes) for link in chain.links if link.kind == "notify"]
    groups += [_mark(link, time, lanes) for link in chain.links if link.kind != "notify"]
    groups += [_delay(each, chain, time, lanes) for each in chain.nodes if each.delay is not None]
    groups += told
    return Scene("cause", title, f"{chain!r}", wide, height, tuple(groups))


@dataclass(frozen=True, slots=True)
class _Folded:
    """A stretch of time that is left out."""

    x: float
    milliseconds: float


class _Time:
    """Where each link's moment is: later ones further right, those of one lane apart, idle stretches folded."""

    def __init__(self, chain: Chain) -> None:
        self._places: dict[int, float] = {}
        self.folds: list[_Folded] = []
        x, before = _NAMES + 24, 0.0
        room: dict[str, float] = {}
        for link in (each for each in chain.links if each.kind != "notify"):
            now = chain.milliseconds(link)
            gap, before = now - before, now
            if gap > _FOLD:
                at = max([x, *room.values()]) + 12
                self.folds.append(_Folded(at, gap))
                x = at + _FOLDED + 24
            elif gap:
                x += max(_NEAR if link.kind == "request" or gap > _TOGETHER else 0, gap * _SCALE)
            if link.kind == "rules":
                x = max(x, self._written(chain, link) + _ROOM)
            half = number_width(str(link.number)) / 2
            x = max(x, room.get(_lane_of(link), 0) + half)
            self._places[link.number] = x
            room[_lane_of(link)] = x + half + 4
            if link.kind == "rules" and link.after is not None:
                self._places[link.after] = x  # where the notification has ended
        self.end = max([x, *room.values()]) + _DELAY

    def _written(self, chain: Chain, link: Link) -> float:
        """Return where the write is that changed rules follow from."""
        told = None if link.after is None else chain.links[link.after - 1].after
        return 0.0 if told is None else self._places[told]

    def of(self, number: int) -> float:
        return self._places[number]


def _lane_of(link: Link) -> str:
    return link.target if link.kind == "rules" else link.source


def _lanes(chain: Chain) -> list[str]:
    """Return the lanes' names: who asked, by time; the API server; the nodes' rules."""
    asked = dict.fromkeys(link.source for link in chain.links if link.kind == "request")
    return [*asked, _API_SERVER, *(_rules_of(each.node) for each in chain.nodes)]


def _rules_of(node: str) -> str:
    return gettext("rules of {node}").format(node=node)


def _paint(lane: str) -> str:
    if lane.startswith(_rules_of("")):
        return "proxy"
    known = {"kubectl": "client", "deployment-controller": "deployment", "replicaset-controller": "replicaset"}
    kind = known.get(lane) or lane.partition(" ")[0]
    return kind if kind in LIGHT else "ink" if lane == _API_SERVER else "controller"


def _lane(name: str, y: float, end: float) -> Group:
    wide = _NAMES - 32
    label = fit(name, wide - 16, SMALL, bold=True)
    shapes: tuple[Shape, ...] = (
        Path("axis", (((_NAMES - 16, y), (end, y)),)),
        Rect("box", 16, y - 14, wide, 28),
        Text("name", 16 + wide / 2, y + BASELINE * SMALL, label, SMALL, "middle", bold=True),
    )
    return Group("component", shapes, _paint(name), title=name)


def _fold(fold: _Folded, low: float) -> Group:
    """Return the band that stands for idle time, and how long it was."""
    edges = Path("axis", tuple(((at, _AXIS + 8), (at, low)) for at in (fold.x, fold.x + _FOLDED)))
    band = Rect("fold", fold.x, _AXIS + 8, _FOLDED, low - _AXIS - 8, 0)
    text = words.duration(fold.milliseconds)
    label = Text("quiet", fold.x + _FOLDED / 2, _AXIS + 4, text, SMALL, "middle", bold=True)
    return Group("folded", (band, edges, label), title=gettext("{time} in which nothing was seen").format(time=text))


def _wait(link: Link, time: _Time, lanes: dict[str, float]) -> Group:
    """Return the line from the write to the rules that follow from it, and the bar of the time between."""
    y, begin = lanes[_rules_of(link.node)], time.of(link.after or 1)
    end = time.of(link.number)
    start = begin + 10
    shapes: tuple[Shape, ...] = (
        Path("line", (((begin, lanes[_API_SERVER]), (start, y - _BAR)),), dashed=True),
        Rect("bar", start, y - _BAR / 2, max(4, end - start), _BAR, 2),
    )
    return Group("told", shapes, "proxy", title=link.what)


def _mark(link: Link, time: _Time, lanes: dict[str, float]) -> Group:
    x, y = time.of(link.number), lanes[_lane_of(link)]
    shapes: list[Shape] = []
    if link.kind == "request":
        low = lanes[_API_SERVER]
        shapes += [
            Path("line", (((x, y), (x, low - 8)),)),
            Path("head", (((x, low), (x - 4, low - 8), (x + 4, low - 8)),), closed=True),
        ]
    shapes += number(str(link.number), (x, y))
    data = {"link": str(link.number), "observed": str(link.observed).lower()}
    return Group("link", tuple(shapes), _paint(_lane_of(link)), data, title=f"{link.source} {link.what}")


def _delay(node: NodeFollowed, chain: Chain, time: _Time, lanes: dict[str, float]) -> Group:
    """Return, beside the last mark of a node, how long its rules took."""
    lane = _rules_of(node.node)
    last = next(link for link in reversed(chain.links) if _lane_of(link) == lane)
    x = time.of(last.number) + number_width(str(last.number)) / 2 + 6
    text = gettext("{time} after the API").format(time=words.duration(node.delay or 0))
    return Group("delay", (Text("again", x, lanes[lane] - 8, text, SMALL),), "proxy")


def _told(chain: Chain, top: float, wide: float) -> list[Group]:
    """Return a line for each link that was observed, and one on how to read the picture."""
    shown = [link for link in chain.links if link.observed]
    lines = [_line(chain, link, top + index * _LINE, wide) for index, link in enumerate(shown[:_TOLD])]
    more = (
        gettext(" {count} more links are in the table.").format(count=len(shown) - _TOLD) if len(shown) > _TOLD else ""
    )
    y = top + (len(lines) + 0.3) * _LINE
    note = Text("quiet", _MARGIN, y, fit(f"{gettext(_NOTE)}{more}", wide - 2 * _MARGIN, SMALL), SMALL)
    return [*lines, Group("notes", (note,))]


def _line(chain: Chain, link: Link, y: float, wide: float) -> Group:
    who = _MARGIN + 136
    said = f"{link.source} {link.what}"
    shapes = (
        *number(str(link.number), (_MARGIN + 14, y - BASELINE * SMALL)),
        Text("quiet", who - 12, y, words.moment(chain.milliseconds(link)), SMALL, "end"),
        Text("name", who, y, fit(said, wide - who - _MARGIN, SMALL), SMALL),
    )
    return Group("line-of-text", shapes, _paint(_lane_of(link)))
