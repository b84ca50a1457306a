"""Who healed what: the two accidents of notebook 05, and what the components did about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from labkit.evidence.audit import AuditEvent
from labkit.evidence.model import Evidence
from labkit.flow import actor
from labkit.flow.actions import READS, is_action
from labkit.flow.names import name_of
from labkit.lab import Lab
from labkit.lab.owners import reference
from labkit.language import gettext, gettext_noop

KILLED = gettext_noop("a container's process was killed")
DELETED = gettext_noop("a pod was deleted")
ACCIDENTS = (KILLED, DELETED)
#: Whom one could take for the healer.
COMPONENTS = (
    *("deployment-controller", "generic-garbage-collector", "kube-scheduler", "kubelet", "replicaset-controller"),
)


@dataclass(frozen=True, slots=True)
class Accident:
    """What was lost, and who brought it back.

    Attributes
    ----------
    what : str
        Of `ACCIDENTS`.
    healer : str
        Of `COMPONENTS`.
    pod : str
        The pod that runs in the end.
    seen : tuple of str
        What is known of it, a line each, without the healer's name.
    writes : tuple of AuditEvent
        All that was written about the pod since.
    """

    what: str
    healer: str
    pod: str
    seen: tuple[str, ...]
    writes: tuple[AuditEvent, ...]

    def written_by(self, component: str) -> str:
        """Return in a line what a component wrote about the pod."""
        found = [f"{each.verb} {_about(each)}" for each in self.writes if who(each) == component]
        return gettext("{component} wrote about pod {pod}: {writes}").format(
            component=component, pod=self.pod, writes=", ".join(dict.fromkeys(found)) or gettext("nothing")
        )


def accidents(lab: Lab, deployment: str, evidence: Evidence) -> Iterator[Accident]:
    """Return the last accident of each kind that a deployment's pods had."""
    writes = written(evidence)
    with lab.api_server() as api:
        pods = (api.get("/api/v1/namespaces/default/pods") or {"items": []})["items"]
    yield from _killed([pod for pod in pods if belongs(pod, deployment)][::-1], evidence, writes)
    yield from _deleted(deployment, writes)


def written(evidence: Evidence) -> list[AuditEvent]:
    """Return what was written about objects, without what was refused."""
    return [event for event in evidence.audit if event.object and event.verb not in READS and (event.code or 0) < 400]


def belongs(pod: Any, deployment: str) -> bool:
    """Whether a pod is owned by a replica set of a deployment: their names are the deployment's and a hash."""
    owner = reference(pod)
    return owner is not None and (owner["kind"], owner["name"].rpartition("-")[0]) == ("ReplicaSet", deployment)


def who(event: AuditEvent) -> str:
    """Return the name of who wrote: a component's without its node, a person's program."""
    found = actor(event.user, event.user_agent)
    return found.name if found.kind == "client" else found.id.partition("/")[0]


def _killed(pods: Sequence[Any], evidence: Evidence, writes: Sequence[AuditEvent]) -> Iterator[Accident]:
    for pod in pods:
        name, node = pod["metadata"]["name"], pod["spec"].get("nodeName", "")
        for container in pod["status"].get("containerStatuses") or ():
            ended = container.get("lastState", {}).get("terminated")
            starts = [
                call
                for call in evidence.runtime
                if (call.uid, call.container, call.call)
                == (pod["metadata"]["uid"], container["name"], "StartContainer")
            ]
            if not ended or len(starts) < 2:
                continue
            since = datetime.fromisoformat(ended["finishedAt"])
            about = tuple(event for event in writes if event.received >= since and name_of(event).name == name)
            seen = (
                gettext("pod {name}: the process ended at {since:%H:%M:%S} with exit code {code}").format(
                    name=name, since=since, code=ended["exitCode"]
                ),
                gettext(
                    "the runtime on {node} started container {container} at {time:%H:%M:%S}; the pod is the same"
                ).format(node=node, container=container["name"], time=starts[-1].time),
            )
            # A container runtime has one client: the kubelet of its node.
            yield Accident(KILLED, "kubelet", name, seen, about)
            return


def _deleted(deployment: str, writes: Sequence[AuditEvent]) -> Iterator[Accident]:
    made = [event for event in writes if event.verb == "create" and _is_pod_of(event, deployment)]
    deleted = [
        event for event in writes if event.verb == "delete" and is_action(event) and _is_pod_of(event, deployment)
    ]
    for event in deleted[::-1]:
        for new in (each for each in made if each.received >= event.received):
            name = name_of(new).name
            about = tuple(each for each in writes if each.received >= event.received and name_of(each).name == name)
            milliseconds = (new.staged - event.received).total_seconds() * 1000
            seen = (
                gettext("pod {deleted} was deleted; {milliseconds:.0f} ms later there was pod {name}").format(
                    deleted=name_of(event).name, milliseconds=milliseconds, name=name
                ),
            )
            yield Accident(DELETED, who(new), name, seen, about)
            return


def _is_pod_of(event: AuditEvent, deployment: str) -> bool:
    body = event.response or {}
    return body.get("kind") == "Pod" and belongs(body, deployment)


def _about(event: AuditEvent) -> str:
    return "/".join(part for part in event.object[:2] if part) if event.object else ""
