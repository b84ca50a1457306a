"""What audit events are about: the names of their objects, and the other objects that these refer to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labkit.errors import UsageError
from labkit.evidence.audit import AuditEvent
from labkit.flow.model import ObjectName

Json = Mapping[str, Any]
Key = tuple[str, str, str]
"""Resource, namespace and name: what tells objects of one moment apart."""

# What kubectl accepts for a resource (kubernetes.io/docs/reference/kubectl, "Resource types").
_RESOURCES = {
    "cronjob": "cronjobs",
    "cj": "cronjobs",
    "daemonset": "daemonsets",
    "deploy": "deployments",
    "deployment": "deployments",
    "ds": "daemonsets",
    "job": "jobs",
    "node": "nodes",
    "no": "nodes",
    "po": "pods",
    "pod": "pods",
    "replicaset": "replicasets",
    "rs": "replicasets",
    "service": "services",
    "statefulset": "statefulsets",
    "sts": "statefulsets",
    "svc": "services",
}
_CLUSTER_SCOPED = frozenset({"nodes", "namespaces", "persistentvolumes"})


def selector(text: str, namespace: str = "default") -> ObjectName:
    """Return the object that a person means by ``"deployment/tomcat"``.

    Parameters
    ----------
    text : str
        Resource and name; the resource singular, plural or short, as kubectl takes it.
    namespace : str
        Where it is; of no account for a node.

    Raises
    ------
    UsageError
        There is no resource or no name in it.
    """
    resource, _, name = text.strip().partition("/")
    if not resource or not name or "/" in name:
        raise UsageError(
            f"{text!r} names no object.",
            why="An object is named by its resource and its name.",
            fix="Write it as for kubectl: deployment/tomcat, service/tomcat",
        )
    resource = _RESOURCES.get(resource.lower(), resource.lower())
    return ObjectName(resource, "" if resource in _CLUSTER_SCOPED else namespace, name)


def name_of(event: AuditEvent) -> ObjectName:
    """Return what a request was about; the answer knows a generated name and the uid."""
    ref = event.object
    if ref is None:
        return ObjectName("", "", "")
    body = event.response or {}
    stored = metadata(body) if body.get("kind") != "Status" else body.get("details") or {}
    sent = metadata(event.request)
    return ObjectName(
        ref.resource,
        ref.namespace or stored.get("namespace", ""),
        ref.name or stored.get("name", "") or sent.get("name", "") or sent.get("generateName", ""),
        ref.subresource,
        ref.uid or stored.get("uid", ""),
    )


def metadata(body: Json | None) -> Json:
    """Return the metadata of an object, or an empty mapping."""
    return (body or {}).get("metadata") or {}


def references(resource: str, body: Json | None) -> list[tuple[str, str]]:
    """Return the uids that a body refers to, each with how: ``"owned by"``, ``"tells of"``, ``"leads to"``."""
    if not body:
        return []
    found = [("owned by", owner.get("uid", "")) for owner in metadata(body).get("ownerReferences") or ()]
    if resource == "events":  # v1 calls it involvedObject, events.k8s.io/v1 regarding
        about = body.get("involvedObject") or body.get("regarding") or {}
        found.append(("tells of", about.get("uid", "")))
    elif resource == "endpointslices":
        addresses = body.get("endpoints") or ()
        found += [("leads to", (address.get("targetRef") or {}).get("uid", "")) for address in addresses]
    elif resource == "endpoints":
        subsets = body.get("subsets") or ()
        addresses = [item for subset in subsets for kind in _ADDRESSES for item in subset.get(kind) or ()]
        found += [("leads to", (address.get("targetRef") or {}).get("uid", "")) for address in addresses]
    return found


_ADDRESSES = ("addresses", "notReadyAddresses")


def dig(value: Any, *keys: str) -> Any:
    """Return what is at a path of keys, or None where there is no such path."""
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value
