"""The scheduler's why: for each attempt to place a pod, which node was rejected by what, and how the others scored.

The scheduler first filters nodes, each plugin in turn until one rejects the node; then it scores those that are left,
unless a single one is (pkg/scheduler/schedule_one.go, schedulePod). Its log at ``-v=10`` has every score and some
filters' verdicts by node; for the others there is the message of the attempt, which counts reasons and names no nodes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from labkit.errors import EvidenceError
from labkit.evidence.audit import AuditEvent
from labkit.evidence.model import Evidence, SchedulerLine
from labkit.flow.attempts import WEIGHTS, Attempt, Judgement, SchedulingDecision, Score, Verdict
from labkit.flow.describe import target_node
from labkit.flow.model import EvidenceId
from labkit.language import gettext

# What a message's reasons begin with, by plugin (pkg/scheduler/framework/plugins/*, constants ErrReason...).
_REASONS = (
    ("node(s) were unschedulable", "NodeUnschedulable"),
    ("node(s) didn't match the requested node name", "NodeName"),
    ("node(s) had untolerated taint", "TaintToleration"),
    ("node(s) didn't match Pod's node affinity", "NodeAffinity"),
    ("node(s) didn't have free ports", "NodePorts"),
    ("Insufficient ", "NodeResourcesFit"),
    ("Too many pods", "NodeResourcesFit"),
    ("node(s) had no available disk", "VolumeRestrictions"),
    ("node(s) exceed max volume count", "NodeVolumeLimits"),
    ("node(s) didn't find available persistent volumes", "VolumeBinding"),
    ("node(s) didn't match PersistentVolume's node affinity", "VolumeBinding"),
    ("node(s) had no available volume zone", "VolumeZone"),
    ("node(s) didn't match pod topology spread", "PodTopologySpread"),
    ("node(s) didn't match pod a", "InterPodAffinity"),  # affinity rules, anti-affinity rules
    ("node(s) didn't satisfy existing pods anti-affinity", "InterPodAffinity"),
)
# "0/X nodes are available: <PreFilter>. <Filter>. <PostFilter>." (pkg/scheduler/framework/types.go, FitError)
_MESSAGE = re.compile(r"0/(?P<nodes>\d+) nodes are available: (?P<reasons>.*?)\.(?: |$)")
_REASON = re.compile(r"(?P<count>\d+) (?P<reason>.+)")

_BEGINS = "Attempting to schedule pod"


def why(evidence: Evidence, pod: str) -> SchedulingDecision:
    """Return how the scheduler came to its decision on a pod.

    From its log, or, without the log, from the audit events of its Events and bindings.

    Parameters
    ----------
    evidence : Evidence
        Of the cluster.
    pod : str
        ``NAMESPACE/NAME``.

    Raises
    ------
    EvidenceError
        The scheduler left nothing about such a pod.
    """
    drafts = list(_from_log(evidence.scheduler, pod)) or list(_from_audit(evidence.audit, pod))
    if not drafts:
        raise EvidenceError(
            gettext("The scheduler left nothing about a pod {pod}.").format(pod=pod),
            why=gettext("Neither its log nor the audit log has an attempt to schedule it."),
            fix=gettext(
                "Name it NAMESPACE/NAME; a pod with spec.nodeName from the start, as a static pod, is never scheduled."
            ),
        )
    return SchedulingDecision(
        pod, tuple(draft.attempt(number, evidence.cluster.nodes) for number, draft in enumerate(drafts, 1))
    )


@dataclass(slots=True)
class _Draft:
    """An attempt while it is read."""

    start: datetime
    log: bool
    evidence: list[EvidenceId]
    taints: dict[str, str] = field(default_factory=dict)
    scores: list[Score] = field(default_factory=list)
    sums: dict[str, int] = field(default_factory=dict)
    node: str = ""
    message: str = ""
    feasible: int | None = None  # how many nodes were, as the scheduler says
    evaluated: int | None = None  # and how many it looked at

    def attempt(self, number: int, nodes: Sequence[str]) -> Attempt:
        sums = self.sums or self._added()
        names = list(dict.fromkeys((*nodes, *self.taints, *sums, *filter(None, [self.node]))))
        return Attempt(
            number=number,
            start=self.start,
            verdicts=tuple(self._verdicts(names)),
            scores=tuple(self.scores),
            sums=sums,
            node=self.node,
            why=self._why(sums),
            evidence=tuple(self.evidence),
        )

    def _added(self) -> dict[str, int]:
        sums: dict[str, int] = {}
        for score in self.scores:
            sums[score.node] = sums.get(score.node, 0) + score.weighted
        return sums

    def _verdicts(self, names: Sequence[str]) -> Iterator[Verdict]:
        scored = {score.node for score in self.scores} | set(filter(None, [self.node]))
        left = [name for name in names if name not in scored and name not in self.taints]
        rest = self._rest(len(names), len(left))
        for name in names:
            if name in scored:
                yield Verdict(name, "feasible")
            elif name in self.taints:
                yield Verdict(
                    name,
                    "rejected",
                    "TaintToleration",
                    gettext("untolerated taint {taint}").format(taint=self.taints[name]),
                )
            else:
                yield Verdict(name, *rest)

    def _rest(self, nodes: int, left: int) -> tuple[Judgement, str, str]:
        """Return the verdict on the nodes that no line of the log names."""
        match = _MESSAGE.match(self.message)
        if match is None:
            if self.evaluated is not None and self.evaluated < nodes:
                return "not asked", "", gettext("the scheduler did not look at this node")
            rejected = self.feasible is not None or bool(self.scores)
            return (
                ("rejected", "", gettext("the log does not say by which filter")) if rejected else ("not asked", "", "")
            )
        counted = list(filter(None, map(_REASON.fullmatch, match["reasons"].split(", "))))
        reasons = {item["reason"]: int(item["count"]) for item in counted}
        if not reasons:  # a PreFilter rejected the pod on all nodes at once
            return "rejected", "", match["reasons"]
        for taint in [reason for reason in reasons if _plugin(reason) == "TaintToleration"]:
            reasons[taint] -= len(self.taints)
        if nodes - left >= int(match["nodes"]):
            return "not asked", "", gettext("the scheduler did not know this node yet")
        over = [reason for reason, count in reasons.items() if count > 0]
        if len(over) == 1 and reasons[over[0]] == left:
            return "rejected", _plugin(over[0]), over[0]
        return "rejected", "", gettext("one of: {reasons}").format(reasons=match["reasons"])

    def _why(self, sums: Mapping[str, int]) -> str:
        if not self.node:
            return gettext("no node was feasible: {message}").format(message=self.message)
        best = sorted(node for node, total in sums.items() if total == max(sums.values()))
        if len(best) > 1:
            return gettext(
                "{node} was chosen at random among {others} and {last}, whose sum was the same, {sum}"
            ).format(node=self.node, others=", ".join(best[:-1]), last=best[-1], sum=max(sums.values()))
        if best:
            return gettext("{node} had the highest sum, {sum}").format(node=self.node, sum=sums.get(self.node, 0))
        if self.feasible == 1:
            return gettext("only one node was feasible, so nothing was scored: {node}").format(node=self.node)
        missing = gettext("it tells scores at -v=10") if self.log else gettext("it is missing")
        return gettext("{node} was chosen; the scheduler's log does not say why ({missing})").format(
            node=self.node, missing=missing
        )


def _from_log(lines: Sequence[SchedulerLine], pod: str) -> Iterator[_Draft]:
    """Yield the attempts on a pod; other pods' lines may stand between one's own, for binding has its own thread."""
    draft: _Draft | None = None
    for line in lines:
        if line.fields.get("pod") != pod:
            continue
        if line.message == _BEGINS:
            if draft is not None:
                yield draft
            draft = _Draft(line.time, True, [])
        if draft is not None and _take(draft, line):
            draft.evidence.append(EvidenceId("scheduler", str(line.number)))
    if draft is not None:
        yield draft


def _take(draft: _Draft, line: SchedulerLine) -> bool:
    """Note what a line says of the attempt; False if it says nothing of it."""
    fields, node = line.fields, line.fields.get("node", "")
    match line.message:
        case "Attempting to schedule pod":
            pass
        case "node had untolerated taints":
            draft.taints[node] = _taint(fields.get("untoleratedTaint", ""))
        case "Plugin scored node for pod":
            plugin = fields.get("plugin", "")
            draft.scores.append(Score(plugin, node, _number(fields.get("score")), WEIGHTS.get(plugin, 1)))
        case "Calculated node's final score for pod":
            draft.sums[node] = _number(fields.get("score"))
        case "Attempting to bind pod to node":
            draft.node = node
        case "Successfully bound pod to node":
            draft.node = node
            draft.feasible, draft.evaluated = (
                _number(fields.get("feasibleNodes")),
                _number(fields.get("evaluatedNodes")),
            )
        case "Unable to schedule pod; no fit; waiting":
            draft.message = fields.get("err", "")
        case _:
            return False
    return True


def _from_audit(events: Sequence[AuditEvent], pod: str) -> Iterator[_Draft]:
    """Yield the attempts that Events and bindings tell of: that they failed, why, and where the pod was put."""
    for event in events:
        ref = event.object
        if ref is None or event.verb not in {"create", "patch"} or (event.code or 500) >= 400:
            continue
        known = [EvidenceId.of(event)]
        if (ref.resource, ref.subresource) == ("pods", "binding") and f"{ref.namespace}/{ref.name}" == pod:
            yield _Draft(event.received, False, known, node=target_node(event))
        elif ref.resource == "events" and event.response:
            about = event.response.get("involvedObject") or event.response.get("regarding") or {}
            failed = event.response.get("reason") == "FailedScheduling" and about.get("kind") == "Pod"
            if failed and f"{about.get('namespace')}/{about.get('name')}" == pod:
                message = event.response.get("message") or event.response.get("note") or ""
                yield _Draft(event.received, False, known, message=message)


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


def _taint(text: str) -> str:
    """Return a taint as kubectl writes it: ``KEY=VALUE:EFFECT``."""
    try:
        taint = json.loads(text)
        value = f"={taint['value']}" if taint.get("value") else ""
        return f"{taint['key']}{value}:{taint['effect']}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return text


def _plugin(reason: str) -> str:
    return next((plugin for start, plugin in _REASONS if reason.startswith(start)), "")
