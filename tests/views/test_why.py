"""The scheduler's why as HTML."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from labkit.flow import EvidenceId
from labkit.flow.attempts import Attempt, SchedulingDecision, Score, Verdict
from labkit.views.why import to_html

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
    text = to_html(SchedulingDecision("default/tomcat", (ATTEMPT, ATTEMPT)))
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
