"""An exercise as a panel: the question, a field or choices for the answer, a button that checks it, and the verdict."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any, Protocol

from labkit.errors import UsageError
from labkit.language import gettext
from labkit.widgets._panel import Panel, page


class Judgement(Protocol):
    """What a check says of an answer, see `labkit.checks.verdict.Verdict`."""

    @property
    def right(self) -> bool | None:
        """None where there was no answer to check."""

    @property
    def said(self) -> str:
        """In a line."""

    @property
    def evidence(self) -> Sequence[str]:
        """What was looked at, a line each."""

    def _repr_html_(self) -> str: ...


class ExercisePanel(Panel):
    """A question, what to answer it with, and a button; below them the verdict with its evidence.

    Parameters
    ----------
    title, question : str
        What is asked.
    check : callable
        Takes the answer and returns the verdict. The answer is the field's text, or the choice, or with `several` the
        set of choices; None where there is nothing to fill in, because something is to be done on the cluster.
    field : str
        What the text field asks for, for example ``"A pod's name"``.
    choices : sequence of str
        What to choose from, in place of a field.
    several : bool
        Whether more than one can be chosen.

    Attributes
    ----------
    state : dict
        What the page shows, beside what every panel does: ``title``, ``question``, ``field``, ``choices``,
        each as it is sent and as it reads, ``several``; ``attempts``, how many answers were checked; ``right`` and
        ``evidence`` of the last verdict.

    Raises
    ------
    UsageError
        There are both a field and choices.
    """

    _esm = page("exercise.js")
    _css = "".join(
        resources.files("labkit.widgets").joinpath("static", name).read_text("utf-8")
        for name in ("panel.css", "exercise.css")
    )

    def __init__(
        self,
        title: str,
        question: str,
        check: Callable[[Any], Judgement],
        *,
        field: str = "",
        choices: Sequence[str] = (),
        several: bool = False,
    ) -> None:
        if field and choices:
            raise UsageError(
                gettext("The exercise {title!r} has a field and choices").format(title=title),
                why=gettext("an answer is written or chosen"),
                fix=gettext("leave one of them out"),
            )
        self._title, self._question, self._check = title, question, check
        self._field, self._choices, self._several = field, tuple(choices), several
        self._verdict: Judgement | None = None
        self._solved = False
        self.attempts = 0
        super().__init__()

    @property
    def right(self) -> bool | None:
        """Whether an answer was right, be it only once; None as long as none was checked."""
        return self._solved if self.attempts else None

    def look(self) -> None:
        """Look at nothing: only the button changes what is to be seen."""

    def shown(self) -> dict[str, Any]:
        """Return what the page shows; the last verdict stays away while the next one is awaited."""
        verdict = None if self._working else self._verdict
        return {
            "title": self._title,
            "question": self._question,
            "field": self._field,
            "choices": [[each, gettext(each)] for each in self._choices],
            "several": self._several,
            "attempts": self.attempts,
            "right": verdict.right if verdict else None,
            "evidence": list(verdict.evidence) if verdict else [],
        }

    def job(self, message: Mapping[str, Any]) -> tuple[str, Callable[[], str]] | None:
        """Return what the button stands for: ``{"check": ANSWER}``, a text or a list of choices."""
        if "check" not in message:
            return None
        answer = self._answer(message["check"])
        return gettext("Checking …"), lambda: self._judge(answer)

    def still_html(self) -> str:
        """Return the question and the last verdict."""
        choices = "".join(f"<li>{html.escape(gettext(each))}</li>" for each in self._choices)
        none = gettext("No answer yet.")
        verdict = self._verdict._repr_html_() if self._verdict else f"<p>{none}</p>"
        asked = f"<p><strong>{html.escape(self._title)}</strong></p><p>{html.escape(self._question)}</p>"
        return f"{asked}{f'<ul>{choices}</ul>' if choices else ''}{verdict}"

    def still_text(self) -> str:
        """Return the same as text."""
        verdict = repr(self._verdict) if self._verdict else gettext("No answer yet.")
        return "\n".join((self._title, self._question, *(f"- {gettext(each)}" for each in self._choices), verdict))

    def _answer(self, given: object) -> str | set[str] | None:
        """Return what the page sent, as the check takes it; None where it is no answer."""
        if self._field:
            return (given.strip() if isinstance(given, str) else "") or None
        offered = given if isinstance(given, list) else [given]
        chosen = [each for each in self._choices if each in offered]
        if self._several:
            return set(chosen) or None
        return chosen[0] if len(chosen) == 1 else None

    def _judge(self, answer: str | set[str] | None) -> str:
        with self._lock:
            self._verdict = None
        if answer is None and (self._field or self._choices):
            return (
                gettext("Choose an answer first.")
                if self._choices
                else gettext("Fill in the field first: {field}.").format(field=self._field)
            )
        verdict = self._check(answer)
        with self._lock:
            self._verdict = verdict
            self.attempts += verdict.right is not None
            self._solved = self._solved or verdict.right is True
        return verdict.said
