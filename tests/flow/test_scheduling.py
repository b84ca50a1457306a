"""Why the scheduler put a pod where it did, from what a real scheduler logged (tests/evidence/data)."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from labkit.errors import EvidenceError
from labkit.evidence.model import Evidence, SchedulerLine
from labkit.evidence.recording import load
from labkit.flow.attempts import FILTERS, WEIGHTS
from labkit.flow.scheduling import why

SAMPLE = Path(__file__).parents[1] / "evidence" / "data" / "v1.labtrace"
TOMCAT, NOWHERE = "default/tomcat-6546f88bb-2ns2n", "default/nowhere-7c5fd96b5b-g4zt2"
CONTROL_PLANE = "untolerated taint node-role.kubernetes.io/control-plane:NoSchedule"


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return load(SAMPLE).evidence


def test_scores_weights_and_the_sum(evidence: Evidence) -> None:
    [attempt] = why(evidence, TOMCAT).attempts
    scores = {(score.plugin, score.node): (score.weighted, score.weight) for score in attempt.scores}
    assert scores["TaintToleration", "node-02"] == (300, 3)
    assert scores["PodTopologySpread", "node-02"] == (132, 2)  # one pod of tomcat was there already
    assert scores["NodeResourcesFit", "node-01"] == (91, 1)
    assert dict(attempt.sums) == {"node-01": 591, "node-02": 520}
    assert (attempt.node, attempt.why) == ("node-01", "node-01 had the highest sum, 591")
    assert [item.source for item in attempt.evidence] == ["scheduler"] * len(attempt.evidence)


def test_what_the_log_sums_is_the_sum_of_its_scores(evidence: Evidence) -> None:
    unsummed = tuple(line for line in evidence.scheduler if not line.message.startswith("Calculated"))
    for pod in {line.fields["pod"] for line in evidence.scheduler if line.message.startswith("Successfully bound")}:
        for told, added in zip(
            why(evidence, pod).attempts,
            why(dataclasses.replace(evidence, scheduler=unsummed), pod).attempts,
            strict=True,
        ):
            assert told.sums == added.sums


def test_a_node_that_a_filter_rejected(evidence: Evidence) -> None:
    [attempt] = why(evidence, TOMCAT).attempts
    verdicts = {verdict.node: verdict for verdict in attempt.verdicts}
    master = verdicts["master"]
    assert (master.judgement, master.plugin, master.reason) == ("rejected", "TaintToleration", CONTROL_PLANE)
    assert list(master.filters.values()) == ["passed", "passed", "rejected"] + ["not asked"] * (len(FILTERS) - 3)
    assert set(verdicts["node-01"].filters.values()) == {"passed"}


def test_the_same_sum_is_decided_at_random(evidence: Evidence) -> None:
    [attempt] = why(evidence, "default/tomcat-6546f88bb-f52g5").attempts
    assert attempt.why == "node-02 was chosen at random among node-01 and node-02, whose sum was the same, 588"


def test_every_attempt_of_a_pod_that_first_finds_no_node(evidence: Evidence) -> None:
    decision = why(evidence, NOWHERE)
    assert [attempt.node for attempt in decision.attempts] == ["", "", "node-01"]
    assert decision.node == "node-01"
    first, second, third = (
        [(v.node, v.judgement, v.plugin) for v in attempt.verdicts] for attempt in decision.attempts
    )
    cordoned = "NodeUnschedulable"
    rejected = "rejected"
    assert first == [
        ("master", rejected, "TaintToleration"),
        ("node-01", rejected, cordoned),
        ("node-02", rejected, cordoned),
    ]
    # node-01 is uncordoned in two steps: its field first, its taint a moment later
    assert second[1:] == [("node-01", rejected, "TaintToleration"), ("node-02", rejected, cordoned)]
    assert third == [("master", rejected, "TaintToleration"), ("node-01", "feasible", ""), ("node-02", rejected, "")]
    assert decision.attempts[0].why.startswith(
        "no node was feasible: 0/3 nodes are available: 1 node(s) had untolerated"
    )


def test_a_single_feasible_node_is_not_scored(evidence: Evidence) -> None:
    last = why(evidence, NOWHERE).attempts[-1]
    assert last.why == "only one node was feasible, so nothing was scored: node-01"
    assert (last.scores, dict(last.sums)) == ((), {})


def test_without_the_log_the_audit_log_tells_less(evidence: Evidence) -> None:
    decision = why(dataclasses.replace(evidence, scheduler=()), NOWHERE)
    assert [attempt.node for attempt in decision.attempts] == ["", "", "node-01"]
    first, _, last = decision.attempts
    assert first.why == why(evidence, NOWHERE).attempts[0].why
    assert {verdict.judgement for verdict in first.verdicts} == {"rejected"}
    assert last.why == "node-01 was chosen; the scheduler's log does not say why (it is missing)"
    assert {item.source for attempt in decision.attempts for item in attempt.evidence} == {"audit"}


def test_as_text_and_as_json(evidence: Evidence) -> None:
    decision = why(evidence, TOMCAT)
    lines = decision.to_text().splitlines()
    assert lines[0] == f"{TOMCAT}, attempt 1: node-01 had the highest sum, 591"
    assert lines[1].split("  ")[0] == "node"
    assert "TaintToleration x3" in lines[1]
    assert lines[2].startswith("node-01 (chosen)")
    assert "132 = 66 x 2" in lines[3]
    assert lines[4].endswith(CONTROL_PLANE)
    values = json.loads(json.dumps(decision.to_json()))
    assert values["attempts"][0]["sums"] == {"node-01": 591, "node-02": 520}
    assert values["attempts"][0]["rows"] == decision.attempts[0].rows()
    assert json.dumps(why(evidence, NOWHERE).to_json())


def test_a_pod_that_nobody_scheduled(evidence: Evidence) -> None:
    with pytest.raises(EvidenceError, match="nothing about a pod default/none"):
        why(evidence, "default/none")


def attempted(evidence: Evidence, message: str, *lines: tuple[str, dict[str, str]]) -> list[tuple[str, str, str]]:
    """Return the verdicts of an attempt that ends with a message which a real scheduler would write."""
    every = [("Attempting to schedule pod", {}), *lines, ("Unable to schedule pod; no fit; waiting", {"err": message})]
    log = tuple(
        SchedulerLine(number, datetime(2026, 1, 2, tzinfo=UTC), text, {"pod": "a/b", **fields})
        for number, (text, fields) in enumerate(every, 1)
    )
    [attempt] = why(dataclasses.replace(evidence, scheduler=log), "a/b").attempts
    return [(verdict.judgement, verdict.plugin, verdict.reason) for verdict in attempt.verdicts]


def test_what_a_message_tells_of_nodes_that_it_does_not_name(evidence: Evidence) -> None:
    verdicts = attempted(evidence, "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available.")
    assert verdicts == [("rejected", "NodeResourcesFit", "Insufficient cpu")] * 3
    verdicts = attempted(evidence, "0/3 nodes are available: 1 Insufficient cpu, 2 Too many pods.")
    assert verdicts == [("rejected", "", "one of: 1 Insufficient cpu, 2 Too many pods")] * 3
    verdicts = attempted(evidence, '0/3 nodes are available: persistentvolumeclaim "data" not found. preemption: none.')
    assert verdicts == [("rejected", "", 'persistentvolumeclaim "data" not found')] * 3
    taint = ("node had untolerated taints", {"node": "master", "untoleratedTaint": "odd"})
    verdicts = attempted(evidence, "0/1 nodes are available: 1 node(s) had untolerated taint(s).", taint)
    assert verdicts[0] == ("rejected", "TaintToleration", "untolerated taint odd")
    assert verdicts[1:] == [("not asked", "", "the scheduler did not know this node yet")] * 2


def test_the_weights_are_those_that_this_scheduler_printed() -> None:
    """Kubernetes 1.34.3, "Using component config": every plugin with a weight that is not 0."""
    printed = "TaintToleration 3, NodeAffinity 2, NodeResourcesFit 1, PodTopologySpread 2, InterPodAffinity 2"
    printed += ", NodeResourcesBalancedAllocation 1, ImageLocality 1"
    assert printed == ", ".join(f"{name} {weight}" for name, weight in WEIGHTS.items())
