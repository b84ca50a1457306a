"""Exports are read again by the formats' own readers, and hold what the evidence holds."""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from labkit.evidence import spans as otlp
from labkit.evidence.audit import AuditLog
from labkit.evidence.export import audit_jsonl, jaeger_json, otlp_json
from labkit.evidence.model import Evidence, Span


def test_audit_events_are_written_as_the_api_server_wrote_them(sample: Evidence) -> None:
    text = audit_jsonl(sample)
    log = AuditLog(text.splitlines(keepends=True))
    assert tuple(log) == sample.audit
    assert (log.unreadable, log.torn) == (0, False)
    for line in text.splitlines():
        assert line.startswith(b'{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"')
        assert b',"user":{"username":"' in line
        assert list(json.loads(line))[-1] == "annotations"


def in_protobuf_json(value: Any, key: str = "") -> Any:
    """OTLP/JSON writes ids in hexadecimal, where protobuf's own JSON has base64; that is all that differs."""
    if isinstance(value, dict):
        return {name: in_protobuf_json(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [in_protobuf_json(item) for item in value]
    ids = {"traceId", "spanId", "parentSpanId"}
    return base64.b64encode(bytes.fromhex(value)).decode() if key in ids else value


def test_spans_as_otlp_are_read_by_the_protocols_own_messages(sample: Evidence) -> None:
    failed = dataclasses.replace(sample.spans[0], span_id="00000000000000aa", error="it broke", attributes={"f": 0.5})
    evidence = dataclasses.replace(sample, spans=(*sample.spans, failed))
    request = ParseDict(in_protobuf_json(json.loads(otlp_json(evidence))), ExportTraceServiceRequest())
    again = list(otlp.parse(request.SerializeToString()))
    assert sorted(again, key=repr) == sorted(evidence.spans, key=repr)
    written = [span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]
    assert {span.status.code for span in written if span.status.message} == {Status.STATUS_CODE_ERROR}


def test_spans_as_jaeger_reads_them(sample: Evidence) -> None:
    whole = json.loads(jaeger_json(sample))
    assert set(whole) >= {"data"}
    by_id: dict[tuple[str, str], Span] = {(span.trace_id, span.span_id): span for span in sample.spans}
    seen = 0
    for trace in whole["data"]:
        for span in trace["spans"]:
            seen += 1
            origin = by_id[trace["traceID"], span["spanID"]]
            assert span["traceID"] == trace["traceID"]
            assert (span["operationName"], span["startTime"]) == (origin.name, origin.start // 1000)
            assert trace["processes"][span["processID"]]["serviceName"] == origin.service
            assert [item["spanID"] for item in span["references"]] == [origin.parent_id] * bool(origin.parent_id)
            told = {"error": True, "otel.status_description": origin.error} if origin.error else {}
            assert {tag["key"]: tag["value"] for tag in span["tags"]} == {**origin.attributes, **told}
            assert {tag["type"] for tag in span["tags"]} <= {"string", "int64", "bool", "float64"}
            assert [log["fields"][0]["value"] for log in span["logs"]] == [what for _, what in origin.events]
    assert seen == len(sample.spans)
    kubelet = next(p for t in whole["data"] for p in t["processes"].values() if p["serviceName"] == "kubelet")
    assert kubelet["tags"][0]["key"] == "host.name"


def test_a_failed_span_is_marked(sample: Evidence) -> None:
    failed = dataclasses.replace(sample, spans=(dataclasses.replace(sample.spans[0], error="it broke"),))
    [trace] = json.loads(jaeger_json(failed))["data"]
    tags = {tag["key"]: (tag["type"], tag["value"]) for tag in trace["spans"][0]["tags"]}
    assert tags["error"] == ("bool", True)
    assert tags["otel.status_description"] == ("string", "it broke")


def test_no_secret_leaves(sample: Evidence) -> None:
    token = "Bearer 0123456789abcdef0123"  # noqa: S105 - planted
    span = dataclasses.replace(sample.spans[0], attributes={"header": token})
    raw = {**sample.audit[0].raw, "userAgent": token}
    evidence = dataclasses.replace(sample, spans=(span,), audit=(dataclasses.replace(sample.audit[0], raw=raw),))
    for data in (audit_jsonl(evidence), otlp_json(evidence), jaeger_json(evidence)):
        assert b"0123456789abcdef0123" not in data
        assert b"redacted" in data
