"""Flows of real deployments on a real cluster: see data/README.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labkit.evidence.audit import AuditEvent, AuditLog
from labkit.flow import Flow
from labkit.views.architecture import to_svg
from labkit.views.table import to_text
from tests.flow.events import asked

DATA = Path(__file__).parent / "data"


def events(name: str) -> list[AuditEvent]:
    log = AuditLog(DATA / f"{name}.jsonl.gz")
    found = list(log)
    assert (log.unreadable, log.torn) == (0, False)
    return found


@pytest.fixture(scope="module")
def tomcat() -> Flow:
    return asked(events("tomcat"), "tomcat")


def first(flow: Flow, thing: str) -> int:
    """Return the number of the first hop about a thing, by a pattern for ``actor verb object``."""
    return next(
        hop.number for hop in flow.hops if re.fullmatch(thing, f"{hop.source.id} {hop.verb} {hop.object}") is not None
    )


def test_the_textbooks_order(tomcat: Flow) -> None:
    steps = [
        "client/kubectl create deployments/tomcat",
        r"deployment-controller create replicasets/tomcat-\w+",
        r"replicaset-controller create pods/tomcat-\w+-\w{5}",
        r"kube-scheduler create pods/tomcat-\w+-\w{5}/binding",
        r"kubelet/node-02 patch pods/tomcat-\w+-\w{5}/status",
    ]
    numbers = [first(tomcat, step) for step in steps]
    assert numbers == sorted(numbers)
    assert numbers[0] == 1


def test_from_the_command_to_a_running_pod(tomcat: Flow) -> None:
    (pod, node), *others = tomcat.pods.items()
    assert not others
    assert node == "node-02"
    said = [hop.what for hop in tomcat.requests]
    assert f"binds pod {pod} to node-02" in said
    running = said.index(f"reports pod {pod}: Running, 1 of 1 ready")
    assert said.index("reports deployment tomcat: 1 of 1 available") > running
    assert said[-1] == "reports deployment tomcat: 1 of 1 available"
    assert tomcat.nodes == ("master", "node-01", "node-02")


def test_every_write_about_its_objects_is_a_hop(tomcat: Flow) -> None:
    """Counted another way: by the deployment's name anywhere in the URL or the object's own name."""
    written = {
        event.audit_id
        for event in events("tomcat")
        if event.verb not in {"get", "list", "watch"}
        and ("tomcat" in event.uri or "tomcat" in str((event.response or {}).get("metadata", {}).get("name")))
    }
    about_events = {
        event.audit_id
        for event in events("tomcat")
        if event.object and event.object.resource == "events" and "tomcat" in str(event.request)
    }
    shown = [hop for hop in tomcat.hops if hop.verb != "get" and hop.object.subresource != "token"]
    assert written | about_events == {hop.evidence[0].id for hop in shown}


def test_every_hop_has_evidence_and_a_reason(tomcat: Flow) -> None:
    known = {event.audit_id for event in events("tomcat")}
    assert all(hop.evidence[0].id in known and hop.because and hop.start <= hop.end for hop in tomcat.hops)


def test_refusals_are_told_and_followed_by_another_look(tomcat: Flow) -> None:
    refused = [hop for hop in tomcat.hops if hop.failed]
    assert refused
    assert all(hop.code == 409 and hop.what.endswith("out of date") for hop in refused)
    assert any(hop.verb == "get" and hop.because.endswith("after its update was refused") for hop in tomcat.hops)


def test_deployments_at_the_same_time_are_kept_apart() -> None:
    everything = events("several")
    flows = {name: asked(everything, name) for name in ("shop", "three", "broken", "big")}
    taken = [hop.evidence for flow in flows.values() for hop in flow.hops]
    assert len(taken) == len(set(taken))
    for name, flow in flows.items():
        assert all(hop.object.name.startswith(name) for hop in flow.hops if hop.object.subresource != "token")
    assert len(flows["three"].pods) == 3
    assert sorted(set(flows["three"].pods.values())) == ["node-01", "node-02"]


def test_a_service_that_is_told_of_the_pod() -> None:
    flow = asked(events("several"), "shop")
    pod = next(iter(flow.pods))
    (hop,) = (hop for hop in flow.hops if hop.object.resource == "endpointslices")
    assert (hop.source.id, hop.because) == ("endpointslice-controller", f"leads to pods/{pod}")


def test_flows_that_stop_say_where() -> None:
    everything = events("several")
    broken = [hop.what for hop in asked(everything, "broken").hops]
    assert any("Pending, ErrImagePull" in what for what in broken)
    big = asked(everything, "big", action="update")
    assert any("Pending, Unschedulable" in hop.what for hop in big.hops)
    assert any("notes FailedScheduling: 0/3 nodes are available" in hop.what for hop in big.hops)
    assert "" in big.pods.values()
    assert not any("notes an Event" in hop.what for hop in big.hops)


@pytest.mark.parametrize("name", ["tomcat", "several"])
def test_no_secret_is_in_the_data(name: str) -> None:
    for event in events(name):
        assert event.object is None or event.object.resource != "secrets" or event.request is None
        if event.object is not None and event.object.subresource == "token":
            assert (event.level, event.request, event.response) == ("Metadata", None, None)
        text = f"{event.request} {event.response} {event.uri}"
        assert re.search(r"eyJ[\w-]{20,}|PRIVATE KEY", text) is None


def test_pictures_of_real_flows(tomcat: Flow) -> None:
    svg = to_svg(tomcat)
    assert all(f">{hop.number}</text>" in svg for hop in tomcat.hops)
    assert len(to_text(tomcat).splitlines()) == len(tomcat.hops) + 2
    assert "no node yet" in to_svg(asked(events("several"), "big", action="update"))
