"""Which requests belong to a deployment's flow, by which rule, and in which order; from audit events alone."""

from __future__ import annotations

import dataclasses
import random

import pytest

from labkit.errors import EvidenceError
from labkit.evidence.audit import AuditEvent
from labkit.flow import Flow, actions, tell, trace
from tests.flow.events import (
    ADMIN,
    DEPLOYMENT_CONTROLLER,
    NODES,
    REPLICASET_CONTROLLER,
    SCHEDULER,
    SLICE_CONTROLLER,
    Json,
    asked,
    created,
    event,
    evidence_of,
    owned,
    stored,
)

POD = "pods/tomcat-5c8-x7k2p"
STATUS = {"kind": "Status", "status": "Success"}
CONFLICT = {"kind": "Status", "status": "Failure", "reason": "Conflict"}


def told(flow: Flow) -> list[tuple[str, str, str]]:
    return [(hop.source.id, hop.verb, str(hop.object)) for hop in flow.hops]


def bound(milliseconds: int = 30, node: str = "node-02", code: int = 201) -> AuditEvent:
    target = {"kind": "Binding", "target": {"kind": "Node", "name": node}}
    return event(milliseconds, SCHEDULER, "create", f"{POD}/binding", code=code, request=target, response=STATUS)


def reported(status: Json | None = None, milliseconds: int = 40, node: str = "node-02") -> AuditEvent:
    body = stored("Pod", "tomcat-5c8-x7k2p", "p1", "r1", status=status or {"phase": "Running"})
    return event(milliseconds, f"system:node:{node}", "patch", f"{POD}/status", response=body)


def test_from_kubectl_to_the_kubelet() -> None:
    flow = asked([created(), *owned(), bound(), reported()])
    assert told(flow) == [
        ("client/kubectl", "create", "deployments/tomcat"),
        ("deployment-controller", "create", "replicasets/tomcat-5c8"),
        ("replicaset-controller", "create", POD),
        ("kube-scheduler", "create", f"{POD}/binding"),
        ("kubelet/node-02", "patch", f"{POD}/status"),
    ]
    assert [hop.because for hop in flow.hops] == [
        "starts the flow",
        "owned by deployments/tomcat",
        "owned by replicasets/tomcat-5c8",
        f"names {POD}",
        f"names {POD}",
    ]
    assert [flow.milliseconds(hop) for hop in flow.hops] == [0, 10, 20, 30, 40]
    assert all(hop.target.id == "kube-apiserver" and hop.observed for hop in flow.hops)
    assert flow.pods == {"tomcat-5c8-x7k2p": "node-02"}
    assert str(flow.subject) == "deployments/tomcat"


def test_the_order_is_the_api_servers_clock_not_the_files() -> None:
    events = [created(), *owned(), bound(), reported()]
    shuffled = random.Random(7).sample(events, len(events))  # noqa: S311
    assert asked(shuffled) == asked(events)


def test_what_happens_meanwhile_to_others_is_left_out() -> None:
    """A pod of the same name pattern, at the same moment, by the same actors: only ownership counts."""
    other = stored("Pod", "tomcat-5c8-other", "p9", "r9")
    events = [created(), *owned()]
    events += [
        event(21, REPLICASET_CONTROLLER, "create", "pods/-", code=201, response=other),
        event(22, SCHEDULER, "create", "pods/tomcat-5c8-other/binding", code=201, response=STATUS),
        event(23, "system:node:node-01", "update", "leases/node-01"),
        event(24, ADMIN, "patch", "deployments/shop"),
    ]
    flow = asked(events)
    assert len(flow.hops) == 3
    assert flow.nodes == NODES  # all are drawn, though they have no pod


def test_a_namesake_elsewhere_is_another_object() -> None:
    stranger = event(5, ADMIN, "patch", "deployments/tomcat", uid="another")
    service = event(6, ADMIN, "create", "services/tomcat", code=201, response=stored("Service", "tomcat", "s1"))
    assert len(asked([created(), stranger, service]).hops) == 1
    with pytest.raises(EvidenceError, match="Nobody wrote anything about deployments/tomcat in shop"):
        asked([created()], "tomcat", "shop")


def test_events_are_records() -> None:
    body = {"kind": "Event", "involvedObject": {"uid": "p1"}, "reason": "Scheduled", "message": "Successfully assigned"}
    new = {"kind": "Event", "regarding": {"uid": "r1"}, "reason": "SuccessfulCreate", "note": "Created pod"}
    foreign = {"kind": "Event", "involvedObject": {"uid": "p9"}, "reason": "Pulled"}
    events = [created(), *owned()]
    events += [
        event(30, SCHEDULER, "create", "events/a", code=201, request=body),
        event(31, REPLICASET_CONTROLLER, "create", "events/b", code=201, request=new),
        event(32, "system:node:node-01", "create", "events/c", code=201, request=foreign),
    ]
    flow = asked(events)
    records = [hop for hop in flow.hops if hop.kind == "record"]
    assert [hop.what for hop in records] == [
        "notes Scheduled: Successfully assigned",
        "notes SuccessfulCreate: Created pod",
    ]
    assert records[0].because == f"tells of {POD}"
    assert flow.requests == flow.hops[:3]


def test_endpoint_slices_that_lead_to_its_pods() -> None:
    endpoints = [{"addresses": ["10.0.0.1"], "targetRef": {"uid": "p1"}}]
    slice_ = stored("EndpointSlice", "tomcat-abc", "e1", "s1", endpoints=endpoints)
    empty = stored("EndpointSlice", "tomcat-def", "e2", "s1", endpoints=None)
    old = stored("Endpoints", "tomcat", "e3", subsets=[{"notReadyAddresses": [{"targetRef": {"uid": "p1"}}]}])
    events = [created(), *owned()]
    events += [
        event(30, SLICE_CONTROLLER, "create", "endpointslices/-", code=201, response=empty),
        event(31, SLICE_CONTROLLER, "create", "endpointslices/-", code=201, response=slice_),
        event(32, SLICE_CONTROLLER, "update", "endpoints/tomcat", response=old),
    ]
    last = asked(events).hops[3:]
    assert [str(hop.object) for hop in last] == ["endpointslices/tomcat-abc", "endpoints/tomcat"]
    assert {hop.because for hop in last} == {f"leads to {POD}"}


def test_reads_are_left_out_but_for_the_look_after_a_refusal() -> None:
    status = "replicasets/tomcat-5c8/status"
    events = [created(), *owned()]
    events += [
        event(25, ADMIN, "get", "deployments/tomcat"),
        event(26, REPLICASET_CONTROLLER, "get", "replicasets/tomcat-5c8"),
        event(27, REPLICASET_CONTROLLER, "update", status, code=409, response=CONFLICT),
        event(28, ADMIN, "get", "replicasets/tomcat-5c8"),
        event(29, REPLICASET_CONTROLLER, "get", "replicasets/tomcat-5c8"),
        event(30, REPLICASET_CONTROLLER, "get", "replicasets/tomcat-5c8"),
    ]
    refused, look = asked(events).hops[3:]
    assert refused.failed
    assert refused.what == "reports replica set tomcat-5c8: refused, out of date"
    assert (look.verb, look.because) == ("get", "names replicasets/tomcat-5c8, after its update was refused")


def test_a_creation_that_is_refused_is_seen_but_makes_nothing() -> None:
    request = {"metadata": {"generateName": "tomcat-5c8-", "ownerReferences": [{"uid": "r1"}]}}
    denied = {"kind": "Status", "reason": "Forbidden", "message": "exceeded quota"}
    events = [created(), owned()[0]]
    events.append(event(30, REPLICASET_CONTROLLER, "create", "pods/-", code=403, request=request, response=denied))
    flow = asked(events)
    assert flow.hops[-1].what == "creates pod tomcat-5c8-: refused, Forbidden: exceeded quota"
    assert flow.hops[-1].because == "owned by replicasets/tomcat-5c8"
    assert flow.pods == {}


def test_a_refused_binding_places_nothing() -> None:
    flow = asked([created(), *owned(), bound(code=409)])
    assert flow.pods == {"tomcat-5c8-x7k2p": ""}


def test_the_last_creation_counts() -> None:
    events = [created(), *owned(), event(100, ADMIN, "delete", "deployments/tomcat"), created(200, uid="d2")]
    events += owned(210, "d2", "r2", "p2")
    flow = asked(events)
    assert [hop.object.uid for hop in flow.hops] == ["d2", "r2", "p2"]
    assert flow.milliseconds(flow.hops[-1]) == 20


def test_an_apply_that_creates_is_a_creation_and_another_is_a_change() -> None:
    body = stored("Deployment", "tomcat", "d1", spec={"replicas": 2})
    apply = event(0, ADMIN, "patch", "deployments/tomcat", code=201, response=body)
    again = event(5, ADMIN, "patch", "deployments/tomcat", response=body)
    evidence = evidence_of([apply, again])
    assert [action.what for action in actions(evidence.audit)] == [
        "create deployment tomcat",
        "change deployment tomcat",
    ]
    made = trace(evidence, "deploy/tomcat", action=0)
    assert (made.hops[0].start, made.until) == (apply.received, again.received)
    assert trace(evidence, "deploy/tomcat").hops[0].start == again.received
    with pytest.raises(EvidenceError, match="no action create"):
        asked([again])


def test_a_deletion_is_followed_to_the_pods() -> None:
    collector = "system:serviceaccount:kube-system:generic-garbage-collector"
    events = [created(), *owned(), event(50, ADMIN, "delete", "deployments/tomcat")]
    events += [event(60, collector, "delete", "replicasets/tomcat-5c8"), event(70, collector, "delete", POD)]
    flow = asked(events, action="delete")
    assert [str(hop.object) for hop in flow.hops] == ["deployments/tomcat", "replicasets/tomcat-5c8", POD]


def test_only_answered_requests_count() -> None:
    early = event(0, ADMIN, "create", "deployments/tomcat", code=201, stage="RequestReceived")
    with pytest.raises(EvidenceError) as raised:
        asked([early])
    assert "labkit deploy tomcat" in raised.value.fix


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"phase": "Pending"}, "Pending"),
        (
            {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}],
            },
            "Pending, Unschedulable",
        ),
        (
            {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]},
            "Pending, ErrImagePull",
        ),
        (
            {"phase": "Running", "containerStatuses": [{"ready": True, "state": {"running": {}}}, {"ready": False}]},
            "Running, 1 of 2 ready",
        ),
        (
            {"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"reason": "Error"}}}]},
            "Failed, Error",
        ),
    ],
)
def test_what_a_pods_status_says(status: Json, words: str) -> None:
    flow = asked([created(), *owned(), bound(), reported(status)])
    assert flow.hops[-1].what == f"reports pod tomcat-5c8-x7k2p: {words}"


def test_what_controllers_report() -> None:
    replica_set = stored("ReplicaSet", "tomcat-5c8", "r1", "d1", spec={"replicas": 1}, status={"replicas": 1})
    deployment = stored("Deployment", "tomcat", "d1", spec={"replicas": 1}, status={"availableReplicas": 1})
    events = [created(), *owned()]
    events += [
        event(30, REPLICASET_CONTROLLER, "update", "replicasets/tomcat-5c8/status", response=replica_set),
        event(31, DEPLOYMENT_CONTROLLER, "update", "deployments/tomcat/status", response=deployment),
        event(32, ADMIN, "patch", "deployments/tomcat/scale", request={"spec": {"replicas": 3}}),
    ]
    assert asked(events, action="scale").hops[0].what == "scales deployment tomcat to 3"
    assert [hop.what for hop in asked(events).hops] == [
        "creates deployment tomcat, 1 pod wanted",
        "creates replica set tomcat-5c8, 1 pod wanted",
        "creates pod tomcat-5c8-x7k2p",
        "reports replica set tomcat-5c8: 1 of 1 made, 0 ready",
        "reports deployment tomcat: 1 of 1 available",
    ]


def test_a_pod_that_a_person_deletes_is_replaced() -> None:
    """Its owner makes another; what its other pods do meanwhile is of no account."""
    marked = stored("Pod", "tomcat-5c8-x7k2p", "p1")
    marked["metadata"]["ownerReferences"] = [
        {"kind": "ReplicaSet", "name": "tomcat-5c8", "uid": "r1", "controller": True},
    ]
    marked["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:35Z"
    heir, sibling = (stored("Pod", f"tomcat-5c8-{name}", name, "r1") for name in ("heir", "sibling"))
    replica_set = stored("ReplicaSet", "tomcat-5c8", "r1", "d1", spec={"replicas": 2}, status={"replicas": 2})
    target = {"kind": "Binding", "target": {"kind": "Node", "name": "node-01"}}
    events = [
        created(),
        *owned(),
        event(50, ADMIN, "delete", POD, response=marked),
        event(55, REPLICASET_CONTROLLER, "create", "pods/-", code=201, response=heir),
        event(56, REPLICASET_CONTROLLER, "update", "replicasets/tomcat-5c8/status", response=replica_set),
        event(57, "system:node:node-02", "patch", "pods/tomcat-5c8-sibling/status", response=sibling),
        event(60, SCHEDULER, "create", "pods/tomcat-5c8-heir/binding", code=201, request=target, response=STATUS),
        event(90, "system:node:node-02", "delete", POD, response=marked),
    ]
    evidence = evidence_of(events)
    flow = trace(evidence, "pod/tomcat-5c8-x7k2p")
    assert told(dataclasses.replace(flow, hops=flow.requests)) == [
        ("client/kubectl", "delete", POD),
        ("replicaset-controller", "create", "pods/tomcat-5c8-heir"),
        ("replicaset-controller", "update", "replicasets/tomcat-5c8/status"),
        ("kube-scheduler", "create", "pods/tomcat-5c8-heir/binding"),
        ("kubelet/node-02", "delete", POD),
    ]
    assert [hop.number for hop in flow.hops if hop.cause is None] == [1]
    steps = tell(flow, evidence).steps
    assert [step.number for step in steps if not step.hops] == [0, 3, 6, 7]


def test_a_pod_that_is_made_with_a_node_needs_no_scheduler() -> None:
    body = stored("Pod", "own", "p7", spec={"nodeName": "node-01", "serviceAccountName": "default"})
    report = stored("Pod", "own", "p7", status={"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]})
    events = [
        event(0, ADMIN, "create", "pods/own", code=201, response=body),
        event(9, "system:node:node-01", "patch", "pods/own/status", response=report),
    ]
    flow = trace(evidence_of(events), "pod/own")
    assert flow.pods == {"own": "node-01"}
    assert [hop.kind for hop in flow.hops] == ["request", "persist", "notify", "notify", "request", "persist"]
    assert [hop.number for hop in flow.hops if hop.cause is None] == [1]
    story = tell(flow, evidence_of(events))
    assert story.steps[11].hops == (4,)
    assert story.stop is None
