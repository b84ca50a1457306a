"""Where everything of the swim lanes is: pure geometry, in pixels, y downwards.

Time runs from left to right, but not evenly: two arrows keep room for their numbers, and a stretch in which nothing
began or ended is folded. Order is never changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from labkit.flow import Actor, Flow, Hop
from labkit.language import gettext
from labkit.views import words
from labkit.views.arrows import number_width
from labkit.views.metrics import width
from labkit.views.places import Place, actors, places, seats
from labkit.views.scene import SMALL

TOP = 136.0  # the middle of the first lane
PITCH = 40.0  # from lane to lane
START = 240.0  # where time begins: the lanes' names are left of it
FOLD = 120.0  # ms: a longer stretch in which nothing began or ended is folded
FOLDED = 56.0  # the width of one
PODS_DRAWN = 6  # with more pods, the first two are drawn hop by hop and the rest together
_FIRST_PODS = 2
_SCALE = 0.5  # pixels for a millisecond
_STEP = 24.0  # at least, from arrow to arrow
_GAP = 8.0
_LABEL = 280.0  # the room of what the present hop does

_ORDER = ("client", "other", "controller", "scheduler", "api server", "etcd", "kubelet", "runtime", "kube-proxy")


@dataclass(frozen=True, slots=True)
class Lane:
    """A component's line, or that of those who share a seat.

    Attributes
    ----------
    label : str
        ``"kubelet on node-01"``, ``"47 kubelets on more nodes"``.
    y : float
        Its middle.
    actors : tuple of Actor
        Whose it is.
    """

    label: str
    y: float
    actors: tuple[Actor, ...]


@dataclass(frozen=True, slots=True)
class Arrow:
    """A hop, or several of the same kind that are drawn as one.

    Attributes
    ----------
    hops : tuple of Hop
        In order.
    mark : str
        ``"12"``, ``"12+47"``.
    label : str
        What it does.
    x : float
        When the first began.
    end : float
        When the last had ended.
    source, target : float
        The middles of the two lanes.
    """

    hops: tuple[Hop, ...]
    mark: str
    label: str
    x: float
    end: float
    source: float
    target: float


@dataclass(frozen=True, slots=True)
class Fold:
    """Time left out; `milliseconds` says how much."""

    x: float
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """The swim lanes: `end` is where the last lane ends, `width` leaves room for every arrow's label."""

    lanes: tuple[Lane, ...]
    arrows: tuple[Arrow, ...]
    folds: tuple[Fold, ...]
    end: float
    width: float


def arrange(flow: Flow) -> Timeline:
    """Return the swim lanes' geometry."""
    found = places(flow)
    seat = seats(found, actors(flow))
    lanes = _lanes(found, actors(flow), seat)
    heights = {actor.id: lane.y for lane in lanes for actor in lane.actors}
    bundles = _bundles(flow, seat)
    placed, folds = _along(flow, bundles)
    drawn = tuple(
        Arrow(
            hops,
            _mark(hops),
            _label(hops),
            *placed[index],
            heights[hops[0].source.id],
            heights[hops[0].target.id],
        )
        for index, hops in enumerate(bundles)
    )
    end = max((arrow.end for arrow in drawn), default=START) + 2 * _GAP
    room = [label_start(arrow) + min(_LABEL, width(arrow.label, SMALL, bold=True)) for arrow in drawn]
    return Timeline(lanes, drawn, folds, end, max([end, *room]) + 2 * _GAP)


def label_start(arrow: Arrow) -> float:
    """Return where the words of an arrow begin: right of its number, where only later hops would be."""
    return arrow.x + number_width(arrow.mark) / 2 + 6


def _lanes(found: Sequence[Place], everybody: dict[str, Actor], seat: dict[str, str]) -> tuple[Lane, ...]:
    """Return the lanes: as in the architecture, from left to right and then node by node."""
    nodes = {node: index for index, place in enumerate(found) for node in place.nodes}
    ordered = sorted(everybody.values(), key=lambda actor: (nodes.get(actor.node, -1), _ORDER.index(actor.kind)))
    together: dict[str, list[Actor]] = {}
    for actor in ordered:
        together.setdefault(seat[actor.id], []).append(actor)
    return tuple(
        Lane(_name(sitting), TOP + index * PITCH, tuple(sitting)) for index, sitting in enumerate(together.values())
    )


def _name(sitting: Sequence[Actor]) -> str:
    first = sitting[0]
    if len(sitting) > 1:
        return gettext("{count} more: {kind}").format(count=len(sitting), kind=first.kind)
    return gettext("runtime on {node}").format(node=first.node) if first.kind == "runtime" else first.name


def _bundles(flow: Flow, seat: dict[str, str]) -> list[tuple[Hop, ...]]:
    """Return what is drawn as one arrow each, by the time of its first hop."""
    ordered = sorted(flow.hops, key=lambda hop: (hop.start, hop.number))
    if len(flow.pods) <= PODS_DRAWN:
        return [(hop,) for hop in ordered]
    shown = tuple(list(flow.pods)[:_FIRST_PODS])
    found: dict[tuple[object, ...], list[Hop]] = {}
    for hop in ordered:
        key: tuple[object, ...] = (
            *(seat[hop.source.id], seat[hop.target.id], hop.kind, hop.verb, hop.observed, hop.failed),
            *(hop.object.resource, hop.object.subresource),
        )
        if hop.object.name.startswith(shown):
            key = (hop.number,)
        found.setdefault(key, []).append(hop)
    return [tuple(hops) for hops in found.values()]


def _along(flow: Flow, bundles: Sequence[tuple[Hop, ...]]) -> tuple[list[tuple[float, float]], tuple[Fold, ...]]:
    """Return where each arrow begins and ends, and where time is folded."""
    moments = sorted(
        (at, ended, index)
        for index, hops in enumerate(bundles)
        for hop in hops
        for at, ended in ((flow.milliseconds(hop), hop is not hops[0]), (_ended(flow, hop), True))
    )
    starts, ends = [0.0] * len(bundles), [0.0] * len(bundles)
    folds: list[Fold] = []
    x, room, before = START, 0.0, moments[0][0] if moments else 0.0
    for milliseconds, ended, index in moments:
        gap = milliseconds - before
        if gap > FOLD:
            folds.append(Fold(x + 2 * _GAP, gap))
            x += FOLDED + 4 * _GAP
        else:
            x += gap * _SCALE
        if not ended:
            half = number_width(_mark(bundles[index])) / 2
            x = max(x, room + half)
            starts[index] = x
            room = max(x + _STEP - half, x + half + 4)
        ends[index] = x
        before = milliseconds
    return list(zip(starts, ends, strict=True)), tuple(folds)


def _ended(flow: Flow, hop: Hop) -> float:
    return flow.milliseconds(hop) + (hop.end - hop.start).total_seconds() * 1000


def _mark(hops: Sequence[Hop]) -> str:
    return str(hops[0].number) if len(hops) == 1 else f"{hops[0].number}+{len(hops) - 1}"


def _label(hops: Sequence[Hop]) -> str:
    return (
        words.label(hops[0])
        if len(hops) == 1
        else gettext("{thing}, {count} times").format(thing=words.thing(hops[0]), count=len(hops))
    )


def ticks(flow: Flow, arrows: Iterable[Arrow]) -> list[tuple[float, str]]:
    """Return where arrows begin and, where there is room to say so, when."""
    found: list[tuple[float, str]] = []
    free = START - _STEP
    for arrow in arrows:
        text = words.moment(flow.milliseconds(arrow.hops[0]))
        half = width(text, SMALL) / 2
        said = text if arrow.x - half >= free else ""
        if said:
            free = arrow.x + half + 2 * _GAP
        found.append((arrow.x, said))
    return found
