"""A flow with hops of every kind, its story and its details, as the player gets them."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from labkit.flow import API_SERVER, ETCD, Actor, EvidenceId, Extra, Flow, Hop, ObjectName, Step, Stop, Story
from labkit.flow.model import HopKind

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KUBECTL = Actor("client/kubectl", "client", "kubectl")
DEPLOYMENTS = Actor("deployment-controller", "controller", "deployment-controller")
SCHEDULER = Actor("kube-scheduler", "scheduler", "scheduler")
KUBELET = Actor("kubelet/node-02", "kubelet", "kubelet on node-02", "node-02")
RUNTIME = Actor("runtime/node-02", "runtime", "runtime on node-02", "node-02")

Row = tuple[HopKind, Actor, Actor, str, str, float, float, str]


def tomcat(pod: str = "tomcat-5c8-x7k2p") -> Flow:
    """Return a deployment's flow, short, with a hop of every kind and long idle stretches."""
    rows: list[Row] = [
        (
            "request",
            KUBECTL,
            API_SERVER,
            "create",
            "deployments/tomcat",
            0,
            9.2,
            "creates deployment tomcat, 1 pod wanted",
        ),
        ("persist", API_SERVER, ETCD, "store", "deployments/tomcat", 5.1, 2.3, "stores deployment tomcat"),
        ("notify", API_SERVER, DEPLOYMENTS, "ADDED", "deployments/tomcat", 7.4, 5.5, "tells of deployment tomcat"),
        ("request", DEPLOYMENTS, API_SERVER, "create", f"pods/{pod}", 12.9, 6.1, f"creates pod {pod}"),
        ("persist", API_SERVER, ETCD, "store", f"pods/{pod}", 15.0, 2.9, f"stores pod {pod}"),
        ("record", DEPLOYMENTS, API_SERVER, "create", f"events/{pod}.1", 19.5, 3.0, f"notes SuccessfulCreate: {pod}"),
        ("notify", API_SERVER, SCHEDULER, "ADDED", f"pods/{pod}", 17.9, 4.0, f"tells of pod {pod}"),
        ("request", SCHEDULER, API_SERVER, "create", f"pods/{pod}/binding", 24.0, 5.0, f"binds pod {pod} to node-02"),
        ("notify", API_SERVER, KUBELET, "MODIFIED", f"pods/{pod}", 29.0, 3.0, f"tells of pod {pod}"),
        ("runtime", KUBELET, RUNTIME, "RunPodSandbox", f"pods/{pod}", 61.0, 210.0, f"runs the sandbox of {pod}"),
        ("runtime", KUBELET, RUNTIME, "StartContainer", f"pods/{pod}", 1290.0, 31.0, f"starts tomcat in {pod}"),
        ("request", KUBELET, API_SERVER, "patch", f"pods/{pod}/status", 1331.0, 4.0, f"reports pod {pod}: Running"),
    ]
    return flow(rows, pods={pod: "node-02"})


def flow(rows: Sequence[Row], pods: dict[str, str] | None = None) -> Flow:
    """Return the flow of these rows, in their order."""
    hops = tuple(_hop(number, row) for number, row in enumerate(rows, start=1))
    return Flow(hops[0].object, hops, pods or {}, ("master", "node-01", "node-02"), "create deployment tomcat")


def many(count: int) -> Flow:
    """Return a flow of that many hops: pods made, stored and bound, 2 ms apart."""
    parts: list[Row] = []
    for number in range(count):
        pod, at = f"tomcat-5c8-{number // 4:05}", number * 2.0
        parts.append(
            (
                ("request", DEPLOYMENTS, API_SERVER, "create", f"pods/{pod}", at, 1.5, f"creates pod {pod}"),
                ("persist", API_SERVER, ETCD, "store", f"pods/{pod}", at, 1.0, f"stores pod {pod}"),
                ("notify", API_SERVER, SCHEDULER, "ADDED", f"pods/{pod}", at, 1.0, f"tells of pod {pod}"),
                ("request", SCHEDULER, API_SERVER, "create", f"pods/{pod}/binding", at, 1.0, f"binds pod {pod}"),
            )[number % 4]
        )
    return flow(parts, {f"tomcat-5c8-{number:05}": "node-02" for number in range(count // 4)})


def _hop(number: int, row: Row) -> Hop:
    kind, source, target, verb, thing, at, length, what = row
    resource, name, subresource = (*thing.split("/"), "", "")[:3]
    start = START + timedelta(milliseconds=at)
    observed = kind != "notify"
    return Hop(
        number=number,
        kind=kind,
        source=source,
        target=target,
        verb=verb,
        object=ObjectName(resource, "default", name, subresource),
        start=start,
        end=start + timedelta(milliseconds=length),
        code=201 if kind in {"request", "record"} else None,
        what=what,
        because="owned by deployments/tomcat",
        evidence=(EvidenceId("audit", f"{number:08}"),),
        observed=observed,
        rule="" if observed else "its watch is open, and its next write is about this object",
        cause=number - 1 or None,
        revision=700 + number if kind == "persist" else None,
    )


def story() -> Story:
    """Return the story of `tomcat`, which has a step that was not seen."""
    return Story(
        "create deployment tomcat",
        (
            Step(0, "Kubelets, scheduler and controller-manager watch the API server", (), "not seen"),
            Step(1, "A person runs kubectl create deployment", (1,), "observed"),
            Step(2, "kubectl hands it to the API server, which stores it in etcd", (2,), "observed"),
            Step(3, "The controller-manager hears of it", (3,), "inferred", "Inferred from its next write."),
            Step(4, "It hands the pods to the API server, stored in etcd", (4, 5), "observed"),
            Step(5, "The scheduler hears of them and chooses a node", (7,), "inferred"),
            Step(6, "It hands the binding to the API server", (8,), "observed"),
            Step(7, "The kubelet of node-02 has the runtime start the pod", (9, 10, 11, 12), "observed"),
        ),
        (Extra("Events", (6,), "Controllers note what they did, for people."),),
    )


def stopped() -> Story:
    """Return the story of a flow that stopped."""
    whole = story()
    return Story(whole.name, whole.steps, stop=Stop(5, "0/3 nodes are available.", (EvidenceId("audit", "00000008"),)))


def details(text: str = "kubectl") -> dict[int, list[dict[str, Any]]]:
    """Return the details of the first hop: one section of each kind."""
    spans = [
        [0, "Create", "apiserver", 0, 9200, "/apis/apps/v1/namespaces/default/deployments"],
        [1, "authentication", "apiserver", 110, 240, ""],
        [1, "authorization", "apiserver", 360, 95, ""],
        [1, "admission", "apiserver", 900, 3100, ""],
        [1, "Create etcd3", "apiserver", 5100, 2300, ""],
        [2, "etcdserverpb.KV/Txn", "etcd", 5420, 1600, ""],
    ]
    changes = [
        ["spec.replicas", None, "1"],
        ["spec.strategy.type", '""', '"RollingUpdate"'],
        ["metadata.uid", None, '"8f1"'],
    ]
    return {
        1: [
            {"kind": "spans", "title": "Spans, in microseconds", "open": True, "total": 9200, "rows": spans},
            {"kind": "changes", "title": "What admission changed", "open": True, "rows": changes},
            {
                "kind": "facts",
                "title": "etcd",
                "open": True,
                "rows": [["key", f"/registry/deployments/default/{text}"]],
            },
            {"kind": "table", "title": "Scores", "open": False, "head": ["node", "sum"], "rows": [["node-01", 680]]},
            {
                "kind": "text",
                "title": "Audit event",
                "open": False,
                "text": '{\n  "verb": "create",\n  "user": "' + text + '"\n}',
            },
        ]
    }


def pictures(played: Flow) -> dict[str, str]:
    """Return small pictures of a flow in the shape that the player reads: a group for each hop and each component."""
    actors = list({actor.id: actor for hop in played.hops for actor in (hop.source, hop.target)}.values())
    places = {actor.id: (90 + 150 * (i % 5), 60 + 200 * (i // 5) + 110 * (i % 2)) for i, actor in enumerate(actors)}
    parts = []
    for actor in actors:
        x, y = places[actor.id]
        parts.append(
            f'<g class="component" data-actor="{html.escape(actor.id)}"><rect x="{x - 62}" y="{y - 16}" width="124" '
            f'height="32" rx="4" fill="none" stroke="currentColor"/><text x="{x}" y="{y + 4}" font-size="11" '
            f'fill="currentColor" text-anchor="middle">{html.escape(actor.name)}</text></g>'
        )
    for hop in played.hops:
        (ax, ay), (bx, by) = places[hop.source.id], places[hop.target.id]
        dash = "" if hop.observed else ' stroke-dasharray="4 3"'
        parts.append(
            f'<g class="hop" data-hop="{hop.number}" data-kind="{hop.kind}" '
            f'data-observed="{str(hop.observed).lower()}"><title>{html.escape(hop.what)}</title>'
            f'<path d="M{ax} {ay + 16}L{bx} {by - 16}" stroke="#0077BB" stroke-width="2" fill="none"{dash}/></g>'
        )
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 780 420" role="img">{"".join(parts)}</svg>'
    return {"architecture": svg, "lanes": svg}
