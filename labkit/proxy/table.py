"""What shows itself as a table: as HTML in a notebook, as text elsewhere."""

from __future__ import annotations

import html
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from labkit.language import columns, filled, gettext

_SHORT = 16  # characters
_LEFT = 'style="text-align:left"'


class Table:
    """A result that has rows of text under titles, which are shown in the learner's language; all text is escaped."""

    __slots__ = ()

    TITLES: ClassVar[Sequence[str]]

    @abstractmethod
    def caption(self) -> str:
        """Return what the table is, in a line."""

    @abstractmethod
    def rows(self) -> list[Sequence[str]]:
        """Return a cell of text for each of `TITLES`, per row."""

    def __repr__(self) -> str:
        """Return the table as text."""
        lines = [list(map(gettext, self.TITLES)), *map(list, self.rows())]
        widths = [max(map(columns, column)) for column in zip(*lines, strict=True)]
        padded = ("  ".join(map(filled, line, widths)).rstrip() for line in lines)
        return "\n".join((self.caption(), *padded))

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col" {_LEFT}>{html.escape(gettext(title))}</th>' for title in self.TITLES)
        body = "".join("<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in self.rows())
        caption = f"<caption {_LEFT}>{html.escape(self.caption())}</caption>"
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(text: str) -> str:
    """Return a cell, whose words stay on one line when they are few: a number with its unit, a name."""
    short = ";white-space:nowrap" if len(text) <= _SHORT else ""
    return f'<td style="text-align:left{short}">{html.escape(text)}</td>'
