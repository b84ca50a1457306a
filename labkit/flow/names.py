"""What audit events are about: the names of their objects, and the other objects that these refer to."""

from __future__ import annotations

from labkit.errors import UsageError
from labkit.evidence.audit import AuditEvent
from labkit.flow.bodies import Json, dig, mapping, mappings, metadata, text
from labkit.flow.model import ObjectName
from labkit.language import gettext, gettext_noop

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


def selector(words: str, namespace: str = "default") -> ObjectName:
    """Return the object that a person means by ``"deployment/tomcat"``.

    Parameters
    ----------
    words : str
        Resource and name; the resource singular, plural or short, as kubectl takes it.
    namespace : str
        Where it is; of no account for a node.

    Raises
    ------
    UsageError
        There is no resource or no name in it.
    """
    resource, _, name = words.strip().partition("/")
    if not resource or not name or "/" in name:
        raise UsageError(
            gettext("{words!r} names no object.").format(words=words),
            why=gettext("An object is named by its resource and its name."),
            fix=gettext("Write it as for kubectl: deployment/tomcat, service/tomcat"),
        )
    resource = _RESOURCES.get(resource.lower(), resource.lower())
    return ObjectName(resource, "" if resource in _CLUSTER_SCOPED else namespace, name)


def name_of(event: AuditEvent) -> ObjectName:
    """Return what a request was about; the answer knows a generated name and the uid."""
    ref = event.object
    if ref is None:
        return ObjectName("", "", "")
    body = event.response
    stored = metadata(body) if dig(body, "kind") != "Status" else mapping(body, "details")
    sent = metadata(event.request)
    return ObjectName(
        ref.resource,
        ref.namespace or text(stored, "namespace"),
        ref.name or text(stored, "name") or text(sent, "name") or text(sent, "generateName"),
        ref.subresource,
        ref.uid or text(stored, "uid"),
    )


def references(resource: str, body: Json | None) -> list[tuple[str, str]]:
    """Return the uids that a body refers to, each with how: ``"owned by"``, ``"tells of"``, ``"leads to"``."""
    if not body:
        return []
    found = [(gettext_noop("owned by"), text(owner, "uid")) for owner in mappings(body, "metadata", "ownerReferences")]
    if resource == "events":  # v1 calls it involvedObject, events.k8s.io/v1 regarding
        found.append((gettext_noop("tells of"), text(body, "involvedObject", "uid") or text(body, "regarding", "uid")))
    elif resource == "endpointslices":
        found += [
            (gettext_noop("leads to"), text(address, "targetRef", "uid")) for address in mappings(body, "endpoints")
        ]
    elif resource == "endpoints":
        subsets = mappings(body, "subsets")
        addresses = [item for subset in subsets for kind in _ADDRESSES for item in mappings(subset, kind)]
        found += [(gettext_noop("leads to"), text(address, "targetRef", "uid")) for address in addresses]
    return found


_ADDRESSES = ("addresses", "notReadyAddresses")
