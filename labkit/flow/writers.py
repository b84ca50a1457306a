"""Who made a change that a watch told of: by the object's managedFields, its owner, and what only one component does.

managedFields name the manager of each field and when it wrote last (KEP-555): a program's name, which is a hint as
``userAgent`` is. kube-controller-manager writes as one manager; which of its controllers it was follows from the kind
of the object, for each kind has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from labkit.flow.bodies import Json, dig, mapping, mappings, metadata, text
from labkit.language import gettext

_ACCOUNT = "system:serviceaccount:kube-system:"
_SCHEDULER = "system:kube-scheduler"
_MANAGER = "kube-controller-manager"
# Kind of the owner → who makes and deletes what it owns (cmd/kube-controller-manager/names of Kubernetes 1.34).
_OF_OWNER = {
    "CronJob": "cronjob-controller",
    "DaemonSet": "daemon-set-controller",
    "Deployment": "deployment-controller",
    "Job": "job-controller",
    "ReplicaSet": "replicaset-controller",
    "ReplicationController": "replication-controller",
    "Service": "endpointslice-controller",
    "StatefulSet": "statefulset-controller",
}
_OF_KIND = {
    "cronjobs": "cronjob-controller",
    "daemonsets": "daemon-set-controller",
    "deployments": "deployment-controller",
    "endpoints": "endpoint-controller",
    "endpointslices": "endpointslice-controller",
    "jobs": "job-controller",
    "pods": "node-controller",
    "replicasets": "replicaset-controller",
    "replicationcontrollers": "replication-controller",
    "services": "service-controller",
    "statefulsets": "statefulset-controller",
}
_COMPONENTS = {"kube-apiserver": "system:apiserver", "kube-scheduler": _SCHEDULER, "default-scheduler": _SCHEDULER}

_ADDED = frozenset({"creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"})


@dataclass(frozen=True, slots=True)
class Written:
    """A request that a change stands for.

    Attributes
    ----------
    verb, subresource : str
        ``"create"``, ``"binding"``.
    user, agent : str
        As `labkit.flow.actors.actor` takes them.
    rule : str
        How that is known.
    request : mapping
        What was asked for, as far as the change shows it.
    """

    verb: str
    subresource: str
    user: str
    agent: str
    rule: str
    request: Json = field(default_factory=dict)


def made(resource: str, item: Json) -> Written:
    """Return the request that made an object."""
    entries = [entry for entry in mappings(item, "metadata", "managedFields") if not text(entry, "subresource")]
    owner = _owner(item)
    manager = text(entries[0], "manager") if entries else ""
    user, agent = _user(manager, resource, item, _OF_OWNER.get(text(owner, "kind"), ""))
    return Written("create", "", user, agent, _rule(manager), _sent(item))


def reported(event: Json, *, again: bool) -> Written:
    """Return the request that wrote an Event, or counted `again` what it tells of."""
    component = text(event, "source", "component") or text(event, "reportingComponent")
    host = text(event, "source", "host") or text(event, "reportingInstance")
    user = f"system:node:{host}" if component == "kubelet" else _COMPONENTS.get(component, _ACCOUNT + component)
    return Written(
        "patch" if again else "create",
        "",
        user,
        "",
        gettext("an Event names the component that reports it"),
        _sent(event),
    )


def changed(resource: str, before: Json, item: Json) -> Written:
    """Return the request that changed an object."""
    if resource == "pods" and not dig(before, "spec", "nodeName") and dig(item, "spec", "nodeName"):
        name = text(item, "spec", "schedulerName")
        user = _SCHEDULER if name == "default-scheduler" else f"{_ACCOUNT}{name}"
        target = {"target": {"kind": "Node", "name": text(item, "spec", "nodeName")}}
        rule = gettext("the pod has a node now, which {scheduler} gives").format(scheduler=name)
        return Written("create", "binding", user, "", rule, target)
    entry = _latest(before, item)
    manager, subresource = text(entry, "manager"), text(entry, "subresource")
    owner = "" if subresource else _OF_OWNER.get(text(_owner(item), "kind"), "")
    user, agent = _user(manager, resource, item, owner)
    verb = "patch" if manager == "kubelet" or not user else "update"
    base = {"resourceVersion": text(before, "metadata", "resourceVersion")}
    return Written(verb, subresource, user, agent, _rule(manager), {"metadata": base, **_differing(before, item)})


def removed(resource: str, item: Json, objects: Mapping[str, Json], *, gone: bool) -> Written:
    """Return the request that deleted an object, which managedFields do not tell.

    Parameters
    ----------
    resource : str
        Its resource.
    item : mapping
        The object as it was last.
    objects : mapping of str to mapping
        All that there are, by uid.
    gone : bool
        Whether it is gone, rather than marked to go (``deletionTimestamp``).
    """
    node = text(item, "spec", "nodeName")
    if gone and resource == "pods" and node and text(item, "metadata", "deletionTimestamp"):
        rule = gettext("a pod that was marked to go is removed by its kubelet")
        return Written("delete", "", f"system:node:{node}", "", rule)
    owner = _owner(item)
    if owner:
        parent = objects.get(text(owner, "uid"))
        kind, name = text(owner, "kind"), text(owner, "name")
        if parent is None or text(parent, "metadata", "deletionTimestamp"):
            rule = gettext("its owner {kind} {name} is gone, so that it is garbage").format(kind=kind, name=name)
            return Written("delete", "", f"{_ACCOUNT}generic-garbage-collector", "", rule)
        if resource != "pods" or _too_many(parent, text(owner, "uid"), objects):
            controller = _OF_OWNER.get(kind, kind.lower())
            rule = gettext("its owner {kind} {name} wants it no longer").format(kind=kind, name=name)
            return Written("delete", "", f"{_ACCOUNT}{controller}", "", rule)
    if resource == "endpoints":
        rule = gettext("only it deletes the endpoints of a Service")
        return Written("delete", "", f"{_ACCOUNT}endpoint-controller", "", rule)
    return Written("delete", "", "", "somebody", gettext("no component is known that would delete it: a person did"))


def _too_many(parent: Json, uid: str, objects: Mapping[str, Json]) -> bool:
    """Whether an owner has more pods than it wants."""
    kin = [item for item in objects.values() if text(_owner(item), "uid") == uid]
    living = [item for item in kin if not text(item, "metadata", "deletionTimestamp")]
    wanted = dig(parent, "spec", "replicas")
    return isinstance(wanted, int) and len(living) > wanted


def _owner(item: Json) -> Json:
    owners = mappings(item, "metadata", "ownerReferences")
    return next((owner for owner in owners if owner.get("controller")), {})


def _latest(before: Json, item: Json) -> Json:
    """Return the entry of managedFields that a change is of: a new one, else the latest of the part that changed."""
    entries = mappings(item, "metadata", "managedFields")
    known = mappings(before, "metadata", "managedFields")
    new = [entry for entry in entries if entry not in known]
    # What `kubectl scale` wrote bears no time (apimachinery, util/managedfields/scalehandler.go).
    if timeless := [entry for entry in new if text(entry, "subresource") == "scale"]:
        return timeless[0]
    if not new:
        part = "" if _differing(before, item) else "status"
        new = [entry for entry in entries if text(entry, "subresource") == part]
    return max(new, key=lambda entry: text(entry, "time"), default={})


def _differing(before: Json, item: Json) -> dict[str, object]:
    """Return the parts of an object's wish that changed: of its spec only the fields that did."""
    found: dict[str, object] = {}
    for key in item.keys() - {"metadata", "status"}:
        if item[key] != before.get(key):
            old = mapping(before, key)
            part = item[key]
            found[key] = (
                {name: value for name, value in part.items() if old.get(name) != value}
                if isinstance(part, Mapping)
                else part
            )
    return found


def _user(manager: str, resource: str, item: Json, owner: str) -> tuple[str, str]:
    """Return the user that a manager authenticates as, or an empty one and what a person's program calls itself."""
    if manager == "kubelet":
        return f"system:node:{text(item, 'spec', 'nodeName') or text(metadata(item), 'name')}", ""
    if manager == _MANAGER:
        return _ACCOUNT + (owner or _OF_KIND.get(resource, _MANAGER)), ""
    if manager in _COMPONENTS:
        return _COMPONENTS[manager], ""
    # kubectl names its manager after its command: kubectl-create, kubectl-client-side-apply (kubectl/pkg/cmd).
    return "", "kubectl" if manager.startswith("kubectl") else manager or "somebody"


def _rule(manager: str) -> str:
    return gettext("managedFields name {manager} as who wrote what changed").format(
        manager=manager or gettext("nobody")
    )


def _sent(item: Json) -> dict[str, object]:
    """Return an object as it may have been sent: without what the API server adds."""
    meta = {name: value for name, value in metadata(item).items() if name not in _ADDED}
    return {"metadata": meta, **{name: value for name, value in item.items() if name not in {"metadata", "status"}}}
