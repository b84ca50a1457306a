"""A deployment's pods over time: from recordings of real clusters, and from events made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.errors import EvidenceError, UsageError
from labkit.evidence.audit import AuditEvent
from labkit.flow import actions, trace
from labkit.flow.rollout import Rollout, rollout
from labkit.lab import replay
from tests.flow.events import (
    ADMIN,
    DEPLOYMENT_CONTROLLER,
    REPLICASET_CONTROLLER,
    created,
    event,
    evidence_of,
    stored,
)


def _recorded(name: str, deployment: str = "tomcat") -> Rollout:
    return replay(name).rollout(deployment).rollout


def test_an_update_replaces_one_pod_after_the_other() -> None:
    found = _recorded("update-tomcat")
    assert found.action == "update deployment tomcat to tomcat:9"
    assert [(each.revision, each.images) for each in found.versions] == [("1", "tomcat8"), ("2", "tomcat:9")]
    old = [life for life in found.lives if life.version.revision == "1"]
    new = [life for life in found.lives if life.version.revision == "2"]
    assert [[each.phase for each in life.stretches] for life in old] == [["ready", "terminating"]] * 3
    assert [[each.phase for each in life.stretches] for life in new] == [["not ready", "ready"]] * 3
    for leaving, coming in zip(old, new, strict=True):  # as its successor is ready, and no sooner
        assert 0 < leaving.stretches[1].start - coming.stretches[1].start < 100
    assert (found.most, found.least) == (4, 3)
    assert {count.alive for count in found.counts()} == {3, 4}
    assert min(count.ready for count in found.counts()) == found.counts()[-1].ready == 3


def test_each_stretch_names_its_evidence() -> None:
    audit = {each.audit_id: each for each in replay("update-tomcat").evidence().audit}
    for life in _recorded("update-tomcat").lives:
        for stretch in life.stretches:
            event = audit[stretch.evidence.id]
            assert event.object is not None
            assert event.object.resource == "pods"


def test_what_is_deleted_is_gone_in_the_end() -> None:
    found = _recorded("delete-tomcat")
    assert all(life.gone for life in found.lives)
    assert len(found.lives) == 3
    assert found.counts()[-1].alive == 0
    assert found.most is None
    assert found.lives[0].phase(found.end + 1) is None


def test_a_pod_that_never_starts_is_not_ready_to_the_end() -> None:
    (life,) = _recorded("missing-image", "missing").lives
    (stretch,) = life.stretches
    assert (stretch.phase, stretch.end) == ("not ready", _recorded("missing-image", "missing").end)


def test_only_deployments_have_one() -> None:
    with pytest.raises(UsageError, match="is no deployment"):
        replay("expose-tomcat").rollout("service/tomcat")


def test_a_pod_that_is_taken_out_counts_no_longer() -> None:
    free = _pod("a")
    del free["metadata"]["ownerReferences"]
    found = _of(
        [
            event(20, REPLICASET_CONTROLLER, "create", "pods/-", code=201, response=_pod("a")),
            event(300, "system:node:node-01", "patch", "pods/a/status", response=_pod("a", "True")),
            event(400, REPLICASET_CONTROLLER, "patch", "pods/a", response=free),
            event(410, REPLICASET_CONTROLLER, "create", "pods/-", code=201, response=_pod("b")),
            event(500, "system:node:node-01", "patch", "pods/a/status", response=free),
            event(600, REPLICASET_CONTROLLER, "update", "replicasets/web-5c8/status", response=_replica_set()),
        ]
    )
    first, second = found.lives
    assert [each.phase for each in first.stretches] == ["not ready", "ready"]
    assert first.gone
    assert first.stretches[-1].end == pytest.approx(400, abs=2)
    assert not second.gone
    assert [count.alive for count in found.counts()] == [0, 1, 1, 0, 1]


def test_without_a_pod_there_is_nothing_to_show() -> None:
    with pytest.raises(EvidenceError, match="Nothing is known of the pods"):
        _of([])


def test_a_json_patch_is_an_update_when_it_changes_the_template() -> None:
    template = {"spec": {"containers": [{"name": "web", "image": "nginx:1.27"}]}}
    undo: Any = [
        {"op": "replace", "path": "/spec/template", "value": template},
        {"op": "replace", "path": "/metadata/annotations", "value": {}},
    ]
    scale: Any = [{"op": "replace", "path": "/spec/replicas", "value": 2}, {"op": "test", "path": ""}, "?"]
    done = actions([event(at, ADMIN, "patch", "deployments/web", request=body) for at, body in ((0, undo), (5, scale))])
    assert [(each.kind, each.what) for each in done] == [
        ("update", "update deployment web to nginx:1.27"),
        ("scale", "scale deployment web to 2"),
    ]


def _of(events: list[AuditEvent]) -> Rollout:
    made = event(10, DEPLOYMENT_CONTROLLER, "create", "replicasets/web-5c8", code=201, response=_replica_set())
    evidence = evidence_of([created(0, "web"), made, *events])
    return rollout(trace(evidence, "deployment/web"), evidence)


def _replica_set() -> dict[str, Any]:
    body = stored("ReplicaSet", "web-5c8", "r1", "d1", spec={"replicas": 1})
    body["metadata"]["ownerReferences"][0] |= {"kind": "Deployment", "name": "web"}
    return body


def _pod(name: str, ready: str = "False") -> dict[str, Any]:
    return stored("Pod", name, name, "r1", status={"conditions": [{"type": "Ready", "status": ready}]})
