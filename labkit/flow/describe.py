"""What a request did, as a short sentence without its subject: "binds pod tomcat-5c8-x7k2p to node-02"."""

from __future__ import annotations

from labkit.evidence.audit import AuditEvent
from labkit.flow.bodies import Json, dig, mapping, mappings
from labkit.flow.model import ObjectName

SINGULAR = {
    "deployments": "deployment",
    "endpoints": "endpoints",
    "endpointslices": "endpoint slice",
    "pods": "pod",
    "replicasets": "replica set",
    "jobs": "job",
    "nodes": "node",
    "serviceaccounts": "service account",
    "services": "Service",
}
_VERBS = {"create": "creates", "update": "updates", "patch": "changes", "delete": "deletes", "get": "reads"}


def describe(event: AuditEvent, name: ObjectName) -> str:
    """Return what a request did.

    Parameters
    ----------
    event : AuditEvent
        The request, answered.
    name : ObjectName
        What it was about, with the name that was stored.
    """
    thing = f"{SINGULAR.get(name.resource, name.resource)} {name.name}".strip()
    body, request = mapping(event.response), mapping(event.request)
    refused = event.code is not None and event.code >= 400
    if name.resource == "events":
        said = body if "reason" in body and not refused else request  # a patch repeats but what changes
        text = f"notes {said.get('reason', 'an Event')}: {said.get('message') or said.get('note', '')}"
    elif name.subresource == "binding":
        text = f"binds {thing} to {target_node(event) or 'a node'}"
    elif name.subresource == "token":
        text = f"asks for a token of {thing}"
    elif name.subresource == "scale":
        text = f"scales {thing} to {dig(event.request, 'spec', 'replicas')}"
    elif name.subresource == "status":
        text = f"reports {thing}" if refused else f"reports {thing}{_status(name.resource, body)}"
    else:
        verb = _VERBS.get(event.verb, event.verb)
        text = f"{verb} {thing}"
        if not refused and (event.verb == "create" or (event.verb, name.resource) == ("update", "replicasets")):
            text += _wanted(name.resource, body)
        if name.subresource:
            text += f" ({name.subresource})"
    return f"{text}: refused, {_refusal(event)}" if refused else text


def target_node(event: AuditEvent) -> str:
    """Return the node that a binding names, or an empty string."""
    return str(dig(event.request, "target", "name") or "")


def _refusal(event: AuditEvent) -> str:
    reason = dig(event.response, "reason") or "unknown reason"
    if reason == "Conflict":
        return "out of date"
    return f"{reason}: {dig(event.response, 'message') or event.code}"


def _wanted(resource: str, body: Json) -> str:
    if resource not in {"deployments", "replicasets"}:
        return ""
    count = dig(body, "spec", "replicas")
    return f", {count} pod{'' if count == 1 else 's'} wanted" if count is not None else ""


def _status(resource: str, body: Json) -> str:
    """Return what a status says, as ``": …"``, or nothing where it is not known how to say it."""
    status = mapping(body, "status")
    if resource == "pods":
        return f": {_pod_status(status)}"
    wanted = dig(body, "spec", "replicas")
    if resource == "deployments":
        return f": {status.get('availableReplicas', 0)} of {wanted} available"
    if resource == "replicasets":
        return f": {status.get('replicas', 0)} of {wanted} made, {status.get('readyReplicas', 0)} ready"
    return ""


def _pod_status(status: Json) -> str:
    containers = mappings(status, "containerStatuses")
    phase = str(status.get("phase", "no phase"))
    for container in containers:
        for state in ("waiting", "terminated"):
            reason = dig(container, "state", state, "reason")
            if reason:
                return f"{phase}, {reason}"
    if not containers:
        conditions = mappings(status, "conditions")
        unplaced = [item for item in conditions if item.get("type") == "PodScheduled" and item.get("status") == "False"]
        return f"{phase}, {unplaced[0].get('reason')}" if unplaced else phase
    return f"{phase}, {sum(bool(container.get('ready')) for container in containers)} of {len(containers)} ready"
