"""What a check has to say."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ParamSpec

from labkit.errors import NotRecordedError
from labkit.language import gettext, gettext_noop

_Asked = ParamSpec("_Asked")

_WORDS = {
    True: ("✔", gettext_noop("Right.")),
    False: ("✘", gettext_noop("Not yet.")),
    None: ("…", gettext_noop("No answer yet.")),
}
_COLOURS = {True: "#11663f", False: "#a61b1b", None: "#52606d"}


@dataclass(frozen=True, slots=True, repr=False)
class Verdict:
    """A check's answer to an answer.

    Attributes
    ----------
    right : bool or None
        None where there is no answer to check.
    why : str
        In a sentence.
    evidence : tuple of str
        What was looked at, a line each; it leads to the answer and does not name it.
    """

    right: bool | None
    why: str
    evidence: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """The verdict in a line: ``"✘ Not yet. …"``."""
        sign, word = _WORDS[self.right]
        return gettext("{sign} {word} {why}").format(sign=sign, word=gettext(word), why=self.why)

    def __repr__(self) -> str:
        """Return the verdict as text."""
        return "\n".join((self.said, *(f"    {line}" for line in self.evidence)))

    def _repr_html_(self) -> str:
        sign, word = _WORDS[self.right]
        # The word says it too: colour never alone.
        style = f"border-left:4px solid {_COLOURS[self.right]};padding:8px 16px;margin:4px 0"
        lines = "".join(f"<li><code>{html.escape(line)}</code></li>" for line in self.evidence)
        heading = gettext("Evidence:")
        evidence = f"<p>{heading}</p><ul>{lines}</ul>" if lines else ""
        said = f"<strong>{sign} {gettext(word)}</strong> {html.escape(self.why)}"
        return f'<div role="status" style="{style}"><p>{said}</p>{evidence}</div>'


def yes_or_no(what: str, *, done: bool) -> str:
    """Return in a line whether something has happened: ``"the pod runs: yes"``.

    Parameters
    ----------
    what : str
        A text that has been marked for the catalogue.
    done : bool
        Whether it has.
    """
    answer = gettext("yes") if done else gettext("no")
    return f"{gettext(what)}: {answer}"


class Lettered:
    """Things that an exercise calls by letters; as text a line each, in the learner's language.

    Parameters
    ----------
    things : mapping of str to str
        Letter → thing.
    """

    def __init__(self, things: Mapping[str, str]) -> None:
        self._things = things

    def __str__(self) -> str:
        return "\n".join(f"{letter}: {gettext(thing)}" for letter, thing in self._things.items())


def unanswered(what: str) -> Verdict:
    """Return the verdict on an exercise that nobody has answered yet.

    Parameters
    ----------
    what : str
        What an answer looks like.
    """
    return Verdict(None, gettext("Put your answer in place of None: {what}").format(what=what))


def looks(check: Callable[_Asked, Verdict]) -> Callable[_Asked, Verdict]:
    """Have a check that looks at a lab say so, without right or wrong, where it cannot: in a recording.

    Parameters
    ----------
    check : callable
        The check.
    """

    @functools.wraps(check)
    def looking(*arguments: _Asked.args, **options: _Asked.kwargs) -> Verdict:
        try:
            return check(*arguments, **options)
        except NotRecordedError as error:
            why = gettext("This lab is a recording. To check your answer, a lab must be asked what nobody asked then.")
            return Verdict(None, why, (error.what, error.fix))

    return looking
