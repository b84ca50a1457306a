"""How kube-proxy is on every node: as a picture, from the ConfigMap to each kernel, and as a table.

A mode has the same colour everywhere, and its name in it. What is not there, or not yet, is drawn with a broken line.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

from labkit.language import gettext, gettext_noop
from labkit.proxy.state import NodeState, ProxyState
from labkit.views import svg
from labkit.views.metrics import fit
from labkit.views.scene import BASELINE, GRID, MEDIUM, SMALL, Group, Path, Rect, Scene, Shape, Text

WIDTH = 900.0  # pixels
HEADINGS = (
    gettext_noop("Node"),
    gettext_noop("kube-proxy pod"),
    gettext_noop("Its log says"),
    gettext_noop("The kernel has"),
)

_MARGIN = 16.0
_LEADING = 18.0
_ROW = 80.0  # from a node to the next
_MAP = 200.0  # width of the ConfigMap
_NODE = 288.0  # where nodes begin
_POD = _NODE + 120.0
_POD_WIDTH = 208.0
_KERNEL = _POD + _POD_WIDTH + 40.0
_BAR = 24.0
_HEAD = 5.0
_PAINTS = {"iptables": "client", "nftables": "scheduler", "ipvs": "runtime"}


def to_svg(state: ProxyState, *, prefix: str = "labkit-proxy") -> str:
    """Return the picture as SVG, 900 pixels wide.

    Parameters
    ----------
    state : ProxyState
        What to draw.
    prefix : str
        What the picture's ids begin with: several on a page need different ones.
    """
    return svg.write(scene(state), prefix)


def scene(state: ProxyState) -> Scene:
    """Return the picture as shapes."""
    height = max(1, len(state.nodes)) * _ROW + 2 * _MARGIN - GRID
    groups: list[Group] = [Group("page", (Rect("paper", 0, 0, WIDTH, height, 0),))]
    middle = height / 2
    for at, node in enumerate(state.nodes):
        y = _MARGIN + at * _ROW
        groups += [_watch(middle, y + (_ROW - GRID) / 2), *_node(node, y)]
    groups += _config_map(state, middle)
    words = "\n".join(
        [
            gettext("ConfigMap: mode {mode}").format(mode=state.mode or gettext("not known")),
            *map("; ".join, rows(state)),
        ]
    )
    return Scene(
        "proxy", gettext("kube-proxy's mode, and what every node has of it"), words, WIDTH, height, tuple(groups)
    )


def rows(state: ProxyState) -> list[tuple[str, ...]]:
    """Return a row of text per node, for `HEADINGS`."""
    return [(each.node, _pod(each), each.line, each.trouble or kernel(each)) for each in state.nodes]


def kernel(node: NodeState) -> str:
    """Return what a node's kernel has, in words: ``"nftables, 38 rules"``."""
    if not node.modes:
        return gettext("no rules of kube-proxy")
    return gettext("{modes}, {count:,} rules").format(modes=gettext(" and ").join(node.modes), count=node.count)


def to_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of text, as `rows` gives them, as a table of HTML; all text is escaped."""
    head = "".join(f'<th scope="col">{html.escape(gettext(title))}</th>' for title in HEADINGS)
    body = "".join(
        f'<tr><th scope="row">{html.escape(row[0])}</th>'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _config_map(state: ProxyState, middle: float) -> Iterator[Group]:
    top = middle - 36
    box = Rect("box", _MARGIN, top, _MAP, 72)
    name = Text("name", _MARGIN + GRID, top + 2.5 * GRID, gettext("ConfigMap kube-proxy"), SMALL, bold=True)
    yield Group("component", (box, name), "ink", title=gettext("kube-system/kube-proxy, key config.conf"))
    yield _bar(
        _MARGIN + GRID,
        top + 40,
        _MAP - 2 * GRID,
        gettext("mode: {mode}").format(mode=state.mode or gettext("not known")),
        state.mode or "",
    )


def _node(node: NodeState, top: float) -> Iterator[Group]:
    height = _ROW - GRID
    frame = Rect("frame", _NODE, top, WIDTH - _MARGIN - _NODE, height, 8)
    shown = fit(node.node, 96, MEDIUM, bold=True)
    name = Text("name", _NODE + 12, top + height / 2 + BASELINE * MEDIUM, shown, MEDIUM, bold=True)
    yield Group("frame", (frame, name), data={"node": node.node}, title=node.node)
    yield _pod_box(node, top + GRID, height - 2 * GRID)
    wide = WIDTH - _MARGIN - _KERNEL - GRID
    y = top + GRID + _LEADING - 4
    said = Text("quiet", _KERNEL, y, fit(gettext("the node's kernel has"), wide, SMALL), SMALL)
    yield Group("caption", (said,))
    yield _write(node, top + height / 2)
    if node.trouble or not node.modes:
        text = node.trouble or gettext("no rules of kube-proxy")
        yield _hollow(_KERNEL, y + GRID, wide, _BAR, text)
        return
    each = wide / len(node.modes)
    for at, mode in enumerate(node.modes):
        text = kernel(node) if len(node.modes) == 1 else mode
        yield _bar(_KERNEL + at * each, y + GRID, each - (4 if at + 1 < len(node.modes) else 0), text, mode)


def _pod_box(node: NodeState, top: float, height: float) -> Group:
    room = _POD_WIDTH - 2 * GRID
    lines = (fit(node.pod or gettext("no pod"), room, SMALL, bold=True), fit(_condition(node), room, SMALL))
    x, y = _POD + GRID, top + _LEADING + 2
    texts = (Text("name", x, y, lines[0], SMALL, bold=True), Text("quiet", x, y + _LEADING, lines[1], SMALL))
    shape: Shape = Rect("box", _POD, top, _POD_WIDTH, height)
    if not node.running:
        shape = _outline(_POD, top, _POD_WIDTH, height)
    return Group("component", (shape, *texts), "proxy" if node.running else "faint", title=f"{_pod(node)} {node.line}")


def _watch(middle: float, y: float) -> Group:
    """Return the line from the ConfigMap to a node: kube-proxy reads it when it starts."""
    turn = _NODE - 32
    line = ((_MARGIN + _MAP, middle), (turn, middle), (turn, y), (_NODE, y))
    return Group("way", (Path("line", (line,)),), "faint")


def _write(node: NodeState, y: float) -> Group:
    """Return the arrow from a pod to its kernel."""
    start, end = _POD + _POD_WIDTH, _KERNEL - 4
    head = ((end, y), (end - _HEAD, y - _HEAD), (end - _HEAD, y + _HEAD))
    line = Path("line", (((start, y), (end, y)),), dashed=not node.running)
    return Group("way", (line, Path("head", (head,), closed=True)), "proxy" if node.running else "faint")


def _bar(x: float, y: float, wide: float, text: str, mode: str) -> Group:
    shown = fit(text, wide - 2 * GRID, SMALL, bold=True)
    words = Text("number", x + GRID, y + _BAR / 2 + BASELINE * SMALL, shown, SMALL, bold=True)
    paint = _PAINTS.get(mode, "controller")
    return Group("mode", (Rect("bar", x, y, wide, _BAR), words), paint, {"mode": mode}, "now", title=text)


def _hollow(x: float, y: float, wide: float, high: float, text: str) -> Group:
    words = Text("quiet", x + GRID, y + high / 2 + BASELINE * SMALL, fit(text, wide - 2 * GRID, SMALL), SMALL)
    return Group("mode", (_outline(x, y, wide, high), words), "faint", {"mode": ""}, title=text)


def _outline(x: float, y: float, wide: float, high: float) -> Path:
    corners = ((x, y), (x + wide, y), (x + wide, y + high), (x, y + high), (x, y))
    return Path("line", (corners,), dashed=True)


def _pod(node: NodeState) -> str:
    if not node.pod:
        return gettext("none")
    return f"{node.pod} {_runs(node)}"


def _runs(node: NodeState) -> str:
    return gettext("runs") if node.running else gettext("does not run yet")


def _condition(node: NodeState) -> str:
    if not node.pod:
        return gettext("the DaemonSet makes one")
    return node.line or _runs(node) if node.running else _runs(node)
