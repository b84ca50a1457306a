"""Measure kube-proxy's modes against the number of Services, on a real node with real packets.

For each number of Services each mode is switched to, so that kube-proxy starts and finds all of them. Its defaults
(minSyncPeriod 1 s, syncPeriod 30 s) stay as they are.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from labkit.cluster.protocol import Cluster
from labkit.cluster.rest import ApiServer
from labkit.errors import ClusterError, PreflightError, UsageError
from labkit.language import gettext
from labkit.node.process import run
from labkit.progress import Phase, Progress
from labkit.proxy import connections, rules
from labkit.proxy import mode as modes
from labkit.proxy.connections import Counts
from labkit.proxy.load import NAMESPACE, PORT, Load, loaded, require_message, require_room
from labkit.proxy.measured import Machine, Measurement, Run
from labkit.proxy.model import Mode
from labkit.proxy.rule_watch import FULL_SYNC, figures
from labkit.proxy.switch import Kubectl, Switch

SIZES = (5, 15, 45)
REPEATS = 3
_CONNECTIONS = 200  # of which the median is taken
_MORE = 3  # how often one more Service is made, each run
_ROUND = 1.5  # seconds after which kube-proxy may begin its next round at once (minSyncPeriod is 1 s)
_ALL_SECONDS = 300.0
_TICKS = 100  # a second, on the node, in what the kernel tells of processes (time(7), USER_HZ)
_IN_ORDER = re.compile(rf'^-A KUBE-SERVICES -d ([0-9.]+)/32 .*--comment "{NAMESPACE}/', re.MULTILINE)
#: proc(5), /proc/PID/stat: utime, stime, and those of the children that have ended; status: VmRSS.
_USAGE = """
for process in /proc/[0-9]*; do
    [ "$(cat $process/comm 2>/dev/null)" = kube-proxy ] || continue
    cut -d' ' -f14-17 $process/stat; sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\) kB/\\1/p' $process/status
done
"""
#: Of the node, which need not be on this machine: processors, kernel, load, and what the processor calls itself.
_MACHINE = """
nproc; uname -r; cut -d' ' -f1 /proc/loadavg
grep -m 1 '^model name' /proc/cpuinfo || uname -m
"""


class Bench:
    """One measurement; `run` does it.

    Parameters
    ----------
    cluster : Cluster
        Whose kube-proxy.
    kubectl : Kubectl
        To act.
    progress : Progress
        Shows each run as a phase.
    """

    def __init__(self, cluster: Cluster, kubectl: Kubectl, progress: Progress) -> None:
        self._cluster = cluster
        self._kubectl = kubectl
        self._progress = progress
        names = cluster.spec.node_names
        self._node = (names[1:2] or names)[0]

    def run(self, sizes: Sequence[int], wanted: Sequence[str], repeats: int) -> Measurement:
        """Measure; in the end the Services are gone and the mode is what it was, whatever happened.

        Parameters
        ----------
        sizes : sequence of int
            Numbers of Services.
        wanted : sequence of str
            Modes; without any, all that the kernel has.
        repeats : int
            How often.

        Raises
        ------
        UsageError
            There is no such mode, or a number does not fit.
        PreflightError
            ipvs is wanted, and the kernel cannot do it; or it does not take the rules of so many Services at once.
        ClusterError
            A node is down, or kube-proxy did not come to an end.
        """
        if not sizes or repeats < 1:
            raise UsageError(
                gettext("There is nothing to measure"), fix=gettext("give a number of Services, and at least one run")
            )
        chosen, left_out = self._modes(wanted)
        for size in (min(sizes), max(sizes)):
            require_room(self._cluster, size)
            for mode in chosen:
                require_message(self._cluster, self._node, mode, size)
        machine = _machine(self._cluster, self._node)
        found: list[Run] = []
        with (
            self._progress.phase(gettext("measure")) as phase,
            self._mode_kept(phase) as present,
            self._loaded(phase) as load,
        ):
            chosen.sort(key=lambda mode: mode == present)  # to begin with a switch
            for size in sorted(set(sizes)):
                with self._progress.phase(gettext("{size} Services").format(size=size)) as making:
                    load.grow(size, lambda fraction: making.advance(fraction=fraction))
                for repeat in range(repeats):
                    for mode in chosen:
                        with self._progress.phase(
                            gettext("{size} Services, {mode}, {repeat} of {repeats}").format(
                                size=size, mode=mode, repeat=repeat + 1, repeats=repeats
                            )
                        ) as each:
                            found.append(self._measure(load, mode, each))
        return Measurement(machine, self._node, tuple(found), left_out)

    def _modes(self, wanted: Sequence[str]) -> tuple[list[Mode], str]:
        chosen: list[Mode] = [modes.check(name) for name in wanted or modes.MODES]
        if "ipvs" in chosen:
            try:
                modes.require_ipvs(self._cluster, self._node)
            except PreflightError as error:
                if wanted:
                    raise
                return [mode for mode in chosen if mode != "ipvs"], gettext("Not ipvs: {why}").format(why=error.why)
        return chosen, ""

    @contextmanager
    def _loaded(self, phase: Phase) -> Iterator[Load]:
        with loaded(self._cluster, self._kubectl, phase.advance) as load:
            yield load

    @contextmanager
    def _mode_kept(self, phase: Phase) -> Iterator[Mode]:
        """Give the mode; after the block bring it back, and the very line that the ConfigMap had for it."""
        with self._api() as api:
            config = modes.read(api)
        try:
            yield config.mode
        finally:
            phase.advance(gettext("back to {mode}").format(mode=config.mode))
            with self._api() as api:  # the first one has been idle for too long
                self._switch(api, config.mode)
                now = modes.read(api)
                if now.line != config.line:
                    self._kubectl(["replace", "--filename", "-"], stdin=json.dumps(now.with_line(config.line)))

    def _api(self) -> closing[ApiServer]:
        return closing(ApiServer.from_kubeconfig(self._cluster.kubeconfig))

    def _switch(self, api: ApiServer, mode: Mode) -> float:
        switched = Switch(self._cluster, api, self._kubectl, Progress(), timeout=_ALL_SECONDS).run(mode)
        return switched.seconds

    def _measure(self, load: Load, mode: Mode, phase: Phase) -> Run:
        with self._api() as api:
            if modes.read(api).mode == mode:  # kube-proxy is to start with no rules
                phase.advance(gettext("away from the mode"))
                self._switch(api, "nftables" if mode == "iptables" else "iptables")
            phase.advance(gettext("switch"))
            with self._asking(api) as counts:
                took = self._switch(api, mode)
            phase.advance(gettext("wait for the last Service"))
            with connections.awaiting(self._cluster, self._node, PORT, _ALL_SECONDS) as answered:
                answered(load.addresses[-1])
            cpu, memory = self._usage()
            count, seconds = figures(self._cluster, self._node).sums.get(FULL_SYNC, (0, 0.0))
            phase.advance(gettext("one more Service"))
            more = tuple(self._one_more(load, api) for _ in range(_MORE))
            phase.advance(gettext("connect to the first and the last"))
            written, elements, first, last = self._rules(mode, load)
            times = connections.medians(self._cluster, self._node, (first, last), PORT, _CONNECTIONS)
            return Run(
                mode=mode,
                services=len(load.addresses),
                rules=written,
                elements=elements,
                program_all=seconds / max(count, 1),
                program_one=more,
                first=times[0],
                last=times[1],
                cpu=cpu,
                memory=memory,
                switch=took,
                asked=counts.asked,
                failed=counts.failed,
            )

    @contextmanager
    def _asking(self, api: ApiServer) -> Iterator[Counts]:
        """Ask Service kubernetes at a steady rate during the block."""
        service = api.get("/api/v1/namespaces/default/services/kubernetes")
        if service is None:
            raise ClusterError(
                gettext("Service kubernetes cannot be asked"), why=gettext("the API server does not answer")
            )
        spec = service["spec"]
        with connections.asking(self._cluster, self._node, spec["clusterIP"], spec["ports"][0]["port"]) as counts:
            yield counts

    def _one_more(self, load: Load, api: ApiServer) -> float:
        """Return the seconds until one more Service answers; it is removed again."""
        name = f"one-more-{time.monotonic_ns()}"
        try:
            load.make_endpoints(api, name)
            time.sleep(_ROUND)
            with connections.awaiting(self._cluster, self._node, PORT, _ALL_SECONDS) as answered:
                address = load.make_service(api, name)
                made = time.time()
                return answered(address) - made
        finally:
            for kind in ("service", "endpointslice"):
                self._kubectl(["delete", kind, name, "--namespace", NAMESPACE, "--ignore-not-found"])

    def _usage(self) -> tuple[float, float]:
        """Return kube-proxy's processor time so far, with that of its children, in s, and its memory in MB."""
        printed = run(self._cluster.node_command(self._node, ["sh", "-c", _USAGE]), what=gettext("look at kube-proxy"))
        try:
            *ticks, kilobytes = map(int, printed.split())
        except ValueError as error:
            raise ClusterError(
                gettext("kube-proxy does not run on {node}").format(node=self._node), fix="labkit status"
            ) from error
        return sum(ticks) / _TICKS, kilobytes * 1024 / 1e6

    def _rules(self, mode: Mode, load: Load) -> tuple[int, int, str, str]:
        """Return how many rules and elements the node has, and which Services the rules have first and last."""
        found = rules.tables(self._cluster, self._node)
        if mode == "ipvs":
            return found.count, len(found.ipvs.splitlines()), load.addresses[0], load.addresses[-1]
        if mode == "iptables":
            # A Service that was removed right now may still be among them, and would refuse.
            ordered = [each for each in _IN_ORDER.findall(found.iptables) if each in load.addresses]
            return len(re.findall(r"^-A ", found.iptables, re.MULTILINE)), 0, ordered[0], ordered[-1]
        entries = json.loads(found.nftables)["nftables"]
        elements = sum(len(each.get(kind, {}).get("elem", [])) for each in entries for kind in ("map", "set"))
        return sum("rule" in each for each in entries), elements, load.addresses[0], load.addresses[-1]


def _machine(cluster: Cluster, node: str) -> Machine:
    with closing(ApiServer.from_kubeconfig(cluster.kubeconfig)) as api:
        version = api.get("/version") or {}
    printed = run(cluster.node_command(node, ["sh", "-c", _MACHINE]), what=gettext("look at {node}").format(node=node))
    cores, kernel, load, processor = printed.splitlines()
    return Machine(
        cores=int(cores),
        processor=processor.rpartition(": ")[2],
        kernel=kernel,
        kubernetes=str(version.get("gitVersion", "of an unknown version")),
        load=float(load),
        nodes=len(cluster.spec.node_names),
    )
