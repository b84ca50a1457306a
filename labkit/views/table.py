"""A flow as a table, which tells all that its pictures show: in a terminal as text, in a notebook as HTML."""

from __future__ import annotations

from collections.abc import Sequence

from labkit.flow import Flow
from labkit.language import gettext, gettext_noop
from labkit.views import grid

#: All columns: `known` is "observed" or "inferred", `after` the number of the hop that led to this one.
HEADINGS = (
    "#",
    "+ms",
    gettext_noop("who"),
    gettext_noop("to"),
    gettext_noop("verb"),
    gettext_noop("object"),
    gettext_noop("code"),
    gettext_noop("what"),
    gettext_noop("known"),
    gettext_noop("after"),
    gettext_noop("evidence"),
)
#: The columns for a narrower terminal, and for one of 80 characters.
COMPACT = ("#", "+ms", "who", "to", "what", "known", "after")
NARROW = ("#", "+ms", "known", "who", "what")  # a terminal wraps the last
_WHAT = 100  # characters: an Event may hold a whole message, which would put the other columns out of sight
RIGHT = frozenset({"#", "+ms", "code", "after"})


def rows(flow: Flow, columns: Sequence[str] = HEADINGS) -> list[tuple[str, ...]]:
    """Return a row for each hop, with a cell for each column.

    Parameters
    ----------
    flow : Flow
        What to show.
    columns : sequence of str
        Of `HEADINGS`.
    """
    found = []
    for hop in flow.hops:
        cells = {
            "#": str(hop.number),
            "+ms": f"{flow.milliseconds(hop):.1f}",
            "who": hop.source.name,
            "to": hop.target.name,
            "verb": hop.verb,
            "object": str(hop.object),
            "code": "" if hop.code is None else str(hop.code),
            "what": hop.what,
            "known": gettext("observed") if hop.observed else gettext("inferred"),
            "after": "" if hop.cause is None else str(hop.cause),
            "evidence": " ".join(map(str, hop.evidence)),
        }
        found.append(tuple(cells[column] for column in columns))
    return found


def to_text(flow: Flow, columns: Sequence[str] = HEADINGS) -> str:
    """Return the flow as a table of plain text, what happened in 100 characters; the parameters are those of `rows`."""
    lines = [
        [
            f"{cell[: _WHAT - 1]}…" if column == "what" and len(cell) > _WHAT else cell
            for column, cell in zip(columns, row, strict=True)
        ]
        for row in rows(flow, columns)
    ]
    return grid.text(columns, lines, right=RIGHT)


def to_html(flow: Flow, columns: Sequence[str] = HEADINGS) -> str:
    """Return the flow as an HTML table; Events are dim. The parameters are those of `rows`."""
    dim = {index for index, hop in enumerate(flow.hops) if hop.kind == "record"}
    caption = gettext("What followed from: {action}").format(action=flow.action or flow.subject)
    return grid.table(columns, rows(flow, columns), caption=caption, right=RIGHT, dim=dim)
