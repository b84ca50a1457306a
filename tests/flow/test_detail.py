"""Hops opened: on a real session (tests/evidence/data)."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import pytest

from labkit.errors import EvidenceError
from labkit.evidence.model import Evidence, Span
from labkit.evidence.recording import load
from labkit.flow import EvidenceId, Flow, Hop, trace
from labkit.flow.changes import Change, changes
from labkit.flow.detail import EvidenceIndex, SpanNode, detail

SAMPLE = Path(__file__).parents[1] / "evidence" / "data" / "v1.labtrace"


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return load(SAMPLE).evidence


@pytest.fixture(scope="module")
def flow(evidence: Evidence) -> Flow:
    return trace(evidence, "deployment/tomcat", action=0)


@pytest.fixture(scope="module")
def index(evidence: Evidence) -> EvidenceIndex:
    return EvidenceIndex(evidence)


def hop(flow: Flow, kind: str, what: str) -> Hop:
    return next(item for item in flow.hops if item.kind == kind and what in item.what)


def walk(node: SpanNode) -> list[SpanNode]:
    return [node, *(below for child in node.children for below in walk(child))]


def test_every_piece_of_evidence_of_every_hop_is_found(flow: Flow, index: EvidenceIndex) -> None:
    sources = set()
    for item in flow.hops:
        opened = index.detail(item)
        assert [piece.id for piece in opened.items] == list(item.evidence)
        assert all(piece.title and piece.content for piece in opened.items)
        assert json.loads(json.dumps(opened.to_json()))["number"] == item.number
        sources |= {piece.id.source for piece in opened.items}
    assert sources == {"audit", "span", "etcd", "runtime"}


def test_the_raw_audit_event_is_shown(flow: Flow, index: EvidenceIndex, evidence: Evidence) -> None:
    [item] = index.detail(flow.hops[0]).items
    assert item.title.startswith("audit event: kubernetes-admin create /apis/apps/v1/namespaces/default/deployments")
    assert item.content in [event.raw for event in evidence.audit]


def test_a_request_opens_to_its_spans_down_to_etcd(flow: Flow, index: EvidenceIndex) -> None:
    [root] = index.detail(flow.hops[0]).spans
    assert (root.name, root.offset) == ("authentication", 0)
    assert "the only authentication" in root.rule
    [post] = root.children
    assert (post.name, post.offset, post.rule) == ("POST /apis/apps/v1/namespaces/{:namespace}/deployments", 161, "")
    nodes = walk(root)
    names = [(node.service, node.name) for node in nodes]
    for part in (
        "authentication",
        "authorization",
        "priorityandfairness",
        "audit",
        "Create",
        "Create etcd3",
        "SerializeObject",
    ):
        assert ("apiserver", part) in names
    txn = "etcdserverpb.KV/Txn"
    assert [service for service, name in names if name == txn] == ["apiserver", "etcd"]
    for node in nodes:
        for child in node.children:
            assert child.offset >= node.offset
        assert [child.offset for child in node.children] == sorted(child.offset for child in node.children)
        assert node.offset + node.duration <= root.duration + 2_000  # etcd ends its span after it has answered
    [handler] = [node for node in nodes if node.name == "Create"]
    assert "About to store object in database" in [what for _, what in handler.moments]
    assert handler.attributes["resource"] == "deployments"


def test_an_authentication_belongs_to_one_request_at_most(evidence: Evidence, index: EvidenceIndex) -> None:
    """Its span names no request; what time alone leaves open is not shown."""
    seen = [tree for event in evidence.audit for tree in index.span_tree(event.audit_id)]
    authentications = [tree.id for tree in seen if tree.name == "authentication"]
    assert len(authentications) == len(set(authentications)) > 0.9 * len(seen) > 100


def test_where_two_authentications_fit_none_is_shown(evidence: Evidence, flow: Flow, index: EvidenceIndex) -> None:
    [tree] = index.detail(flow.hops[0]).spans
    twin = next(span for span in evidence.spans if f"{span.trace_id}/{span.span_id}" == tree.id.id)
    two = dataclasses.replace(evidence, spans=(*evidence.spans, dataclasses.replace(twin, span_id="twin")))
    [alone] = EvidenceIndex(two).detail(flow.hops[0]).spans
    assert (alone.name, alone.offset) == (tree.children[0].name, 0)


def test_a_persist_opens_to_its_own_transaction(flow: Flow, index: EvidenceIndex) -> None:
    [call] = index.detail(hop(flow, "persist", "stores deployment tomcat")).spans
    assert [node.service for node in walk(call)] == ["apiserver", "etcd"]
    assert call.duration > call.children[0].duration > 0


def test_a_runtime_call_opens_to_the_kubelets_span(flow: Flow, index: EvidenceIndex) -> None:
    opened = index.detail(hop(flow, "runtime", "makes the sandbox"))
    assert opened.items[0].content["call"] == "RunPodSandbox"
    assert [span.service for span in opened.spans] == ["kubelet"]
    assert opened.differences == ()


def test_what_admission_gave_a_pod(flow: Flow, index: EvidenceIndex) -> None:
    [difference] = index.detail(hop(flow, "request", "creates pod")).differences
    assert difference.title == "Defaulting and admission"
    assert "the client may have set defaults already" in difference.note
    paths = {change.path: change for change in difference.changes}
    assert paths["spec.serviceAccountName"].after == "default"  # the ServiceAccount plugin
    assert [item["key"] for item in paths["spec.tolerations"].after] == [  # DefaultTolerationSeconds
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ]
    assert paths["spec.priority"].after == 0  # Priority
    assert "metadata.managedFields" not in paths


@pytest.mark.parametrize(
    ("what", "note"),
    [
        ("reports pod", "The request is a patch"),
        ("binds pod", "The request is a Binding and the answer a Status"),
        ("refused", r"The request was refused (409)"),
        ("asks for a token", "does not have both"),
    ],
)
def test_where_there_is_nothing_to_compare(flow: Flow, index: EvidenceIndex, what: str, note: str) -> None:
    [difference] = index.detail(hop(flow, "request", what)).differences
    assert note in difference.note
    assert difference.changes == ()


def bound(flow: Flow) -> Hop:
    binding = hop(flow, "request", "binds pod")
    return next(item for item in flow.hops if item.kind == "persist" and item.cause == binding.number)


def test_what_the_binding_stored(flow: Flow, index: EvidenceIndex) -> None:
    [difference] = index.detail(bound(flow)).differences
    assert difference.note == "As etcd has both."
    assert Change("spec.nodeName", "added", None, "node-02") in difference.changes


def test_what_is_new_was_nothing_before(flow: Flow, index: EvidenceIndex) -> None:
    [difference] = index.detail(hop(flow, "persist", "stores pod")).differences
    assert difference.note == "The object is new."
    assert {change.path for change in difference.changes} == {"apiVersion", "kind", "metadata", "spec", "status"}
    assert {change.kind for change in difference.changes} == {"added"}


def test_without_etcd_the_answers_are_compared(evidence: Evidence) -> None:
    less = dataclasses.replace(evidence, revisions=())
    flow = trace(less, "deployment/tomcat", action=0)
    index = EvidenceIndex(less)
    persists = [item for item in flow.hops if item.kind == "persist" and item.what.startswith("stores deployment")]
    first, second = (index.detail(item).differences[0] for item in persists[:2])
    assert (first.note, first.changes) == ("The version before is not in the evidence.", ())
    assert second.note == "As the API server answered; the version before is the last that it answered, 535."
    assert "status.conditions" in {change.path for change in second.changes}


def test_without_the_previous_value_the_revision_before_is_compared(evidence: Evidence, flow: Flow) -> None:
    less = dataclasses.replace(
        evidence, revisions=tuple(dataclasses.replace(item, previous=None) for item in evidence.revisions)
    )
    [difference] = EvidenceIndex(less).detail(bound(flow)).differences
    assert Change("spec.nodeName", "added", None, "node-02") in difference.changes


def test_one_hop_at_a_time(evidence: Evidence, flow: Flow, index: EvidenceIndex) -> None:
    assert detail(evidence, flow.hops[0]) == detail(index, flow.hops[0]) == index.detail(flow.hops[0])


def test_evidence_of_another_session(evidence: Evidence, flow: Flow) -> None:
    with pytest.raises(EvidenceError, match="no evidence audit:"):
        detail(Evidence(evidence.cluster, audit=()), flow.hops[0])
    strange = dataclasses.replace(flow.hops[0], evidence=(EvidenceId("scheduler", "0"),))
    with pytest.raises(EvidenceError, match="no evidence scheduler:0"):
        detail(evidence, strange)


def test_spans_that_name_each_other_as_parent(evidence: Evidence) -> None:
    both = [Span("t", a, b, "apiserver", "", a, 1, 2, {"audit-id": "x"}) for a, b in (("a", "b"), ("b", "a"))]
    loop = dataclasses.replace(
        evidence, spans=(*both, Span("t", "c", "c", "apiserver", "", "c", 1, 2, {"audit-id": "x"}))
    )
    assert EvidenceIndex(loop).span_tree("x")


def test_fifty_details_are_quick(evidence: Evidence, flow: Flow) -> None:
    started = time.perf_counter()
    index = EvidenceIndex(evidence)
    for item in flow.hops:
        index.detail(item)
    assert len(flow.hops) > 50
    assert time.perf_counter() - started < 2


def test_lists_are_compared_by_what_tells_their_items_apart() -> None:
    before = {"c": [{"name": "a", "image": "1"}, {"name": "b"}], "args": ["x"], "a.b/c": 1, "same": {"deep": [1]}}
    after = {"c": [{"name": "b"}, {"name": "a", "image": "2"}], "args": ["x", "y"], "a.b/c": 2, "same": {"deep": [1]}}
    assert changes(before, after) == (
        Change('["a.b/c"]', "changed", 1, 2),
        Change("args[1]", "added", None, "y"),
        Change("c[a].image", "changed", "1", "2"),
    )
    assert changes(after, before)[1] == Change("args[1]", "removed", "y", None)
    assert changes({"a": 1}, {"a": [1]}) == (Change("a", "changed", 1, [1]),)
    assert changes({"metadata": {}}, {"metadata": {"managedFields": []}}) == ()
