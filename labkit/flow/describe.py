"""What a request did, as a short sentence without its subject: "binds pod tomcat-5c8-x7k2p to node-02"."""

from __future__ import annotations

from labkit.evidence.audit import AuditEvent
from labkit.flow.bodies import Json, dig, mapping, mappings
from labkit.flow.model import ObjectName
from labkit.language import gettext, gettext_noop, ngettext

SINGULAR = {
    "deployments": gettext_noop("deployment"),
    "endpoints": "endpoints",
    "endpointslices": gettext_noop("endpoint slice"),
    "pods": gettext_noop("pod"),
    "replicasets": gettext_noop("replica set"),
    "jobs": gettext_noop("job"),
    "nodes": gettext_noop("node"),
    "serviceaccounts": gettext_noop("service account"),
    "services": "Service",
}
_VERBS = {
    "create": gettext_noop("creates"),
    "update": gettext_noop("updates"),
    "patch": gettext_noop("changes"),
    "delete": gettext_noop("deletes"),
    "get": gettext_noop("reads"),
}


def describe(event: AuditEvent, name: ObjectName) -> str:
    """Return what a request did.

    Parameters
    ----------
    event : AuditEvent
        The request, answered.
    name : ObjectName
        What it was about, with the name that was stored.
    """
    thing = f"{gettext(SINGULAR.get(name.resource, name.resource))} {name.name}".strip()
    body, request = mapping(event.response), mapping(event.request)
    refused = event.code is not None and event.code >= 400
    if name.resource == "events":
        said = body if "reason" in body and not refused else request  # a patch repeats but what changes
        text = gettext("notes {reason}: {message}").format(
            reason=said.get("reason", gettext("an Event")), message=said.get("message") or said.get("note", "")
        )
    elif name.subresource == "binding":
        text = gettext("binds {thing} to {node}").format(thing=thing, node=target_node(event) or gettext("a node"))
    elif name.subresource == "token":
        text = gettext("asks for a token of {thing}").format(thing=thing)
    elif name.subresource == "scale":
        text = gettext("scales {thing} to {count}").format(thing=thing, count=dig(event.request, "spec", "replicas"))
    elif name.subresource == "status":
        text = gettext("reports {thing}").format(thing=thing)
        if not refused and (status := _status(name.resource, body)):
            text += f": {status}"
    else:
        verb = gettext(_VERBS.get(event.verb, event.verb))
        text = f"{verb} {thing}"
        if not refused and (event.verb == "create" or (event.verb, name.resource) == ("update", "replicasets")):
            text += _wanted(name.resource, body)
        if name.subresource:
            text += f" ({name.subresource})"
    return gettext("{text}: refused, {refusal}").format(text=text, refusal=_refusal(event)) if refused else text


def target_node(event: AuditEvent) -> str:
    """Return the node that a binding names, or an empty string."""
    return str(dig(event.request, "target", "name") or "")


def _refusal(event: AuditEvent) -> str:
    reason = dig(event.response, "reason") or gettext("unknown reason")
    if reason == "Conflict":
        return gettext("out of date")
    return f"{reason}: {dig(event.response, 'message') or event.code}"


def _wanted(resource: str, body: Json) -> str:
    if resource not in {"deployments", "replicasets"}:
        return ""
    count = dig(body, "spec", "replicas")
    if count is None:
        return ""
    return ngettext(", {count} pod wanted", ", {count} pods wanted", count).format(count=count)


def _status(resource: str, body: Json) -> str:
    """Return what a status says, or nothing where it is not known how to say it."""
    status = mapping(body, "status")
    if resource == "pods":
        return _pod_status(status)
    wanted = dig(body, "spec", "replicas")
    if resource == "deployments":
        return gettext("{available} of {wanted} available").format(
            available=status.get("availableReplicas", 0), wanted=wanted
        )
    if resource == "replicasets":
        return gettext("{made} of {wanted} made, {ready} ready").format(
            made=status.get("replicas", 0), wanted=wanted, ready=status.get("readyReplicas", 0)
        )
    return ""


def _pod_status(status: Json) -> str:
    containers = mappings(status, "containerStatuses")
    phase = str(status.get("phase", gettext("no phase")))
    for container in containers:
        for state in ("waiting", "terminated"):
            reason = dig(container, "state", state, "reason")
            if reason:
                return f"{phase}, {reason}"
    if not containers:
        conditions = mappings(status, "conditions")
        unplaced = [item for item in conditions if item.get("type") == "PodScheduled" and item.get("status") == "False"]
        return f"{phase}, {unplaced[0].get('reason')}" if unplaced else phase
    return gettext("{phase}, {ready} of {count} ready").format(
        phase=phase, ready=sum(bool(container.get("ready")) for container in containers), count=len(containers)
    )
