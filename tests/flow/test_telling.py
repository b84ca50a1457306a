"""The story of a real session: the textbook's steps, what was seen of them, where reality has more, where it stops."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from labkit.flow import Extra, Step, Story, tell, trace
from labkit.flow.textbook import textbook
from tests.flow.lessons import (
    ALL,
    CRASH,
    CREATE,
    DELETE,
    EXPOSE,
    JOB,
    MISSING,
    NOWHERE,
    SCALE,
    UPDATE,
    arrows,
    bare,
    evidence,
    flow,
    until,
)


def story(which: tuple[str, int]) -> Story:
    return tell(flow(*which), evidence())


def told(which: tuple[str, int], step: int) -> set[tuple[str, str, str, str]]:
    """Return the arrows of a step, each kind once."""
    hops = flow(*which).hops
    return set(arrows([hops[number - 1] for number in story(which).steps[step].hops]))


def test_the_fourteen_steps_of_a_deployment() -> None:
    found = story(CREATE)
    assert found.name == "create deployment tomcat"
    assert [step.number for step in found.steps] == list(range(14))
    assert [step.seen for step in found.steps] == [
        *("observed", "observed", "observed", "inferred", "inferred", "observed", "observed"),
        *("inferred", "observed", "observed", "inferred", "inferred", "observed", "observed"),
    ]
    assert [told(CREATE, step) for step in range(2, 12)] == [
        {
            ("client/kubectl", "kube-apiserver", "create", "deployments"),
            ("kube-apiserver", "etcd", "store", "deployments"),
        },
        {("etcd", "kube-apiserver", "ADDED", "deployments")},
        {("kube-apiserver", "deployment-controller", "ADDED", "deployments")},
        {("deployment-controller", "kube-apiserver", "create", "replicasets")},
        {
            ("replicaset-controller", "kube-apiserver", "create", "pods"),
            ("kube-apiserver", "etcd", "store", "pods"),
        },
        {("etcd", "kube-apiserver", "ADDED", "pods")},
        {("kube-apiserver", "kube-scheduler", "ADDED", "pods")},
        {
            ("kube-scheduler", "kube-apiserver", "create", "pods/binding"),
            ("kube-apiserver", "etcd", "store", "pods"),
        },
        {("etcd", "kube-apiserver", "MODIFIED", "pods")},
        {("kube-apiserver", "kubelet/node-02", "MODIFIED", "pods")},
    ]
    assert {verb for _, target, verb, _ in told(CREATE, 13) if target == "runtime/node-02"} == {
        *("RunPodSandbox", "PullImage", "CreateContainer", "StartContainer"),
    }
    assert found.stop is None


def test_where_reality_differs_is_said_with_evidence() -> None:
    steps = story(CREATE).steps
    asked = {event.audit_id: event.uri for event in evidence().audit}
    assert "only the kubelet of node-02; those of master, node-01 hear nothing" in steps[11].note
    assert len(steps[11].evidence) == 3
    assert all("fieldSelector=spec.nodeName%3D" in asked[item.id] for item in steps[11].evidence)
    spans = {f"{span.trace_id}/{span.span_id}": span for span in evidence().spans}
    [began] = steps[12].evidence
    assert (spans[began.id].name, spans[began.id].node) == ("syncPod", "node-02")
    assert "node-02 was chosen at random among node-01 and node-02, whose sum was the same, 591" in steps[8].note
    assert steps[8].evidence[0].source == "scheduler"


def test_who_watches_is_told_from_their_requests() -> None:
    step = story(CREATE).steps[0]
    assert "scheduler, kubelet on master, kubelet on node-01, kubelet on node-02" in step.note
    assert "Of deployment-controller, replicaset-controller the audit log has none" in step.note
    assert {item.source for item in step.evidence} == {"audit"}


@pytest.mark.parametrize("which", ALL)
def test_every_hop_is_in_one_step_or_one_extra(which: tuple[str, int]) -> None:
    found = story(which)
    parts: list[Step | Extra] = [*found.steps, *found.extra]
    places = [number for part in parts for number in part.hops]
    assert sorted(places) == [hop.number for hop in flow(*which).hops]


def test_where_reality_has_more() -> None:
    assert [extra.title for extra in story(CREATE).extra] == [
        *("Events", "The replica set", "A token for the pod", "Status reports"),
    ]
    assert "Endpoint slices" in [extra.title for extra in story(SCALE).extra]


@pytest.mark.parametrize("which", [SCALE, UPDATE, DELETE])
def test_every_step_of_the_other_actions_was_seen(which: tuple[str, int]) -> None:
    found = story(which)
    assert [step.number for step in found.steps if step.seen == "not seen"] == []
    assert all(step.hops for step in found.steps[1:])
    assert found.stop is None


def test_a_rolling_update_replaces_pods_one_after_the_other() -> None:
    hops = flow(*UPDATE).hops
    steps = story(UPDATE).steps
    made = [hops[number - 1] for number in steps[5].hops if hops[number - 1].kind == "request"]
    marked = [hops[number - 1] for number in steps[10].hops if hops[number - 1].kind == "request"]
    assert len(made) == len(marked) == 3
    assert all(new.start < old.start for new, old in zip(made, marked, strict=True))


def test_the_last_step_of_a_service_is_not_seen_and_says_why() -> None:
    steps = story(EXPOSE).steps
    assert [step.seen for step in steps] == [*["observed"] * 3, "inferred", "observed", "inferred", "not seen"]
    assert "the node's own rules" in steps[-1].note


def test_a_job_has_no_replica_set() -> None:
    steps = story(JOB).steps
    assert [step.number for step in steps if step.seen == "not seen"] == [5]
    assert story(JOB).stop is None


def test_an_image_that_is_not_there() -> None:
    stop = story(MISSING).stop
    assert stop is not None
    assert stop.step == 13
    assert "no-such-image waits, ImagePullBackOff" in stop.why
    assert {item.source for item in stop.evidence} == {"audit", "runtime", "span"}
    said = [flow(*MISSING).hops[number - 1].what for number in stop.hops]
    assert said[0].startswith("pulls image no-such-image:latest: failed, ")


def test_a_container_that_ends_again_and_again() -> None:
    stop = story(CRASH).stop
    assert stop is not None
    assert (stop.step, stop.why) == (
        13,
        "Container busybox ended with exit code 3, and is started again and again (CrashLoopBackOff)",
    )
    assert [flow(*CRASH).hops[number - 1].kind for number in stop.hops] == ["runtime", "request"]


def test_a_pod_that_finds_no_node_until_one_is_given_back() -> None:
    assert story(NOWHERE).stop is None
    start = flow(*NOWHERE).hops[0].start
    early = until(start + timedelta(seconds=5))
    found = tell(trace(early, NOWHERE[0]), early)
    assert found.stop is not None
    assert found.stop.step == 8
    assert "0/3 nodes are available" in found.stop.why
    assert [item.source for item in found.stop.evidence] == ["audit"]
    assert [step.number for step in found.steps if step.seen == "not seen"] == [9, 10, 11, 12, 13]


@pytest.mark.parametrize(
    ("silent", "step", "why"),
    [
        ("deployment-controller", 4, "No controller wrote anything about deployment tomcat"),
        ("replicaset-controller", 6, "No controller made a pod"),
        ("kube-scheduler", 8, "No scheduler wrote anything about pod"),
    ],
)
def test_a_component_that_is_silent_stops_the_flow(silent: str, step: int, why: str) -> None:
    """What others did only because of the silent one is taken away with it."""
    start = flow(*CREATE).hops[0].start
    end = start + timedelta(seconds=9)
    caused = {"deployment-controller": "tomcat-6546f88bb", "replicaset-controller": "tomcat-6546f88bb-"}.get(silent)
    audit = [
        event
        for event in bare().audit
        if event.received < end
        and not event.user.endswith(silent)
        and (event.verb == "list" or not event.user.startswith("system:node:"))
        and not (caused and caused in f"{event.uri}{event.response}{event.request}")
    ]
    audit[0] = dataclasses.replace(audit[0], staged=end)  # a watch that ended then: the evidence goes on that long
    rest = dataclasses.replace(bare(), audit=audit)
    stop = tell(trace(rest, CREATE[0]), rest).stop
    assert stop is not None
    assert stop.step == step
    assert stop.why.startswith(why)
    assert stop.evidence


def test_silence_counts_only_after_a_while() -> None:
    start = flow(*CREATE).hops[0].start
    early = until(start + timedelta(milliseconds=25))
    assert tell(trace(early, CREATE[0]), early).stop is None


def test_a_refused_action_stops_at_once() -> None:
    event = next(
        item for item in evidence().audit if item.verb == "create" and item.object and item.object.name == "tomcat"
    )
    raw = dict(event.raw) | {
        "responseStatus": {"code": 409},
        "responseObject": {
            "kind": "Status",
            "reason": "AlreadyExists",
            "message": 'deployments "tomcat" already exists',
        },
    }
    refused = dataclasses.replace(bare(), audit=[dataclasses.replace(event, raw=raw)])
    stop = tell(trace(refused, CREATE[0]), refused).stop
    assert stop is not None
    assert stop.step == 2
    assert "already exists" in stop.why


def test_textbooks_for_other_things() -> None:
    assert len(textbook("create", "pods").pages) == 14
    assert textbook("change", "nodes") is textbook("create", "configmaps")
    assert len(textbook("update", "statefulsets").pages) < len(textbook("update", "deployments").pages)
