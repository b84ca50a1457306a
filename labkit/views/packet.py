"""The path of a packet: as text, as a graph, and as a picture from the client at the top to the pod at the bottom.

In the picture each chain is a box, further right the more jumps led to it, with the rules that matched in the order in
which the packet met them. What rewrote an address is a filled bar. Chains that the packet passed with nothing done to
it have one line; the text has them in full.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import networkx

from labkit.language import gettext, gettext_noop
from labkit.proxy.packet import PacketPath, Step
from labkit.views import svg
from labkit.views.metrics import fit, width
from labkit.views.scene import BASELINE, GRID, LARGE, MEDIUM, SMALL, Group, Path, Point, Rect, Scene, Shape, Text

WIDTH = 900.0  # pixels

_MARGIN = 24.0
_INDENT = 32.0
_GAP = 16.0  # between two boxes
_LEADING = 18.0
_PADDING = 8.0
_BAR = 26.0  # the height of the bar that tells of a translation
_RULE_LINES = 3
_ANCHOR = 16.0  # from a box's edge to where lines leave it and come to it
_HEAD = 5.0

_MOMENTS = {
    "prerouting": gettext_noop("as it comes to the node"),
    "output": gettext_noop("as the node sends it"),
    "forward": gettext_noop("as it passes through the node"),
    "input": gettext_noop("as the node takes it"),
    "postrouting": gettext_noop("as it leaves"),
}
_COUNTED = gettext_noop(": told by counters before and after, and by conntrack; ipvs cannot be traced")
_STOPS = {
    "reject": gettext_noop("the node refuses it at once"),
    "drop": gettext_noop("it vanishes, and the client waits"),
}
_MEANINGS = (
    (re.compile(r"statistic --mode random|numgen random"), gettext_noop("one of the endpoints, by chance")),
    (re.compile(r"--set-xmark 0x4000/0x4000|mark \| 0x0*4000"), gettext_noop("marked: masquerade it when it leaves")),
    (re.compile(r"--set-xmark 0x4000/0x0|mark \^ 0x0*4000"), gettext_noop("the mark has done its work")),
    (
        re.compile(r"-j KUBE-MARK-MASQ|jump mark-for-masquerade"),
        gettext_noop("the pod must answer by way of this node"),
    ),
    (re.compile(r"! --mark 0x4000/0x4000|0x0*4000 == 0x0+ return"), gettext_noop("not marked: the source stays")),
    (re.compile(r"-j KUBE-(SVC|SVL|EXT)-|vmap @service-(ips|nodeports)"), gettext_noop("this is a Service's address")),
    (re.compile(r"-j KUBE-NODEPORTS"), gettext_noop("an address of this node: is it a NodePort?")),
    (re.compile(r"vmap @no-endpoint-"), "a Service without endpoints"),
)


def to_text(path: PacketPath) -> str:
    """Return the path as plain text: chain by chain, each rule that matched, its verdict, and what it rewrote.

    Parameters
    ----------
    path : PacketPath
        What to show.
    """
    request = path.request
    lines = [
        _title(path),
        gettext("{client} sends {source} -> {destination}").format(
            client=request.client, source=request.source, destination=request.destination
        ),
        _mode(path),
    ]
    for visit in _visits(path.steps):
        first = visit[0]
        indent = "  " * (first.depth + 1)
        lines.append(f"{indent}{first.family} {first.table} {first.chain}")
        for step in visit:
            lines.append(f"{indent}  {step.rule}")
            lines.append(f"{indent}    -> {step.verdict}")
            if step.translation:
                lines.append(f"{indent}    *** {_translation(step)} ***")
    return "\n".join([*lines, _end(path)])


def to_graph(path: PacketPath) -> networkx.MultiDiGraph:
    """Return the path as a directed graph.

    Parameters
    ----------
    path : PacketPath
        What to turn into a graph.

    Returns
    -------
    networkx.MultiDiGraph
        Its nodes are the client, each chain (``"nat KUBE-SERVICES"``) and the end (the endpoint's address, or the
        outcome), with the attribute ``kind``: ``"client"``, ``"chain"``, ``"end"``. An edge for each time that the
        packet came to the next: its key is the order, its ``step`` the last rule before, None from the client.
    """
    graph = networkx.MultiDiGraph(service=path.request.service, node=path.node, mode=path.mode)
    before, last = path.request.client, None
    graph.add_node(before, kind="client")
    visits = list(_visits(path.steps))
    for number, visit in enumerate(visits):
        chain = f"{visit[0].table} {visit[0].chain}"
        graph.add_node(chain, kind="chain")
        graph.add_edge(before, chain, key=number, step=last)
        before, last = chain, visit[-1]
    end = path.outcome if path.endpoint is None else str(path.endpoint)
    graph.add_node(end, kind="end")
    graph.add_edge(before, end, key=len(visits), step=last)
    return graph


def to_svg(path: PacketPath, *, prefix: str = "labkit-packet") -> str:
    """Return the picture as SVG, 900 pixels wide: real text, and words for those who do not see it.

    Parameters
    ----------
    path : PacketPath
        What to draw.
    prefix : str
        What the picture's ids begin with: several on a page need different ones.
    """
    return svg.write(scene(path), prefix)


def scene(path: PacketPath) -> Scene:
    """Return the picture as shapes."""
    request, room = path.request, WIDTH - 2 * _MARGIN
    y = _MARGIN + LARGE
    said = gettext("{told}.").format(told=_mode(path))
    if path.endpoint is not None and path.mode != "ipvs":
        said += gettext(" Later packets of the connection skip nat: conntrack remembers.")
    heading = (
        Text("title", _MARGIN, y, fit(_title(path), room, LARGE, bold=True), LARGE, bold=True),
        Text("quiet", _MARGIN, y + _LEADING + 4, fit(said, room, MEDIUM), MEDIUM),
    )
    y += _LEADING + 4
    boxes = [_ending(_MARGIN, y + _GAP, request.client, f"{request.source} → {request.destination}", "client")]
    visits = list(_visits(path.steps))
    for visit, following in itertools.zip_longest(visits, visits[1:]):
        idle = _idle(visit) and (following is None or following[0].depth == 0)
        boxes.append((_passed if idle else _chain)(visit, boxes[-1].bottom + _GAP))
    boxes.append(_last(path, boxes[-1].bottom + _GAP))
    height = boxes[-1].bottom + _MARGIN
    groups = [
        Group("page", (Rect("paper", 0, 0, WIDTH, height, 0),)),
        Group("caption", heading),
        *_way(boxes),
        *(group for box in boxes for group in box.groups),
    ]
    return Scene("packet", _title(path), to_text(path), WIDTH, height, tuple(groups))


@dataclass(frozen=True, slots=True)
class _Box:
    """A chain, or an end of the path.

    `entry` is the height at which an arrow from the left comes; `paint` the way's colour from here on, if it changes.
    """

    left: float
    top: float
    bottom: float
    entry: float
    groups: tuple[Group, ...]
    paint: str


def _chain(visit: Sequence[Step], top: float) -> _Box:
    left = _MARGIN + visit[0].depth * _INDENT
    y, texts = _name(visit[0], left, top)
    bars: list[Group] = []
    for step in visit:
        y, lines, bar = _rule(step, left, y + 4)
        texts += lines
        bars += bar
    box = Rect("box", left, top, WIDTH - _MARGIN - left, y + _PADDING + 2 - top)
    paint = "etcd" if visit[-1].verdict in _STOPS else "proxy"
    group = Group("component", (box, *texts), paint, _data(visit[0]), title=visit[0].chain)
    after = "deployment" if any(step.translation == "DNAT" for step in visit) else ""
    return _Box(left, top, top + box.height, top + _PADDING + MEDIUM / 2, (group, *bars), after)


def _passed(visit: Sequence[Step], top: float) -> _Box:
    """Return the one line of a chain that did nothing to the packet."""
    y, texts = _name(visit[0], _MARGIN, top)
    start = _MARGIN + 2 * _PADDING + width(f"{visit[0].table} {visit[0].chain}", MEDIUM, bold=True)
    tried = ", ".join(step.verdict.split()[1] for step in visit if " " in step.verdict)
    said = gettext("no rule matched in {tried}").format(tried=tried) if tried else gettext("no rule decided")
    room = WIDTH - _MARGIN - width(_moment(visit[0]), SMALL) - 3 * _PADDING - start
    texts.append(Text("quiet", start, y, fit(said, room, SMALL), SMALL))
    box = Rect("fold", _MARGIN, top, WIDTH - 2 * _MARGIN, y + _PADDING + 2 - top)
    group = Group("passed", (box, *texts), "ink", _data(visit[0]), title=visit[0].chain)
    return _Box(_MARGIN, top, top + box.height, top, (group,), "")


def _name(step: Step, left: float, top: float) -> tuple[float, list[Shape]]:
    """Return the first line of a chain's box, and where it stands: its name, and when the kernel calls it."""
    y = top + _PADDING + MEDIUM
    moment = _moment(step) if step.depth == 0 else ""
    room = WIDTH - _MARGIN - left - 3 * _PADDING - width(moment, SMALL)
    name = Text(
        "name", left + _PADDING, y, fit(f"{step.table} {step.chain}", room, MEDIUM, bold=True), MEDIUM, bold=True
    )
    return y, [name, Text("quiet", WIDTH - _MARGIN - _PADDING, y, moment, SMALL, "end")] if moment else [name]


def _data(step: Step) -> dict[str, str]:
    return {"table": step.table, "chain": step.chain}


def _rule(step: Step, left: float, y: float) -> tuple[float, list[Shape], list[Group]]:
    """Return where a rule ends, its lines, and the bar of what it rewrote or of its refusal."""
    x, room = left + _PADDING + _ANCHOR, WIDTH - _MARGIN - left - 3 * _PADDING - _ANCHOR
    shapes: list[Shape] = []
    for line in _lines(step.rule, room) if step.rule != step.verdict else ():
        y += _LEADING
        shapes.append(Text("quiet", x, y, line, SMALL))
    y += _LEADING
    if not step.translation and step.verdict not in _STOPS:
        verdict = fit(f"→ {step.verdict}", room, SMALL, bold=True)
        shapes.append(Text("name", x, y, verdict, SMALL, bold=True))
        meaning = _meaning(step)
        start = x + width(verdict, SMALL, bold=True) + 2 * _PADDING
        shapes.append(Text("quiet", start, y, fit(meaning, left + room - start, SMALL), SMALL))
        return y, shapes, []
    said = _translation(step) if step.translation else f"{step.verdict}: {gettext(_STOPS[step.verdict])}"
    paint = "deployment" if step.translation == "DNAT" else "client" if step.translation else "etcd"
    bar = Rect("bar", x, y - _LEADING + GRID, room, _BAR)
    text = Text(
        "number",
        x + GRID,
        bar.y + _BAR / 2 + BASELINE * MEDIUM,
        fit(said, room - 2 * GRID, MEDIUM, bold=True),
        MEDIUM,
        bold=True,
    )
    data = {"translation": step.translation} if step.translation else {"verdict": step.verdict}
    return bar.y + _BAR, shapes, [Group("translation", (bar, text), paint, data, "now")]


def _last(path: PacketPath, top: float) -> _Box:
    if path.endpoint is None:
        return _ending(
            _MARGIN, top, path.outcome, gettext("the client sees: {answer}").format(answer=path.answer), "etcd"
        )
    name = path.endpoint_name or str(path.endpoint)
    return _ending(
        _MARGIN,
        top,
        name,
        gettext("{result}; the client sees: {answer}").format(result=path.result, answer=path.answer),
        "deployment",
    )


def _ending(left: float, top: float, name: str, said: str, paint: str) -> _Box:
    wide = WIDTH - _MARGIN - left
    bottom = top + 2 * _LEADING + 2 * _PADDING
    y = top + _PADDING + MEDIUM
    shapes = (
        Rect("box", left, top, wide, bottom - top, 16),
        Text("name", left + _ANCHOR, y, fit(name, wide - 2 * _ANCHOR, MEDIUM, bold=True), MEDIUM, bold=True),
        Text("quiet", left + _ANCHOR, y + _LEADING, fit(said, wide - 2 * _ANCHOR, SMALL), SMALL),
    )
    return _Box(left, top, bottom, top, (Group("component", shapes, paint, title=name),), "")


def _way(boxes: Sequence[_Box]) -> Iterator[Group]:
    """Return the packet's way, strong and in another colour once it has another destination."""
    paint = "ink"
    for first, second in itertools.pairwise(boxes):
        paint = first.paint or paint
        yield _arrow(first, second, paint)


def _arrow(first: _Box, second: _Box, paint: str) -> Group:
    """Return the packet's way from one box to the next."""
    start = (first.left + _ANCHOR, first.bottom)
    if second.left > first.left:
        x, y = second.left, second.entry
        points: tuple[Point, ...] = (start, (start[0], y), (x, y))
        head: tuple[Point, ...] = ((x, y), (x - _HEAD, y - _HEAD), (x - _HEAD, y + _HEAD))
    else:
        x, y = second.left + _ANCHOR, second.top
        middle = (first.bottom + y) / 2 - 2
        points = (start, (start[0], middle), (x, middle), (x, y))
        head = ((x, y), (x - _HEAD, y - _HEAD), (x + _HEAD, y - _HEAD))
    shapes = (Path("line", (points,)), Path("head", (head,), closed=True))
    return Group("way", shapes, paint, state="" if paint == "ink" else "now")


def _visits(steps: Sequence[Step]) -> Iterator[tuple[Step, ...]]:
    """Return the steps by chain, one group for each time that the packet came to it or back to it."""
    for _, group in itertools.groupby(steps, key=lambda step: (step.table, step.chain, step.depth)):
        yield tuple(group)


def _idle(visit: Sequence[Step]) -> bool:
    """Whether a chain that the kernel calls by itself neither rewrote nor stopped the packet."""
    return visit[0].depth == 0 and not any(step.translation or step.verdict in _STOPS for step in visit)


def _moment(step: Step) -> str:
    hooks = [hook for hook in _MOMENTS if hook in step.chain.lower()]
    return gettext(_MOMENTS[max(hooks, key=len)]) if hooks else ""


def _meaning(step: Step) -> str:
    return next((gettext(words) for pattern, words in _MEANINGS if pattern.search(step.rule)), "")


def _translation(step: Step) -> str:
    after = step.translated_to or gettext("another, unseen")
    if step.translation == "DNAT":
        return gettext("{translation}: the destination {before} becomes {after}").format(
            translation=step.translation, before=step.packet.destination, after=after
        )
    return gettext("{translation}: the source {before} becomes {after}").format(
        translation=step.translation, before=step.packet.source, after=after
    )


def _lines(text: str, room: float) -> list[str]:
    """Return a rule's text on as many lines as it needs, at most three."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and width(longer, SMALL) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    if len(lines) > _RULE_LINES:
        lines[_RULE_LINES - 1 :] = [" ".join(lines[_RULE_LINES - 1 :])]
    return [fit(line, room, SMALL) for line in lines]


def _mode(path: PacketPath) -> str:
    counted = gettext(_COUNTED) if path.mode == "ipvs" else ""
    return gettext("kube-proxy on {node}, {mode} mode{counted}").format(node=path.node, mode=path.mode, counted=counted)


def _title(path: PacketPath) -> str:
    return gettext("A packet to Service {service}: {result}").format(service=path.request.service, result=path.result)


def _end(path: PacketPath) -> str:
    name = f" ({path.endpoint_name})" if path.endpoint_name else ""
    return gettext("{result}{name}; the client sees: {answer}").format(
        result=path.result, name=name, answer=path.answer
    )
