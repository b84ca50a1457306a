"""What the player shows of a hop, from a recording of a real session."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from labkit.evidence.model import Evidence
from labkit.evidence.recording import load
from labkit.flow import Flow, trace
from labkit.views import player
from labkit.views.sections import Sections

SAMPLE = Path(__file__).parents[1] / "flow" / "data" / "lessons.labtrace"


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return load(SAMPLE).evidence


@pytest.fixture(scope="module")
def flow(evidence: Evidence) -> Flow:
    return trace(evidence, "deployment/tomcat", action=0)


def of(evidence: Evidence, flow: Flow, verb: str, thing: str, kind: str = "request") -> dict[str, dict[str, Any]]:
    hop = next(hop for hop in flow.hops if (hop.verb, hop.kind) == (verb, kind) and str(hop.object).startswith(thing))
    return {section["title"]: section for section in Sections(evidence).of(hop)}


def test_a_request_opens_to_its_spans_its_admission_and_its_raw_event(evidence: Evidence, flow: Flow) -> None:
    found = of(evidence, flow, "create", "deployments/tomcat")
    spans = next(section for section in found.values() if section["kind"] == "spans")
    services = [row[2] for row in spans["rows"]]
    assert services[0] == "apiserver"
    assert "etcd" in services
    assert all(row[3] + row[4] <= spans["total"] for row in spans["rows"])
    changed = {path: after for path, _, after in found["Defaulting and admission"]["rows"]}
    assert "metadata.uid" in changed
    raw = found["Audit event, raw"]["text"]
    assert '"verb": "create"' in raw
    assert "managedFields" not in raw


def test_a_write_opens_to_its_key_and_revision(evidence: Evidence, flow: Flow) -> None:
    found = of(evidence, flow, "store", "deployments/tomcat", "persist")
    rows = dict(found["etcd"]["rows"])
    assert rows["Key"] == "/registry/deployments/default/tomcat"
    assert int(rows["Revision"]) == next(hop for hop in flow.hops if hop.kind == "persist").revision


def test_a_binding_opens_to_the_scheduler_s_table(evidence: Evidence, flow: Flow) -> None:
    binding = next(hop for hop in flow.hops if hop.object.subresource == "binding" and hop.kind == "request")
    table = Sections(evidence).of(binding)[0]
    assert table["title"] == "The scheduler's why"
    assert any("(chosen)" in heading for heading in table["head"])
    assert any(row[0].startswith("TaintToleration") for row in table["rows"])


def test_every_hop_opens_and_the_whole_is_json(evidence: Evidence, flow: Flow) -> None:
    details = Sections(evidence).of_flow(flow)
    assert list(details) == [hop.number for hop in flow.hops]
    assert all(details.values())
    data = player.payload(flow, details=details, pictures=player.pictures(flow))
    assert json.loads(json.dumps(data)) == data
