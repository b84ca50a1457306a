"""Flows to draw, of any number of pods and nodes: the order and the pace of what real components do."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from labkit.flow import API_SERVER, Actor, Flow, Hop, ObjectName
from labkit.flow.actors import ETCD
from labkit.flow.model import EvidenceId, HopKind

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KUBECTL = Actor("client/kubectl", "client", "kubectl")
SCHEDULER = Actor("kube-scheduler", "scheduler", "scheduler")


def controller(name: str) -> Actor:
    return Actor(f"{name}-controller", "controller", f"{name}-controller")


def on(kind: str, node: str) -> Actor:
    return Actor(f"{kind}/{node}", kind, f"{kind} on {node}", node)  # type: ignore[arg-type]


@dataclass
class Writer:
    """Writes hops one after the other; a write to the API server is also one to etcd, and its watchers hear of it."""

    hops: list[Hop] = field(default_factory=list)
    revision: int = 700

    def hop(
        self,
        kind: HopKind,
        ends: tuple[Actor, Actor],
        verb: str,
        thing: str,
        at: float,
        *,
        took: float = 1.0,
        code: int | None = None,
        what: str = "",
    ) -> int:
        """Add a hop that begins `at` milliseconds after the first, and return its number."""
        resource, name, subresource = (*thing.split("/"), "", "")[:3]
        start = START + timedelta(milliseconds=at)
        observed = kind != "notify"
        number = len(self.hops) + 1
        self.hops.append(
            Hop(
                number,
                kind,
                *ends,
                verb,
                ObjectName(resource, "default", name, subresource),
                start,
                start + timedelta(milliseconds=took),
                code,
                what or f"{verb} {thing}",
                "owned by what came before",
                (EvidenceId("audit" if observed else "etcd", f"{number:08}"),),
                observed=observed,
                rule="" if observed else "watches it and wrote about it next",
                cause=number - 1 or None,
                revision=self.revision if kind in {"persist", "notify"} else None,
            )
        )
        return number

    def write(
        self,
        who: Actor,
        verb: str,
        thing: str,
        at: float,
        told: tuple[Actor, ...] = (),
        *,
        code: int = 201,
        what: str = "",
    ) -> float:
        """Add a request, its write to etcd, and what each watcher is told; return when that was over."""
        self.hop("request", (who, API_SERVER), verb, thing, at, took=4.2, code=code, what=what)
        if code >= 400:
            return at + 4.2
        self.revision += 1
        self.hop("persist", (API_SERVER, ETCD), "store", thing, at + 1.5)
        event = "ADDED" if verb == "create" and thing.count("/") == 1 else "MODIFIED"
        for index, watcher in enumerate(told):
            self.hop("notify", (API_SERVER, watcher), event, thing, at + 2.8 + index * 0.1)
        return at + 4.2

    def event(self, who: Actor, about: str, at: float) -> None:
        """Add an Event."""
        self.hop("record", (who, API_SERVER), "create", f"events/{about}.18ead", at, code=201, what=f"notes: {about}")


def flow_of(
    pods: int,
    nodes: int = 2,
    name: str = "tomcat",
    *,
    bound: bool = True,
    expose: bool = False,
    control_plane: str = "master",
) -> Flow:
    """Return the flow of a deployment whose pods are dealt out to nodes in turn."""
    names = [f"node-{index + 1:02}" for index in range(nodes)]
    deployment, replicaset = controller("deployment"), controller("replicaset")
    writer = Writer()
    now = writer.write(KUBECTL, "create", f"deployments/{name}", 0, (deployment,))
    now = writer.write(deployment, "create", f"replicasets/{name}-5c8", now + 4, (replicaset, deployment))
    placed: dict[str, str] = {}
    for index in range(pods):
        pod, node = f"{name}-5c8-x{index:04}", names[index % nodes]
        placed[pod] = node if bound else ""
        now = writer.write(replicaset, "create", f"pods/{pod}", now + 5, (SCHEDULER, replicaset))
        if bound:
            told = (on("kubelet", node),)
            what = f"binds pod {pod} to {node}"
            now = writer.write(SCHEDULER, "create", f"pods/{pod}/binding", now + 6, told, what=what)
            writer.event(SCHEDULER, pod, now + 1)
    now = writer.write(deployment, "update", f"deployments/{name}/status", now + 2, code=409)
    now = writer.write(deployment, "update", f"deployments/{name}/status", now + 8)
    writer.event(deployment, name, now + 1)
    now = _run(writer, placed, now + 20) if bound else now
    if bound:
        now = writer.write(replicaset, "update", f"replicasets/{name}-5c8/status", now + 3, (deployment,))
        now = writer.write(deployment, "update", f"deployments/{name}/status", now + 3)
    if expose:
        slices, endpoints = controller("endpointslice"), controller("endpoints")
        now = writer.write(KUBECTL, "create", f"services/{name}", now + 4000, (slices, endpoints))
        proxies = tuple(on("kube-proxy", node) for node in ("master", *names)[:3])
        writer.write(slices, "create", f"endpointslices/{name}-abcde", now + 12, proxies)
        writer.write(endpoints, "create", f"endpoints/{name}", now + 18)
    hops = tuple(writer.hops)
    return Flow(hops[0].object, hops, placed, tuple(names), control_plane=control_plane)


def _run(writer: Writer, placed: dict[str, str], now: float) -> float:
    """Let each kubelet start its pods, and return when the last one ran."""
    end = now
    for index, (pod, node) in enumerate(placed.items()):
        kubelet, runtime = on("kubelet", node), on("runtime", node)
        at = writer.write(kubelet, "patch", f"pods/{pod}/status", now + index * 3)
        for verb, took in (("RunPodSandbox", 40), ("PullImage", 900), ("CreateContainer", 20), ("StartContainer", 15)):
            writer.hop("runtime", (kubelet, runtime), verb, f"pods/{pod}", at, took=took)
            at += took + 2
            if verb != "RunPodSandbox":
                writer.event(kubelet, pod, at)
                at += 4
        end = writer.write(kubelet, "patch", f"pods/{pod}/status", at + 10, (controller("replicaset"),))
    return end
