"""A score: a tile for each task, with how it stands, and the same as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labkit.language import gettext, gettext_noop, ngettext
from labkit.views import grid, svg
from labkit.views.metrics import fit
from labkit.views.scene import LARGE, MEDIUM, SMALL, Group, Rect, Scene, Text

HEADINGS = (gettext_noop("task"), gettext_noop("state"), gettext_noop("attempts"))
_STATES = {
    True: ("✔", gettext_noop("right")),
    False: ("✘", gettext_noop("not yet")),
    None: ("…", gettext_noop("no answer")),
}
_PAINTS = {True: "scheduler", False: "etcd", None: "faint"}

_MARGIN, _GAP = 16.0, 16.0
_TILE = (208.0, 72.0)
_HEAD = 48.0
_COLUMNS = 4


@dataclass(frozen=True, slots=True)
class Task:
    """A task as it stands.

    Attributes
    ----------
    title : str
        What it is called.
    right : bool or None
        None where no answer was checked yet.
    attempts : int
        How many answers were checked.
    """

    title: str
    right: bool | None
    attempts: int


def summary(tasks: Sequence[Task]) -> str:
    """Return ``"3 of 8 right"``."""
    return gettext("{right} of {count} right").format(right=sum(task.right is True for task in tasks), count=len(tasks))


def rows(tasks: Sequence[Task]) -> list[tuple[str, ...]]:
    """Return a row of text per task, under `HEADINGS`."""
    return [(task.title, _state(task), str(task.attempts)) for task in tasks]


def to_text(tasks: Sequence[Task]) -> str:
    """Return the score as plain text."""
    return f"{summary(tasks)}\n{grid.text(HEADINGS, rows(tasks), right={'attempts'})}"


def to_html(tasks: Sequence[Task], *, prefix: str) -> str:
    """Return the picture, and the same as a table; the parameters are those of `to_svg`."""
    return to_svg(tasks, prefix=prefix) + grid.table(HEADINGS, rows(tasks), caption=summary(tasks), right={"attempts"})


def to_svg(tasks: Sequence[Task], *, prefix: str) -> str:
    """Return the picture as SVG.

    Parameters
    ----------
    tasks : sequence of Task
        In order.
    prefix : str
        What the picture's ids begin with: several on a page need different ones.
    """
    return svg.write(scene(tasks), prefix)


def scene(tasks: Sequence[Task]) -> Scene:
    """Return the picture as shapes."""
    width, height = _TILE
    lines = -(-len(tasks) // _COLUMNS)
    whole = 2 * _MARGIN + _COLUMNS * (width + _GAP) - _GAP
    tall = _HEAD + lines * (height + _GAP)
    groups = [
        Group("page", (Rect("paper", 0, 0, whole, tall, 0),)),
        Group("caption", (Text("title", _MARGIN, 32, summary(tasks), LARGE, bold=True),)),
    ]
    for index, task in enumerate(tasks):
        row, column = divmod(index, _COLUMNS)
        groups.append(_tile(task, _MARGIN + column * (width + _GAP), _HEAD + row * (height + _GAP)))
    return Scene("score", gettext("Score"), " ".join(map(_words, tasks)), whole, tall, tuple(groups))


def _tile(task: Task, x: float, y: float) -> Group:
    """Return a task's tile: its sign and words say what its colour does."""
    width, height = _TILE
    sign, word = _STATES[task.right][0], gettext(_STATES[task.right][1])
    told = f"{word} · {_attempts(task)}" if task.attempts else word
    return Group(
        "component",
        (
            Rect("box", x, y, width, height, 8),
            Text("name", x + 16, y + 28, fit(task.title, width - 24, MEDIUM, bold=True), MEDIUM, bold=True),
            Text("name", x + 16, y + 54, sign, MEDIUM, bold=True),
            Text("quiet", x + 40, y + 54, told, SMALL),
        ),
        _PAINTS[task.right],
        {"task": task.title},
        title=_words(task),
    )


def _attempts(task: Task) -> str:
    return ngettext("{attempts} attempt", "{attempts} attempts", task.attempts).format(attempts=task.attempts)


def _state(task: Task) -> str:
    sign, word = _STATES[task.right]
    return f"{sign} {gettext(word)}"


def _words(task: Task) -> str:
    """Return a tile in words."""
    return gettext("{title}: {state}, {attempts}.").format(
        title=task.title, state=gettext(_STATES[task.right][1]), attempts=_attempts(task)
    )
