"""A node with its parts, and in each part the checks of a host's preparation that protect it.

A full line around a part: its checks are met, or nothing needs them. A broken line: one is not met. Each check also
says so in a word. A check that is lit has its part in full colour, and says why below.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from labkit.language import gettext, gettext_noop
from labkit.views import svg
from labkit.views.metrics import fit, wrap
from labkit.views.scene import BASELINE, MEDIUM, SMALL, Group, Path, Point, Rect, Scene, Shape, State, Text

_MARGIN, _INSET, _COLUMN, _GAP = 8.0, 16.0, 288.0, 56.0
_TITLE, _HEAD, _PITCH, _FOOT, _LINE = 48.0, 40.0, 24.0, 8.0, 20.0
_OUTSIDE = 40.0  # below the node, for what its network card leads to
_STATUS = {
    gettext_noop("met"): 32.0,
    gettext_noop("unmet"): 56.0,
    gettext_noop("unknown"): 72.0,
    gettext_noop("not needed"): 88.0,
}  # how wide each word is
_SIGNS = {"met": "✓", "unmet": "✗", "unknown": "?", "not needed": "·"}


@dataclass(frozen=True, slots=True)
class CheckSeen:
    """A check as it is to be shown.

    Attributes
    ----------
    name, part, status, why : str
        As `labkit.cluster.preflight` has them.
    """

    name: str
    part: str
    status: str
    why: str


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    title: str
    paint: str
    column: int
    row: int


_PARTS = (
    _Part("kubelet", "kubelet", "kubelet", 0, 0),
    _Part("runtime", gettext_noop("container runtime"), "runtime", 1, 0),
    _Part("pods", gettext_noop("pods"), "client", 2, 0),  # has no checks of its own: all the rest is for these
    _Part("clock", gettext_noop("clock"), "controller", 0, 1),
    _Part("proxy", "kube-proxy", "proxy", 1, 1),
    _Part("pod network", gettext_noop("pod network: bridge, routes"), "ink", 2, 1),
    _Part("name", gettext_noop("name and address"), "controller", 0, 2),
    _Part("card", gettext_noop("network card"), "ink", 2, 2),
)
#: Who has to do with whom: from, to, and what.
_LINES = (
    ("kubelet", "runtime", gettext_noop("asks")),
    ("runtime", "pods", gettext_noop("starts")),
    ("proxy", "pod network", gettext_noop("rules")),
    ("pods", "pod network", ""),
    ("pod network", "card", ""),
)
Places = dict[str, tuple[float, float, float]]  # left, top and height of each part


def to_svg(where: str, checks: Sequence[CheckSeen], *, lit: str = "", prefix: str) -> str:
    """Return the picture as SVG.

    Parameters
    ----------
    where : str
        Which machine it is.
    checks : sequence of CheckSeen
        All of them.
    lit : str
        The name of the one to point at; empty for none.
    prefix : str
        What the picture's ids begin with: several on a page need different ones.
    """
    return svg.write(scene(where, checks, lit=lit), prefix)


def scene(where: str, checks: Sequence[CheckSeen], *, lit: str = "") -> Scene:
    """Return the picture as shapes; the parameters are those of `to_svg`."""
    places, low = _places(checks)
    width = 2 * _MARGIN + 2 * _INSET + 3 * _COLUMN + 2 * _GAP
    shown = next((check for check in checks if check.name == lit), None)
    told = wrap(f"{shown.name}: {shown.why}", width - 2 * _MARGIN, SMALL) if shown else ()
    height = low + _OUTSIDE + _MARGIN + len(told) * _LINE
    own = {part.name: [check for check in checks if check.part == part.name] for part in _PARTS}
    title = fit(where, width - 2 * _INSET, MEDIUM, bold=True)
    frame = Rect("frame", _MARGIN, _MARGIN, width - 2 * _MARGIN, low - _MARGIN, 8)
    groups = [
        Group("page", (Rect("paper", 0, 0, width, height, 0),)),
        Group("frame", (frame, Text("name", _MARGIN + _INSET, _MARGIN + 28, title, MEDIUM, bold=True))),
        *_connections(places, low),
        *(_part(part, own[part.name], places[part.name], shown) for part in _PARTS),
    ]
    lines = tuple(Text("name", _MARGIN, low + _OUTSIDE + (at + 0.7) * _LINE, line) for at, line in enumerate(told))
    if lines:
        groups.append(Group("note", lines))
    words = "\n".join(f"{check.name} ({check.part}): {gettext(check.status)}. {check.why}." for check in checks)
    return Scene(
        "preparation",
        gettext("What each check of {where} protects").format(where=where),
        words,
        width,
        height,
        tuple(groups),
    )


def _places(checks: Sequence[CheckSeen]) -> tuple[Places, float]:
    """Return where each part is, and where the node ends below."""
    places: Places = {}
    top = _MARGIN + _TITLE
    for row in range(3):
        own = [part for part in _PARTS if part.row == row]
        most = max(sum(check.part == part.name for check in checks) for part in own)
        high = _HEAD + most * _PITCH + _FOOT
        for part in own:
            places[part.name] = (_MARGIN + _INSET + part.column * (_COLUMN + _GAP), top, high)
        top += high + 32
    return places, top - 8


def _connections(places: Places, low: float) -> Iterator[Group]:
    for source, target, what in _LINES:
        (x, y, high), (to_x, to_y, _) = places[source], places[target]
        if x == to_x:
            middle = x + _COLUMN / 2
            yield Group("link", (Path("line", (((middle, y + high), (middle, to_y)),)),), "quiet")
            continue
        level = y + 24
        head: tuple[Point, ...] = ((to_x, level), (to_x - 8, level - 4), (to_x - 8, level + 4))
        line = Path("line", (((x + _COLUMN, level), (to_x, level)),))
        label = Text("quiet", (x + _COLUMN + to_x) / 2, level - 6, gettext(what), SMALL, "middle")
        yield Group("link", (line, Path("head", (head,), closed=True), label), "quiet")
    x, y, high = places["card"]
    middle = x + _COLUMN / 2
    outside = Text("quiet", middle - 12, low + 24, gettext("API server, other nodes"), SMALL, "end")
    yield Group("link", (Path("line", (((middle, y + high), (middle, low + 32)),)), outside), "quiet")


def _part(part: _Part, own: Sequence[CheckSeen], place: tuple[float, float, float], lit: CheckSeen | None) -> Group:
    x, y, high = place
    right, bottom = x + _COLUMN, y + high
    whole = all(check.status != "unmet" for check in own)
    border = ((x, y), (right, y), (right, bottom), (x, bottom), (x, y))
    shapes: list[Shape] = [Rect("box", x, y, _COLUMN, high, 8)] if whole else [Path("line", (border,), dashed=True)]
    shapes.append(
        Text("name", x + 12, y + 26, fit(gettext(part.title), _COLUMN - 24, SMALL, bold=True), SMALL, bold=True)
    )
    for index, check in enumerate(own):
        level = y + _HEAD + (index + 0.5) * _PITCH + BASELINE * SMALL
        shapes += _line(check, x + 12, right - 12, level, chosen=check is lit)
    state: State = "" if lit is None else "now" if lit.part == part.name else "past"
    data = {"part": part.name, **({"lit": lit.name} if lit and state == "now" else {})}
    return Group(
        "component",
        tuple(shapes),
        part.paint,
        data,
        state,
        gettext("{part}: what the checks here protect").format(part=gettext(part.title)),
    )


def _line(check: CheckSeen, x: float, right: float, y: float, *, chosen: bool) -> tuple[Text, Text]:
    room = right - x - _STATUS[check.status] - 8
    said = fit(f"{_SIGNS[check.status]} {check.name}", room, SMALL, bold=chosen)
    unmet = check.status == "unmet"
    status = Text("name" if unmet else "quiet", right, y, gettext(check.status), SMALL, "end", unmet)
    return Text("name", x, y, said, SMALL, bold=chosen), status
