"""A deployment in slow motion as a panel: who is held still, whose turn it is, and the flow as it comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from labkit.language import gettext, gettext_noop
from labkit.views import grid
from labkit.widgets._panel import Panel, page, style
from labkit.widgets.flow import LiveFlow

_HEADINGS = (gettext_noop("who"), gettext_noop("what"), gettext_noop("textbook's steps"), gettext_noop("state"))


class Part(Protocol):
    """What one component does before the next one can, see `labkit.lab.slow_motion.Part`."""

    @property
    def actor(self) -> str:
        """Who acts."""

    @property
    def steps(self) -> str:
        """The textbook's steps that it is."""

    @property
    def title(self) -> str:
        """What it does."""


class Steps(Protocol):
    """What the panel shows and drives, see `labkit.lab.slow_motion.SlowMotion`."""

    @property
    def name(self) -> str:
        """The deployment's name."""

    @property
    def parts(self) -> Sequence[Part]:
        """All parts, in order."""

    @property
    def done(self) -> Sequence[Part]:
        """The parts that are over."""

    @property
    def upcoming(self) -> Part | None:
        """The part that `next` lets happen; None once everything goes on."""

    @property
    def left(self) -> Mapping[str, float]:
        """Who is held still, with the seconds until they go on by themselves."""

    def next(self) -> Part:
        """Let the next part happen and return it."""

    def close(self) -> None:
        """Let everything go on."""


class SlowMotionPanel(Panel):
    """The parts of a deployment, who is held still and for how long yet, and two buttons; below it the flow.

    Parameters
    ----------
    steps : Steps
        What the buttons drive.
    live : LiveFlow
        Follows what happens.

    Attributes
    ----------
    state : dict
        What the page shows, beside what every panel does: ``title``; ``parts``, each ``{steps, actor, title, state}``
        with a state of ``"done"``, ``"next"`` or ``"later"``; ``held``, each ``{name, left}`` with the seconds until
        it goes on by itself.
    """

    _esm = page("slow_motion.js")
    _css = style("slow_motion.css")

    def __init__(self, steps: Steps, live: LiveFlow) -> None:
        self.live = live
        self._steps = steps
        super().__init__()

    def look(self) -> None:
        """Take note of whose turn it is, and of who is held still."""
        done, upcoming, left = self._steps.done, self._steps.upcoming, self._steps.left
        with self._lock:
            self._done, self._upcoming, self._left = done, upcoming, left

    def shown(self) -> dict[str, Any]:
        """Return what the page shows."""
        parts = self._steps.parts
        states = [_state(part, self._done, self._upcoming) for part in parts]
        return {
            "said": self._said or gettext("Nothing has happened yet."),
            "title": gettext("Deployment {name} in slow motion").format(name=self._steps.name),
            "parts": [
                {"steps": part.steps, "actor": part.actor, "title": gettext(part.title), "state": state}
                for part, state in zip(parts, states, strict=True)
            ],
            "held": [{"name": name, "left": left} for name, left in self._left.items()],
        }

    def job(self, message: Mapping[str, Any]) -> tuple[str, Callable[[], str]] | None:
        """Return what a button stands for.

        ``{"press": "next"}`` lets the next component go on until its part is done, ``{"press": "all"}`` everything for
        good.
        """
        upcoming = self._steps.upcoming
        if message.get("press") == "next" and upcoming is not None:
            return gettext("{actor} goes on until its part is done …").format(actor=upcoming.actor), self._next
        if message.get("press") == "all":
            return gettext("Everything is let go on …"), self._all
        return None

    def _next(self) -> str:
        part = self._steps.next()
        return gettext("Done: {actor} {title}.").format(actor=part.actor, title=gettext(part.title))

    def _all(self) -> str:
        self._steps.close()
        return gettext("Everything goes on.")

    def still_html(self) -> str:
        """Return the parts as a table, and what was said."""
        rows = self._rows()
        return f"{grid.table(_HEADINGS, rows, caption=self.state['title'])}<p>{grid.escape(self.state['said'])}</p>"

    def still_text(self) -> str:
        """Return the same as text."""
        return f"{self.state['title']}\n{grid.text(_HEADINGS, self._rows())}"

    def _rows(self) -> list[tuple[str, ...]]:
        names = ("actor", "title", "steps", "state")
        cells = ([part[name] for name in names] for part in self.state["parts"])
        return [(actor, title, steps, gettext(state)) for actor, title, steps, state in cells]

    def _ipython_display_(self) -> None:
        super()._ipython_display_()
        self.live._ipython_display_()


def _state(part: Part, done: Sequence[Part], upcoming: Part | None) -> str:
    if part in done:
        return gettext_noop("done")
    return gettext_noop("next") if part == upcoming else gettext_noop("later")
