"""What people did: every write by a client, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

from labkit.evidence.audit import AuditEvent
from labkit.flow.actors import Actor, actor
from labkit.flow.bodies import Json, dig, mapping, mappings, text
from labkit.flow.describe import SINGULAR
from labkit.flow.model import ObjectName
from labkit.flow.names import name_of
from labkit.language import gettext, gettext_noop

ActionKind = Literal["create", "scale", "update", "delete", "change"]

_DONE: Mapping[ActionKind, str] = {  # scaling has a number, too
    "create": gettext_noop("create {thing}"),
    "update": gettext_noop("update {thing}"),
    "delete": gettext_noop("delete {thing}"),
    "change": gettext_noop("change {thing}"),
}
READS = frozenset({"get", "list", "watch"})


@dataclass(frozen=True, slots=True)
class Action:
    """One write by a person's program.

    Attributes
    ----------
    time : datetime.datetime
        When the API server received it, UTC.
    who : Actor
        The program: ``client/kubectl``.
    kind : {"create", "scale", "update", "delete", "change"}
        "update" changes what runs, or replaces the whole object; "change" is any other change.
    what : str
        For people: ``"scale deployment tomcat to 3"``.
    object : ObjectName
        About what.
    audit_id : str
        Its audit event.
    refused : bool
        Whether the API server said no.
    """

    time: datetime
    who: Actor
    kind: ActionKind
    what: str
    object: ObjectName
    audit_id: str
    refused: bool


def actions(audit: Iterable[AuditEvent]) -> list[Action]:
    """Return every write by a person in the audit events, in order of time.

    Components are not people: clients are who authenticated as none of them. What kubeadm did when it made the cluster
    counts, since a person ran it.
    """
    found = [action(event) for event in audit if is_action(event)]
    return sorted(found, key=lambda item: (item.time, item.audit_id))


def is_action(event: AuditEvent) -> bool:
    """Whether an audit event is an answered write by a person about an object."""
    return (
        event.verb not in READS
        and event.object is not None
        and event.stage == "ResponseComplete"
        and who(event.user, event.user_agent).kind == "client"
    )


def action(event: AuditEvent) -> Action:
    """Return what an audit event did, given that `is_action`."""
    name = name_of(event)
    kind = _kind(event, name)
    thing = f"{SINGULAR.get(name.resource, name.resource)} {name.name}".strip()
    plain = ObjectName(name.resource, name.namespace, name.name, uid=name.uid)
    refused = event.code is not None and event.code >= 400
    return Action(
        event.received,
        who(event.user, event.user_agent),
        kind,
        _words(kind, thing, _sent(event)),
        plain,
        event.audit_id,
        refused,
    )


who = lru_cache(maxsize=4096)(actor)
"""`actor`, remembered: a log repeats few users a million times."""


def _kind(event: AuditEvent, name: ObjectName) -> ActionKind:
    if event.verb in {"delete", "deletecollection"}:
        return "delete"
    if not name.subresource and (event.verb == "create" or event.code == 201):
        return "create"
    if name.subresource == "scale":
        return "scale"
    spec = mapping(_sent(event), "spec")
    if (event.verb == "update" and not name.subresource) or "template" in spec:
        return "update"
    return "scale" if "replicas" in spec else "change"


def _sent(event: AuditEvent) -> Json | None:
    """Return a request's body; a JSON patch (RFC 6902), as of `kubectl rollout undo`, as the object that it changes."""
    body: Any = event.request
    if not isinstance(body, list):
        return event.request
    changed: dict[str, Any] = {}
    for step in body:
        value = dig(step, "value")
        for key in reversed(text(step, "path").strip("/").split("/")):
            value = {key: value}
        for key, inside in value.items():
            changed[key] = {**mapping(changed, key), **inside} if isinstance(inside, dict) else inside
    return changed


def _words(kind: ActionKind, thing: str, request: Json | None) -> str:
    if kind == "scale":
        return gettext("scale {thing} to {count}").format(thing=thing, count=dig(request, "spec", "replicas"))
    images = [item.get("image") for item in mappings(request, "spec", "template", "spec", "containers")]
    if kind == "update" and len(images) == 1 and images[0]:
        return gettext("update {thing} to {image}").format(thing=thing, image=images[0])
    return gettext(_DONE[kind]).format(thing=thing)
