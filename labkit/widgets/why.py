"""The scheduler's table as a panel: the pods that it placed last, and for each what every plugin said of every node."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from labkit.flow.attempts import SchedulingDecision
from labkit.language import gettext
from labkit.views import why
from labkit.views.why import Line
from labkit.widgets._panel import Panel, page, style


@dataclass(frozen=True, slots=True)
class Decisions:
    """What the scheduler has decided.

    Attributes
    ----------
    made : sequence of SchedulingDecision
        The newest first.
    trouble : str
        Why not all is known; empty where all is.
    """

    made: Sequence[SchedulingDecision]
    trouble: str = ""


class WhySource(Protocol):
    """What the panel shows, see `labkit.lab.why_panel`."""

    @property
    def title(self) -> str:
        """Whose scheduler: ``"lab 'lab'"``."""

    def look(self) -> Decisions:
        """Return the latest decisions; never called by two threads at once."""

    def close(self) -> None:
        """Read no longer."""


class WhyPanel(Panel):
    """The pods of late, a button for each, and the table of the chosen one; the newest as long as none is chosen.

    Parameters
    ----------
    source : WhySource
        What is shown.

    Attributes
    ----------
    state : dict
        What the page shows, beside what every panel does: ``title``; ``pods``, each ``{pod, node, shown}``, the newest
        first; ``newest``, whether the newest is followed; ``caption`` and ``why`` of the one that is shown;
        ``nodes``, each ``{name, chosen}``; ``scores`` and ``filters``, each a list of ``{name, cells}`` with a cell
        ``{text, part}`` per node; ``reasons``, why nodes were
        rejected; ``trouble``.
    """

    _esm = page("why.js")
    _css = style("why.css")

    def __init__(self, source: WhySource) -> None:
        self._source = source
        self._chosen = ""  # the newest
        super().__init__()

    def look(self) -> None:
        """Read on in the scheduler's log."""
        self._seen = self._source.look()

    def stop(self) -> None:
        """Look once more and no longer; the panel stays."""
        super().stop()
        self._source.close()

    def job(self, message: Mapping[str, Any]) -> tuple[str, Callable[[], str]] | None:
        """Choose a pod, ``{"pod": "default/tomcat-…"}``, or the newest, ``{"pod": ""}``; that is all."""
        pod = message.get("pod")
        with self._lock:
            if isinstance(pod, str) and pod in {"", *(decision.pod for decision in self._seen.made)}:
                self._chosen = pod
        return None

    @property
    def _decision(self) -> SchedulingDecision | None:
        """The one that is shown: the chosen one, as long as it is among those of late."""
        made = self._seen.made
        return next((each for each in made if each.pod == self._chosen), made[0] if made else None)

    def shown(self) -> dict[str, Any]:
        """Return what the page shows."""
        decision = self._decision
        attempt = decision.attempts[-1] if decision else None
        return {
            "title": gettext("Why there? The scheduler of {title}").format(title=self._source.title),
            "pods": [{"pod": each.pod, "node": each.node, "shown": each == decision} for each in self._seen.made],
            "newest": not self._chosen,
            "caption": gettext("{pod}, attempt {number}").format(pod=decision.pod, number=attempt.number)
            if decision and attempt
            else "",
            "why": attempt.why if attempt else gettext("The scheduler has placed no pod yet."),
            "nodes": [{"name": verdict.node, "chosen": verdict.node == attempt.node} for verdict in attempt.ranked]
            if attempt
            else [],
            "scores": _plain(why.scores(attempt)) if attempt else [],
            "reasons": why.reasons(attempt) if attempt else [],
            "filters": _plain(why.filters(attempt)) if attempt else [],
            "trouble": self._seen.trouble,
        }

    def still_html(self) -> str:
        """Return all attempts on the pod that is shown."""
        decision = self._decision
        head = f"<p><strong>{html.escape(self.state['title'])}</strong></p>"
        return head + (why.to_html(decision) if decision else f"<p>{html.escape(self.state['why'])}</p>")

    def still_text(self) -> str:
        """Return the same as text."""
        decision = self._decision
        return decision.to_text() if decision else str(self.state["why"])


def _plain(lines: Sequence[Line]) -> list[dict[str, Any]]:
    return [
        {"name": name, "cells": [{"text": cell.text, "part": cell.part} for cell in cells]} for name, cells in lines
    ]
