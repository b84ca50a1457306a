"""A flow told step by step, as the textbook counts: what was seen, what was not, and where reality has more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from labkit.evidence.audit import AuditEvent
from labkit.evidence.model import Evidence
from labkit.flow.actions import READS, action
from labkit.flow.describe import SINGULAR
from labkit.flow.labels import labels
from labkit.flow.members import Members, Watch
from labkit.flow.model import EvidenceId, Flow
from labkit.flow.scheduling import why as scheduled
from labkit.flow.stops import find_stop
from labkit.flow.storage import moment
from labkit.flow.story import Extra, Step, Story
from labkit.flow.textbook import MORE, Page, Textbook, fits, textbook
from labkit.language import gettext

Seen = Literal["observed", "inferred", "not seen"]
_TOLD = 5  # of so many pods a note tells, more would not be read
_WATCHERS = frozenset({"controller", "scheduler", "kubelet", "kube-proxy"})


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a step rests on beyond its hops."""

    note: str = ""
    evidence: tuple[EvidenceId, ...] = ()
    observed: bool = False


def tell(flow: Flow, evidence: Evidence) -> Story:
    """Return the story of a flow: every step of its textbook, seen or not; every hop in a step or an extra.

    Parameters
    ----------
    flow : Flow
        What `trace` found in this evidence.
    evidence : Evidence
        Where it was found.
    """
    ids = {item.id for hop in flow.hops for item in hop.evidence if item.source in {"audit", "watch"}}
    members = Members(flow.subject, evidence.cluster.addresses)
    bodies: dict[str, AuditEvent] = {}
    end = max([flow.hops[0].end, *(moment(span.end) for span in evidence.spans[-1:])])
    for event in evidence.audit:
        end = max(end, event.staged)
        if event.audit_id in ids and event.stage == "ResponseComplete":
            bodies[event.audit_id] = event
        if event.verb in READS and event.object is not None and event.verb != "get":
            members.take(event)
    done = action(bodies[flow.hops[0].evidence[0].id])
    book = textbook(done.kind, flow.subject.resource)
    steps, rest = _steps(flow, evidence, book, members.watches)
    return Story(flow.action, steps, _extras(rest), find_stop(flow, book, bodies, end))


def _steps(
    flow: Flow, evidence: Evidence, book: Textbook, watches: Mapping[tuple[str, str], Watch]
) -> tuple[tuple[Step, ...], dict[int, str]]:
    named = dict(labels(flow))
    rest = dict(named)
    steps = []
    hops = {hop.number: hop for hop in flow.hops}
    for place, page in enumerate(book.pages):
        chosen = tuple(number for number, label in named.items() if fits(label, page.labels))
        for number in chosen:
            rest.pop(number, None)
        shown = _watching(flow, watches) if place == 0 else _shown(page, flow, evidence, watches)
        observed = shown.observed or any(hops[number].observed for number in chosen)
        seen: Seen = "observed" if observed else "inferred" if chosen or shown.evidence else "not seen"
        steps.append(Step(place, _title(page, flow), chosen, seen, shown.note, shown.evidence))
    return tuple(steps), rest


def _title(page: Page, flow: Flow) -> str:
    nodes = sorted({node for node in flow.pods.values() if node})
    kind = SINGULAR.get(flow.subject.resource, flow.subject.resource)
    return gettext(page.title).format(
        action=flow.action, kind=gettext(kind), nodes=", ".join(nodes) or gettext("its node")
    )


def _extras(rest: Mapping[int, str]) -> tuple[Extra, ...]:
    found, left = [], dict(rest)
    for more in MORE:
        numbers = tuple(number for number, label in left.items() if fits(label, more.labels))
        if numbers:
            found.append(Extra(gettext(more.title), numbers, gettext(more.why)))
        for number in numbers:
            del left[number]
    return tuple(found)


def _shown(page: Page, flow: Flow, evidence: Evidence, watches: Mapping[tuple[str, str], Watch]) -> _Shown:
    """Return what a step's note says: how reality differs, and what shows it."""
    match page.more:
        case "asked":
            return _asked(flow)
        case "placed":
            return _placed(flow, evidence)
        case "filtered":
            return _filtered(flow, watches)
        case "began":
            return _began(flow, evidence)
    return _Shown(gettext(page.note))


def _watching(flow: Flow, watches: Mapping[tuple[str, str], Watch]) -> _Shown:
    """Return who is seen to watch what the flow is about."""
    resources = {hop.object.resource for hop in flow.hops if hop.kind == "notify"} or {"pods"}
    seen = [watch for (_, resource), watch in sorted(watches.items()) if resource in resources]
    seen = [watch for watch in seen if watch.watcher.kind in _WATCHERS]
    notified = [hop for hop in flow.hops if hop.kind == "notify" and hop.target.kind in _WATCHERS]
    told = {hop.target.name for hop in notified if hop.target.kind == "controller" or not seen}
    if not flow.hops[0].observed:
        told |= {hop.target.name for hop in notified}
        return _Shown(
            gettext("That {names} watch is inferred from what they do: there is no audit log to say so.").format(
                names=", ".join(sorted(told))
            ),
            tuple(item for hop in notified[:1] for item in hop.evidence),
        )
    parts = []
    if seen:
        names = ", ".join(dict.fromkeys(watch.watcher.name for watch in seen))
        parts.append(
            gettext("The audit log has the requests with which these began to watch: {names}.").format(names=names)
        )
    if silent := sorted(told - {watch.watcher.name for watch in seen}):
        parts.append(
            gettext(
                "Of {names} the audit log has none, for a watch is logged when it ends: that they watch is inferred "
                "from what they do."
            ).format(names=", ".join(silent))
        )
    shown = tuple(watch.evidence for watch in seen) or tuple(item for hop in notified[:1] for item in hop.evidence)
    return _Shown(" ".join(parts), shown, observed=bool(seen))


def _asked(flow: Flow) -> _Shown:
    root = flow.hops[0]
    note = gettext("Seen from the API server: a request of {name}. What was typed is in no evidence.").format(
        name=root.source.name
    )
    return _Shown(note, root.evidence[:1], observed=root.observed)


def _placed(flow: Flow, evidence: Evidence) -> _Shown:
    """Return how the scheduler decided, from its log, for the pods of the flow."""
    if not evidence.scheduler:
        return _Shown()
    bound = [hop for hop in flow.hops if hop.object.subresource == "binding" and not hop.failed]
    bound = [hop for hop in bound if hop.kind == "request"]
    notes, found = [], []
    for hop in bound[:_TOLD]:
        decision = scheduled(evidence, f"{hop.object.namespace}/{hop.object.name}")
        notes.append(f"{hop.object.name}: {decision.attempts[-1].why}.")
        found += list(decision.attempts[-1].evidence[:1])
    if len(bound) > _TOLD:
        notes.append(gettext("And {count} pods more.").format(count=len(bound) - _TOLD))
    return _Shown(" ".join(notes), tuple(found), observed=any(item.source == "scheduler" for item in found))


def _filtered(flow: Flow, watches: Mapping[tuple[str, str], Watch]) -> _Shown:
    """Return that kubelets are told of their own pods only: their watch asks for no others."""
    asked = {}
    for node in flow.nodes:
        watch = watches.get((f"kubelet/{node}", "pods"))
        if watch is not None and f"spec.nodeName={node}" in unquote(watch.uri):
            asked[node] = watch
    bound = sorted({node for node in flow.pods.values() if node})
    if not asked or not bound:
        return _Shown()
    others = [node for node in asked if node not in bound]
    note = (
        gettext(
            "Reality differs: a kubelet watches with fieldSelector=spec.nodeName=ITS NODE, so the API server tells "
            "only the kubelet of {nodes}; those of {others} hear nothing of it."
        ).format(nodes=", ".join(bound), others=", ".join(others))
        if others
        else gettext(
            "Reality differs: a kubelet watches with fieldSelector=spec.nodeName=ITS NODE, so the API server tells "
            "only the kubelet of {nodes}."
        ).format(nodes=", ".join(bound))
    )
    return _Shown(note, tuple(watch.evidence for watch in asked.values()))


def _began(flow: Flow, evidence: Evidence) -> _Shown:
    """Return when kubelets began to work on the pods, by their own spans."""
    uids = {hop.object.uid for hop in flow.hops if hop.object.resource == "pods" and hop.object.uid}
    first: dict[str, tuple[int, str, EvidenceId]] = {}
    for span in evidence.spans:
        uid = str(span.attributes.get("k8s.pod.uid", ""))
        if span.name == "syncPod" and uid in uids and (uid not in first or span.start < first[uid][0]):
            first[uid] = (span.start, span.node, EvidenceId("span", f"{span.trace_id}/{span.span_id}"))
    note = gettext("Reality differs: the API server has judged already, a kubelet is told of its own pods alone.")
    if first:
        begin = flow.hops[0].start
        times = [
            gettext("the kubelet of {node} began at +{milliseconds:.0f} ms (syncPod)").format(
                node=node, milliseconds=(moment(start) - begin).total_seconds() * 1000
            )
            for start, node, _ in sorted(first.values())
        ]
        return _Shown(
            gettext("{note} Here {times}.").format(note=note, times="; ".join(times)),
            tuple(item for _, _, item in sorted(first.values())),
            observed=True,
        )
    worked = [hop for hop in flow.hops if hop.source.kind == "kubelet"]
    return _Shown(note if worked else "", worked[0].evidence[:1] if worked else ())
