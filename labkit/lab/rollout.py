"""A deployment's pods during one action, to look at: a chart in a notebook, a table elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar
from uuid import uuid4

from labkit.flow.rollout import Rollout
from labkit.language import gettext
from labkit.proxy.table import Table
from labkit.views.rollout import HEADINGS


@dataclass(frozen=True, slots=True, repr=False)
class PodsOverTime(Table):
    """What became of a deployment's pods while an action was carried out.

    Attributes
    ----------
    rollout : Rollout
        As the audit log tells it.
    """

    rollout: Rollout

    TITLES: ClassVar[Sequence[str]] = HEADINGS

    def caption(self) -> str:
        """Return what it is, and the fewest and the most pods there were."""
        counts = self.rollout.counts()
        return gettext(
            "{action}: of the pods that somebody wrote about, at most {most} at a time, never fewer than {least} ready"
        ).format(
            action=self.rollout.action,
            most=max(count.alive for count in counts),
            least=min(count.ready for count in counts),
        )

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per pod."""
        from labkit.views import rollout  # noqa: PLC0415 - most commands need no pictures

        return list(rollout.rows(self.rollout))

    def to_svg(self) -> str:
        """Return the chart: a bar per pod over time, and how many there were."""
        from labkit.views import rollout  # noqa: PLC0415 - most commands need no pictures

        return rollout.to_svg(self.rollout, prefix=f"labkit-rollout-{uuid4().hex[:8]}")  # a page may have several

    def _repr_html_(self) -> str:
        table = Table._repr_html_(self)
        summary = gettext("The same as a table")
        return f"{self.to_svg()}<details><summary>{summary}</summary>{table}</details>"
