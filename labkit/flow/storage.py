"""What a request stored in etcd: from the API server's and etcd's spans, from revisions, or from the answer alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from labkit.evidence.model import TRANSACTION, Revision, Span
from labkit.flow.actions import READS
from labkit.flow.actors import API_SERVER, ETCD
from labkit.flow.bodies import dig, metadata, text
from labkit.flow.describe import SINGULAR, target_node
from labkit.flow.draft import Draft
from labkit.flow.members import Member
from labkit.flow.model import EvidenceId, ObjectName
from labkit.language import gettext

# Where a resource's key is not its name (pkg/registry/core/rest/storage_core.go and the registries' own prefixes).
PREFIXES = {
    "endpoints": "services/endpoints",
    "ingresses": "ingress",
    "nodes": "minions",
    "replicationcontrollers": "controllers",
    "services": "services/specs",
}
# Subresources and groups whose answers are computed and never stored.
_UNSTORED = frozenset({"token", "exec", "attach", "portforward", "proxy", "log"})
_UNSTORED_GROUPS = frozenset({"authentication.k8s.io", "authorization.k8s.io"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction of a request: the API server's span of its call, and etcd's own span below it."""

    key: str
    call: Span
    inner: Span | None


def etcd_key(name: ObjectName) -> str:
    """Return the key of an object below ``/registry``, ``"/services/specs/default/tomcat"``."""
    return "/".join(("", PREFIXES.get(name.resource, name.resource), *filter(None, (name.namespace, name.name))))


def moment(nanoseconds: int) -> datetime:
    """Return a span's time as one of audit events: UTC, to the microsecond."""
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)


class Storage:
    """The spans and revisions of a flow's requests.

    Parameters
    ----------
    members : sequence of Member
        The requests.
    spans, revisions : sequence
        All there are; only those of the requests are kept.
    """

    def __init__(self, members: Sequence[Member], spans: Sequence[Span], revisions: Sequence[Revision]) -> None:
        self._tops: dict[str, list[Span]] = {member.event.audit_id: [] for member in members}
        for span in spans:
            audit_id = span.attributes.get("audit-id")
            if audit_id in self._tops:
                self._tops[str(audit_id)].append(span)
        traces = {span.trace_id for tops in self._tops.values() for span in tops}
        self._below: dict[str, list[Span]] = defaultdict(list)
        for span in spans:
            if span.trace_id in traces:
                self._below[span.parent_id].append(span)
        keys = {"/registry" + etcd_key(member.name) for member in members}
        self._revisions: dict[str, list[Revision]] = defaultdict(list)
        for revision in revisions:
            if revision.key in keys:
                self._revisions[revision.key].append(revision)
        self._taken = {(etcd_key(member.name), answered) for member in members if (answered := _answered(member))}
        self._seen: set[tuple[str, int]] = set()

    def persists(self, member: Member, request: Draft) -> list[Draft]:
        """Return what a request stored: nothing, one change, or two (a pod's last change, then its removal)."""
        event, ref = member.event, member.event.object
        if ref is None or event.code is None or event.code >= 400 or event.verb in READS:
            return []
        if "dryRun=All" in event.uri or ref.subresource in _UNSTORED or ref.group in _UNSTORED_GROUPS:
            return []
        key, answered = etcd_key(member.name), _answered(member)
        spans = self._tops[event.audit_id]
        steps: list[Transaction | None] = [*self._transactions(spans, key)]
        if not steps:
            read_only = any(span.name == "GuaranteedUpdate etcd3" for span in spans)  # it found nothing to change
            if read_only or (answered is not None and ((key, answered) in self._seen or answered == based_on(member))):
                return []
            steps = [None]
        found: list[Draft] = []
        for place, step in enumerate(reversed(steps)):
            revision = self._revision(member, key, answered) if place == 0 else self._unclaimed(key, found[-1].revision)
            found.append(self._persist(member, request, step, revision, last=place == 0))
        return found[::-1]

    def revision_of(self, member: Member) -> tuple[EvidenceId, ...]:
        """Return the revision that an answered write of an Event left, as evidence."""
        answered = _answered(member)
        known = {revision.revision for revision in self._revisions["/registry" + etcd_key(member.name)]}
        return (EvidenceId("etcd", str(answered)),) if answered in known else ()

    def _transactions(self, spans: Sequence[Span], key: str) -> list[Transaction]:
        """Return a request's transactions on its own object; of each operation the last, others were retried."""
        found: dict[str, Transaction] = {}
        visited: set[str] = set()
        waiting = [(span, span) for span in spans]
        while waiting:
            span, _ = waiting.pop()
            if span.span_id in visited:
                continue
            visited.add(span.span_id)
            for child in self._below.get(span.span_id, ()):
                if child.service != "etcd" and child.name == TRANSACTION:
                    inner = [below for below in self._below.get(child.span_id, ()) if below.service == "etcd"]
                    operation = Transaction(str(span.attributes.get("key", key)), child, inner[0] if inner else None)
                    known = found.get(span.span_id)
                    if operation.key == key and (known is None or known.call.start < child.start):
                        found[span.span_id] = operation
                waiting.append((child, span))
        return sorted(found.values(), key=lambda item: item.call.start)

    def _revision(self, member: Member, key: str, answered: int | None) -> int | None:
        """Return the revision of a request's last transaction: its answer's, or one that no other answer has."""
        if answered is not None:
            return answered
        node, removes = target_node(member.event), member.event.verb == "delete"
        for item in self._revisions["/registry" + key]:
            if (key, item.revision) in self._taken or (removes != item.removed):
                continue
            if not removes and (not node or dig(item.value, "spec", "nodeName") != node):
                continue
            self._taken.add((key, item.revision))
            return item.revision
        return None

    def _unclaimed(self, key: str, before: int | None) -> int | None:
        """Return the revision of a key just before another, if no other request's answer has it."""
        earlier = [item.revision for item in self._revisions["/registry" + key] if before and item.revision < before]
        return earlier[-1] if earlier and (key, earlier[-1]) not in self._taken else None

    def _persist(
        self, member: Member, request: Draft, step: Transaction | None, revision: int | None, *, last: bool
    ) -> Draft:
        key = etcd_key(member.name)
        stored = next((item for item in self._revisions["/registry" + key] if item.revision == revision), None)
        if revision is not None:
            self._seen.add((key, revision))
        if stored is not None:
            removes = stored.removed
        else:
            removes = (
                last and member.event.verb == "delete" and not metadata(member.event.response).get("deletionTimestamp")
            )
        evidence = [EvidenceId.of(member.event)]
        start, end = request.start, request.end
        inner = step.inner if step else None
        if step is not None:
            span = inner or step.call
            start, end = max(start, moment(span.start)), moment(span.end)
            evidence += [EvidenceId("span", f"{item.trace_id}/{item.span_id}") for item in (step.call, inner) if item]
        if stored is not None:
            evidence.append(EvidenceId("etcd", str(stored.revision)))
        observed = inner is not None or stored is not None
        thing = f"{gettext(SINGULAR.get(member.name.resource, member.name.resource))} {member.name.name}".strip()
        what = gettext("removes {thing}") if removes else gettext("stores {thing}")
        if revision is not None:
            what = (
                gettext("removes {thing} as revision {revision}")
                if removes
                else gettext("stores {thing} as revision {revision}")
            )
        return Draft(
            "persist",
            API_SERVER,
            ETCD,
            "remove" if removes else "store",
            ObjectName(member.name.resource, member.name.namespace, member.name.name, uid=member.name.uid),
            start,
            end,
            what.format(thing=thing, revision=revision),
            gettext("stores what the request asked for"),
            tuple(evidence),
            observed=observed,
            rule=""
            if observed
            else gettext("a write is answered with success once etcd has stored it, and this one was"),
            cause=request,
            revision=revision,
        )


def _answered(member: Member) -> int | None:
    """Return the resourceVersion of the answered object."""
    body = member.event.response
    version = text(body, "metadata", "resourceVersion") if dig(body, "kind") != "Status" else ""
    return int(version) if version.isdigit() else None


def based_on(member: Member) -> int | None:
    """Return the resourceVersion that the writer had read, where its request names it."""
    ref = member.event.object
    version = (ref.resource_version if ref else "") or text(member.event.request, "metadata", "resourceVersion")
    return int(version) if version.isdigit() else None
