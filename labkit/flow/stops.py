"""Where a flow stands still, and the evidence why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from labkit.evidence.audit import AuditEvent
from labkit.flow.bodies import Json, dig, mapping, mappings, text
from labkit.flow.describe import SINGULAR
from labkit.flow.labels import labels
from labkit.flow.model import Flow, Hop
from labkit.flow.runtime import FAILED
from labkit.flow.story import Stop
from labkit.flow.textbook import Textbook
from labkit.language import gettext

_PATIENCE = timedelta(seconds=3)
"""How long the evidence must go on before silence counts: in a lab each step takes some milliseconds."""


def find_stop(flow: Flow, book: Textbook, bodies: Mapping[str, AuditEvent], end: datetime) -> Stop | None:
    """Return where a flow that should start pods stands still at the end of the evidence, or None.

    Parameters
    ----------
    flow : Flow
        The flow.
    book : Textbook
        Its steps.
    bodies : mapping of str to AuditEvent
        The flow's audit events by their id.
    end : datetime.datetime
        When the evidence ends.
    """
    root = flow.hops[0]
    if root.failed:
        asked = next(place for place, page in enumerate(book.pages) if "ask" in page.labels)
        return Stop(asked, root.what, root.evidence, (root.number,))
    if not book.stops:
        return None
    named = labels(flow)
    by_label: dict[str, list[Hop]] = {}
    for hop in flow.hops:
        by_label.setdefault(named[hop.number], []).append(hop)
    return _without_pods(flow, book, by_label, end) or _of_pods(flow, book, by_label, bodies, end)


def _without_pods(flow: Flow, book: Textbook, by_label: Mapping[str, list[Hop]], end: datetime) -> Stop | None:
    if any(not hop.failed for hop in by_label.get("pod", ())) or flow.hops[0].object.resource == "pods":
        return None
    refused = by_label.get("pod", [])
    if refused:
        return Stop(book.stops["pod"], refused[-1].what, refused[-1].evidence, tuple(hop.number for hop in refused))
    written = [hop for hop in flow.hops if hop.kind == "request" and hop.source.kind == "controller"]
    last = written[-1] if written else next((hop for hop in flow.hops if hop.kind == "persist"), flow.hops[0])
    if by_label.get("pod.delete") or end - last.end < _PATIENCE:
        return None
    if not written:
        thing = gettext(SINGULAR.get(flow.subject.resource, flow.subject.resource))
        why = gettext("No controller wrote anything about {thing} {name}: does the controller-manager run?").format(
            thing=thing, name=flow.subject.name
        )
        return Stop(book.stops["controller"], why, last.evidence, (last.number,))
    if not by_label.get("rs") and not by_label.get("rs.scale"):
        return None  # there was nothing to make
    why = gettext("No controller made a pod: does the controller-manager run?")
    return Stop(book.stops["pod"], why, last.evidence, (last.number,))


def _of_pods(
    flow: Flow, book: Textbook, by_label: Mapping[str, list[Hop]], bodies: Mapping[str, AuditEvent], end: datetime
) -> Stop | None:
    gone = {hop.object.name for label in ("gone", "pod.delete") for hop in by_label.get(label, ())}
    made = [hop for hop in (*by_label.get("pod", ()), *by_label.get("ask", ())) if hop.object.resource == "pods"]
    own: dict[str, list[Hop]] = {}
    for hop in flow.hops:
        if hop.object.resource == "pods":
            own.setdefault(hop.object.name, []).append(hop)
    for pod in made:
        if pod.failed or pod.object.name in gone:
            continue
        stop = _of_pod(pod, own[pod.object.name], book, bodies, end)
        if stop is not None:
            return stop
    return None


def _of_pod(pod: Hop, own: list[Hop], book: Textbook, bodies: Mapping[str, AuditEvent], end: datetime) -> Stop | None:
    written = [hop for hop in own if hop.kind == "request" and not hop.failed]
    bound = [hop for hop in written if hop.object.subresource == "binding"]
    if not bound:
        unplaced = [hop for hop in written if hop.object.subresource == "status" and hop.source.kind == "scheduler"]
        if unplaced:
            conditions = mappings(bodies[unplaced[-1].evidence[0].id].response, "status", "conditions")
            said = [text(item, "message") for item in conditions if item.get("type") == "PodScheduled"]
            why = gettext("No node for pod {name}: {reason}").format(
                name=pod.object.name, reason=said[0] if said else "unschedulable"
            )
            return Stop(book.stops["scheduler"], why, unplaced[-1].evidence, tuple(hop.number for hop in unplaced))
        why = gettext("No scheduler wrote anything about pod {name}: does it run?").format(name=pod.object.name)
        return Stop(book.stops["scheduler"], why, pod.evidence, (pod.number,)) if end - pod.end >= _PATIENCE else None
    reports = [hop for hop in written if hop.source.kind == "kubelet"]
    calls = [hop for hop in own if hop.kind == "runtime"]
    if not reports and not calls:
        why = gettext("The kubelet did nothing about pod {name}: does it run?").format(name=pod.object.name)
        return (
            Stop(book.stops["kubelet"], why, bound[-1].evidence, (bound[-1].number,))
            if end - bound[-1].end >= _PATIENCE
            else None
        )
    return _of_container(reports, calls, book, bodies)


def _of_container(
    reports: list[Hop], calls: list[Hop], book: Textbook, bodies: Mapping[str, AuditEvent]
) -> Stop | None:
    """Return why a pod's containers do not run, in the words of its last status and of the runtime."""
    if not reports:
        return None
    report = reports[-1]
    status = mapping(bodies[report.evidence[0].id].response, "status")
    for container in (*mappings(status, "initContainerStatuses"), *mappings(status, "containerStatuses")):
        why = _trouble(container)
        if why:
            failed = [call for call in calls if gettext(FAILED) in call.what][-1:]
            starts = [call for call in calls if call.verb == "StartContainer"][-1:] if not failed else []
            shown = (*(failed or starts), report)
            evidence = tuple(dict.fromkeys(item for hop in shown for item in hop.evidence))
            return Stop(book.stops["container"], why, evidence, tuple(hop.number for hop in shown))
    return None


def _trouble(container: Json) -> str:
    """Return why a container does not run, or an empty string; kubelet's reasons are in pkg/kubelet/images/types.go."""
    name = container.get("name", "")
    waiting = mapping(container, "state", "waiting")
    ended = mapping(container, "state", "terminated") or mapping(container, "lastState", "terminated")
    reason = text(waiting, "reason")
    if ended.get("exitCode") and not container.get("ready") and not dig(container, "state", "running"):
        if container.get("restartCount"):
            return gettext(
                "Container {name} ended with exit code {code}, and is started again and again (CrashLoopBackOff)"
            ).format(name=name, code=ended["exitCode"])
        return gettext("Container {name} ended with exit code {code}").format(name=name, code=ended["exitCode"])
    if reason and reason not in {"ContainerCreating", "PodInitializing"}:
        message = waiting.get("message")
        waits = gettext("Container {name} waits, {reason}").format(name=name, reason=reason)
        return f"{waits}: {message}" if message else waits
    return ""
