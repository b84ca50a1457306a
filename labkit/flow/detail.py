"""A hop opened: its raw evidence, the spans of its request, what admission changed, and what was stored."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from labkit.errors import EvidenceError
from labkit.evidence.audit import AuditEvent
from labkit.evidence.model import Evidence, Revision, RuntimeCall, SchedulerLine, Span
from labkit.flow.changes import Change, changes
from labkit.flow.model import EvidenceId, Hop
from labkit.flow.storage import etcd_key
from labkit.language import gettext

Json = Mapping[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class EvidenceItem:
    """One piece of evidence, as raw as it came.

    Attributes
    ----------
    id : EvidenceId
        Where it is.
    title : str
        What it is, in one line.
    content : mapping
        All of it, as JSON values.
    """

    id: EvidenceId
    title: str
    content: Json


@dataclass(frozen=True, slots=True)
class SpanNode:
    """A span with those below it.

    Attributes
    ----------
    id : EvidenceId
        Where it is.
    name, service, node : str
        As in `labkit.evidence.model.Span`.
    offset, duration : int
        Microseconds since the start of the whole tree, and how long it took.
    attributes : mapping
        As the component gave them.
    moments : tuple of (int, str)
        What happened within it, and when: microseconds since the start of the whole tree.
    error : str
        Empty if nothing went wrong.
    children : tuple of SpanNode
        In order of start.
    rule : str
        The rule that put it here; empty where the span itself says what is above it.
    """

    id: EvidenceId
    name: str
    service: str
    node: str
    offset: int
    duration: int
    attributes: Mapping[str, str | int | float | bool]
    moments: tuple[tuple[int, str], ...]
    error: str
    children: tuple[SpanNode, ...]
    rule: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "id": str(self.id),
            "name": self.name,
            "service": self.service,
            "node": self.node,
            "offset": self.offset,
            "duration": self.duration,
            "attributes": dict(self.attributes),
            "moments": [list(moment) for moment in self.moments],
            "error": self.error,
            "rule": self.rule,
            "children": [child.to_json() for child in self.children],
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """What became of an object.

    Attributes
    ----------
    title : str
        Between what: ``"Defaulting and admission"``.
    note : str
        How to read it, or why there is nothing to compare.
    changes : tuple of Change
        In order of paths.
    """

    title: str
    note: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class HopDetail:
    """All that there is to see of one hop.

    Attributes
    ----------
    number : int
        The hop's.
    items : tuple of EvidenceItem
        One for each of the hop's pieces of evidence, in their order.
    spans : tuple of SpanNode
        The trees: of a request all of it, from the API server to etcd; of other hops, what their evidence names.
    differences : tuple of Difference
        Of a request, what the API server made of the object that it was sent; of a persist, what was stored before.
    """

    number: int
    items: tuple[EvidenceItem, ...]
    spans: tuple[SpanNode, ...]
    differences: tuple[Difference, ...]

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {
            "number": self.number,
            "items": [{"id": str(item.id), "title": item.title, "content": item.content} for item in self.items],
            "spans": [span.to_json() for span in self.spans],
            "differences": [asdict(difference) for difference in self.differences],
        }


class EvidenceIndex:
    """Evidence by its ids: made once, it opens any number of hops.

    Parameters
    ----------
    evidence : Evidence
        What the flow was computed from.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._audit: dict[str, AuditEvent] = {}
        self._versions: dict[tuple[str, str, str], dict[int, Json]] = defaultdict(dict)
        for event in evidence.audit:
            if event.stage == "ResponseComplete" or event.audit_id not in self._audit:
                self._audit[event.audit_id] = event
            self._note_version(event)
        self._spans: dict[str, Span] = {}
        self._below: dict[tuple[str, str], list[Span]] = defaultdict(list)
        self._of_request: dict[str, list[Span]] = defaultdict(list)
        for span in evidence.spans:
            self._spans[f"{span.trace_id}/{span.span_id}"] = span
            self._below[span.trace_id, span.parent_id].append(span)
            if "audit-id" in span.attributes:
                self._of_request[str(span.attributes["audit-id"])].append(span)
        lonely = (span for span in evidence.spans if span.name == "authentication" and not span.parent_id)
        self._authentications = sorted(lonely, key=_begin)
        self._revisions: dict[int, list[Revision]] = defaultdict(list)
        self._keys: dict[str, list[Revision]] = defaultdict(list)
        for revision in evidence.revisions:
            self._revisions[revision.revision].append(revision)
            self._keys[revision.key].append(revision)
        self._scheduler = {str(line.number): line for line in evidence.scheduler}
        self._runtime = {f"{call.node}/{call.number}": call for call in evidence.runtime}

    def detail(self, hop: Hop) -> HopDetail:
        """Open a hop.

        Raises
        ------
        EvidenceError
            The hop's evidence is not in this evidence.
        """
        return HopDetail(
            number=hop.number,
            items=tuple(self._item(item, hop) for item in hop.evidence),
            spans=tuple(self._trees(hop)),
            differences=tuple(self._differences(hop)),
        )

    def span_tree(self, audit_id: str) -> tuple[SpanNode, ...]:
        """Return the spans of one request, each root with all below it.

        Authentication comes first and encloses all the rest, but for most users the API server begins the request's
        trace only within it (WithPublicEndpointFn in staging/src/k8s.io/apiserver/pkg/endpoints/filters/traces.go):
        its span then names no request. It is found by time, and shown if a single one fits.
        """
        roots = {span.span_id: span for span in map(self._root, self._of_request.get(audit_id, ()))}
        return tuple(self._with_authentication(audit_id, span) for span in sorted(roots.values(), key=_start))

    def _with_authentication(self, audit_id: str, root: Span) -> SpanNode:
        event = self._audit.get(audit_id)
        if event is None:
            return _node(root, self._below, root.start)
        # From when the request was received, which is to the microsecond, to where its trace begins.
        received = (event.received - _EPOCH) // timedelta(microseconds=1) * 1000
        first = bisect_left(self._authentications, received, key=_begin)
        last = bisect_right(self._authentications, root.start, key=_begin)
        around = [span for span in self._authentications[first:last] if span.end >= root.end]
        if len(around) != 1:
            return _node(root, self._below, root.start)
        zero = around[0].start
        return replace(
            _node(around[0], self._below, zero),
            children=(_node(root, self._below, zero),),
            rule=gettext("the only authentication that began after the request came and that encloses its trace"),
        )

    def _root(self, span: Span) -> Span:
        """Return the highest span of the same component; above it may be the client that asked."""
        passed = {span.span_id}
        while above := self._spans.get(f"{span.trace_id}/{span.parent_id}"):
            if above.service != span.service or above.span_id in passed:
                break
            passed.add(above.span_id)
            span = above
        return span

    def _note_version(self, event: AuditEvent) -> None:
        body, ref = event.response, event.object
        if ref is None or not isinstance(body, Mapping) or body.get("kind") == "Status":
            return
        metadata = body.get("metadata") or {}
        version = str(metadata.get("resourceVersion", ""))
        if version.isdigit() and (event.inferred or ref.subresource in {"", "status"}):
            name = (ref.resource, metadata.get("namespace", ""), metadata.get("name", ""))
            self._versions[name][int(version)] = body

    def _item(self, item: EvidenceId, hop: Hop) -> EvidenceItem:
        if item.source == "watch" and (event := self._audit.get(item.id)):
            thing = f"{event.object.resource}/{event.object.name}" if event.object else gettext("an object")
            return EvidenceItem(
                item,
                gettext("a watch told of {thing}: {watch}; {inferred}").format(
                    thing=thing, watch=event.raw.get("watch"), inferred=event.inferred
                ),
                event.raw,
            )
        if item.source == "audit" and (event := self._audit.get(item.id)):
            return EvidenceItem(
                item,
                gettext("audit event: {user} {verb} {uri}").format(user=event.user, verb=event.verb, uri=event.uri),
                event.raw,
            )
        if item.source == "span" and (span := self._spans.get(item.id)):
            return EvidenceItem(
                item, gettext("span of {service}: {name}").format(service=span.service, name=span.name), asdict(span)
            )
        if item.source == "etcd" and (revision := self._revision(int(item.id), hop)):
            said = gettext("etcd revision {number} stores {key}")
            if revision.removed:
                said = gettext("etcd revision {number} removes {key}")
            told = said.format(number=revision.revision, key=revision.key)
            return EvidenceItem(item, told, asdict(revision))
        if item.source == "scheduler" and (line := self._scheduler.get(item.id)):
            return EvidenceItem(item, gettext("scheduler's log: {message}").format(message=line.message), _timed(line))
        if item.source == "runtime" and (call := self._runtime.get(item.id)):
            return EvidenceItem(
                item,
                gettext("call of the runtime on {node}: {call}").format(node=call.node, call=call.call),
                call.fields or _timed(call),
            )
        raise EvidenceError(
            gettext("There is no evidence {item}, of which hop {number} speaks.").format(item=item, number=hop.number),
            why=gettext("The flow was computed from other evidence than this."),
            fix=gettext("Give the evidence, or the recording, that the flow comes from."),
        )

    def _revision(self, number: int, hop: Hop) -> Revision | None:
        found = self._revisions.get(number, [])
        key = f"/registry{etcd_key(hop.object)}"
        return next((revision for revision in found if revision.key == key), found[0] if found else None)

    def _trees(self, hop: Hop) -> Iterable[SpanNode]:
        if hop.kind in {"request", "record"}:
            return [tree for item in hop.evidence if item.source == "audit" for tree in self.span_tree(item.id)]
        named = [self._spans[item.id] for item in hop.evidence if item.source == "span"]
        within = {child.span_id for span in named for child in self._below[span.trace_id, span.span_id]}
        roots = [span for span in named if span.span_id not in within]
        return [_node(span, self._below, span.start) for span in sorted(roots, key=_start)]

    def _differences(self, hop: Hop) -> Iterable[Difference]:
        if hop.kind in {"request", "record"}:
            events = [self._audit[item.id] for item in hop.evidence if item.source == "audit"]
            return [_admission(event) for event in events[:1]]
        return [self._stored(hop)] if hop.kind == "persist" else []

    def _stored(self, hop: Hop) -> Difference:
        title = gettext("Stored, against the version before")
        after = self._revision(hop.revision, hop) if hop.revision is not None else None
        if after is not None:
            older = [item for item in self._keys[after.key] if item.revision < after.revision and not item.removed]
            before = after.previous or (older[-1].value if older else None)
            new = after.created == after.revision
            note = (
                gettext("The object is new.")
                if new
                else gettext("The object is gone.")
                if after.removed
                else gettext("As etcd has both.")
            )
            if before is None and not new:
                return Difference(title, gettext("The version before is not in the evidence."), ())
            return Difference(title, note, changes(before or {}, after.value or {}))
        name = (hop.object.resource, hop.object.namespace, hop.object.name)
        versions = self._versions.get(name, {})
        if hop.revision not in versions:
            return Difference(title, gettext("No evidence has what was stored."), ())
        earlier = [number for number in versions if number < hop.revision]
        if not earlier:
            return Difference(title, gettext("The version before is not in the evidence."), ())
        note = gettext(
            "As the API server answered; the version before is the last that it answered, {version}."
        ).format(version=max(earlier))
        return Difference(title, note, changes(versions[max(earlier)], versions[hop.revision]))


def detail(evidence: Evidence | EvidenceIndex, hop: Hop) -> HopDetail:
    """Open one hop of a flow; for several, make an `EvidenceIndex` once and give that.

    Raises
    ------
    EvidenceError
        The hop's evidence is not in this evidence.
    """
    index = evidence if isinstance(evidence, EvidenceIndex) else EvidenceIndex(evidence)
    return index.detail(hop)


def _admission(event: AuditEvent) -> Difference:
    """Return what the API server made of the object in a request: its defaults, and what admission plugins changed.

    The request may carry defaults already: clients written in Go send all of an object's fields.
    """
    title = gettext("Defaulting and admission")
    sent, stored = event.request, event.response
    if event.code is not None and event.code >= 400:
        return Difference(
            title, gettext("The request was refused ({code}): nothing was stored.").format(code=event.code), ()
        )
    if event.verb == "patch":
        return Difference(
            title, gettext("The request is a patch: it says what to change, and is no object to compare."), ()
        )
    if not isinstance(sent, Mapping) or not isinstance(stored, Mapping):
        return Difference(
            title, gettext("The audit event does not have both the request's object and the answer's."), ()
        )
    if sent.get("kind") != stored.get("kind"):
        note = gettext("The request is a {sent} and the answer a {stored}: there is nothing to compare.")
        return Difference(title, note.format(sent=sent.get("kind"), stored=stored.get("kind")), ())
    note = gettext(
        "From the object in the request to the one that was stored; the client may have set defaults already."
    )
    return Difference(title, note, changes(sent, stored))


def _node(
    span: Span, below: Mapping[tuple[str, str], list[Span]], zero: int, above: frozenset[str] = frozenset()
) -> SpanNode:
    above |= {span.span_id}
    children = sorted(below.get((span.trace_id, span.span_id), ()), key=_start)
    return SpanNode(
        id=EvidenceId("span", f"{span.trace_id}/{span.span_id}"),
        name=span.name,
        service=span.service,
        node=span.node,
        offset=(span.start - zero) // 1000,
        duration=(span.end - span.start) // 1000,
        attributes=span.attributes,
        moments=tuple(((time - zero) // 1000, what) for time, what in span.events),
        error=span.error,
        children=tuple(_node(child, below, zero, above) for child in children if child.span_id not in above),
    )


def _start(span: Span) -> tuple[int, int]:
    return span.start, -span.end


def _begin(span: Span) -> int:
    return span.start


def _timed(item: SchedulerLine | RuntimeCall) -> dict[str, Any]:
    return {**asdict(item), "time": item.time.isoformat()}
