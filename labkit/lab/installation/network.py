"""The network add-on, installed and watched: from NotReady to Ready, and what it changed on each node."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from labkit.cluster import network_addon, readiness
from labkit.cluster.network_agent import CONFIG
from labkit.errors import UsageError
from labkit.evidence.audit import AuditEvent
from labkit.evidence.model import Evidence
from labkit.flow.runtime import started
from labkit.lab.installation.ours import own_cluster
from labkit.lab.kubectl import Output
from labkit.lab.nodes import LabNode
from labkit.language import gettext, gettext_noop
from labkit.progress import Progress
from labkit.widgets.progress import watch

if TYPE_CHECKING:
    from labkit.lab.lab import Lab
    from labkit.views.phases import Bar

NAME = network_addon.NAME
_STYLE = "div.labkit-phases svg{max-width:100%;height:auto;display:block}"
#: What is done; behind the node's name, where it is of one. They are shown in the learner's language.
_STORED = gettext_noop("DaemonSet is stored")
_MADE = gettext_noop("its pod is made")
_BOUND = gettext_noop("its pod is bound")
_STARTED = gettext_noop("container started")
_CONFIGURED = gettext_noop("CNI configuration written")
_READY = gettext_noop("node is Ready")
_HEADINGS = (gettext_noop("node"), gettext_noop("what"), "", gettext_noop("before and after"))
#: What a node's network consists of, and the commands that show it without what has no meaning here.
_SHOWN = {
    "file": "ls -d /etc/cni/net.d/* 2>/dev/null || true",
    "link": "ip -oneline link | sed -E 's/^[0-9]+: ([^:@]+).*(mtu [0-9]+).*/\\1 \\2/'",
    "address": "ip -oneline -4 address | sed -E 's/^[0-9]+: ([^ ]+) +(inet [^ ]+).*/\\1 \\2/'",
    "route": "ip -4 route",
}


@dataclass(frozen=True, slots=True)
class NetworkStep:
    """A step on the way to a Ready node.

    Attributes
    ----------
    what : str
        ``"pod of node-01 made"``.
    who : str
        Who did it.
    paint : str
        The key of that one's colour in the palette.
    time : float
        When it was done, seconds since the epoch.
    evidence : str
        How that is known.
    """

    what: str
    who: str
    paint: str
    time: float
    evidence: str


@dataclass(frozen=True, slots=True)
class NodeChange:
    """One line of a node's network that came or went.

    Attributes
    ----------
    node : str
        Which.
    kind : {"file", "link", "address", "route"}
        Of what.
    change : {"+", "-"}
        Whether it came or went.
    line : str
        As the node's own tools show it.
    """

    node: str
    kind: str
    change: str
    line: str


@dataclass(frozen=True, slots=True, repr=False)
class NetworkInstallation:
    """The add-on's installation; a notebook shows it as a picture and a table of what changed on the nodes.

    Attributes
    ----------
    began : float
        When `kubectl apply` was started, seconds since the epoch.
    steps : tuple of NetworkStep
        In order of time.
    changes : tuple of NodeChange
        The nodes' networks, before and after.
    printed : str
        By `kubectl apply`.
    """

    began: float
    steps: tuple[NetworkStep, ...]
    changes: tuple[NodeChange, ...]
    printed: str

    @property
    def caption(self) -> str:
        """What it shows, in a line."""
        ready = [step.time - self.began for step in self.steps if step.what.endswith(_READY)]
        return gettext("The network add-on: all nodes Ready {seconds:.1f} s after kubectl apply began").format(
            seconds=max(ready, default=0.0)
        )

    def bars(self) -> list[Bar]:
        """Return the steps as the picture shows them: each from the end of the one that it waited for."""
        from labkit.views.phases import Bar  # noqa: PLC0415 - most commands need no pictures

        bars, ends = [], {"": self.began}
        for step in self.steps:
            node, mark, what = step.what.rpartition(": ")
            start = ends.get(node, ends[""])
            bars.append(
                Bar(
                    f"{node}{mark}{gettext(what)}",
                    start - self.began,
                    step.time - start,
                    step.evidence,
                    step.who,
                    step.paint,
                )
            )
            ends[node] = step.time
        return bars

    def rows(self) -> list[tuple[str, ...]]:
        """Return what changed on the nodes as text."""
        return [(each.node, each.kind, each.change, each.line) for each in self.changes]

    def __repr__(self) -> str:
        """Return the steps and the changes as text."""
        from labkit.views import grid, phases  # noqa: PLC0415 - as above

        steps = grid.text(phases.HEADINGS, phases.rows(self.bars()), right=phases.RIGHT)
        return "\n".join([self.caption, steps, "", grid.text(_HEADINGS, self.rows())])

    def to_svg(self) -> str:
        """Return the steps as a picture."""
        from labkit.views import phases  # noqa: PLC0415 - as above

        return phases.to_svg(self.bars(), self.caption, prefix=f"labkit-phases-{uuid4().hex[:8]}")

    def _repr_html_(self) -> str:
        from labkit.views import grid, phases  # noqa: PLC0415 - as above

        twin = grid.table(phases.HEADINGS, phases.rows(self.bars()), caption=self.caption, right=phases.RIGHT)
        changed = grid.table(_HEADINGS, self.rows(), caption=gettext("What changed on the nodes (+ came, - went)"))
        picture = f'<div class="labkit-phases"><style>{_STYLE}</style>{self.to_svg()}</div>'
        heading = gettext("The steps as a table")
        return f"{picture}<details><summary>{heading}</summary>{twin}</details>{changed}"


class LabNetwork:
    """The network of a lab's pods.

    Parameters
    ----------
    lab : Lab
        Whose.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    @property
    def installed(self) -> bool:
        """Whether the add-on's DaemonSet is there."""
        with self._lab.api_server() as api:
            return api.get(f"/apis/apps/v1/namespaces/{network_addon.NAMESPACE}/daemonsets/{NAME}") is not None

    @property
    def manifest(self) -> Output:
        """What `kubectl apply` is given: an account, its rights, and the DaemonSet."""
        return Output(network_addon.manifest_for(self._lab.cluster))

    def install(self, *, timeout: float = 120.0, progress: Progress | None = None) -> NetworkInstallation:
        """Apply the add-on, wait until the nodes that have joined are Ready, and return how that came about.

        Parameters
        ----------
        timeout : float
            Seconds to wait.
        progress : Progress
            Shows the waiting.

        Raises
        ------
        UsageError
            It is installed already.
        ClusterError
            The lab is not initialised, or its nodes do not become Ready.
        """
        lab, cluster = self._lab, own_cluster(self._lab)
        if self.installed:
            raise UsageError(
                gettext("The network add-on is installed already"),
                why=gettext("there is a DaemonSet {daemonset}").format(daemonset=NAME),
                fix=gettext(
                    "labkit kubectl -- delete daemonset {daemonset} --namespace kube-system takes it away again"
                ).format(daemonset=NAME),
            )
        nodes = [node for node in lab.nodes if cluster.node_joined(node.name)]
        before = {node.name: _shown(node) for node in nodes}
        began = time.time()
        with watch(progress) as reporter, reporter.phase(gettext("network add-on")) as phase:
            printed = lab.kubectl("apply --validate=false --filename -", stdin=self.manifest)
            spec = cluster.respecify(network=True)
            names = [node.name for node in nodes]
            readiness.wait_until_ready(lab.kubeconfig, spec, names, since=0, phase=phase, timeout=timeout)
        evidence = lab.evidence(datetime.fromtimestamp(began, UTC))
        steps = sorted(_steps(evidence, nodes), key=lambda step: step.time)
        changes = [change for node in nodes for change in _changes(node.name, before[node.name], _shown(node))]
        return NetworkInstallation(began, tuple(steps), tuple(changes), printed)


def _shown(node: LabNode) -> dict[str, list[str]]:
    return {kind: node.exec(command).splitlines() for kind, command in _SHOWN.items()}


def _changes(node: str, before: dict[str, list[str]], after: dict[str, list[str]]) -> Iterator[NodeChange]:
    for kind in _SHOWN:
        for line in before[kind]:
            if line not in after[kind]:
                yield NodeChange(node, kind, "-", line.strip())
        for line in after[kind]:
            if line not in before[kind]:
                yield NodeChange(node, kind, "+", line.strip())


def _steps(evidence: Evidence, nodes: Iterable[LabNode]) -> Iterator[NetworkStep]:
    """Return who did what, each step as soon as it was done for the first time."""
    pods: dict[str, str] = {}
    for event in evidence.audit:
        about = event.object
        if about is None or event.code is None or event.code >= 300:
            continue
        if (event.verb, about.resource, about.subresource) == ("create", "pods", ""):
            body = event.response or {}
            if body.get("metadata", {}).get("labels", {}).get("app") == NAME:
                pods[body["metadata"]["name"]] = _wanted_node(body)
                yield _step(event, f"{_wanted_node(body)}: {_MADE}", "DaemonSet controller", "controller")
        elif about.resource == "daemonsets" and event.verb in {"create", "patch"} and not about.subresource:
            yield _step(event, _STORED, "kubectl", "client")
        elif about.subresource == "binding" and about.name in pods:
            yield _step(event, f"{pods[about.name]}: {_BOUND}", "scheduler", "scheduler")
    for node in nodes:
        yield from _on_node(evidence, node)


def _on_node(evidence: Evidence, node: LabNode) -> Iterator[NetworkStep]:
    for each in started(evidence, node.name):
        if each.pod.startswith(f"{NAME}-"):
            ended = each.ended.timestamp()
            yield NetworkStep(f"{node.name}: {_STARTED}", "kubelet", "kubelet", ended, each.known)
            break
    written = float(node.exec(["stat", "-c", "%.9Y", str(CONFIG)]))
    yield NetworkStep(f"{node.name}: {_CONFIGURED}", "add-on's pod", "runtime", written, str(CONFIG))
    for event in evidence.audit:
        about = event.object
        if (
            about
            and (about.resource, about.subresource, about.name) == ("nodes", "status", node.name)
            and _ready(event)
        ):
            yield _step(event, f"{node.name}: {_READY}", "kubelet", "kubelet")
            break


def _step(event: AuditEvent, what: str, who: str, paint: str) -> NetworkStep:
    how = f"audit: {event.verb} {event.uri.partition('?')[0].rpartition('/v1/')[2]}"
    return NetworkStep(what, who, paint, event.staged.timestamp(), how)


def _wanted_node(pod: Mapping[str, Any]) -> str:
    """Return the node for which the DaemonSet's controller made a pod: it says so by affinity to the node's name."""
    affinity = pod["spec"]["affinity"]["nodeAffinity"]
    terms = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    return str(terms[0]["matchFields"][0]["values"][0])


def _ready(event: AuditEvent) -> bool:
    conditions = ((event.response or {}).get("status") or {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
