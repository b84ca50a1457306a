"""The scheduler's why: for each attempt a table of nodes and plugins, and one sentence.

Two forms: HTML that stays as it is, and plain values with a column per node, as a panel shows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labkit.flow.attempts import FILTERS, WEIGHTS, Attempt, SchedulingDecision, Verdict
from labkit.language import gettext
from labkit.views import grid

_MOST = 100  # what a plugin can give a node, before its weight (pkg/scheduler/framework/interface.go, MaxNodeScore)


@dataclass(frozen=True, slots=True)
class Cell:
    """What one plugin said of one node.

    Attributes
    ----------
    text : str
        In words; empty where it said nothing.
    part : float or None
        Of a score, how much of the most that it can be, from 0 to 1.
    """

    text: str
    part: float | None = None


Line = tuple[str, tuple[Cell, ...]]


def to_html(decision: SchedulingDecision) -> str:
    """Return a decision as HTML; every cell is escaped. As text: `SchedulingDecision.to_text`."""
    parts = []
    for attempt in decision.attempts:
        headings, *rows = attempt.rows()
        caption = gettext("{pod}, attempt {number}").format(pod=decision.pod, number=attempt.number)
        numbers = frozenset(headings[2:])
        parts.append(grid.table(headings, rows, caption=caption, right=numbers) + f"<p>{grid.escape(attempt.why)}</p>")
    return f'<section class="labkit-why">{"".join(parts)}</section>'


def scores(attempt: Attempt) -> list[Line]:
    """Return a line per plugin with a cell per node, best node first: the verdict, every score, the sum."""
    _, (filters, *_verdicts), *plugins, sums = zip(*attempt.rows(), strict=True)
    given = {(score.plugin, score.node): score for score in attempt.scores}
    names = list(dict.fromkeys(score.plugin for score in attempt.scores))
    nodes = [verdict.node for verdict in attempt.ranked]
    lines: list[Line] = [(filters, tuple(Cell(_judged(verdict)) for verdict in attempt.ranked))]
    for plugin, texts in zip(names, plugins, strict=True):
        found = [given.get((plugin, node)) for node in nodes]
        lines.append(_line(texts, [None if each is None else each.weighted / (_MOST * each.weight) for each in found]))
    if names:
        most = _MOST * sum(WEIGHTS.get(plugin, 1) for plugin in names)
        lines.append(_line(sums, [attempt.sums[node] / most if node in attempt.sums else None for node in nodes]))
    return lines


def reasons(attempt: Attempt) -> list[str]:
    """Return why nodes were rejected or not asked, best node first, as far as that is known."""
    return [f"{verdict.node}: {verdict.reason}" for verdict in attempt.ranked if verdict.reason]


def filters(attempt: Attempt) -> list[Line]:
    """Return a line per filter with a cell per node, best node first."""
    parts = [verdict.filters for verdict in attempt.ranked]
    return [(name, tuple(Cell(part[name]) for part in parts)) for name in FILTERS]


def _judged(verdict: Verdict) -> str:
    return (
        gettext("rejected by {plugin}").format(plugin=verdict.plugin) if verdict.plugin else gettext(verdict.judgement)
    )


def _line(texts: Sequence[str], parts: Sequence[float | None]) -> Line:
    name, *cells = texts
    return name, tuple(Cell(text, part) for text, part in zip(cells, parts, strict=True))
