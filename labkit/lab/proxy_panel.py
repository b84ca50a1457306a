"""What kube-proxy's panel shows and drives: a lab's, or a recording's."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, cast

from labkit.errors import LabkitError, PreflightError
from labkit.evidence.proxy import latest
from labkit.language import gettext
from labkit.proxy import mode as modes
from labkit.proxy import pods, rules
from labkit.proxy.model import Mode
from labkit.proxy.seen import SeenSwitch
from labkit.proxy.state import NodeState, ProxyState
from labkit.widgets.proxy import ShownStep, ShownSwitch

if TYPE_CHECKING:
    from labkit.cluster.rest import ApiServer
    from labkit.lab.lab import Lab
    from labkit.lab.recorded_proxy import RecordedProxy
    from labkit.progress import Progress
    from labkit.proxy.pods import ProxyPod
    from labkit.proxy.rules import Tables

_MODES = cast("tuple[Mode, ...]", modes.MODES)
_RULES_SECONDS = 10.0  # between two looks at the rules of nodes where nothing else changed
_BY_NODE = re.compile(r"([^,:\s]+): (Using \w+ Proxier)")
_ON_NODE = re.compile(r"(\S+) on ([^,\s]+)")


class LiveProxy:
    """kube-proxy of a lab, for its panel.

    Parameters
    ----------
    lab : Lab
        Whose.
    """

    recorded = ""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.title = gettext("lab {name!r}").format(name=lab.name)
        self._lines: dict[str, str] = {}  # what pods said, by uid
        self._tables: dict[str, Tables | str] = {}  # of the nodes; or why they cannot be read
        self._basis: object = None  # what was so when they were read
        self._read = 0.0
        self._unable: dict[Mode, str] | None = None

    def look(self) -> ProxyState:
        """Return how it is now; what cannot be seen is said, and no error."""
        nodes = self._lab.spec.node_names
        mode: Mode | None = None
        try:
            with self._lab.api_server() as api:
                present = pods.listed(api)
                mode, trouble = _asked_for(api)
        except (LabkitError, OSError) as error:  # also of a lab that is removed right now
            self._unable = None
            return ProxyState(None, tuple(NodeState(node) for node in nodes), str(error))
        self._look_at_rules(nodes, mode, present)
        by_node = {pod.node: pod for pod in present}
        return ProxyState(mode, tuple(self._node(node, by_node.get(node)) for node in nodes), trouble)

    def last_switch(self) -> ShownSwitch | None:
        """Return the last switch of the lab, by whichever command."""
        try:
            record = latest(self._lab.cluster.proxy_folder, "switch")
        except LabkitError:
            return None
        return _shown(SeenSwitch.of(record)) if record else None

    def unable(self) -> Mapping[Mode, str]:
        """Return why the nodes' kernels cannot do ipvs."""
        if self._unable is None:
            try:
                for node in self._lab.spec.node_names:
                    modes.require_ipvs(self._lab.cluster, node)
                self._unable = {}
            except PreflightError as error:
                self._unable = {"ipvs": f"ipvs: {error.why}\n{error.fix}"}
            except LabkitError:  # a node is down: nobody knows
                return {}
        return self._unable

    def switch(self, mode: str, *, force: bool, progress: Progress) -> str:
        """Switch, and return what came of it."""
        return self._lab.proxy.switch(mode, force=force, progress=progress).caption()

    def _look_at_rules(self, nodes: Sequence[str], mode: Mode | None, present: Sequence[ProxyPod]) -> None:
        basis = (mode, present)
        settled = all(isinstance(found, str) or found.modes == (mode,) for found in self._tables.values())
        if basis == self._basis and settled and time.monotonic() - self._read < _RULES_SECONDS:
            return
        with ThreadPoolExecutor() as pool:
            self._tables = dict(zip(nodes, pool.map(self._tables_of, nodes), strict=True))
        self._basis, self._read = basis, time.monotonic()

    def _tables_of(self, node: str) -> Tables | str:
        try:
            return rules.tables(self._lab.cluster, node)
        except LabkitError as error:
            return error.why or error.what
        except OSError as error:
            return str(error)

    def _node(self, node: str, pod: ProxyPod | None) -> NodeState:
        found = self._tables[node]
        if isinstance(found, str):
            return NodeState(node, pod.name if pod else "", trouble=found)
        state = NodeState(node, modes=found.modes, count=found.count)
        if pod is None:
            return state
        return NodeState(node, pod.name, pod.running, self._line(pod), found.modes, found.count)

    def _line(self, pod: ProxyPod) -> str:
        if not self._lines.get(pod.uid):
            try:
                log = self._lab.kubectl(["logs", "--namespace", "kube-system", pod.name])
            except LabkitError:  # its container has not begun
                return ""
            self._lines[pod.uid] = pods.proxier_line(log)
        return self._lines[pod.uid]


class ReplayedProxy:
    """kube-proxy of a recording, for its panel: a button shows how it was in that mode.

    Parameters
    ----------
    proxy : RecordedProxy
        Whose.
    title, recorded : str
        What it is called, and what is plainly said of it.
    """

    def __init__(self, proxy: RecordedProxy, title: str, recorded: str) -> None:
        self._proxy = proxy
        self.title, self.recorded = title, recorded
        self._mode = proxy.mode

    def look(self) -> ProxyState:
        """Return how it was in the mode that was chosen."""
        chosen = self._mode  # another thread may choose meanwhile
        found = [self._node(node, mode) for mode, node in self._proxy.seen.rules if mode == chosen]
        return ProxyState(chosen, tuple(sorted(found, key=lambda each: self._proxy.nodes.index(each.node))))

    def last_switch(self) -> ShownSwitch | None:
        """Return the recorded switch to the mode that was chosen."""
        to = [switch for switch in self._proxy.switches if switch.after == self._mode]
        return _shown(to[-1]) if to else None

    def unable(self) -> Mapping[Mode, str]:
        """Return the modes that were not recorded."""
        has = ", ".join(self._proxy.modes)
        return {
            mode: gettext("{mode}: it was not recorded; this recording has {has}").format(mode=mode, has=has)
            for mode in _MODES
            if mode not in self._proxy.modes
        }

    def switch(self, mode: str, *, force: bool, progress: Progress) -> str:  # noqa: ARG002 - as a lab's
        """Show how it was in another mode."""
        self._mode = modes.check(mode)
        return gettext("Recorded: kube-proxy in mode {mode}").format(mode=mode)

    def _node(self, node: str, mode: Mode) -> NodeState:
        tables = self._proxy.seen.rules[mode, node].tables
        pod, line = "kube-proxy", ""  # only of switches are the pods' names recorded
        for switch in self._proxy.switches:
            # By way of a third mode, there are steps of one name: of the pods before, the first counts, else the last.
            steps = switch.steps if switch.after == mode else reversed(switch.steps)
            details = {step.what: step.detail for step in steps}
            listed = "list the new pods" if switch.after == mode else "list the pods"
            if mode in {switch.before, switch.after}:
                names = {where: name for name, where in _ON_NODE.findall(details.get(listed, ""))}
                pod = names.get(node, pod)
            if switch.after == mode:
                line = dict(_BY_NODE.findall(details.get("read their logs", ""))).get(node, line)
        return NodeState(node, pod, True, line, (mode,), tables.count)


def _asked_for(api: ApiServer) -> tuple[Mode | None, str]:
    """Return the ConfigMap's mode, or why it has none."""
    try:
        return modes.read(api).mode, ""
    except LabkitError as error:
        return None, str(error)


def _shown(switch: SeenSwitch) -> ShownSwitch:
    seconds = sum(step.seconds for step in switch.steps)
    said = switch.error or gettext("kube-proxy: {before} → {after} on every node, in {seconds:.1f} s").format(
        before=switch.before, after=switch.after, seconds=seconds
    )
    steps = [ShownStep(step.what, step.detail, step.seconds) for step in switch.steps]
    title = gettext("{before} → {after}, over at {time:%H:%M:%S} UTC").format(
        before=switch.before, after=switch.after, time=switch.time
    )
    if switch.error:
        title = gettext("{before} → {after}, failed at {time:%H:%M:%S} UTC").format(
            before=switch.before, after=switch.after, time=switch.time
        )
    return ShownSwitch(title, steps, said, bool(switch.error))
