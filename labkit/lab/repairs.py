"""What came of the repair of a lab, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from labkit.cluster import repair
from labkit.cluster.repair import Repair
from labkit.language import gettext, gettext_noop
from labkit.proxy.table import Table

if TYPE_CHECKING:
    from labkit.lab.lab import Lab
    from labkit.progress import Progress


@dataclass(frozen=True, slots=True, repr=False)
class Repaired(Table):
    """What was brought back, and what went on that had been held still.

    Attributes
    ----------
    parts : tuple of Repair
        In order.
    thawed : tuple of str
        The components.
    """

    parts: tuple[Repair, ...]
    thawed: tuple[str, ...] = ()

    TITLES: ClassVar[Sequence[str]] = (
        gettext_noop("part"),
        gettext_noop("what was wrong"),
        gettext_noop("what was done"),
    )

    def caption(self) -> str:
        """Return what came of it, in a line."""
        names = [*self.thawed, *(each.part for each in self.parts)]
        return (
            gettext("Repaired: {names}").format(names=", ".join(names))
            if names
            else gettext("Nothing is missing, and nothing is held still")
        )

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per part."""
        thawed = [(name, gettext("held still"), gettext("let go on")) for name in self.thawed]
        return [
            *thawed,
            *(
                (each.part, gettext("missing: {missing}").format(missing=", ".join(each.missing)), each.done)
                for each in self.parts
            ),
        ]


def run(lab: Lab, progress: Progress) -> Repaired:
    """Let go on what is held still, and bring back what is missing.

    Raises
    ------
    UsageError, ClusterError
        As `labkit.lab.Lab.repair` says.
    """
    with lab.cluster.folder.locked():
        lab._require_running()
        thawed = lab.thaw()
        return Repaired(repair.repair(lab.cluster, progress), thawed)
