"""How a node finds a Service's endpoint, as a picture: one column per mode of kube-proxy.

In each column a packet for the Service comes from the top. The first list is where the kernel looks for the Service,
the second where it chooses an endpoint. A line leads to all that it reads: in iptables mode to rule after rule from the
top, in the other modes to the one entry that it looks up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from labkit.language import gettext, gettext_noop, ngettext
from labkit.proxy.side_by_side import Choice, Entry, ModeComparison, ServiceInMode
from labkit.views import svg
from labkit.views.metrics import fit, width, wrap
from labkit.views.scene import BASELINE, GRID, LARGE, MEDIUM, SMALL, Group, Path, Point, Rect, Role, Scene, Shape, Text

WIDTH = 900.0  # pixels

_MARGIN = 24.0
_GAP = 24.0  # between columns
_LEADING = 18.0
_ROW = 24.0
_RAIL = 24.0  # between a column's left edge and its rows: the packet's way
_HEAD = 4.0
_NOTE = 64.0  # a note for which there is less room says nothing
_SHOWN = 9  # rows of a list; a longer one is folded
_PLACES = {
    "iptables": (gettext_noop("chain KUBE-SERVICES"), gettext_noop("read from the top, rule by rule")),
    "nftables": (gettext_noop("map service-ips"), gettext_noop("looked up by address: one step")),
    "ipvs": (gettext_noop("the kernel's virtual servers"), gettext_noop("looked up by address: one step")),
}


def to_svg(comparison: ModeComparison, *, prefix: str = "labkit-lookup") -> str:
    """Return the picture as SVG, 900 pixels wide.

    Parameters
    ----------
    comparison : ModeComparison
        What to draw; at least one mode was seen.
    prefix : str
        What the picture's ids begin with: several on a page need different ones.
    """
    return svg.write(scene(comparison), prefix)


def scene(comparison: ModeComparison) -> Scene:
    """Return the picture as shapes."""
    count = len(comparison.seen)
    wide = (WIDTH - 2 * _MARGIN - (count - 1) * _GAP) / count
    title = gettext("How a packet for Service {service} finds its endpoint").format(service=comparison.service)
    y = _MARGIN + LARGE
    heading = Text("title", _MARGIN, y, fit(title, WIDTH - 2 * _MARGIN, LARGE, bold=True), LARGE, bold=True)
    groups = [Group("caption", (heading,), title=title)]
    columns = [_Column(_MARGIN + at * (wide + _GAP), y + GRID, wide, seen) for at, seen in enumerate(comparison.seen)]
    for column in columns:
        groups += column.draw()
    height = max(column.y for column in columns) + _MARGIN
    paper = Group("page", (Rect("paper", 0, 0, WIDTH, height, 0),))
    words = "\n".join(f"{seen.mode}: {cost(seen)}" for seen in comparison.seen)
    return Scene("lookup", title, words, WIDTH, height, (paper, *groups))


def cost(seen: ServiceInMode) -> str:
    """Return in words what a kernel reads until it has an endpoint."""
    if seen.position is None:
        return gettext("no endpoint, nothing to find")
    ends = len(seen.choices)
    if seen.mode == "iptables":
        more = "1" if ends == 1 else gettext("1 to {ends}").format(ends=ends)
        return gettext("{rules} to find the Service, {more} to choose").format(rules=_rules(seen.position), more=more)
    if seen.mode == "nftables":
        return gettext("1 look-up to find the Service, 1 to choose")
    return gettext("1 look-up to find the Service, the scheduler chooses")


def growth(seen: ServiceInMode) -> str:
    """Return in words what a kernel would read more if there were 1,000 Services more."""
    return gettext("up to 1,000 rules more") if seen.mode == "iptables" else gettext("the same")


def _rules(count: int) -> str:
    return ngettext("{count:,} rule", "{count:,} rules", count).format(count=count)


@dataclass(slots=True)
class _Row:
    """One row of a list.

    `read` is how it is marked where the kernel reads it; `taken` says that the way goes on from here.
    """

    text: str
    note: str = ""
    read: str = ""
    taken: bool = False
    title: str = ""


class _Column:
    """One mode; `draw` sets `y` to where it ends."""

    def __init__(self, left: float, top: float, wide: float, seen: ServiceInMode) -> None:
        self.left, self.y, self.wide, self.seen = left, top, wide, seen
        self._groups: list[Group] = []

    def draw(self) -> list[Group]:
        """Return the column."""
        seen = self.seen
        self._say(seen.mode, MEDIUM, bold=True)
        self._say(seen.source, SMALL)
        self.y += GRID
        self._box(
            gettext("a packet to {address}:{port}").format(address=seen.port.cluster_ip, port=seen.port.port), "client"
        )
        walks = seen.mode == "iptables"
        place, how = _PLACES[seen.mode]
        self._list(gettext(place), gettext(how), _entries(seen, walks=walks), walks=walks)
        if seen.choices:
            self._list(*_choosing(seen), _choices(seen.choices, walks=walks), walks=walks)
            self._box(gettext("a packet to {address}").format(address=seen.choices[-1].endpoint), "deployment")
        else:
            self._box(gettext("turned away") if seen.port.refusals else gettext("no endpoint"), "etcd")
        self.y += GRID
        self._say(cost(seen), SMALL, bold=True)
        self._say(gettext("with 1,000 Services more: {growth}").format(growth=growth(seen)), SMALL)
        return self._groups

    def _say(self, text: str, size: float, indent: float = 0, *, bold: bool = False) -> None:
        role: Role = "name" if bold else "quiet"
        lines = []
        for line in wrap(text, self.wide - indent, size, bold=bold):
            self.y += _LEADING
            lines.append(Text(role, self.left + indent, self.y, line, size, bold=bold))
        self._groups.append(Group("caption", tuple(lines), title=text))

    def _box(self, text: str, paint: str) -> None:
        top = self.y
        bar = Rect("bar", self.left, top, self.wide, _ROW, 12)
        shown = fit(text, self.wide - 3 * GRID, SMALL, bold=True)
        words = Text("number", self.left + 1.5 * GRID, top + _ROW / 2 + BASELINE * SMALL, shown, SMALL, bold=True)
        self._groups.append(Group("end", (bar, words), paint, state="now", title=text))
        self.y = top + _ROW

    def _list(self, place: str, how: str, rows: Sequence[_Row], *, walks: bool) -> None:
        start = self.y
        self.y += GRID
        self._say(place, SMALL, _RAIL, bold=True)
        self._say(how, SMALL, _RAIL)
        self.y += GRID
        stops: list[float] = []
        for row in rows:
            if row.taken or (walks and row.read):
                stops.append(self.y + _ROW / 2)
            self._groups.append(self._row(row))
            self.y += _ROW
        self.y += GRID
        if stops:
            self._groups += _way(self.left + GRID, self.left + _RAIL, start, stops, self.y)

    def _row(self, row: _Row) -> Group:
        left, wide = self.left + _RAIL, self.wide - _RAIL
        middle = self.y + _ROW / 2 + BASELINE * SMALL
        box = Rect("box" if row.taken else "fold", left, self.y + 2, wide, _ROW - 4)
        room = wide - 2 * GRID
        mark = f"{row.read}" if row.read else ""
        right = width(mark, SMALL) + GRID if mark else 0
        text = fit(row.text, room - right, SMALL, bold=row.taken)
        shapes: list[Shape] = [
            box,
            Text("name" if row.read else "quiet", left + GRID, middle, text, SMALL, bold=row.taken),
        ]
        rest = room - right - width(text, SMALL, bold=row.taken) - GRID
        if row.note and rest > _NOTE:
            after = left + GRID + width(text, SMALL, bold=row.taken) + GRID
            shapes.append(Text("quiet", after, middle, fit(row.note, rest, SMALL), SMALL))
        if mark:
            shapes.append(Text("quiet", left + wide - GRID, middle, mark, SMALL, "end"))
        data = {"read": row.read, "taken": "true" if row.taken else "false"}
        return Group("entry", tuple(shapes), "proxy" if row.taken else "faint", data, title=row.title)


def _way(rail: float, into: float, start: float, stops: Sequence[float], end: float) -> Iterator[Group]:
    """Return the packet's way: to every row that is read, and past all others."""
    pieces: list[tuple[Point, ...]] = [((rail, start), (rail, stops[-1]))]
    pieces += [((rail, y), (into, y)) for y in stops]
    heads = tuple(((into, y), (into - 1.5 * _HEAD, y - _HEAD), (into - 1.5 * _HEAD, y + _HEAD)) for y in stops)
    yield Group("way", (Path("line", tuple(pieces)), Path("head", heads, closed=True)), "proxy", state="now")
    yield Group("past", (Path("line", (((rail, stops[-1]), (rail, end)),), dashed=True),), "proxy")


def _entries(seen: ServiceInMode, *, walks: bool) -> list[_Row]:
    position = seen.position
    rows = []
    for at, entry in enumerate(seen.entries, 1):
        here = at == position
        read = ""
        if here:
            read = gettext("{at}: yes").format(at=at) if walks else gettext("found")
        elif walks and position is not None and at < position:
            read = gettext("{at}: no").format(at=at)
        rows.append(_Row(entry.address or entry.name, _note(entry), read, taken=here, title=entry.rule))
    return _folded(rows, walks=walks)


def _note(entry: Entry) -> str:
    return entry.name if entry.address else ""


def _folded(rows: list[_Row], *, walks: bool) -> list[_Row]:
    """Return a long list with its beginning, what is around the row that is taken, and its end."""
    if len(rows) <= _SHOWN:
        return rows
    taken = next((at for at, row in enumerate(rows) if row.taken), 0)
    wanted = sorted({0, 1, *range(max(taken - 1, 0), min(taken + 2, len(rows))), len(rows) - 1})
    shown: list[_Row] = []
    last = -1
    for at in wanted:
        if at - last > 1:
            between = rows[last + 1 : at]
            read = gettext("all: no") if walks and between[0].read else ""
            shown.append(_Row(gettext("… {count:,} more").format(count=len(between)), read=read))
        shown.append(rows[at])
        last = at
    return shown


def _choosing(seen: ServiceInMode) -> tuple[str, str]:
    if seen.mode == "iptables":
        return gettext("its own chain KUBE-SVC-…"), gettext("a chance per rule, tried in turn")
    if seen.mode == "nftables":
        return gettext("its own map"), gettext("one random number below {count}: one step").format(
            count=len(seen.choices)
        )
    return gettext("its real servers"), gettext("scheduler {scheduler}: one step").format(
        scheduler=seen.scheduler or gettext("of the kernel")
    )


def _choices(choices: Sequence[Choice], *, walks: bool) -> list[_Row]:
    rows = []
    for at, choice in enumerate(choices):
        last = at == len(choices) - 1
        read = (gettext("yes") if last else gettext("no")) if walks else (gettext("this time") if last else "")
        rows.append(_Row(f"{choice.condition} → {choice.endpoint}", "", read, taken=last, title=choice.rule))
    return _folded(rows, walks=walks)
