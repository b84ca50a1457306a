"""`kubeadm init` as a panel: its phases, which is next, a button for that and one for all; below it the picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from labkit.language import gettext
from labkit.views import grid, phases
from labkit.views.phases import Bar
from labkit.widgets._panel import Panel, page, style


class Kind(Protocol):
    """A phase, see `labkit.lab.installation.phases.PhaseKind`."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def about(self) -> str:
        """What it is for, in a line."""


class Run(Protocol):
    """What is known of the phases that were run, see `labkit.lab.installation.phases.InitRun`."""

    @property
    def caption(self) -> str:
        """What it shows, in a line."""

    def bars(self) -> list[Bar]:
        """Return the phases as the picture shows them."""


class Steps(Protocol):
    """What the panel shows and drives, see `labkit.lab.installation.init.InitSteps`."""

    @property
    def kinds(self) -> Sequence[Kind]:
        """All phases, in order."""

    @property
    def upcoming(self) -> Kind | None:
        """The phase that comes next; None after the last one."""

    @property
    def run(self) -> Run:
        """What is known by now."""

    def next(self) -> object:
        """Run the next phase."""


class InitPanel(Panel):
    """The phases of `kubeadm init`, run one by one or all of them, and what each took and wrote.

    Parameters
    ----------
    steps : Steps
        What the buttons drive.
    title : str
        Whose: ``"kubeadm init on lab 'lab'"``.

    Attributes
    ----------
    state : dict
        What the page shows, beside what every panel does: ``title``; ``next`` and ``about``, the phase that comes next
        and what it is for, both empty after the last; ``picture``, an SVG; ``headings`` and ``rows`` of the same as a
        table; ``trouble``.
    """

    _esm = page("init.js")
    _css = style()

    def __init__(self, steps: Steps, *, title: str) -> None:
        self._steps, self._title = steps, title
        super().__init__()

    def look(self) -> None:
        """Take note of which phase is next, and of what was written."""
        upcoming, run = self._steps.upcoming, self._steps.run
        bars, caption = run.bars(), run.caption
        with self._lock:
            self._upcoming, self._bars, self._caption = upcoming, bars, caption

    def shown(self) -> dict[str, Any]:
        """Return what the page shows."""
        kinds, upcoming = self._steps.kinds, self._upcoming
        about = gettext("All phases have been run.")
        if upcoming:
            about = gettext("Phase {number} of {count}: {about}.").format(
                number=kinds.index(upcoming) + 1, count=len(kinds), about=gettext(upcoming.about)
            )
        return {
            "title": self._title,
            "next": upcoming.name if upcoming else "",
            "about": about,
            "picture": phases.to_svg(self._bars, self._caption, prefix=f"labkit-init-{self.still}")
            if self._bars
            else "",
            "headings": list(map(gettext, phases.HEADINGS)),
            "rows": [list(row) for row in phases.rows(self._bars)],
            "trouble": "",
        }

    def job(self, message: Mapping[str, Any]) -> tuple[str, Callable[[], str]] | None:
        """Return what a button stands for: ``{"press": "next"}`` runs the next phase, ``{"press": "all"}`` the rest."""
        upcoming = self._steps.upcoming
        if upcoming is None:
            return None
        if message.get("press") == "next":
            return f"kubeadm init phase {upcoming.name} …", self._next
        if message.get("press") == "all":
            return gettext("kubeadm init, from phase {phase} on …").format(phase=upcoming.name), self._all
        return None

    def _next(self) -> str:
        self._steps.next()
        last = self._steps.run.bars()[-1]
        return gettext("{name} took {seconds:.2f} s: {wrote}").format(
            name=last.name, seconds=last.seconds, wrote=last.wrote or gettext("nothing was written")
        )

    def _all(self) -> str:
        while self._steps.upcoming is not None:
            self._steps.next()
        return gettext("The control plane is initialised.")

    def still_html(self) -> str:
        """Return the picture, and the same as a table."""
        state = self.state
        picture = state["picture"].replace(f"labkit-init-{self.still}", f"labkit-init-still-{self.still}")
        table = grid.table(phases.HEADINGS, state["rows"], caption=state["title"], right=phases.RIGHT)
        return (
            f"<p><strong>{grid.escape(state['title'])}</strong></p>{picture}{table}<p>{grid.escape(state['about'])}</p>"
        )

    def still_text(self) -> str:
        """Return the same as text."""
        table = grid.text(phases.HEADINGS, self.state["rows"], right=phases.RIGHT)
        return f"{self.state['title']}\n{table}\n{self.state['about']}"
