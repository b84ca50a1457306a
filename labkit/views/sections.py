"""What there is to see of a hop, as the sections that the player shows: plain JSON.

Each section is ``{kind, title, open}``, with ``open`` whether it is unfolded at first, and by kind:

``text``
    ``text``: as it is.
``facts``
    ``rows``: pairs of name and value.
``changes``
    ``rows``: path, before, after; null where there was, or is, nothing. ``note``: how to read it.
``spans``
    ``total``: µs; ``rows``: depth, name, service, offset in µs, duration in µs, more in words.
``table``
    ``note``, ``head``, and ``rows`` of text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from labkit.errors import EvidenceError
from labkit.evidence.model import Evidence
from labkit.flow import Flow, Hop
from labkit.flow.attempts import Attempt
from labkit.flow.changes import Change
from labkit.flow.detail import Difference, EvidenceIndex, EvidenceItem, HopDetail, SpanNode
from labkit.flow.scheduling import why
from labkit.language import gettext, gettext_noop

Section = dict[str, Any]
_SOURCES = {
    "audit": gettext_noop("Audit event"),
    "span": gettext_noop("Span"),
    "etcd": "etcd",
    "scheduler": gettext_noop("Scheduler's log"),
    "runtime": gettext_noop("Call of the runtime"),
    "watch": gettext_noop("Told by a watch"),
}


class Sections:
    """Opens hops for the player; give its `of` to `labkit.widgets.flow.FlowPanel`, or `of_flow` to a page.

    Parameters
    ----------
    evidence : Evidence
        What the flow was computed from.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._index = EvidenceIndex(evidence)

    def of(self, hop: Hop) -> list[Section]:
        """Return the sections of one hop.

        Raises
        ------
        EvidenceError
            The hop's evidence is not in this evidence.
        """
        decision = list(self._decision(hop))
        return [*decision, *sections(self._index.detail(hop))]

    def of_flow(self, flow: Flow) -> dict[int, list[Section]]:
        """Return the sections of all of a flow's hops, by number."""
        return {hop.number: self.of(hop) for hop in flow.hops}

    def _decision(self, hop: Hop) -> Iterator[Section]:
        """Return the scheduler's why, if the hop is a binding that it made."""
        if hop.source.kind != "scheduler" or hop.object.subresource != "binding":
            return
        try:
            decision = why(self._evidence, f"{hop.object.namespace}/{hop.object.name}")
        except EvidenceError:
            return
        for attempt in decision.attempts:
            yield _attempt(attempt, len(decision.attempts))


def sections(detail: HopDetail) -> list[Section]:
    """Return a hop's details as sections: spans, differences, then all the raw evidence."""
    found = [_spans(tree) for tree in detail.spans]
    found += [_changes(difference) for difference in detail.differences]
    for item in detail.items:
        found += _item(item)
    return found


def _attempt(attempt: Attempt, attempts: int) -> Section:
    head, *rows = zip(*attempt.rows(), strict=True)  # a column for each node: there are more plugins than nodes
    title = gettext("The scheduler's why")
    if attempts > 1:
        title = gettext("The scheduler's why, attempt {number} of {attempts}").format(
            number=attempt.number, attempts=attempts
        )
    return {
        "kind": "table",
        "title": title,
        "open": True,
        "note": attempt.why,
        "head": list(map(gettext, head)),
        "rows": [list(row) for row in rows],
    }


def _spans(tree: SpanNode) -> Section:
    spans = list(_walk(tree, depth=0))
    rows = [[depth, span.name, span.service, span.offset, span.duration, _more(span)] for depth, span in spans]
    total = max(1, *(span.offset + span.duration for _, span in spans))
    return {
        "kind": "spans",
        "title": gettext("Spans: {name}").format(name=tree.name),
        "open": True,
        "total": total,
        "rows": rows,
    }


def _walk(span: SpanNode, depth: int) -> Iterator[tuple[int, SpanNode]]:
    yield depth, span
    for child in span.children:
        yield from _walk(child, depth + 1)


def _more(span: SpanNode) -> str:
    lines = [f"+{offset} µs: {what}" for offset, what in span.moments]
    lines += [f"{name}: {value}" for name, value in span.attributes.items()]
    return "\n".join(line for line in (span.error, span.rule, *lines) if line)


def _changes(difference: Difference) -> Section:
    rows = change_rows(difference.changes)
    return {
        "kind": "changes",
        "title": difference.title,
        "open": len(rows) <= 24,
        "note": difference.note,
        "rows": rows,
    }


def change_rows(changes: Iterable[Change]) -> list[list[str | None]]:
    """Return changes as rows: the path, what was there and what is there as JSON, None for nothing."""
    return [[change.path, _value(change.before), _value(change.after)] for change in changes]


def _item(item: EvidenceItem) -> Iterator[Section]:
    if item.id.source == "etcd":
        facts = [
            [gettext("Revision"), str(item.content.get("revision"))],
            [gettext("Key"), str(item.content.get("key"))],
        ]
        yield {"kind": "facts", "title": "etcd", "open": True, "rows": facts}
    yield {
        "kind": "text",
        "title": gettext("{source}, raw").format(source=gettext(_SOURCES[item.id.source])),
        "open": False,
        "text": f"{item.title}\n{json.dumps(_plain(item.content), indent=1, ensure_ascii=False, default=str)}",
    }


def _plain(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out managedFields, which are longer than all the rest and say only who wrote which field."""
    return {key: _pruned(value) for key, value in content.items()}


def _pruned(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _pruned(item) for key, item in value.items() if key != "managedFields"}
    if isinstance(value, list | tuple):
        return [_pruned(item) for item in value]
    return value


def _value(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, default=str)
