"""The audit log reader, on events of a real API server and on what a crash or a stranger leaves."""

from __future__ import annotations

import dataclasses
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import EvidenceError
from labkit.evidence.audit import AuditLog, parse

BINDING: dict[str, Any] = {
    "kind": "Event",
    "apiVersion": "audit.k8s.io/v1",
    "level": "RequestResponse",
    "auditID": "07538586-2c7d-4cbb-b38a-9faa423a8474",
    "stage": "ResponseComplete",
    "requestURI": "/api/v1/namespaces/default/pods/tomcat-6546f88bb-zx2r8/binding",
    "verb": "create",
    "user": {"username": "system:kube-scheduler", "groups": ["system:authenticated"]},
    "sourceIPs": ["127.0.0.1"],
    "userAgent": "kube-scheduler/v1.34.3 (linux/amd64) kubernetes/$Format/scheduler",
    "objectRef": {
        "resource": "pods",
        "namespace": "default",
        "name": "tomcat-6546f88bb-zx2r8",
        "uid": "2453af13-7b23-49ff-9b9a-c2e70ac18571",
        "apiVersion": "v1",
        "subresource": "binding",
    },
    "responseStatus": {"metadata": {}, "status": "Success", "code": 201},
    "requestObject": {"kind": "Binding", "apiVersion": "v1", "target": {"kind": "Node", "name": "node-02"}},
    "responseObject": {"kind": "Status", "apiVersion": "v1", "status": "Success", "code": 201},
    "requestReceivedTimestamp": "2026-11-23T20:33:53.568466Z",
    "stageTimestamp": "2026-11-23T20:33:53.589654Z",
    "annotations": {"authorization.k8s.io/decision": "allow"},
}
LINE = json.dumps(BINDING)


def test_every_field_is_read() -> None:
    event = parse(LINE)
    assert event.audit_id == "07538586-2c7d-4cbb-b38a-9faa423a8474"
    assert (event.stage, event.level, event.verb, event.code) == ("ResponseComplete", "RequestResponse", "create", 201)
    assert event.received == datetime(2026, 11, 23, 20, 33, 53, 568466, tzinfo=UTC)
    assert event.staged == datetime(2026, 11, 23, 20, 33, 53, 589654, tzinfo=UTC)
    assert event.user == "system:kube-scheduler"
    assert event.user_agent.startswith("kube-scheduler/v1.34.3")
    assert event.source_ips == ("127.0.0.1",)
    assert event.annotations == {"authorization.k8s.io/decision": "allow"}
    assert event.object is not None
    assert (event.object.resource, event.object.subresource) == ("pods", "binding")
    assert (event.object.namespace, event.object.name) == ("default", "tomcat-6546f88bb-zx2r8")
    assert event.object.uid == "2453af13-7b23-49ff-9b9a-c2e70ac18571"
    assert (event.object.group, event.object.version, event.object.resource_version) == ("", "v1", "")
    assert event.request is not None
    assert event.request["target"]["name"] == "node-02"
    assert event.response is not None
    assert event.response["status"] == "Success"


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        parse(LINE).raw = {}  # type: ignore[misc]


def test_what_an_event_may_lack() -> None:
    optional = ("objectRef", "requestObject", "responseObject", "responseStatus", "sourceIPs", "annotations")
    event = parse(json.dumps({key: value for key, value in BINDING.items() if key not in (*optional, "userAgent")}))
    assert (event.object, event.request, event.response, event.code) == (None, None, None, None)
    assert (event.source_ips, event.user_agent, dict(event.annotations)) == ((), "", {})


@pytest.mark.parametrize("missing", ["auditID", "stage", "verb", "user", "requestReceivedTimestamp", "kind"])
def test_a_line_that_lacks_what_every_event_has(missing: str) -> None:
    with pytest.raises(ValueError, match="event"):
        parse(json.dumps({key: value for key, value in BINDING.items() if key != missing}))


def test_an_event_is_kept_whole() -> None:
    assert parse(LINE).raw == BINDING


@pytest.mark.parametrize(
    "odd", [{"verb": 7}, {"user": "me"}, {"stageTimestamp": "noon"}, {"objectRef": []}, {"responseStatus": "fine"}]
)
def test_an_event_with_something_else_in_its_place(odd: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"event|Invalid"):
        parse(json.dumps(BINDING | odd))


def test_lines_that_the_caller_does_not_want_are_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_text(f"{LINE}\nnot json\n{LINE.replace('node-02', 'node-01')}\n")
    log = AuditLog(path, only=lambda line: b"node-02" in line)
    assert [event.request["target"]["name"] for event in log if event.request] == ["node-02"]
    assert log.unreadable == 0


def test_torn_and_unreadable_lines_are_counted_apart(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_text(f'{LINE}\nnot json\n\n{{"kind": "Pod"}}\n{LINE}\n{LINE[:200]}')
    log = AuditLog(path)
    assert len(list(log)) == 2
    assert (log.unreadable, log.torn) == (2, True)
    with path.open("a") as file:  # the API server goes on with the line and another
        file.write(f"{LINE[200:]}\n{LINE}")
    assert len(list(log)) == 4
    assert (log.unreadable, log.torn) == (2, False)


def test_lines_without_their_ends() -> None:
    log = AuditLog([LINE.encode(), LINE[:50].encode()] * 2)
    assert len(list(log)) == 2
    assert (log.unreadable, log.torn) == (1, True)


def test_a_compressed_log(tmp_path: Path) -> None:
    path = tmp_path / "audit.log.gz"
    path.write_bytes(gzip.compress(f"{LINE}\n".encode() * 3))
    assert len(list(AuditLog(path))) == 3
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(EvidenceError, match="cannot be read"):
        list(AuditLog(path))


def test_a_missing_log_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError) as raised:
        list(AuditLog(tmp_path / "none.log"))
    assert "labkit status" in raised.value.fix


@given(st.lists(st.binary(max_size=300) | st.just(LINE.encode() + b"\n")))
def test_nothing_in_a_log_raises(lines: list[bytes]) -> None:
    log = AuditLog(lines)
    read = len(list(log))
    assert read == sum(line == LINE.encode() + b"\n" for line in lines)
    assert read + log.unreadable + log.torn == sum(bool(line.strip()) for line in lines)
