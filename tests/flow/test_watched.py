"""What watches tell, against what the audit log has: real recordings, their revisions told as watches tell them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from labkit.cluster.watching import RESOURCES
from labkit.evidence.model import Change, ChangeKind, Evidence
from labkit.evidence.recording import load
from labkit.flow import Flow, actions, tell, trace
from labkit.flow.bodies import metadata
from labkit.flow.watched import understood

RECORDINGS = Path(__file__).parents[2] / "labkit/recordings"
KINDS: dict[str, ChangeKind] = {"created": "ADDED", "changed": "MODIFIED", "removed": "DELETED"}
# Resources by the first parts of their keys in etcd.
PREFIXES = {"services/specs": "services", "services/endpoints": "endpoints"}


def told(evidence: Evidence) -> Evidence:
    """Return evidence as a cluster gives it whose API server alone can be asked: changes, and nothing else."""
    stored = {
        int(version): event.staged
        for event in evidence.audit
        if event.verb not in {"get", "list", "watch"}
        and (version := str(metadata(event.response).get("resourceVersion", ""))).isdigit()
    }
    changes = list(_changes(evidence, stored))
    return replace(evidence, audit=(), spans=(), revisions=(), scheduler=(), runtime=(), changes=changes)


def _changes(evidence: Evidence, stored: dict[int, datetime]) -> Iterator[Change]:
    time, known = evidence.audit[0].received, set()
    for number, revision in enumerate(evidence.revisions, 1):
        parts = revision.key.split("/")[2:]
        resource = PREFIXES.get("/".join(parts[:2]), parts[0])
        time = stored.get(revision.revision, time)
        body = revision.previous if revision.removed else revision.value
        if resource not in RESOURCES or body is None:
            continue
        uid = body["metadata"]["uid"]
        if revision.what != "created" and uid not in known and revision.previous:
            yield Change(number, evidence.audit[0].received, "LISTED", resource, revision.previous)
        known.add(uid)
        # A watch tells an object with its version, which etcd keeps beside it.
        body = {**body, "metadata": {**body["metadata"], "resourceVersion": str(revision.revision)}}
        yield Change(number, time, KINDS[revision.what], resource, body)


def requests(flow: Flow) -> Counter[tuple[str, str]]:
    """Return who asked about what, each so often."""
    return Counter((hop.source.id, str(hop.object)) for hop in flow.hops if hop.kind in {"request", "record"})


def stored(flow: Flow) -> Counter[tuple[str, str]]:
    """Return the requests of a flow that changed something watched: not the refused, empty ones, nor tokens."""
    causes = {hop.cause for hop in flow.hops if hop.kind == "persist" and hop.object.resource in RESOURCES}
    return requests(replace(flow, hops=tuple(h for h in flow.hops if h.kind == "record" or h.number in causes)))


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("deploy-tomcat", "deployment/tomcat"),
        ("scale-tomcat", "deployment/tomcat"),
        ("update-tomcat", "deployment/tomcat"),
        ("expose-tomcat", "service/tomcat"),
        ("crash-loop", "deployment/crash"),
        ("unschedulable", "deployment/nowhere"),
    ],
)
def test_what_changed_something_is_inferred_as_the_audit_log_has_it(name: str, subject: str) -> None:
    evidence = load(RECORDINGS / f"{name}.labtrace").evidence
    seen = understood(told(evidence))
    recorded, inferred = trace(evidence, subject), trace(seen, subject)
    assert requests(inferred) == stored(recorded)
    assert inferred.action == recorded.action
    assert [action.what for action in actions(seen.audit)] == [action.what for action in actions(evidence.audit)]


def test_every_inferred_arrow_says_so_and_by_which_rule() -> None:
    flow = trace(understood(told(load(RECORDINGS / "deploy-tomcat.labtrace").evidence)), "deployment/tomcat")
    assert not any(hop.observed for hop in flow.hops)
    assert all(hop.rule for hop in flow.hops)
    requested = [hop for hop in flow.hops if hop.kind == "request"]
    assert {item.source for hop in requested for item in hop.evidence} == {"watch"}
    binding = next(hop for hop in requested if hop.object.subresource == "binding")
    assert "has a node now" in binding.rule


@pytest.mark.parametrize("reports", ["both", "the last"])
def test_the_story_of_a_deployment_has_every_step(reports: str) -> None:
    seen = told(load(RECORDINGS / "deploy-tomcat.labtrace").evidence)
    if reports == "the last":  # a kubelet may first report when the container runs already
        seen = replace(seen, changes=[change for change in seen.changes if not _waits(change)])
    seen = understood(seen)
    story = tell(trace(seen, "deployment/tomcat"), seen)
    assert [step.seen for step in story.steps if step.seen == "not seen"] == []
    assert len(story.steps) == 14


def _waits(change: Change) -> bool:
    containers = change.object.get("status", {}).get("containerStatuses", [])
    return any("waiting" in container["state"] for container in containers)


def test_who_deleted_is_known_of_components_and_not_of_people() -> None:
    evidence = load(RECORDINGS / "delete-tomcat.labtrace").evidence
    recorded = trace(evidence, "deployment/tomcat")
    inferred = trace(understood(told(evidence)), "deployment/tomcat")
    differing = requests(inferred) - requests(recorded)
    assert differing == Counter({("client/somebody", "deployments/tomcat"): 1})
    deleted = Counter((hop.source.id, str(hop.object)) for hop in inferred.hops if hop.verb == "delete")
    assert {source.partition("/")[0] for source, _ in deleted} == {"client", "generic-garbage-collector", "kubelet"}


def test_changes_told_late_are_put_where_they_belong() -> None:
    seen = told(load(RECORDINGS / "deploy-tomcat.labtrace").evidence)
    late = max(change.time for change in seen.changes)
    # Each resource has a watch of its own: here that of pods was told everything at the end.
    mixed = [replace(change, time=late) if change.resource == "pods" else change for change in seen.changes]
    one = trace(understood(seen), "deployment/tomcat")
    other = trace(understood(replace(seen, changes=mixed)), "deployment/tomcat")
    assert [str(hop.object) for hop in other.hops if hop.kind == "persist"] == [
        str(hop.object) for hop in one.hops if hop.kind == "persist"
    ]


def test_an_audit_log_is_preferred() -> None:
    evidence = load(RECORDINGS / "deploy-tomcat.labtrace").evidence
    both = replace(evidence, changes=told(evidence).changes)
    assert understood(both) is both
