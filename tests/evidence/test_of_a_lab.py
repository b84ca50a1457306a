"""Evidence of the shared lab: complete for what was done, joined from the request to etcd, with no gap at a restart."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from labkit.evidence.audit import AuditEvent, AuditLog
from labkit.evidence.live import LiveEvidence
from labkit.evidence.model import Evidence, Span
from labkit.lab import Lab
from tests import traces

pytestmark = pytest.mark.cluster

ETCDCTL = (
    "k=/etc/kubernetes/pki/etcd; ETCDCTL_ENDPOINTS=127.0.0.1:2379 ETCDCTL_CACERT=$k/ca.crt "
    "ETCDCTL_CERT=$k/healthcheck-client.crt ETCDCTL_KEY=$k/healthcheck-client.key etcdctl"
)


@pytest.fixture(scope="module")
def deployed(lab: Lab) -> Iterator[Evidence]:
    """All that one deployment left."""
    since = datetime.now(UTC)
    lab.deploy("observed", image="labkit/standin")
    yield lab.evidence(since)
    lab.kubectl("delete service,deployment observed --ignore-not-found")


class Tree:
    """Spans by their parents."""

    def __init__(self, evidence: Evidence) -> None:
        self.children: dict[str, list[Span]] = defaultdict(list)
        for span in evidence.spans:
            self.children[span.parent_id].append(span)

    def below(self, span: Span) -> Iterator[Span]:
        for child in self.children[span.span_id]:
            yield child
            yield from self.below(child)


def _writes(evidence: Evidence) -> list[str]:
    """Return the audit ids of the audited writes that etcd's history has.

    An update that changes nothing stores nothing, and is answered with the revision that there was.
    """
    revisions = {revision.revision for revision in evidence.revisions}
    first: dict[tuple[str, int], str] = {}
    for event in sorted(evidence.audit, key=lambda event: event.staged):
        if event.verb in {"create", "update", "patch"} and event.response is not None:
            metadata = event.response.get("metadata", {})
            version = metadata.get("resourceVersion", "")
            if version.isdigit() and int(version) in revisions:
                first.setdefault((metadata.get("uid", ""), int(version)), event.audit_id)
    return list(first.values())


def test_nothing_of_a_deployment_is_missing(deployed: Evidence) -> None:
    assert deployed.losses == []
    assert [call.call for call in deployed.runtime if call.pod.startswith("observed")] == [
        *("RunPodSandbox", "PullImage", "CreateContainer", "StartContainer")
    ]
    messages = {line.message for line in deployed.scheduler if "observed" in line.fields.get("pod", "")}
    assert {"Plugin scored node for pod", "Successfully bound pod to node"} <= messages
    kinds = {revision.key.split("/")[2] for revision in deployed.revisions if "observed" in revision.key}
    assert kinds >= {"deployments", "replicasets", "pods", "events", "services", "endpointslices"}


def test_every_source_of_spans_is_received(lab: Lab, deployed: Evidence) -> None:
    wanted = {("apiserver", ""), ("etcd", "")} | {("kubelet", node) for node in deployed.cluster.nodes}

    def received() -> bool:  # each exports by its own clock
        return {(span.service, span.node) for span in lab.evidence(deployed.audit[0].received).spans} == wanted

    traces.eventually(received, 20)


def test_every_stored_write_has_etcds_own_span(deployed: Evidence) -> None:
    tree, by_audit_id = Tree(deployed), defaultdict(list)
    for span in deployed.spans:
        by_audit_id[span.attributes.get("audit-id")].append(span)
    writes = _writes(deployed)
    assert len(writes) >= 8, "deployment, replica set, pod, their updates, Events, slices"
    for audit_id in writes:
        below = [span for top in by_audit_id[audit_id] for span in tree.below(top)]
        assert ("etcd", "etcdserverpb.KV/Txn") in {(span.service, span.name) for span in below}, audit_id


def test_the_tree_of_a_creation(deployed: Evidence) -> None:
    tree = Tree(deployed)
    (create,) = (e for e in deployed.audit if e.verb == "create" and e.object and e.object.resource == "deployments")
    (top,) = (s for s in deployed.spans if s.name == "Create" and s.attributes.get("audit-id") == create.audit_id)
    parents = {span.span_id: span for span in deployed.spans}
    path, span = [], top
    while span.parent_id in parents:
        span = parents[span.parent_id]
        path.append(span.name)
    assert path == [
        *("authorization", "priorityandfairness", "impersonation", "audit"),
        "POST /apis/apps/v1/namespaces/{:namespace}/deployments",
    ]
    (stored,) = (span for span in tree.children[top.span_id] if span.name == "Create etcd3")
    assert stored.attributes["key"] == "/deployments/default/observed"
    (sent,) = (span for span in tree.children[stored.span_id] if span.service == "apiserver")
    (done,) = tree.children[sent.span_id]
    assert (done.service, done.name) == ("etcd", "etcdserverpb.KV/Txn")
    assert stored.start <= sent.start <= done.start < done.end <= sent.end <= stored.end


def test_compacted_history_is_told(lab: Lab, deployed: Evidence) -> None:
    at = deployed.revisions[-1].revision
    lab.kubectl("create configmap before-compaction")  # what was written last may be a lease, of which nobody is told
    since = datetime.now(UTC)
    lab.nodes["master"].exec(f"{ETCDCTL} compact {at}")
    lab.kubectl("create configmap after-compaction")
    try:
        everything = lab.evidence()
        assert [loss.what for loss in everything.losses if loss.source == "etcd"] == [f"revisions 1 to {at} are gone"]
        assert everything.revisions[0].revision == at + 1
        recent = lab.evidence(since)
        assert recent.losses == []
        assert [r.key for r in recent.revisions if "after-compaction" in r.key] == [
            "/registry/configmaps/default/after-compaction"
        ]
    finally:
        lab.kubectl("delete configmap before-compaction after-compaction")


def test_a_restart_of_the_api_server_while_following(lab: Lab) -> None:
    """The log is moved away and the API server killed, while it writes; its successor begins a new file."""
    log = lab.cluster.audit_log
    seen: list[AuditEvent] = []
    revisions: list[int] = []
    since = datetime.now(UTC)
    with LiveEvidence(lab.cluster, since) as live:

        def follow(seconds: float) -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                new = live.poll()
                assert [loss for loss in new.losses if loss.source != "audit"] == []
                seen.extend(new.audit)
                revisions.extend(revision.revision for revision in new.revisions)
                time.sleep(0.02)

        follow(0.5)
        lab.kubectl("create configmap before-restart")
        assert log is not None
        moved = log.with_name(f"audit-{datetime.now(UTC):%Y-%m-%dT%H-%M-%S.%f}.log")
        log.rename(moved)
        lab.kubectl("label configmap before-restart a=b")
        lab.nodes["master"].exec("kill -9 $(pidof kube-apiserver)")
        deadline = time.monotonic() + 60
        with lab.api_server() as api:
            while api.get("/api/v1/namespaces/default") is None:
                assert time.monotonic() < deadline
                follow(0.1)
        lab.kubectl("delete configmap before-restart")
        by_then = _written([moved, log], since)
        follow(1.0)
    about = [event.verb for event in seen if event.object and event.object.name == "before-restart" and event.code]
    assert [verb for verb in about if verb != "get"] == ["create", "patch", "delete"]
    ids = [event.audit_id for event in seen if event.staged >= since]
    assert ids == _written([moved, log], since)[: len(ids)]
    assert by_then == ids[: len(by_then)], "a second later, what was written has been seen"
    assert len(set(ids)) == len(ids)
    assert revisions == sorted(revisions)
    assert len(set(revisions)) == len(revisions)


def _written(logs: list[Path], since: datetime) -> list[str]:
    return [event.audit_id for log in logs for event in AuditLog(log) if event.staged >= since]
