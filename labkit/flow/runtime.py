"""What kubelets had their container runtimes do for a flow's pods: from the runtimes' logs and the kubelets' spans."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from labkit.evidence.model import Evidence, RuntimeCall, Span
from labkit.flow.actors import Actor, actor
from labkit.flow.bodies import Json, dig, mappings, text
from labkit.flow.draft import Draft
from labkit.flow.model import EvidenceId, ObjectName
from labkit.flow.storage import moment
from labkit.language import gettext, gettext_noop

_WORDS = {
    "RunPodSandbox": gettext_noop("makes the sandbox of pod {pod}"),
    "PullImage": gettext_noop("pulls image {image}"),
    "CreateContainer": gettext_noop("creates container {container} of pod {pod}"),
    "StartContainer": gettext_noop("starts container {container} of pod {pod}"),
    "StopContainer": gettext_noop("stops container {container} of pod {pod}"),
    "RemoveContainer": gettext_noop("removes container {container} of pod {pod}"),
    "StopPodSandbox": gettext_noop("stops the sandbox of pod {pod}"),
    "RemovePodSandbox": gettext_noop("removes the sandbox of pod {pod}"),
}
"""The calls that change something (k8s.io/cri-api, runtime/v1/api.proto)."""
_START = "StartContainer"
#: Between what a call was to do and why it did not.
FAILED = gettext_noop(": failed, ")
_SYNCS = frozenset({"syncPod", "syncTerminatingPod", "syncTerminatedPod"})


def runtime_of(node: str) -> Actor:
    """Return the container runtime of a node."""
    return Actor(f"runtime/{node}", "runtime", f"container runtime on {node}", node)


@dataclass(frozen=True, slots=True)
class Started:
    """A container that was started.

    Attributes
    ----------
    begun, ended : datetime.datetime
        When the kubelet asked for it, and was answered; UTC.
    pod, container : str
        Which; the container is empty where only the kubelet's span tells of it, which does not name it.
    known : str
        What tells of it.
    """

    begun: datetime
    ended: datetime
    pod: str
    container: str
    known: str


def started(evidence: Evidence, node: str) -> Iterator[Started]:
    """Yield the containers that a node's runtime started: by its log, or by the kubelet's spans where it keeps none."""
    calls = [call for call in evidence.runtime if call.node == node]
    for call in calls:
        if call.call == _START and not call.error:
            ended = call.time + timedelta(seconds=call.seconds)
            yield Started(
                call.time, ended, call.pod, call.container, gettext("runtime's log: {call}").format(call=_START)
            )
    if calls:
        return
    spans = [span for span in evidence.spans if span.service == "kubelet" and span.node == node]
    pods = {span.span_id: text(span.attributes, "k8s.pod.name") for span in spans if span.name == "syncPod"}
    for span in spans:
        if span.parent_id in pods and span.name.rpartition("/")[2] == _START:
            yield Started(
                moment(span.start),
                moment(span.end),
                pods[span.parent_id],
                "",
                gettext("kubelet's span: {call}").format(call=_START),
            )


class Runtime:
    """The runtime's work for some pods.

    Parameters
    ----------
    pods : mapping of str to ObjectName
        The pods, by uid.
    calls, spans : iterable
        All there are; only those of the pods are kept.
    """

    def __init__(self, pods: Mapping[str, ObjectName], calls: Iterable[RuntimeCall], spans: Iterable[Span]) -> None:
        self._pods = pods
        self._calls: dict[str, list[RuntimeCall]] = defaultdict(list)
        self._pulls: list[RuntimeCall] = []
        for call in calls:
            if call.uid in pods:
                self._calls[call.uid].append(call)
            elif call.call == "PullImage":
                self._pulls.append(call)
        self._syncs: dict[str, list[Span]] = defaultdict(list)
        kubelets = [span for span in spans if span.service == "kubelet"]
        for span in kubelets:
            uid = str(span.attributes.get("k8s.pod.uid", ""))
            if uid in pods and span.name in _SYNCS:
                self._syncs[uid].append(span)
        syncs = {span.span_id: uid for uid, found in self._syncs.items() for span in found}
        self._asked: dict[str, list[Span]] = defaultdict(list)
        for span in kubelets:
            if span.parent_id in syncs and span.name.rpartition("/")[2] in _WORDS:
                self._asked[syncs[span.parent_id]].append(span)

    def syncs(self, uid: str) -> list[tuple[datetime, EvidenceId]]:
        """Return when a kubelet began to work on a pod, with the spans that say so."""
        return [(moment(span.start), _of_span(span)) for span in self._syncs[uid]]

    def hops(self, start: datetime, end: datetime | None) -> list[Draft]:
        """Return the calls in a stretch of time, in order."""
        found: list[Draft] = []
        for uid, pod in self._pods.items():
            logged: dict[str, datetime] = {}
            spans = {span.span_id: span for span in self._asked[uid]}
            for call in [*self._calls[uid], *self._pulled(uid)]:
                if call.call in _WORDS:
                    span = _around(call, spans.values())
                    if span is not None:
                        del spans[span.span_id]
                    found.append(_from_call(call, pod, span))
                    logged[call.node] = max(call.time, logged.get(call.node, call.time))
            # A log that is read while it is written may not have come so far yet.
            found += [
                _from_span(span, pod)
                for span in spans.values()
                if span.node not in logged or moment(span.start) > logged[span.node]
            ]
        inside = [draft for draft in found if draft.start >= start and (end is None or draft.start < end)]
        return sorted(inside, key=lambda draft: (draft.start, draft.end, str(draft.evidence[0])))

    def reported(self, pod: ObjectName, node: str, status: Json, bounds: tuple[datetime, datetime]) -> list[Draft]:
        """Return what a runtime must have done for containers that run, where nothing else tells of its work.

        Parameters
        ----------
        pod : ObjectName
            The pod.
        node : str
            Where it runs.
        status : mapping
            Its status, as the kubelet reported it.
        bounds : pair of datetime.datetime
            When its binding was answered, and when the kubelet reported.
        """
        if self._calls[pod.uid] or self._asked[pod.uid]:
            return []
        running = [
            text(item, "name")
            for item in mappings(status, "containerStatuses")
            if dig(item, "state", "running") is not None
        ]
        rule = gettext("its kubelet reports that the container runs, and only its runtime can have started it")
        return [
            _draft(
                node,
                "StartContainer",
                pod,
                bounds,
                what=_words("StartContainer", pod.name, name, "", ""),
                evidence=(),
                rule=rule,
            )
            for name in running
        ]

    def _pulled(self, uid: str) -> list[RuntimeCall]:
        """Return the pulls for a pod: those within its kubelet's own pull for it, or of its containers' images."""
        asked = [span for span in self._asked[uid] if span.name.endswith("/PullImage")]
        if asked:
            return [call for call in self._pulls if _around(call, asked) is not None]
        found = []
        for made in self._calls[uid]:
            if made.call == "CreateContainer":
                before = [
                    call
                    for call in self._pulls
                    if (call.node, call.image) == (made.node, made.image) and call.time < made.time
                ]
                found += before[-1:]
        return found


def _around(call: RuntimeCall, spans: Iterable[Span]) -> Span | None:
    """Return the kubelet's span of a call: the same call, asked on the same node, and the call lies within it."""
    begin, end = call.time, call.time + timedelta(seconds=call.seconds)
    for span in spans:
        same = span.node == call.node and span.name.rpartition("/")[2] == call.call
        if same and moment(span.start) <= begin and end <= moment(span.end) + timedelta(microseconds=1):
            return span
    return None


def _from_call(call: RuntimeCall, pod: ObjectName, span: Span | None) -> Draft:
    sure = call.uid == pod.uid or span is not None
    evidence = (EvidenceId("runtime", f"{call.node}/{call.number}"), *([_of_span(span)] if span else []))
    return _draft(
        call.node,
        call.call,
        pod,
        (call.time, call.time + timedelta(seconds=call.seconds)),
        what=_words(call.call, pod.name, call.container, call.image, call.error),
        evidence=evidence,
        rule="" if sure else gettext("the last pull on this node of the image that the pod's container was made from"),
    )


def _from_span(span: Span, pod: ObjectName) -> Draft:
    call = span.name.rpartition("/")[2]
    times = (moment(span.start), moment(span.end))
    what = _words(call, pod.name, "", "", span.error)
    return _draft(span.node, call, pod, times, what=what, evidence=(_of_span(span),))


def _draft(
    node: str,
    call: str,
    pod: ObjectName,
    times: tuple[datetime, datetime],
    *,
    what: str,
    evidence: tuple[EvidenceId, ...],
    rule: str = "",
) -> Draft:
    return Draft(
        "runtime",
        actor(f"system:node:{node}"),
        runtime_of(node),
        call,
        pod,
        *times,
        what,
        gettext("for {pod}").format(pod=pod),
        evidence,
        observed=not rule,
        rule=rule,
    )


def _words(call: str, pod: str, container: str, image: str, error: str) -> str:
    image = image or gettext("of a container")
    text = " ".join(gettext(_WORDS[call]).format(pod=pod, container=container, image=image).split())
    return f"{text}{gettext(FAILED)}{error}" if error else text


def _of_span(span: Span) -> EvidenceId:
    return EvidenceId("span", f"{span.trace_id}/{span.span_id}")
