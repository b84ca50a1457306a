"""Flows to draw: computed from audit events, of any number of pods and nodes."""

from __future__ import annotations

from labkit.evidence.audit import AuditEvent
from labkit.flow import Flow, deployment_flow
from tests.flow.events import REPLICASET_CONTROLLER, SCHEDULER, created, event, owned, stored


def flow_of(pods: int, nodes: int = 2, name: str = "tomcat", *, bound: bool = True) -> Flow:
    """Return the flow of a deployment whose pods are dealt out to nodes in turn."""
    events: list[AuditEvent] = [created(name=name), owned()[0]]
    for index in range(pods):
        at = 20 + index * 10
        pod, uid, node = f"tomcat-5c8-x{index:04}", f"p{index}", f"node-{index % nodes + 1:02}"
        body = stored("Pod", pod, uid, "r1", status={"phase": "Running"})
        target = {"target": {"kind": "Node", "name": node}}
        events.append(event(at, REPLICASET_CONTROLLER, "create", "pods/-", code=201, response=body))
        about = {"involvedObject": {"uid": uid}, "reason": "Scheduled", "message": f"assigned {pod}"}
        if bound:
            events.append(event(at + 3, SCHEDULER, "create", f"pods/{pod}/binding", code=201, request=target))
            events.append(event(at + 4, SCHEDULER, "create", f"events/{pod}.1", code=201, request=about))
            events.append(event(at + 6, f"system:node:{node}", "patch", f"pods/{pod}/status", response=body))
    return deployment_flow(events, name)
