"""Evidence in the formats of other tools: audit viewers and trace viewers. Secrets are redacted, as in a recording.

Formats: ``audit.k8s.io/v1`` as JSON lines, as the API server writes it; OTLP/JSON, one ExportTraceServiceRequest
(opentelemetry.io/docs/specs/otlp, "JSON Protobuf Encoding"); the JSON that Jaeger downloads and uploads
(github.com/jaegertracing/jaeger, model/json/model.go).
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from labkit.evidence.model import Evidence, Span
from labkit.evidence.redaction import redacted

# staging/src/k8s.io/apiserver/pkg/apis/audit/v1/types.go, Event
_FIELDS = (
    *("kind", "apiVersion", "level", "auditID", "stage", "requestURI", "verb", "user", "impersonatedUser"),
    *("sourceIPs", "userAgent", "objectRef", "responseStatus", "requestObject", "responseObject"),
    *("requestReceivedTimestamp", "stageTimestamp", "annotations"),
)
_USERS = frozenset({"user", "impersonatedUser"})  # a user's name comes first
_SCOPE = "labkit"
_ERROR = 2  # Status.StatusCode STATUS_CODE_ERROR (opentelemetry/proto/trace/v1/trace.proto)


def audit_jsonl(evidence: Evidence) -> bytes:
    """Return the audit events, one JSON object a line, as the API server writes them."""
    clean = redacted(dataclasses.replace(evidence, spans=()))
    return b"".join(orjson.dumps(_ordered(event.raw), option=orjson.OPT_APPEND_NEWLINE) for event in clean.audit)


def _ordered(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event with its fields in the API server's order, which some readers rely on."""
    names = sorted(raw, key=lambda name: _FIELDS.index(name) if name in _FIELDS else len(_FIELDS))
    users = {name: {"username": "", **raw[name]} for name in names if name in _USERS}
    return {name: users.get(name, raw[name]) for name in names}


def otlp_json(evidence: Evidence) -> bytes:
    """Return the spans as one OTLP/JSON document, grouped by the components that made them."""
    groups = _by_component(evidence)
    resources = [
        {
            "resource": {"attributes": [_otlp_attribute(*item) for item in _resource(*component).items()]},
            "scopeSpans": [{"scope": {"name": _SCOPE}, "spans": list(map(_otlp_span, spans))}],
        }
        for component, spans in groups.items()
    ]
    return orjson.dumps({"resourceSpans": resources})


def jaeger_json(evidence: Evidence) -> bytes:
    """Return the spans as Jaeger's user interface uploads them: a list of traces; times in microseconds."""
    groups = _by_component(evidence)
    processes = {component: f"p{number}" for number, component in enumerate(groups, 1)}
    traces: dict[str, list[dict[str, Any]]] = defaultdict(list)
    used: dict[str, dict[str, Any]] = defaultdict(dict)
    for component, spans in groups.items():
        name = processes[component]
        process = {"serviceName": component[0], "tags": [_tag(*item) for item in _host(component[1]).items()]}
        for span in spans:
            traces[span.trace_id].append(_jaeger_span(span, name))
            used[span.trace_id][name] = process
    data = [
        {"traceID": trace, "spans": spans, "processes": used[trace], "warnings": None}
        for trace, spans in traces.items()
    ]
    return orjson.dumps({"data": data, "total": 0, "limit": 0, "offset": 0, "errors": None})


def _by_component(evidence: Evidence) -> dict[tuple[str, str], list[Span]]:
    """Return the redacted spans by service and node."""
    clean = redacted(dataclasses.replace(evidence, scheduler=(), runtime=()))
    groups: dict[tuple[str, str], list[Span]] = defaultdict(list)
    for span in clean.spans:
        groups[span.service, span.node].append(span)
    return dict(sorted(groups.items()))


def _resource(service: str, node: str) -> dict[str, str]:
    return {"service.name": service, **_host(node)}


def _host(node: str) -> dict[str, str]:
    return {"host.name": node} if node else {}


def _otlp_span(span: Span) -> dict[str, Any]:
    """64-bit integers are text, ids are hexadecimal: so says the encoding."""
    result: dict[str, Any] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "parentSpanId": span.parent_id,
        "name": span.name,
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(span.end),
        "attributes": [_otlp_attribute(*item) for item in span.attributes.items()],
        "events": [{"timeUnixNano": str(time), "name": what} for time, what in span.events],
    }
    if span.error:
        result["status"] = {"code": _ERROR, "message": span.error}
    return result


def _otlp_attribute(key: str, value: object) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"key": key, "value": {"boolValue": value}}
    if isinstance(value, int):
        return {"key": key, "value": {"intValue": str(value)}}
    if isinstance(value, float):
        return {"key": key, "value": {"doubleValue": value}}
    return {"key": key, "value": {"stringValue": str(value)}}


def _jaeger_span(span: Span, process: str) -> dict[str, Any]:
    error: Mapping[str, Any] = {"error": True, "otel.status_description": span.error} if span.error else {}
    parent = {"refType": "CHILD_OF", "traceID": span.trace_id, "spanID": span.parent_id}
    return {
        "traceID": span.trace_id,
        "spanID": span.span_id,
        "operationName": span.name,
        "references": [parent] if span.parent_id else [],
        "startTime": span.start // 1000,
        "duration": (span.end - span.start) // 1000,
        "tags": [_tag(*item) for item in {**span.attributes, **error}.items()],
        "logs": [{"timestamp": time // 1000, "fields": [_tag("event", what)]} for time, what in span.events],
        "processID": process,
        "warnings": None,
    }


def _tag(key: str, value: object) -> dict[str, Any]:
    kinds: Sequence[tuple[type, str]] = ((bool, "bool"), (int, "int64"), (float, "float64"), (str, "string"))
    return {"key": key, "type": next(name for kind, name in kinds if isinstance(value, kind)), "value": value}
