"""The trace graph of a real session: its root, what led to what, and how sure each hop is."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

import pytest

from labkit.errors import EvidenceError, UsageError
from labkit.evidence.model import Evidence, Loss
from labkit.flow import Flow, Hop, actions, trace
from labkit.flow.completeness import completeness
from labkit.flow.export import to_json
from tests.flow.lessons import (
    ALL,
    CRASH,
    CREATE,
    DELETE,
    EXPOSE,
    NOWHERE,
    SCALE,
    UPDATE,
    arrows,
    bare,
    chain,
    evidence,
    flow,
    resource,
)

KUBELET, RUNTIME = "kubelet/node-02", "runtime/node-02"


def kinds(of: Flow) -> dict[str, int]:
    return dict(Counter(hop.kind for hop in of.hops))


def test_from_the_command_to_the_started_container() -> None:
    made = flow(*CREATE)
    [start] = [hop for hop in made.hops if hop.verb == "StartContainer"]
    assert arrows(chain(made, start)) == [
        ("client/kubectl", "kube-apiserver", "create", "deployments"),
        ("kube-apiserver", "etcd", "store", "deployments"),
        ("etcd", "kube-apiserver", "ADDED", "deployments"),
        ("kube-apiserver", "deployment-controller", "ADDED", "deployments"),
        ("deployment-controller", "kube-apiserver", "create", "replicasets"),
        ("kube-apiserver", "etcd", "store", "replicasets"),
        ("etcd", "kube-apiserver", "ADDED", "replicasets"),
        ("kube-apiserver", "replicaset-controller", "ADDED", "replicasets"),
        ("replicaset-controller", "kube-apiserver", "create", "pods"),
        ("kube-apiserver", "etcd", "store", "pods"),
        ("etcd", "kube-apiserver", "ADDED", "pods"),
        ("kube-apiserver", "kube-scheduler", "ADDED", "pods"),
        ("kube-scheduler", "kube-apiserver", "create", "pods/binding"),
        ("kube-apiserver", "etcd", "store", "pods"),
        ("etcd", "kube-apiserver", "MODIFIED", "pods"),
        ("kube-apiserver", KUBELET, "MODIFIED", "pods"),
        (KUBELET, RUNTIME, "RunPodSandbox", "pods"),
        (KUBELET, RUNTIME, "PullImage", "pods"),
        (KUBELET, RUNTIME, "CreateContainer", "pods"),
        (KUBELET, RUNTIME, "StartContainer", "pods"),
    ]


def test_that_the_pod_runs_is_told_back_to_the_deployment() -> None:
    made = flow(*CREATE)
    last = [hop for hop in made.hops if hop.kind == "request"][-1]
    assert last.what == "reports deployment tomcat: 1 of 1 available"
    assert [hop.what for hop in chain(made, last) if hop.kind == "request"][-3:] == [
        "reports pod tomcat-6546f88bb-xslc5: Running, 1 of 1 ready",
        "reports replica set tomcat-6546f88bb: 1 of 1 made, 1 ready",
        "reports deployment tomcat: 1 of 1 available",
    ]


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (CREATE, {"request": 15, "persist": 13, "notify": 15, "runtime": 4, "record": 7}),
        (EXPOSE, {"request": 4, "persist": 4, "notify": 10}),
    ],
)
def test_counts(which: tuple[str, int], expected: dict[str, int]) -> None:
    assert kinds(flow(*which)) == expected


@pytest.mark.parametrize("which", ALL)
def test_a_tree_with_one_root_in_order_of_time(which: tuple[str, int]) -> None:
    found = flow(*which)
    assert [hop.number for hop in found.hops] == list(range(1, len(found.hops) + 1))
    assert [hop.number for hop in found.hops if hop.cause is None] == [1]
    assert all(hop.cause < hop.number for hop in found.hops if hop.cause is not None)
    assert all(hop.start <= hop.end for hop in found.hops)
    assert [hop.start for hop in found.hops] == sorted(hop.start for hop in found.hops)


@pytest.mark.parametrize("which", ALL)
def test_complete_and_all_that_was_stored_was_observed(which: tuple[str, int]) -> None:
    result = completeness(flow(*which), evidence())
    assert result.writes
    assert result.persists
    assert result.complete, result


def test_a_write_that_is_left_out_is_missed() -> None:
    made = flow(*CREATE)
    less = dataclasses.replace(made, hops=tuple(hop for hop in made.hops if hop.object.subresource != "binding"))
    assert len(completeness(less, evidence()).missing) == 1
    blind = trace(bare(), CREATE[0], action=CREATE[1])
    assert not completeness(blind, bare()).complete


@pytest.mark.parametrize("which", ALL)
def test_who_stores_who_is_told_and_who_works(which: tuple[str, int]) -> None:
    hops = flow(*which).hops
    for hop in hops:
        cause = hops[hop.cause - 1] if hop.cause else None
        if hop.kind == "persist":
            assert cause is not None
            assert (cause.kind, cause.target.id, hop.target.id) == ("request", "kube-apiserver", "etcd")
            assert not cause.failed
            assert cause.start <= hop.start <= hop.end <= cause.end
        elif hop.kind == "notify":
            assert cause is not None
            assert cause.kind == ("persist" if hop.source.id == "etcd" else "notify")
            assert hop.rule
            assert not hop.observed
            assert hop.revision == cause.revision
        elif hop.kind == "runtime":
            assert hop.source.node == hop.target.node
            assert hop.observed


@pytest.mark.parametrize("which", ALL)
def test_notifications_came_before_what_they_led_to(which: tuple[str, int]) -> None:
    hops = flow(*which).hops
    for hop in hops:
        told = hops[hop.cause - 1] if hop.cause else None
        if told is not None and told.kind == "notify" and hop.kind != "notify":
            assert told.target == hop.source
            assert told.end <= hop.start


@pytest.mark.parametrize("which", ALL)
def test_what_spans_add_takes_back_no_hop_that_was_observed(which: tuple[str, int]) -> None:
    """Who follows a flow has its audit events first."""
    whole, (subject, number) = evidence(), which
    early = trace(dataclasses.replace(whole, spans=()), subject, action=number)

    def told(hops: Iterable[Hop]) -> Counter[object]:
        return Counter((hop.kind, hop.source, hop.target, hop.verb, hop.object, hop.revision) for hop in hops)

    assert told(hop for hop in early.hops if hop.observed) <= told(flow(*which).hops)


def test_a_notification_is_taken_back_when_the_write_turns_out_to_be_later_than_what_it_led_to() -> None:
    """What etcd's span says of the moment of a write outweighs that of its request."""
    whole, (subject, number) = evidence(), CREATE
    made = flow(*CREATE)
    told = next(hop for hop in made.hops if hop.kind == "notify" and hop.target.id == "kube-scheduler")
    written = chain(made, told)[-3]  # etcd told the API server in between
    led_to = next(hop for hop in made.hops if hop.cause == told.number)
    ids = {each.id.partition("/")[2] for each in written.evidence if each.source == "span"}
    late = round((led_to.start - written.start + timedelta(milliseconds=1)).total_seconds() * 1e9)
    spans = tuple(
        dataclasses.replace(span, start=span.start + late, end=span.end + late) if span.span_id in ids else span
        for span in whole.spans
    )
    less = trace(dataclasses.replace(whole, spans=spans), subject, action=number)
    assert (told.target, told.revision) not in {(hop.target, hop.revision) for hop in less.hops if hop.kind == "notify"}


def test_revisions_are_those_of_etcd_even_where_the_answer_has_none() -> None:
    stored = [hop for hop in flow(*CREATE).hops if hop.kind == "persist"]
    revisions = [hop.revision for hop in stored if hop.revision]
    assert len(revisions) == len(stored) == len(set(revisions))
    by_number = {revision.revision: revision for revision in evidence().revisions}
    assert all(by_number[number].key.endswith(hop.object.name) for number, hop in zip(revisions, stored, strict=True))
    hops = flow(*CREATE).hops
    [bound] = [hop for hop in stored if hop.cause and hops[hop.cause - 1].object.subresource == "binding"]
    value = by_number[bound.revision or 0].value or {}
    assert value["spec"]["nodeName"] == "node-02"


def test_refused_and_idle_updates_store_nothing() -> None:
    scaled = flow(*SCALE)
    stored = {hop.cause for hop in scaled.hops if hop.kind == "persist"}
    quiet = [hop for hop in scaled.hops if hop.kind == "request" and hop.number not in stored]
    assert {(resource(hop), hop.verb, hop.code) for hop in quiet} == {
        ("deployments/status", "update", 409),
        ("replicasets/status", "update", 409),
        ("replicasets", "get", 200),
        ("replicasets/status", "update", 200),  # it wrote what was there already
        ("serviceaccounts/token", "create", 201),
    }


def test_a_pod_is_stored_once_more_before_it_is_removed() -> None:
    """A deletion without grace is two transactions, and so two hops (staging/…/registry/generic/registry/store.go)."""
    deleted = flow(*DELETE)
    final = [hop for hop in deleted.hops if hop.verb == "delete" and hop.source.kind == "kubelet"]
    assert len(final) == 3
    for request in final:
        stored = [hop.verb for hop in deleted.hops if hop.kind == "persist" and hop.cause == request.number]
        assert stored == ["store", "remove"]


def test_only_the_kubelets_of_the_pods_are_told() -> None:
    told = {hop.target.id for hop in flow(*CREATE).hops if hop.kind == "notify" and hop.target.kind == "kubelet"}
    assert told == {KUBELET}
    told = {hop.target.id for hop in flow(*SCALE).hops if hop.kind == "notify" and hop.target.kind == "kubelet"}
    assert told == {KUBELET, "kubelet/node-01"}


def test_a_watch_in_the_log_is_evidence_and_one_that_is_not_is_said() -> None:
    lists = {event.audit_id for event in evidence().audit if event.verb in {"list", "watch"}}
    rules = {}
    for hop in flow(*CREATE).hops:
        if hop.kind == "notify" and hop.source.id == "kube-apiserver":
            rules[hop.target.kind] = hop.rule
            assert any(item.id in lists for item in hop.evidence) == (hop.target.kind in {"scheduler", "kubelet"})
    assert "is in the audit log" in rules["scheduler"]
    assert "not in the audit log yet" in rules["controller"]


def test_a_deletion_goes_from_owner_to_owned() -> None:
    deleted = flow(*DELETE)
    [stopped, *_] = [hop for hop in deleted.hops if hop.verb == "StopContainer"]
    requests = [hop for hop in chain(deleted, stopped) if hop.kind in {"request", "runtime"}]
    assert [(hop.source.id, hop.verb, hop.object.resource) for hop in requests] == [
        ("client/kubectl", "delete", "deployments"),
        ("generic-garbage-collector", "delete", "replicasets"),
        ("generic-garbage-collector", "delete", "pods"),
        (stopped.source.id, "StopContainer", "pods"),
    ]


def test_a_service_is_told_to_every_kube_proxy() -> None:
    exposed = flow(*EXPOSE)
    told = {(hop.target.id, resource(hop)) for hop in exposed.hops if hop.target.kind == "kube-proxy"}
    nodes = ("master", "node-01", "node-02")
    assert told == {(f"kube-proxy/{node}", what) for node in nodes for what in ("services", "endpointslices")}
    assert exposed.until == flow(*SCALE).hops[0].start  # from here on its endpoints follow another action


def test_what_the_scheduler_has_judged_does_not_explain_its_next_look() -> None:
    placed = flow(*NOWHERE)
    [bound] = [hop for hop in placed.hops if hop.object.subresource == "binding"]
    before = placed.hops[(bound.cause or 0) - 1]
    assert (before.source.id, before.what.split(": ")[1]) == ("kube-scheduler", "Pending, Unschedulable")


def test_events_tell_of_the_deed_before_them() -> None:
    made = flow(*CREATE)
    deeds = {
        hop.what.split(":")[0].removeprefix("notes "): made.hops[(hop.cause or 0) - 1].verb
        for hop in made.hops
        if hop.kind == "record"
    }
    assert deeds == {
        "ScalingReplicaSet": "create",
        "SuccessfulCreate": "create",
        "Scheduled": "create",
        "Pulling": "RunPodSandbox",
        "Pulled": "PullImage",
        "Created": "CreateContainer",
        "Started": "StartContainer",
    }


def test_less_evidence_makes_hops_less_certain_and_none_absent() -> None:
    whole, blind = flow(*CREATE), trace(bare(), *CREATE[:1], action=CREATE[1])
    assert blind.losses == ("no trace spans", "no etcd revisions", "no calls of container runtimes")
    for kind in ("request", "persist", "notify", "record"):
        assert kinds(blind)[kind] == kinds(whole)[kind]
    persists = [hop for hop in blind.hops if hop.kind == "persist"]
    assert not any(hop.observed for hop in persists)
    assert all(hop.rule for hop in persists)
    [start] = [hop for hop in blind.hops if hop.kind == "runtime"]
    assert (start.verb, start.observed, start.source.id) == ("StartContainer", False, KUBELET)
    assert [hop.number for hop in blind.hops if hop.cause is None] == [1]


@pytest.mark.parametrize(
    "less", [dataclasses.replace(evidence(), spans=()), dataclasses.replace(evidence(), revisions=())]
)
def test_either_etcds_span_or_a_revision_shows_what_was_stored(less: Evidence) -> None:
    for which in (CREATE, UPDATE, DELETE):
        persists = [hop for hop in trace(less, which[0], action=which[1]).hops if hop.kind == "persist"]
        assert all(hop.observed for hop in persists)


def test_kubelets_spans_stand_in_for_the_runtimes_log() -> None:
    less = dataclasses.replace(evidence(), runtime=())
    found = [hop for hop in trace(less, *CREATE[:1], action=0).hops if hop.kind == "runtime"]
    assert [hop.verb for hop in found] == ["RunPodSandbox", "PullImage", "CreateContainer", "StartContainer"]
    assert all(hop.observed and hop.evidence[0].source == "span" for hop in found)


@pytest.mark.parametrize("which", [CREATE, SCALE, CRASH])
def test_a_runtimes_log_that_is_behind_takes_no_hop_away(which: tuple[str, int]) -> None:
    """Followed live, it is read call by call, and the kubelets' spans may be there before."""
    subject, number = which
    calls = evidence().runtime
    counts = []
    for read in range(len(calls) + 1):
        partly = dataclasses.replace(evidence(), runtime=calls[:read])
        counts.append(len(trace(partly, subject, action=number).hops))
    assert counts == sorted(counts)
    assert counts[-1] == len(flow(subject, number).hops)


def test_losses_are_told() -> None:
    lossy = dataclasses.replace(evidence(), losses=(Loss("audit", "2 lines are no events", "cut off"),))
    assert trace(lossy, CREATE[0]).losses == ("audit: 2 lines are no events (cut off)",)


def test_the_same_evidence_gives_the_same_flow_in_whatever_order_it_was_read() -> None:
    chance = random.Random(4)  # noqa: S311
    whole = evidence()
    shuffled = dataclasses.replace(
        whole,
        audit=chance.sample(whole.audit, len(whole.audit)),
        spans=chance.sample(whole.spans, len(whole.spans)),
    )
    for subject, number in ALL:
        assert to_json(trace(shuffled, subject, action=number)) == to_json(flow(subject, number))


def test_what_was_read_twice_is_one_hop() -> None:
    twice = dataclasses.replace(evidence(), audit=[*evidence().audit, *evidence().audit])
    for subject, number in (CREATE, CRASH, DELETE):
        assert trace(twice, subject, action=number) == flow(subject, number)


def test_a_clock_that_is_set_back_loses_nothing() -> None:
    back = [
        dataclasses.replace(event, received=event.received - timedelta(milliseconds=9))
        if event.object and event.object.subresource in {"binding", "status"}
        else event
        for event in evidence().audit
    ]
    found = trace(dataclasses.replace(evidence(), audit=back), CREATE[0], action=CREATE[1])
    assert kinds(found)["request"] == kinds(flow(*CREATE))["request"]
    assert kinds(found)["persist"] == kinds(flow(*CREATE))["persist"]
    assert all(hop.start <= hop.end for hop in found.hops)
    assert all(hop.cause < hop.number for hop in found.hops if hop.cause is not None)


def test_what_people_did() -> None:
    assert [action.what for action in actions(evidence().audit)] == [
        "create deployment tomcat",
        "create Service tomcat",
        "scale deployment tomcat to 3",
        "update deployment tomcat to tomcat:9",
        "create deployment missing",
        "create deployment crash",
        "change node node-01",
        "change node node-02",
        "create deployment nowhere",
        "change node node-01",
        "change node node-02",
        "delete deployment tomcat",
        "create job once",
    ]


def test_choosing_an_action() -> None:
    assert trace(evidence(), "deployment/tomcat").action == "delete deployment tomcat"
    assert trace(evidence(), "deploy/tomcat", action="scale").action == "scale deployment tomcat to 3"
    with pytest.raises(EvidenceError, match="no action 7") as raised:
        trace(evidence(), "deployment/tomcat", action=7)
    assert "scale deployment tomcat to 3" in raised.value.why
    with pytest.raises(EvidenceError, match="Nobody wrote anything about deployments/tomcat in shop"):
        trace(evidence(), "deployment/tomcat", namespace="shop")
    with pytest.raises(UsageError, match="'tomcat' names no object"):
        trace(evidence(), "tomcat")


def test_what_was_owned_before_the_evidence_begins() -> None:
    """etcd's revisions say whose an object is; without them the garbage collector's deletions would be nobody's."""
    begin = flow(*DELETE).hops[0].start
    late = [event for event in evidence().audit if event.received >= begin or event.verb == "list"]
    cut = dataclasses.replace(evidence(), audit=late)
    assert arrows(trace(cut, DELETE[0]).hops) == arrows(flow(*DELETE).hops)
    assert completeness(trace(cut, DELETE[0]), evidence()).complete
    assert len(trace(dataclasses.replace(cut, revisions=()), DELETE[0]).hops) == 2
