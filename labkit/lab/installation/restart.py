"""A node switched off and on again: what its kubelet does until it is Ready, and whether a Service answers meanwhile.

A kubelet that starts asks for its own Node and, where it has one, tells its status anew (pkg/kubelet/
kubelet_node_status.go, registerWithAPIServer). No token and no `kubeadm join` are needed: the kubelet's certificate and
kubeconfig are files of the node.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from labkit.errors import ClusterError, UsageError
from labkit.evidence.model import Evidence
from labkit.flow.names import name_of
from labkit.flow.runtime import started
from labkit.lab import services
from labkit.language import gettext, gettext_noop
from labkit.progress import Phase, Progress
from labkit.proxy.connections import Counts, asking, awaiting
from labkit.proxy.table import Table
from labkit.views.restart import Moment, RestartSeen

if TYPE_CHECKING:
    from labkit.cluster.rest import ApiServer
    from labkit.lab.lab import Lab

#: Requests a second to the Service: one each 100 ms.
RATE = 10.0
_LEAST_AWAY = 2.0  # seconds: a Node's heartbeat has whole seconds, and must be told from the one before
_LIMIT = 120.0  # seconds until it must be back
_POLL_SECONDS = 0.1
_AFTER = 1.0  # seconds that are watched after it is back
_ANSWERS = 10.0  # seconds in which a Service must answer before; kube-proxy writes rules once a second at most
# klog's text format (KEP-1602): level and day, time, process, place, message.
_LINE = re.compile(r'[IWEF]\d{4} (\d\d:\d\d:\d\d\.\d{6}) +\d+ [^ ]+\] "?([^"]*)')
_TOLD = {
    "Started kubelet": gettext_noop("has started"),
    "Attempting to register node": gettext_noop("asks to be registered"),
    "Node was previously registered": gettext_noop("is told that its Node is there already"),
}


@dataclass(frozen=True, slots=True, repr=False)
class Restart(Table):
    """What happened while a node was switched off and on again.

    Attributes
    ----------
    node, service : str
        Which node; which Service was asked, empty for none.
    off, on : datetime.datetime
        When it was switched off and on, UTC.
    ready : float
        Seconds from switching on to the kubelet's status that says Ready.
    running : float
        Seconds from switching on until all containers of its pods ran.
    moments : tuple of (float, str, str, str)
        Seconds since it was switched off, who, what, and from where that is known.
    answers : tuple of (float, bool)
        When the Service was asked, seconds since it was switched off, and whether it answered.
    """

    node: str
    service: str
    off: datetime
    on: datetime
    ready: float
    running: float
    moments: tuple[tuple[float, str, str, str], ...]
    answers: tuple[tuple[float, bool], ...]

    TITLES: ClassVar[Sequence[str]] = (
        "",
        gettext_noop("after"),
        gettext_noop("who"),
        gettext_noop("what"),
        gettext_noop("known from"),
    )

    @property
    def away(self) -> float:
        """Seconds for which the node was off."""
        return (self.on - self.off).total_seconds()

    @property
    def failed(self) -> int:
        """How many requests to the Service were not answered."""
        return sum(not answered for _, answered in self.answers)

    def caption(self) -> str:
        """Return what it is, and how long it took."""
        asked = len(self.answers)
        said = gettext("{node} was off for {away:.1f} s, and Ready {ready:.1f} s after it was switched on").format(
            node=self.node, away=self.away, ready=self.ready
        )
        if not asked:
            return said
        return gettext("{said}; Service {service} answered {answered} of {count} requests").format(
            said=said, service=self.service, answered=asked - self.failed, count=asked
        )

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per moment."""
        return [
            (str(at), f"{when:.2f} s", who, gettext(what), known)
            for at, (when, who, what, known) in enumerate(self.moments, 1)
        ]

    def to_svg(self) -> str:
        """Return the picture: who did what when, and the Service's answers."""
        from labkit.views import restart  # noqa: PLC0415 - most commands need no pictures

        moments = [Moment(when, who, gettext(what), known) for when, who, what, known in self.moments]
        end = max(self.away + max(self.ready, self.running) + _AFTER, *(at for at, _ in self.answers), 0.0)
        seen = RestartSeen(self.caption(), self.node, self.service, self.away, end, moments, self.answers)
        return restart.to_svg(seen, prefix=f"labkit-restart-{uuid4().hex[:8]}")  # a page may have several

    def _repr_html_(self) -> str:
        table = Table._repr_html_(self)
        heading = gettext("What the numbers mean")
        return f"{self.to_svg()}<details open><summary>{heading}</summary>{table}</details>"


def restart(lab: Lab, node: str, progress: Progress, *, away: float, service: str) -> Restart:
    """Switch a node off, as pulling its plug would, and on again; wait until it is back, and tell what happened.

    Parameters
    ----------
    lab : Lab
        Where.
    node : str
        Which: a worker, or the control plane.
    progress : Progress
        Shows what is awaited.
    away : float
        Seconds for which it is off, at least 2.
    service : str
        A Service of namespace default that another node asks each 100 ms meanwhile; empty for none.

    Raises
    ------
    UsageError
        There is no such node or Service, the node is off already, or nobody else could ask.
    ClusterError
        The Service does not answer although all nodes are on, or the node did not come back in two minutes.
    """
    target = lab.nodes[node]
    if away < _LEAST_AWAY:
        raise UsageError(
            gettext("{away} s are too short").format(away=away),
            why=gettext("away is at least {seconds:.0f} s").format(seconds=_LEAST_AWAY),
            fix=gettext("choose more"),
        )
    if not target.running:
        raise UsageError(gettext("Node {node} is off already").format(node=node), fix=f"labkit node start {node}")
    with _asked(lab, node, service) as counts:
        with progress.phase(gettext("{node} is off").format(node=node)):
            off = datetime.now(UTC)
            target.stop()
            time.sleep(away)
        with progress.phase(gettext("{node} comes back").format(node=node)) as phase:
            on = datetime.now(UTC)
            target.start()
            running = _wait(lab, node, on, phase)
            time.sleep(_AFTER)
    moments = tuple(sorted(_moments(lab.evidence(off), target.logs().splitlines(), node, off, on)))
    ready = next((at for at, _, what, _ in moments if what == _READY), None)
    if ready is None:
        raise ClusterError(
            gettext("The audit log does not say when {node} was Ready").format(node=node),
            fix=f"labkit node logs {node} kubelet",
        )
    began = off.timestamp()
    answers = tuple((at - began, answered) for at, answered in counts.answers if at >= began)
    return Restart(node, service, off, on, ready - (on - off).total_seconds(), running, moments, answers)


_READY = gettext_noop("tells its status: Ready")


@contextmanager
def _asked(lab: Lab, node: str, service: str) -> Iterator[Counts]:
    """Have another worker ask a Service during the block, which begins when the Service has answered once."""
    if not service:
        yield Counts()
        return
    others = [each.name for each in (*lab.nodes[1:], lab.nodes[0]) if each.name != node and each.running]
    if not others:
        raise UsageError(
            gettext("Nobody could ask the Service"),
            why=gettext("{node} is the only node that runs").format(node=node),
            fix=gettext("add a worker"),
        )
    with lab.api_server() as api:
        address, port = services.address_of(api, f"svc/{service}", None)
    with awaiting(lab.cluster, others[0], port, _ANSWERS) as until_answered:
        until_answered(address)
    with asking(lab.cluster, others[0], address, port, RATE) as counts:
        yield counts


def _wait(lab: Lab, node: str, on: datetime, phase: Phase) -> float:
    """Wait until a node is Ready and all containers of its pods run; return after how many seconds they did."""
    began, told = time.monotonic(), ""
    with lab.api_server() as api:
        while lacking := _lacking(api, node, on):
            if lacking != told:
                told = lacking
                phase.advance(lacking)
            if time.monotonic() - began > _LIMIT:
                raise ClusterError(
                    gettext("{node} did not come back").format(node=node),
                    why=lacking,
                    fix=f"labkit node logs {node} kubelet",
                )
            time.sleep(_POLL_SECONDS)
    return time.monotonic() - began


def _lacking(api: ApiServer, node: str, on: datetime) -> str:
    """Return what a node still lacks, empty for nothing; what was said before it was switched on does not count."""
    found = api.get(f"/api/v1/nodes/{node}")
    pods = api.get(f"/api/v1/pods?fieldSelector=spec.nodeName%3D{node}")
    if found is None or pods is None:
        return gettext("the API server does not answer")
    for condition in found["status"]["conditions"]:
        if condition["type"] == "Ready" and (
            condition["status"] != "True" or _before(condition["lastHeartbeatTime"], on)
        ):
            return gettext("its Node says: {message}").format(message=condition["message"])
    for pod in pods["items"]:
        states = [each["state"].get("running") for each in pod["status"].get("containerStatuses") or ()]
        if not states or any(state is None or _before(state["startedAt"], on) for state in states):
            return gettext("pod {name} does not run yet").format(name=pod["metadata"]["name"])
    return ""


def _before(timestamp: str, on: datetime) -> bool:
    """Whether a time of whole seconds is before another."""
    return datetime.fromisoformat(timestamp) < on.replace(microsecond=0)


def _moments(
    evidence: Evidence, log: Sequence[str], node: str, off: datetime, on: datetime
) -> Iterator[tuple[float, str, str, str]]:
    for when, who, what, known in (
        *_logged(log, on),
        *_audited(evidence, node, on),
        *_run(evidence, node, on),
    ):
        yield round((when - off).total_seconds(), 3), who, what, known


def _logged(log: Sequence[str], on: datetime) -> Iterator[tuple[datetime, str, str, str]]:
    """Return what the kubelet's own log tells of its start."""
    first = True
    for line in log:
        match = _LINE.match(line)
        if match is None:
            continue
        when = datetime.combine(on.date(), datetime.strptime(match[1], "%H:%M:%S.%f").time(), UTC)
        when += timedelta(days=1) if on - when > timedelta(hours=12) else timedelta()  # it has become midnight
        if when < on:
            continue
        if first:
            first = False
            yield when, "kubelet", gettext_noop("its process runs"), "kubelet's log"
        if match[2] in _TOLD:
            yield when, "kubelet", _TOLD[match[2]], f"kubelet's log: {match[2]}"


def _audited(evidence: Evidence, node: str, on: datetime) -> Iterator[tuple[datetime, str, str, str]]:
    """Return what the API server logged of the kubelet's requests, and when it answered anybody first."""
    user = f"system:node:{node}"
    told = False
    served = sorted((event for event in evidence.audit if event.received >= on), key=lambda event: event.staged)
    if served and node == evidence.cluster.control_plane:
        yield served[0].staged, "kube-apiserver", f"answers again: {served[0].verb} by {served[0].user}", "audit log"
    for event in served:
        about = name_of(event)
        if event.user != user or about.resource != "nodes":
            continue
        if event.verb == "create":
            answer = "there is one" if event.code == _CONFLICT else "made"
            yield event.staged, "kube-apiserver", f"create Node {node}: {event.code}, {answer}", "audit log"
        elif about.subresource == "status" and not told and _says_ready(event.response):
            told = True
            yield event.staged, "kubelet", _READY, f"audit log: {event.verb} nodes/status"


_CONFLICT = 409  # AlreadyExists


def _says_ready(node: Any) -> bool:
    conditions = ((node or {}).get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _run(evidence: Evidence, node: str, on: datetime) -> Iterator[tuple[datetime, str, str, str]]:
    """Return which containers were started again."""
    for each in started(evidence, node):
        if each.begun >= on:
            what = gettext("starts {container} of {pod}").format(
                container=each.container or gettext("a container"), pod=each.pod
            )
            yield each.begun, "container runtime", what, each.known
