"""The scheduler's why as HTML."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from labkit.flow import EvidenceId
from labkit.flow.attempts import Attempt, SchedulingDecision, Score, Verdict
from labkit.views import why

ATTEMPT = Attempt(
    1,
    datetime(2026, 1, 2, tzinfo=UTC),
    (
        Verdict("master", "rejected", "TaintToleration", "untolerated taint <b>"),
        Verdict("node-01", "feasible"),
        Verdict("node-02", "feasible"),
    ),
    (Score("TaintToleration", "node-01", 300, 3), Score("TaintToleration", "node-02", 240, 3)),
    {"node-01": 300, "node-02": 240},
    "node-01",
    "node-01 had the highest sum, 300",
    (EvidenceId("scheduler", "7"),),
)


def test_a_table_for_each_attempt_best_node_first_and_a_sentence() -> None:
    text = why.to_html(SchedulingDecision("default/tomcat", (ATTEMPT, ATTEMPT)))
    assert "<b>" not in text
    section = ET.fromstring(text)  # noqa: S314 - our own text
    tables = section.findall("./table")
    assert len(tables) == len(section.findall("./p")) == 2
    cells = [["".join(cell.itertext()) for cell in row] for row in tables[0].findall("./tbody/tr")]
    assert cells == [
        ["node-01 (chosen)", "feasible", "300 = 100 x 3", "300"],
        ["node-02", "feasible", "240 = 80 x 3", "240"],
        ["master", "rejected by TaintToleration: untolerated taint <b>", "", ""],
    ]
    assert section.findtext("./p") == ATTEMPT.why


def test_a_column_per_node_best_first_with_the_part_of_the_most() -> None:
    verdict, taints, total = why.scores(ATTEMPT)
    assert verdict[0] == "filters"
    assert [cell.text for cell in verdict[1]] == ["feasible", "feasible", "rejected by TaintToleration"]
    assert why.reasons(ATTEMPT) == ["master: untolerated taint <b>"]
    assert taints[0] == "TaintToleration x3"
    assert [(cell.text, cell.part) for cell in taints[1]] == [("300 = 100 x 3", 1), ("240 = 80 x 3", 0.8), ("", None)]
    assert (total[0], [cell.part for cell in total[1]]) == ("sum", [1, 0.8, None])


def test_every_filter_and_where_it_stopped() -> None:
    lines = dict(why.filters(ATTEMPT))
    assert [cell.text for cell in lines["NodeName"]] == ["passed", "passed", "passed"]
    assert [cell.text for cell in lines["TaintToleration"]] == ["passed", "passed", "rejected"]
    assert [cell.text for cell in lines["NodeResourcesFit"]] == ["passed", "passed", "not asked"]


def test_where_nothing_was_scored_there_are_only_verdicts() -> None:
    alone = replace(ATTEMPT, scores=(), sums={}, why="only one node was feasible")
    assert [name for name, _ in why.scores(alone)] == ["filters"]
