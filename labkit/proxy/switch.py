"""The switch from one of kube-proxy's modes to another, as the textbook does it, step by step.

Edit the ConfigMap, delete the pods, look at the new ones and at what their logs say: kube-proxy reads its configuration
when it starts, and removes the rules of the other modes then (cmd/kube-proxy/app/server_linux.go, platformCleanup).
With iptables and ipvs it takes each other's for its own, and only nftables removes both: so the way between them leads
over nftables.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, Protocol

from labkit.cluster.protocol import Cluster
from labkit.cluster.rest import ApiServer
from labkit.errors import ClusterError, LabkitError
from labkit.language import gettext, gettext_noop
from labkit.progress import Phase, Progress
from labkit.proxy import mode as modes
from labkit.proxy import pods, rules, serving
from labkit.proxy.model import Mode
from labkit.proxy.table import Table

#: Seconds in which every node must serve in the new mode, or the old one is put back.
TIMEOUT = 60.0
_POLL_SECONDS = 0.2
_STARTING_SECONDS = 3.0  # in which a pod that is new runs
_TAIL = 8  # lines of a log in an error
#: What kube-proxy says where it cannot watch its configuration file (inotify(7), EMFILE).
_NO_INOTIFY = "too many open files"
#: What it says where all its rules do not fit into one message to the kernel (`labkit.proxy.load.require_message`).
_TOO_LONG = "Message too long"
_SHORTER = "delete Services; or, as root, use labkit up --privileged, or sysctl -w net.core.wmem_default=67108864"
_SYSTEM = ["--namespace", "kube-system"]


class Kubectl(Protocol):
    """The pinned kubectl: `labkit.lab.Lab.kubectl`."""

    def __call__(self, arguments: Sequence[str], *, stdin: str = "") -> str:
        """Run it; ClusterError where it fails."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a switch that was done.

    Attributes
    ----------
    what : str
        ``"delete the pods"``.
    detail : str
        What there was to see.
    seconds : float
        How long it took.
    """

    what: str
    detail: str
    seconds: float


@dataclass(frozen=True, slots=True, repr=False)
class Switched(Table):
    """A switch that was done.

    Attributes
    ----------
    before, after : {"iptables", "nftables", "ipvs"}
        The modes; equal where there was nothing to do.
    steps : tuple of Step
        In order.
    """

    before: Mode
    after: Mode
    steps: tuple[Step, ...]

    TITLES: ClassVar[Sequence[str]] = (
        gettext_noop("step"),
        gettext_noop("seconds"),
        gettext_noop("what there was to see"),
    )

    def caption(self) -> str:
        """Return what the table is, in a line."""
        if not self.steps:
            return gettext("kube-proxy: {after} already, on every node").format(after=self.after)
        return gettext("kube-proxy: {before} → {after} on every node, in {seconds:.1f} s").format(
            before=self.before, after=self.after, seconds=self.seconds
        )

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per step."""
        return [(step.what, f"{step.seconds:.1f}", step.detail) for step in self.steps]

    @property
    def seconds(self) -> float:
        """How long it took until every node served in the new mode."""
        return sum(step.seconds for step in self.steps)


class Switch:
    """One switch; `run` does it.

    Parameters
    ----------
    cluster : Cluster
        Whose kube-proxy.
    api : ApiServer
        To look.
    kubectl : Kubectl
        To act.
    progress : Progress
        Shows each step as a phase.
    timeout : float
        Seconds.
    """

    def __init__(
        self, cluster: Cluster, api: ApiServer, kubectl: Kubectl, progress: Progress, *, timeout: float = TIMEOUT
    ) -> None:
        self._cluster = cluster
        self._api = api
        self._kubectl = kubectl
        self._progress = progress
        self._timeout = timeout
        self._steps: list[Step] = []

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that were done so far."""
        return tuple(self._steps)

    def run(self, after: Mode, *, force: bool = False) -> Switched:
        """Switch, and wait until every node serves in the new mode by its rules alone.

        Raises
        ------
        PreflightError
            The kernel cannot do ipvs; nothing was changed.
        ClusterError
            A node is down or the ConfigMap is broken, and nothing was changed; or a node could not serve in the new
            mode, and the old one was put back.
        """
        config = modes.read(self._api)
        before, line = config.mode, config.line
        nodes = self._cluster.spec.node_names
        self._require_running(nodes)
        if before == after and self._all_run(nodes) and not self._lacking(nodes, after):
            return Switched(before, after, ())
        if after == "ipvs" and not force:
            for node in nodes:
                modes.require_ipvs(self._cluster, node)
        try:
            for mode in self._way(nodes, after):
                self._change(line if mode == before == after else f"mode: {mode}", nodes, mode)
        except BaseException as error:
            self._put_back(line, before, after, error)
            raise
        return Switched(before, after, self.steps)

    def _all_run(self, nodes: Iterable[str]) -> bool:
        """Return whether each node has a pod that runs, or will in a moment; rules may outlive it."""
        deadline = time.monotonic() + min(_STARTING_SECONDS, self._timeout)
        while not set(nodes) <= {pod.node for pod in self._listed() if pod.running}:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _way(self, nodes: Iterable[str], mode: Mode) -> tuple[Mode, ...]:
        """Return the modes to go through so that only the last one's rules are left."""
        other = {"iptables": "ipvs", "ipvs": "iptables"}.get(mode)
        if any(other in rules.tables(self._cluster, node).modes for node in nodes):
            return ("nftables", mode)
        return (mode,)

    def _change(self, line: str, nodes: Iterable[str], mode: Mode) -> None:
        """Do the steps."""
        with self._progress.phase(gettext("edit the ConfigMap")) as phase:
            started = time.monotonic()
            old_line = self._edit(line)
            self._done(phase, f"{old_line} → {line}", started)
        with self._progress.phase(gettext("list the pods")) as phase:
            started = time.monotonic()
            old = self._listed()
            self._done(phase, _names(old), started)
        with self._progress.phase(gettext("delete the pods")) as phase:
            started = time.monotonic()
            self._delete(old)
            self._done(phase, gettext("{count} deleted; the DaemonSet makes new ones").format(count=len(old)), started)
        with self._progress.phase(gettext("list the new pods")) as phase:
            started = time.monotonic()
            new = self._wait_for_pods(nodes, {pod.uid for pod in old}, phase)
            self._done(phase, _names(new), started)
        with self._progress.phase(gettext("read their logs")) as phase:
            started = time.monotonic()
            self._done(phase, self._wait_for_logs(new, mode), started)
        with self._progress.phase(gettext("all nodes serve")) as phase:
            started = time.monotonic()
            address, port = self._wait_until_serving(nodes, mode, phase)
            self._done(
                phase,
                gettext("{address}:{port} answers on {nodes} by {mode} rules alone").format(
                    address=address, port=port, nodes=", ".join(nodes), mode=mode
                ),
                started,
            )

    def _done(self, phase: Phase, detail: str, started: float) -> None:
        phase.advance(detail)
        self._steps.append(Step(phase.name, detail, time.monotonic() - started))

    def _edit(self, line: str) -> str:
        """Change the line of the mode; return the old one."""
        config = modes.read(self._api)
        if config.line != line:
            self._kubectl(["replace", "--filename", "-"], stdin=json.dumps(config.with_line(line)))
        return config.line

    def _delete(self, old: Iterable[pods.ProxyPod]) -> None:
        names = [pod.name for pod in old]
        if names:  # kubectl refuses to delete nothing; just after a deletion there may be nothing
            self._kubectl(["delete", "pods", *_SYSTEM, "--wait=false", "--ignore-not-found", *names])

    def _listed(self) -> tuple[pods.ProxyPod, ...]:
        """Return the pods; an API server that is slow is asked again."""
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                return pods.listed(self._api)
            except ClusterError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_SECONDS)

    def _wait_for_pods(self, nodes: Iterable[str], old: set[str], phase: Phase) -> tuple[pods.ProxyPod, ...]:
        deadline = time.monotonic() + self._timeout
        while True:
            new = tuple(pod for pod in self._listed() if pod.uid not in old)
            self._refuse_crashes(new)
            missing = set(nodes) - {pod.node for pod in new if pod.running}
            if not missing:
                return new
            phase.advance(gettext("waiting for {missing}").format(missing=", ".join(sorted(missing))))
            self._give_up(
                deadline, nodes, new, gettext("no new pod runs on {nodes}").format(nodes=", ".join(sorted(missing)))
            )
            time.sleep(_POLL_SECONDS)

    def _wait_for_logs(self, new: Sequence[pods.ProxyPod], mode: Mode) -> str:
        deadline = time.monotonic() + self._timeout
        while True:
            said = {pod.node: pods.proxier_line(self._log(pod, None)) for pod in new}
            if all(said.values()):
                break
            self._refuse_crashes(self._listed())
            self._give_up(deadline, said, new, gettext("a new pod's log does not say which mode it took"))
            time.sleep(_POLL_SECONDS)
        wrong = {node: line for node, line in said.items() if line != f"Using {mode} Proxier"}
        if wrong:
            raise ClusterError(
                gettext("kube-proxy took another mode than {mode}").format(mode=mode),
                why=_by_node(wrong),
                fix=gettext("look at its log"),
            )
        return _by_node(said)

    def _wait_until_serving(self, nodes: Iterable[str], mode: Mode, phase: Phase) -> tuple[str, int]:
        deadline = time.monotonic() + self._timeout
        while lacking := self._lacking(nodes, mode):
            phase.advance("; ".join(lacking))
            present = self._listed()
            self._refuse_crashes(present)
            self._give_up(deadline, nodes, present, "; ".join(lacking))
            time.sleep(_POLL_SECONDS)
        return self._service()

    def _lacking(self, nodes: Iterable[str], mode: Mode) -> list[str]:
        address, port = self._service()
        with ThreadPoolExecutor() as pool:
            found = pool.map(lambda node: serving.lacking(self._cluster, node, mode, address, port), nodes)
        return [each for each in found if each]

    def _service(self) -> tuple[str, int]:
        found = self._api.get("/api/v1/namespaces/default/services/kubernetes")
        if found is None:
            raise ClusterError(
                gettext("Service kubernetes cannot be read"),
                why=gettext("the API server does not answer"),
                fix="labkit status",
            )
        return found["spec"]["clusterIP"], found["spec"]["ports"][0]["port"]

    def _require_running(self, nodes: Iterable[str]) -> None:
        for node in nodes:
            if not self._cluster.node_running(node):
                raise ClusterError(
                    gettext("kube-proxy's mode cannot be switched now"),
                    why=gettext("{node} is switched off, and could not be seen to serve in the new mode").format(
                        node=node
                    ),
                    fix=f"labkit node start {node}",
                )

    def _refuse_crashes(self, present: Iterable[pods.ProxyPod]) -> None:
        for pod in present:
            if pod.crashes:
                tail = self._tail(pod)
                fix = gettext("raise the machine's inotify limits: labkit doctor") if _NO_INOTIFY in tail else ""
                raise ClusterError(gettext("kube-proxy on {node} crashes").format(node=pod.node), why=tail, fix=fix)

    def _give_up(self, deadline: float, nodes: Iterable[str], present: Iterable[pods.ProxyPod], why: str) -> None:
        """Raise once there is no more to hope for: the time is over, or a node that is awaited is down."""
        down = [node for node in nodes if not self._cluster.node_running(node)]
        if down:
            raise ClusterError(
                gettext("Not every node serves in the new mode"),
                why=gettext("{nodes} was switched off meanwhile").format(nodes=", ".join(down)),
                fix=gettext("labkit node start {node}, then try again").format(node=down[0]),
            )
        if time.monotonic() > deadline:
            # A pod that does not run knows best why; else any that serves nothing.
            told = sorted(present, key=lambda pod: pod.running)[:1]
            reasons = "\n".join(
                (gettext("after {seconds:.0f} s {why}").format(seconds=self._timeout, why=why), *map(self._tail, told))
            )
            fix = (
                gettext("delete Services, or as root: sysctl -w net.core.wmem_default=67108864")
                if _TOO_LONG in reasons
                else ""
            )
            raise ClusterError(gettext("Not every node serves in the new mode"), why=reasons, fix=fix)

    def _log(self, pod: pods.ProxyPod, lines: int | None) -> str:
        try:
            return self._kubectl(["logs", *_SYSTEM, pod.name, f"--tail={-1 if lines is None else lines}"])
        except ClusterError as error:  # its container is between two starts
            return error.why

    def _tail(self, pod: pods.ProxyPod) -> str:
        return gettext("the log of {name} on {node} ends with:\n{lines}").format(
            name=pod.name, node=pod.node, lines=self._log(pod, _TAIL)
        )

    def _put_back(self, line: str, before: Mode, after: Mode, error: BaseException) -> None:
        """Bring the old mode back; what went wrong is told with what came of that."""
        running = [node for node in self._cluster.spec.node_names if self._cluster.node_running(node)]
        self._timeout = TIMEOUT
        with self._progress.phase(gettext("put {before} back").format(before=before)) as phase:
            try:
                for mode in self._way(running, before):
                    self._edit(line if mode == before else f"mode: {mode}")
                    old = self._listed()
                    self._delete(old)
                    self._wait_for_pods(running, {pod.uid for pod in old}, phase)
                    self._wait_until_serving(running, mode, phase)
            except LabkitError as second:
                raise ClusterError(
                    gettext("kube-proxy could not be switched to {after}, and {before} could not be put back").format(
                        after=after, before=before
                    ),
                    why=gettext("{trouble}\nthen: {second}").format(
                        trouble=str(error) or "it was interrupted", second=second
                    ),
                    fix=gettext("labkit status; once the cluster answers, labkit proxy mode {before}").format(
                        before=before
                    ),
                ) from error
        if isinstance(error, LabkitError):
            raise ClusterError(
                gettext("kube-proxy could not be switched to {after}; {before} is back").format(
                    after=after, before=before
                ),
                why=f"{error.what}: {error.why}" if error.why else error.what,
                fix=error.fix or "labkit kubectl -- get events --namespace kube-system",
            ) from error


def _names(present: Iterable[pods.ProxyPod]) -> str:
    return ", ".join(f"{pod.name} on {pod.node}" for pod in present)


def _by_node(lines: dict[str, str]) -> str:
    return ", ".join(f"{node}: {line}" for node, line in lines.items())
