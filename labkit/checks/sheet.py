"""The exercises of one notebook together: each a panel, and the score of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from labkit.checks.verdict import Verdict
from labkit.views import score
from labkit.widgets.exercise import ExercisePanel


@dataclass(frozen=True, slots=True, repr=False)
class Score:
    """How the tasks of a sheet stand; a notebook shows a picture and a table.

    Attributes
    ----------
    tasks : tuple of labkit.views.score.Task
        In the order in which they were asked.
    """

    tasks: tuple[score.Task, ...]

    def __repr__(self) -> str:
        """Return the score as text."""
        return score.to_text(self.tasks)

    def _repr_html_(self) -> str:
        return score.to_html(self.tasks, prefix=f"labkit-score-{uuid4().hex[:8]}")


class Sheet:
    """Exercises that are counted together."""

    def __init__(self) -> None:
        self._panels: dict[str, ExercisePanel] = {}

    def ask(
        self,
        title: str,
        question: str,
        check: Callable[[Any], Verdict],
        *,
        field: str = "",
        choices: Sequence[str] = (),
        several: bool = False,
    ) -> ExercisePanel:
        """Return the panel of a task; asked again under the same title, it counts anew.

        The parameters and errors are those of `labkit.widgets.exercise.ExercisePanel`.
        """
        panel = ExercisePanel(title, question, check, field=field, choices=choices, several=several)
        self._panels[title] = panel
        return panel

    def score(self) -> Score:
        """Return how the tasks stand now."""
        return Score(tuple(score.Task(title, each.right, each.attempts) for title, each in self._panels.items()))
