"""Revisions of etcd's keys: a lane per key, a mark for each revision that made, changed or removed it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import yaml

from labkit.evidence.etcd import REGISTRY
from labkit.evidence.model import Json, Revision
from labkit.language import gettext, gettext_noop
from labkit.views import svg
from labkit.views.metrics import fit, width
from labkit.views.scene import BASELINE, GRID, SMALL, Group, Path, Rect, Scene, Text

WIDTH = 900.0  # pixels
HEADINGS = (gettext_noop("revision"), gettext_noop("what"), gettext_noop("key"))
SIGNS: Mapping[str, str] = {
    gettext_noop("created"): "+",
    gettext_noop("changed"): "~",
    gettext_noop("removed"): "\N{MINUS SIGN}",
}
#: Of a table of fields that differ.
CHANGED = (gettext_noop("field"), gettext_noop("\N{MINUS SIGN} before"), gettext_noop("+ after"))

_MARGIN = 8.0
_KEYS = 344.0  # width of the keys' names
_HEAD = 32.0
_LANE = 28.0
_MARK = 20.0
_LEFT = _MARGIN + _KEYS + 24.0  # of the first mark's middle
_RIGHT = WIDTH - 32.0
_WIDEST = 64.0  # between two marks
_MOST_REVISIONS = 24
_MOST_KEYS = 16


def to_svg(revisions: Sequence[Revision], *, prefix: str, chosen: tuple[str, int] | None = None) -> str:
    """Return the picture as SVG, 900 pixels wide.

    Parameters
    ----------
    revisions : sequence of Revision
        In order; of many, the latest are drawn.
    prefix : str
        What the picture's ids begin with: several on a page need different ones.
    chosen : tuple of str and int, optional
        The key and the revision whose mark stands out.
    """
    return svg.write(scene(revisions, chosen), prefix)


def scene(revisions: Sequence[Revision], chosen: tuple[str, int] | None = None) -> Scene:
    """Return the picture as shapes; the parameters are those of `to_svg`."""
    numbers = sorted({each.revision for each in revisions})[-_MOST_REVISIONS:]
    latest = [each for each in revisions if numbers and each.revision >= numbers[0]]
    lanes = _lanes(latest)
    latest = [each for each in latest if each.key in lanes]
    pitch = min(_WIDEST, (_RIGHT - _LEFT) / max(1, len(numbers) - 1))
    places = {number: _LEFT + at * pitch for at, number in enumerate(numbers)}
    height = 2 * _MARGIN + _HEAD + max(1, len(lanes)) * _LANE
    groups = [Group("page", (Rect("paper", 0, 0, WIDTH, height, 0),)), *_numbers(places)]
    for key, y in lanes.items():
        own = [each for each in latest if each.key == key]
        groups += [_lane(key, own, places, y, bold=chosen is not None and chosen[0] == key)]
        groups += [_mark(each, places[each.revision], y, chosen) for each in own]
    if not lanes:
        groups.append(Group("caption", (Text("quiet", _MARGIN, _MARGIN + _HEAD, gettext("Nothing was written.")),)))
    return Scene("revisions", gettext("Revisions of keys in etcd"), _words(latest), WIDTH, height, tuple(groups))


def rows(revisions: Sequence[Revision]) -> list[tuple[str, ...]]:
    """Return a row of text per revision, under `HEADINGS`."""
    return [(str(each.revision), told(each), short(each.key)) for each in revisions]


def told(revision: Revision) -> str:
    """Return what a revision did as sign and word, which no line break parts."""
    return f"{SIGNS[revision.what]}\N{NO-BREAK SPACE}{gettext(revision.what)}"


def short(key: str) -> str:
    """Return a key without what all of Kubernetes' begin with."""
    return key.removeprefix(REGISTRY)


def value_text(value: Json | None) -> str:
    """Return a value as YAML, without managedFields, which are longer than all the rest."""
    if value is None:
        return gettext("No object of Kubernetes: the value is not JSON.\n")
    metadata = value.get("metadata")
    if isinstance(metadata, Mapping):
        value = {**value, "metadata": {key: item for key, item in metadata.items() if key != "managedFields"}}
    text: str = yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True)
    return text


def _lanes(revisions: Sequence[Revision]) -> dict[str, float]:
    """Return where each key's lane is: in order of their first mark, those that were written last if there are many."""
    by_last = {each.key: each.revision for each in revisions}
    kept = set(sorted(by_last, key=lambda key: by_last[key])[-_MOST_KEYS:])
    shown = dict.fromkeys(each.key for each in revisions if each.key in kept)
    return {key: _MARGIN + _HEAD + (at + 0.5) * _LANE for at, key in enumerate(shown)}


def _numbers(places: Mapping[int, float]) -> Iterator[Group]:
    """Yield the revisions' numbers over their marks, those that have room."""
    y = _MARGIN + _HEAD / 2
    yield Group("axis", (Text("quiet", _MARGIN, y + BASELINE * SMALL, gettext("key"), SMALL),))
    free = WIDTH
    for number, x in reversed(list(places.items())):
        half = width(str(number), SMALL) / 2
        if x + half <= free:
            yield Group("axis", (Text("quiet", x, y + BASELINE * SMALL, str(number), SMALL, "middle"),))
            free = x - half - GRID


def _lane(key: str, own: Sequence[Revision], places: Mapping[int, float], y: float, *, bold: bool) -> Group:
    """Return a key's name, and a line for as long as it is there."""
    name = fit(short(key), _KEYS - GRID, SMALL, bold=bold)
    text = Text("name", _MARGIN, y + BASELINE * SMALL, name, SMALL, bold=bold)
    pieces = []
    start = None if own[0].what == "created" else _MARGIN + _KEYS
    for each in own:
        if each.removed and start is not None:
            pieces.append(((start, y), (places[each.revision], y)))
            start = None
        elif start is None and not each.removed:
            start = places[each.revision]
    if start is not None:
        pieces.append(((start, y), (WIDTH - _MARGIN, y)))
    return Group("lane", (text, Path("line", tuple(pieces))), "etcd", title=short(key))


def _mark(revision: Revision, x: float, y: float, chosen: tuple[str, int] | None) -> Group:
    now = chosen == (revision.key, revision.revision)
    circle = Rect("mark", x - _MARK / 2, y - _MARK / 2, _MARK, _MARK, _MARK / 2)
    sign = Text("number", x, y + BASELINE * SMALL, SIGNS[revision.what], SMALL, "middle", bold=True)
    return Group(
        "revision",
        (circle, sign),
        "etcd",
        {"revision": str(revision.revision)},
        "now" if now else "",
        gettext("revision {number}: {what} {key}").format(
            number=revision.revision, what=gettext(revision.what), key=short(revision.key)
        ),
    )


def _words(revisions: Sequence[Revision]) -> str:
    """Return the picture in words."""
    told = (
        gettext("Revision {number}: {what} {key}.").format(
            number=each.revision, what=gettext(each.what), key=short(each.key)
        )
        for each in revisions
    )
    return " ".join(told) or gettext("Nothing was written.")
