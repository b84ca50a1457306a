"""The scheduler's why as HTML: for each attempt a table of nodes and plugins, and one sentence."""

from __future__ import annotations

from labkit.flow.attempts import SchedulingDecision
from labkit.views import grid


def to_html(decision: SchedulingDecision) -> str:
    """Return a decision as HTML; every cell is escaped. As text: `SchedulingDecision.to_text`."""
    parts = []
    for attempt in decision.attempts:
        headings, *rows = attempt.rows()
        caption = f"{decision.pod}, attempt {attempt.number}"
        numbers = frozenset(headings[2:])
        parts.append(grid.table(headings, rows, caption=caption, right=numbers) + f"<p>{grid.escape(attempt.why)}</p>")
    return f'<section class="labkit-why">{"".join(parts)}</section>'
