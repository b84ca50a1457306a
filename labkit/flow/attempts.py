"""The words of a scheduler's decision: attempts, what filters said of each node, and what plugins scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from labkit.flow.model import EvidenceId
from labkit.language import columns, filled, gettext, gettext_noop

# The default plugins that filter, in the order in which they are asked, and the weights of those that score
# (pkg/scheduler/apis/config/v1/default_plugins.go of Kubernetes 1.34; which of them filter: their own Filter methods).
FILTERS = (
    "NodeUnschedulable",
    "NodeName",
    "TaintToleration",
    "NodeAffinity",
    "NodePorts",
    "NodeResourcesFit",
    "VolumeRestrictions",
    "NodeVolumeLimits",
    "VolumeBinding",
    "VolumeZone",
    "PodTopologySpread",
    "InterPodAffinity",
    "DynamicResources",
)
WEIGHTS: Mapping[str, int] = {
    "TaintToleration": 3,
    "NodeAffinity": 2,
    "NodeResourcesFit": 1,
    "PodTopologySpread": 2,
    "InterPodAffinity": 2,
    "NodeResourcesBalancedAllocation": 1,
    "ImageLocality": 1,
}
Judgement = Literal["feasible", "rejected", "not asked"]
_FEASIBLE = gettext_noop("feasible")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What filtering said of one node.

    Attributes
    ----------
    node : str
        Which.
    judgement : {"feasible", "rejected", "not asked"}
        "not asked" also where no evidence tells.
    plugin : str
        The filter that rejected it; empty if none did, or if the evidence does not say which.
    reason : str
        In the scheduler's words; empty if it is feasible.
    """

    node: str
    judgement: Judgement
    plugin: str = ""
    reason: str = ""

    @property
    def filters(self) -> Mapping[str, str]:
        """Each filter's part: ``"passed"``, ``"rejected"``, ``"not asked"``, or empty where no evidence tells.

        A filter that has nothing to look at for this pod has passed, too.
        """
        if self.judgement == _FEASIBLE:
            return dict.fromkeys(FILTERS, "passed")
        if self.plugin not in FILTERS:
            return dict.fromkeys(FILTERS, "")
        place = FILTERS.index(self.plugin)
        parts = (gettext_noop("passed"), gettext_noop("rejected"), gettext_noop("not asked"))
        return {name: parts[(index > place) - (index < place) + 1] for index, name in enumerate(FILTERS)}


@dataclass(frozen=True, slots=True)
class Score:
    """What one plugin gave one node.

    Attributes
    ----------
    plugin, node : str
        Who scored whom.
    weighted : int
        As it counts in the sum: the plugin's score (0 to 100) times its weight.
    weight : int
        The plugin's weight by default; 1 for a plugin that is not one of the default ones.
    """

    plugin: str
    node: str
    weighted: int
    weight: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to schedule a pod.

    Attributes
    ----------
    number : int
        From 1.
    start : datetime.datetime
        When it began, UTC.
    verdicts : tuple of Verdict
        One for each node.
    scores : tuple of Score
        Empty if nothing was scored.
    sums : mapping of str to int
        Each scored node's sum.
    node : str
        Where the pod was put; empty if no node was feasible.
    why : str
        One sentence: why there.
    evidence : tuple of EvidenceId
        The log's lines, or the audit events where there is no log.
    """

    number: int
    start: datetime
    verdicts: tuple[Verdict, ...]
    scores: tuple[Score, ...]
    sums: Mapping[str, int]
    node: str
    why: str
    evidence: tuple[EvidenceId, ...]

    @property
    def ranked(self) -> list[Verdict]:
        """The nodes, best first: by their sum, then by name."""
        return sorted(self.verdicts, key=lambda verdict: (-self.sums.get(verdict.node, -1), verdict.node))

    def rows(self) -> list[list[str]]:
        """Return the table of nodes x plugins: a row of headings, then one for each node, best first."""
        plugins = list(dict.fromkeys(score.plugin for score in self.scores))
        by_place = {(score.node, score.plugin): score for score in self.scores}
        table = [
            [
                gettext_noop("node"),
                gettext_noop("filters"),
                *(f"{name} x{WEIGHTS.get(name, 1)}" for name in plugins),
                gettext_noop("sum"),
            ]
        ]
        for verdict in self.ranked:
            cells = [_cell(by_place.get((verdict.node, name))) for name in plugins]
            total = str(self.sums.get(verdict.node, ""))
            table.append(
                [
                    gettext("{node} (chosen)").format(node=verdict.node) if verdict.node == self.node else verdict.node,
                    _said(verdict),
                    *cells,
                    total,
                ]
            )
        return table


@dataclass(frozen=True, slots=True)
class SchedulingDecision:
    """All attempts to schedule one pod.

    Attributes
    ----------
    pod : str
        ``NAMESPACE/NAME``.
    attempts : tuple of Attempt
        In order; never empty.
    """

    pod: str
    attempts: tuple[Attempt, ...]

    @property
    def node(self) -> str:
        """Where the pod was put in the end; empty if nowhere."""
        return self.attempts[-1].node

    def to_text(self) -> str:
        """Return every attempt as a sentence and a table."""
        parts = []
        for attempt in self.attempts:
            headings, *rows = attempt.rows()
            rows.insert(0, list(map(gettext, headings)))
            widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
            lines = ("  ".join(map(filled, row, widths)).rstrip() for row in rows)
            parts.append(
                "\n".join(
                    (
                        gettext("{pod}, attempt {number}: {why}").format(
                            pod=self.pod, number=attempt.number, why=attempt.why
                        ),
                        *lines,
                    )
                )
            )
        return "\n\n".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        attempts = [asdict(attempt) for attempt in self.attempts]
        for attempt, values in zip(self.attempts, attempts, strict=True):
            values["start"] = attempt.start.isoformat()
            values["evidence"] = [str(item) for item in attempt.evidence]
            for verdict, row in zip(attempt.verdicts, values["verdicts"], strict=True):
                row["filters"] = verdict.filters
            values["rows"] = attempt.rows()
        return {"pod": self.pod, "node": self.node, "attempts": attempts}


def _cell(score: Score | None) -> str:
    if score is None:
        return ""
    return (
        str(score.weighted)
        if score.weight == 1
        else f"{score.weighted} = {score.weighted / score.weight:g} x {score.weight}"
    )


def _said(verdict: Verdict) -> str:
    if verdict.judgement == "rejected":
        return (
            gettext("rejected by {plugin}: {reason}").format(plugin=verdict.plugin, reason=verdict.reason)
            if verdict.plugin
            else gettext("rejected: {reason}").format(reason=verdict.reason)
        )
    return verdict.reason or gettext(verdict.judgement)
