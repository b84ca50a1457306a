"""Who owns what that was there before: from the objects that etcd's revisions and watches show."""

from __future__ import annotations

from collections.abc import Iterable

from labkit.evidence.model import Change, Json, Revision
from labkit.flow.bodies import mappings, text
from labkit.flow.model import ObjectName
from labkit.flow.storage import PREFIXES

_RESOURCES = {prefix: resource for resource, prefix in PREFIXES.items()}
_SHORT_LIVED = ("/registry/events/", "/registry/leases/")  # many, and owners of nothing


def heritage(revisions: Iterable[Revision], changes: Iterable[Change] = ()) -> dict[str, list[ObjectName]]:
    """Return the objects that each object owns, by the owner's uid, oldest first.

    A flow may begin long after its objects were made, as that of a deletion does; then no audit event in the evidence
    says whose they are.
    """
    shown: list[tuple[str, Json | None]] = [
        (_resource(revision.key), revision.previous or revision.value)
        for revision in revisions
        if not revision.key.startswith(_SHORT_LIVED)
    ]
    shown += [(change.resource, change.object) for change in changes if change.kind == "LISTED"]
    found: dict[str, dict[str, ObjectName]] = {}
    for resource, body in shown:
        owners = mappings(body, "metadata", "ownerReferences")
        uid = text(body, "metadata", "uid")
        if owners and uid:
            name = ObjectName(resource, text(body, "metadata", "namespace"), text(body, "metadata", "name"), uid=uid)
            for owner in owners:
                found.setdefault(text(owner, "uid"), {})[uid] = name
    return {owner: list(owned.values()) for owner, owned in found.items()}


def _resource(key: str) -> str:
    """Return the resource of a key: its first part, or two where Kubernetes has it so."""
    parts = key.split("/")[2:]
    return _RESOURCES.get("/".join(parts[:2])) or _RESOURCES.get(parts[0], parts[0])
