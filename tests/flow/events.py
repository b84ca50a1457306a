"""Audit events made by hand, as small as a rule needs them; what real ones look like is in data/."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from labkit.evidence.audit import AuditEvent, parse
from labkit.evidence.model import ClusterFacts, Evidence
from labkit.flow import Flow, trace
from labkit.flow.actions import ActionKind

ADMIN = "kubernetes-admin"
DEPLOYMENT_CONTROLLER = "system:serviceaccount:kube-system:deployment-controller"
REPLICASET_CONTROLLER = "system:serviceaccount:kube-system:replicaset-controller"
SLICE_CONTROLLER = "system:serviceaccount:kube-system:endpointslice-controller"
SCHEDULER = "system:kube-scheduler"
NODES = ("master", "node-01", "node-02")

Json = Mapping[str, Any]
_ids = itertools.count(1)


def stored(kind: str, name: str, uid: str, owner: str = "", **rest: Any) -> dict[str, Any]:
    """Return an object as the API server stores it, owned by the object with that uid."""
    metadata: dict[str, Any] = {"name": name, "namespace": "default", "uid": uid}
    if owner:
        metadata["ownerReferences"] = [{"uid": owner, "controller": True}]
    return {"kind": kind, "metadata": metadata, **rest}


def event(
    milliseconds: int,
    user: str,
    verb: str,
    thing: str,
    *,
    code: int = 200,
    request: Json | None = None,
    response: Json | None = None,
    uid: str = "",
    stage: str = "ResponseComplete",
) -> AuditEvent:
    """Return an event; `thing` is ``resource/name/subresource`` in the namespace default, a ``-`` is no name."""
    resource, name, subresource = (*thing.split("/"), "", "")[:3]
    reference = {"resource": resource, "namespace": "default", "name": "" if name == "-" else name, "uid": uid}
    reference["subresource"] = subresource
    seconds, rest = divmod(milliseconds, 1000)
    raw = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "RequestResponse",
        "auditID": f"{next(_ids):08}",
        "stage": stage,
        "requestURI": "/",
        "verb": verb,
        "user": {"username": user},
        "userAgent": "kubectl/v1.34.3 (linux/amd64)" if user == ADMIN else "go",
        "objectRef": {key: value for key, value in reference.items() if value},
        "responseStatus": {"code": code},
        "requestReceivedTimestamp": f"2026-01-02T03:04:{seconds:02}.{rest:03}000Z",
        "stageTimestamp": f"2026-01-02T03:04:{seconds:02}.{rest:03}900Z",
    }
    raw |= {"requestObject": request} if request else {}
    raw |= {"responseObject": response} if response else {}
    return parse(json.dumps(raw))


def created(milliseconds: int = 0, name: str = "tomcat", uid: str = "d1") -> AuditEvent:
    """Return the creation of a deployment by kubectl."""
    body = stored("Deployment", name, uid, spec={"replicas": 1})
    return event(milliseconds, ADMIN, "create", f"deployments/{name}", code=201, response=body)


def owned(milliseconds: int = 10, deployment: str = "d1", replica_set: str = "r1", pod: str = "p1") -> list[AuditEvent]:
    """Return the creation of a replica set and its pod; the pod's name is known from the answer alone."""
    a = stored("ReplicaSet", "tomcat-5c8", replica_set, deployment, spec={"replicas": 1})
    b = stored("Pod", "tomcat-5c8-x7k2p", pod, replica_set)
    return [
        event(milliseconds, DEPLOYMENT_CONTROLLER, "create", "replicasets/tomcat-5c8", code=201, response=a),
        event(milliseconds + 10, REPLICASET_CONTROLLER, "create", "pods/-", code=201, response=b),
    ]


def evidence_of(events: Sequence[AuditEvent]) -> Evidence:
    """Return audit events as all the evidence there is."""
    return Evidence(ClusterFacts("lab", "context", "v1.34.3", "master", NODES), events)


def asked(
    events: Sequence[AuditEvent], name: str = "tomcat", namespace: str = "default", action: ActionKind = "create"
) -> Flow:
    """Return the requests and Events alone of a deployment's flow, from audit events alone."""
    flow = trace(evidence_of(events), f"deployment/{name}", namespace=namespace, action=action)
    return dataclasses.replace(flow, hops=tuple(hop for hop in flow.hops if hop.kind in {"request", "record"}))
