"""Who signed whom: each authority at the top of its tree, below it what its key signed, an arrow to each.

A full line is around a certificate that is valid, a broken one around what has expired; the words say it, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from labkit.language import gettext
from labkit.views.metrics import fit
from labkit.views.scene import BASELINE, SMALL, Group, Path, Rect, Scene, Shape, Text

_COLUMNS, _BOX, _BETWEEN, _MARGIN = 3, 296.0, 16.0, 16.0
_INDENT = 32.0  # of what was signed, below who signed it
_HEAD, _HIGH, _PITCH, _GAP = 40.0, 64.0, 72.0, 16.0
_ARROW = 8.0
_LINE = 18.0
_PAINTS = {"server": "scheduler", "client": "client"}


@dataclass(frozen=True, slots=True)
class Item:
    """A certificate as it is to be shown.

    Attributes
    ----------
    name, signer : str
        Its own, and that of who signed it: its own, where it signed itself.
    kind : str
        ``"authority"``, ``"server"``, ``"client"``, or several.
    who : str
        Whom it names.
    told : str
        What it is, for how long: ``"client · 364 days left"``.
    expired : bool
        Whether it is too late.
    use : str
        Which connection uses it.
    """

    name: str
    signer: str
    kind: str
    who: str
    told: str
    expired: bool
    use: str


def scene(title: str, items: Sequence[Item]) -> Scene:
    """Return the picture as shapes.

    Parameters
    ----------
    title : str
        Whose certificates they are.
    items : sequence of Item
        All of them, in any order.
    """
    names = {item.name for item in items}
    signed: dict[str, list[Item]] = {}
    for item in items:
        unsigned = item.signer == item.name or item.signer not in names
        signed.setdefault("" if unsigned else item.signer, []).append(item)
    top = _MARGIN + _HEAD
    lows = [top] * _COLUMNS
    groups: list[Group] = []
    # The largest tree first, each where there is most room: so the picture is no higher than it must be.
    for root in sorted(signed.get("", ()), key=lambda item: -len(signed.get(item.name, ()))):
        column = lows.index(min(lows))
        x = _MARGIN + column * (_BOX + _BETWEEN)
        groups += _tree(root, signed, x, lows[column])
        lows[column] += (1 + len(signed.get(root.name, ()))) * _PITCH + _GAP
    wide = 2 * _MARGIN + _COLUMNS * _BOX + (_COLUMNS - 1) * _BETWEEN
    high = max(lows) - _GAP + _MARGIN
    heading = gettext("Who signed whom: the certificates of {title}").format(title=title)
    caption = Group("caption", (Text("quiet", _MARGIN, _MARGIN + 20, fit(heading, wide - 2 * _MARGIN, SMALL), SMALL),))
    page = Group("page", (Rect("paper", 0, 0, wide, high, 0),))
    return Scene("certificates", heading, _words(items), wide, high, (page, caption, *groups))


def _tree(root: Item, signed: Mapping[str, Sequence[Item]], x: float, y: float) -> Iterator[Group]:
    """Yield an authority with what it signed below it."""
    children = signed.get(root.name, ())
    for row, child in enumerate(children, 1):
        top = y + row * _PITCH
        yield _arrow(x + _INDENT / 2, y + _HIGH, x + _INDENT, top + _HIGH / 2)
        yield _box(child, x + _INDENT, top, _BOX - _INDENT)
    yield _box(root, x, y, _BOX)


def _arrow(x: float, y: float, right: float, low: float) -> Group:
    line = ((x, y), (x, low), (right - _ARROW, low))
    head = ((right, low), (right - _ARROW, low - 5), (right - _ARROW, low + 5))
    return Group("reference", (Path("line", (line,)), Path("head", (head,), closed=True)), "quiet")


def _box(item: Item, x: float, y: float, wide: float) -> Group:
    corners = ((x, y), (x + wide, y), (x + wide, y + _HIGH), (x, y + _HIGH), (x, y))
    outline: Shape = Path("line", (corners,), dashed=True) if item.expired else Rect("box", x, y, wide, _HIGH)
    lines = (("name", item.name), ("quiet", item.who), ("quiet", item.told))
    texts = (
        Text(
            "name" if role == "name" else "quiet",
            x + 12,
            y + 14 + row * _LINE + BASELINE * SMALL,
            fit(text, wide - 24, SMALL, bold=role == "name"),
            SMALL,
            bold=role == "name",
        )
        for row, (role, text) in enumerate(lines)
    )
    paint = "ink" if item.kind == "authority" else _PAINTS.get(item.kind, "runtime")
    data = {"name": item.name, "signer": item.signer}
    return Group("component", (outline, *texts), paint, data, title=f"{item.name}, {item.who}: {item.told}. {item.use}")


def _signer(item: Item) -> str:
    return gettext("itself") if item.signer == item.name else item.signer


def _words(items: Sequence[Item]) -> str:
    """Return the picture in words."""
    return " ".join(
        gettext("{name} ({who}), signed by {signer}: {told}; {use}.").format(
            name=item.name, who=item.who, signer=_signer(item), told=item.told, use=item.use
        )
        for item in items
    )
