"""Who owns whom in a namespace, as ``metadata.ownerReferences`` of the objects say.

kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents. An owner is told by its uid: an object of
the same name that was made later is another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote
from uuid import uuid4

from labkit.cluster.rest import ApiServer
from labkit.errors import ClusterError
from labkit.lab import pods
from labkit.language import gettext, gettext_noop
from labkit.proxy.table import Table

Json = Mapping[str, Any]

# The kinds that are looked at. Owned ones come before their owners: whoever is missing then was gone already.
_KINDS = {
    "Pod": "api/v1/namespaces/{}/pods",
    "ReplicaSet": "apis/apps/v1/namespaces/{}/replicasets",
    "Job": "apis/batch/v1/namespaces/{}/jobs",
    "CronJob": "apis/batch/v1/namespaces/{}/cronjobs",
    "DaemonSet": "apis/apps/v1/namespaces/{}/daemonsets",
    "StatefulSet": "apis/apps/v1/namespaces/{}/statefulsets",
    "Deployment": "apis/apps/v1/namespaces/{}/deployments",
}
_OWNED = ("ReplicaSet", "Pod")  # kinds that mostly have an owner
_REVISION = "deployment.kubernetes.io/revision"  # pkg/controller/deployment/util, RevisionAnnotation


@dataclass(frozen=True, slots=True)
class Owned:
    """An object, and who owns it.

    Attributes
    ----------
    uid, kind, name : str
        Its own.
    owner : str
        Its owner's uid; empty where nobody owns it.
    told : str
        How it is, in a few words.
    active : bool
        Whether it is there for something: a pod that is ready, another object that wants pods.
    """

    uid: str
    kind: str
    name: str
    owner: str
    told: str
    active: bool

    def __str__(self) -> str:
        """Return kind and name."""
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, repr=False)
class Owners(Table):
    """Who owns whom.

    Attributes
    ----------
    namespace : str
        Whose objects they are.
    objects : tuple of Owned
        Each owner before what it owns.
    """

    namespace: str
    objects: tuple[Owned, ...]

    TITLES: ClassVar[Sequence[str]] = (gettext_noop("object"), gettext_noop("owned by"), gettext_noop("how it is"))

    def caption(self) -> str:
        """Return what it is, in a line."""
        return gettext("Namespace {namespace}").format(namespace=self.namespace)

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per object."""
        named = {each.uid: str(each) for each in self.objects}
        return [(str(each), named.get(each.owner, gettext("nobody")), each.told) for each in self.objects]

    def to_svg(self) -> str:
        """Return a picture: an arrow leads from the owned to its owner."""
        from labkit.views import owners  # noqa: PLC0415 - few look at it

        items = [
            owners.Item(each.uid, each.owner, each.kind, each.name, each.told, each.active) for each in self.objects
        ]
        prefix = f"labkit-owners-{uuid4().hex[:8]}"  # a page may have several
        return owners.to_svg(self.caption(), items, prefix=prefix)

    def _repr_html_(self) -> str:
        table = Table._repr_html_(self)
        summary = gettext("The same as a table")
        return f"{self.to_svg()}<details><summary>{summary}</summary>{table}</details>"


def read(api: ApiServer, namespace: str) -> Owners:
    """Look at the workloads of a namespace.

    Raises
    ------
    ClusterError
        The API server does not answer, or no namespace can have that name.
    """
    bodies: list[tuple[str, Json]] = []
    for kind, path in _KINDS.items():
        listed = api.get("/" + path.format(quote(namespace, safe="")))
        if listed is None:
            raise ClusterError(
                gettext("The {kind} objects of namespace {namespace!r} cannot be read").format(
                    kind=kind, namespace=namespace
                ),
                why=gettext("the API server does not answer, or no namespace can have that name"),
                fix="labkit status",
            )
        bodies += [(kind, body) for body in listed["items"]]
    bodies.sort(key=_place)
    known = {body["metadata"]["uid"] for _, body in bodies}
    others = {each["uid"]: each for _, body in bodies if (each := reference(body)) and each["uid"] not in known}
    absent = [Owned(uid, each["kind"], each["name"], "", _absent(each["kind"]), False) for uid, each in others.items()]
    return Owners(namespace, (*absent, *(_owned(kind, body) for kind, body in bodies)))


def reference(body: Json) -> Json | None:
    """Return the entry of an object's ownerReferences that names its controller, else the first; None without any."""
    found = body["metadata"].get("ownerReferences") or ()
    return next((each for each in found if each.get("controller")), found[0] if found else None)


def _place(item: tuple[str, Json]) -> tuple[int, str, str]:
    """Return what objects are sorted by: owners first, then the oldest."""
    kind, body = item
    return -list(_KINDS).index(kind), body["metadata"]["creationTimestamp"], body["metadata"]["name"]


def _absent(kind: str) -> str:
    return gettext("there is none of this uid") if kind in _KINDS else gettext("known from what it owns")


def _owned(kind: str, body: Json) -> Owned:
    about = body["metadata"]
    owner = reference(body)
    told, active = _pod(body) if kind == "Pod" else _workload(kind, body)
    if owner is None and kind in _OWNED:
        told = gettext("no owner · {told}").format(told=told)
    return Owned(about["uid"], kind, about["name"], owner["uid"] if owner else "", told, active)


def _pod(body: Json) -> tuple[str, bool]:
    seen = pods.seen(body)
    return " · ".join(
        filter(None, (gettext("{state}, ready").format(state=seen.state) if seen.ready else seen.state, seen.node))
    ), seen.ready


def _workload(kind: str, body: Json) -> tuple[str, bool]:
    """Return how an object that makes others is, and whether it wants any."""
    spec, status = body["spec"], body.get("status") or {}
    wanted = {
        "CronJob": int(not spec.get("suspend")),
        "DaemonSet": status.get("desiredNumberScheduled", 0),
        "Job": spec.get("completions", 1) - status.get("succeeded", 0),
    }.get(kind, spec.get("replicas", 0))
    ready = status.get("numberReady" if kind == "DaemonSet" else "readyReplicas", 0)
    parts = (
        [gettext("{ready} of {wanted} ready").format(ready=ready, wanted=wanted)]
        if kind not in {"CronJob", "Job"}
        else []
    )
    if revision := (body["metadata"].get("annotations") or {}).get(_REVISION):
        parts.append(gettext("revision {number}").format(number=revision))
    if kind == "ReplicaSet":
        parts += [each["image"] for each in spec["template"]["spec"]["containers"]]
    if "deletionTimestamp" in body["metadata"]:
        parts.insert(0, "Terminating")
    return " · ".join(parts), bool(wanted)
