"""`kubeadm init` on a prepared node, watched: as a whole, or one phase at a time."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from labkit.cluster.kubeadm import CONFIG
from labkit.cluster.rootless import RootlessCluster
from labkit.errors import ClusterError, UsageError
from labkit.lab.installation.phases import PHASES, InitPhase, InitRun, PhaseKind
from labkit.lab.installation.written import FileChange, FileWatch, ObjectChange, object_changes
from labkit.language import gettext
from labkit.progress import Phase, Progress
from labkit.widgets.progress import watch

if TYPE_CHECKING:
    from labkit.widgets.init import InitPanel

#: Longer than kubeadm itself waits for the kubelet and for the control plane: four minutes each (Timeouts of
#: kubeadm.k8s.io/v1beta4).
TIME_LIMIT = 540.0

_SECRET = re.compile(r"\b([a-z0-9]{6})\.[a-z0-9]{16}\b|(--certificate-key )\w+")
#: What kubeadm writes before a line of a phase, where that is not the phase's name.
_PREFIXES = {
    "kubelet-check": "wait-control-plane",
    "control-plane-check": "wait-control-plane",
    "api-check": "wait-control-plane",
    "kubelet": "upload-config",
    "addons": "addon",
}
_NAMES = frozenset(kind.name for kind in PHASES)
_PRINTED = re.compile(r"\[([a-z-]+)\] ")


@dataclass(slots=True)
class _Begun:
    """A phase under way: times are seconds since the epoch, `end` is 0 until it has one."""

    name: str
    start: float
    end: float = 0.0
    lines: list[str] = field(default_factory=list)


class Watch:
    """Runs kubeadm on the control plane's node, and keeps who wrote what and when.

    Parameters
    ----------
    cluster : RootlessCluster
        A lab's whose nodes run.
    """

    def __init__(self, cluster: RootlessCluster) -> None:
        self._cluster = cluster
        self._node = cluster.spec.node_names[0]
        self._files = FileWatch(cluster.node_root(self._node))
        self._lock = threading.Lock()
        self._phases: list[_Begun] = []
        self._trouble = ""

    def run(self, arguments: Sequence[str], *, first: str, phase: Phase, time_limit: float = TIME_LIMIT) -> bool:
        """Run kubeadm to its end, and return whether it said that all went well.

        Parameters
        ----------
        arguments : sequence of str
            kubeadm's.
        first : str
            The phase that it begins with; the others begin with the first line that kubeadm prints of them.
        phase : Phase
            Is advanced.
        time_limit : float
            Seconds, after which it is ended.
        """
        with self._files:
            return self._run(arguments, first, phase, time_limit)

    def so_far(self) -> InitRun:
        """Return what is known by now; a phase under way lasts until now."""
        with self._lock:
            begun = [_Begun(each.name, each.start, each.end or time.time(), list(each.lines)) for each in self._phases]
            trouble = self._trouble
        if not begun:
            return InitRun((), 0.0)
        objects = object_changes(self._cluster.audit_log, begun[0].start)
        run = _composed(_with_add_ons(begun, objects), self._files.changes, objects)
        return replace(run, trouble=trouble)

    def _run(self, arguments: Sequence[str], first: str, phase: Phase, time_limit: float) -> bool:
        command = self._cluster.node_command(self._node, ["timeout", f"{time_limit:.0f}", "kubeadm", *arguments])
        self._begin(first)
        phase.advance(first)
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                for line in process.stdout or ():
                    self._take(_SECRET.sub(r"\1\2…", line.rstrip()))
                    phase.advance(self._phases[-1].name)
            except BaseException:
                process.kill()
                raise
        with self._lock:
            self._phases[-1].end = time.time()
            if process.returncode:
                self._trouble = _error(self._phases[-1].lines, process.returncode, time_limit)
        return process.returncode == 0

    def _begin(self, name: str) -> None:
        with self._lock:
            self._trouble = ""
            self._phases.append(_Begun(name, time.time()))

    def _take(self, line: str) -> None:
        printed = _PRINTED.match(line)
        name = _PREFIXES.get(printed[1], printed[1]) if printed else ""
        with self._lock:
            now = self._phases[-1]
            if name in _NAMES and name != now.name:
                now.end = time.time()
                now = _Begun(name, now.end)
                self._phases.append(now)
            now.lines.append(line)


class InitSteps:
    """`kubeadm init phase …`, one after another, each when you say so.

    Parameters
    ----------
    cluster : RootlessCluster
        A lab's that is not initialised.
    """

    def __init__(self, cluster: RootlessCluster) -> None:
        self._cluster = cluster
        self._watch = Watch(cluster)
        self._done = 0

    @property
    def kinds(self) -> Sequence[PhaseKind]:
        """All phases, in order."""
        return PHASES

    @property
    def upcoming(self) -> PhaseKind | None:
        """The phase that comes next; None after the last one."""
        return PHASES[self._done] if self._done < len(PHASES) else None

    @property
    def run(self) -> InitRun:
        """What is known by now."""
        return self._watch.so_far()

    def next(self, progress: Progress | None = None) -> InitPhase:
        """Run the next phase, and return what it did.

        Raises
        ------
        UsageError
            There is none left.
        ClusterError
            kubeadm failed; the phase is still the next one.
        """
        kind = self.upcoming
        if kind is None:
            raise UsageError(
                gettext("All phases have been run"), fix=gettext("lab.reset() takes the node back to where it was")
            )
        with self._cluster.folder.locked(), (progress or Progress()).phase(kind.name) as phase:
            well = self._watch.run(kind.arguments, first=kind.name, phase=phase)
        run = self.run
        if not well:
            raise ClusterError(gettext("kubeadm init phase {name} failed").format(name=kind.name), why=run.trouble)
        self._done += 1
        return run.phases[-1]

    def rest(self, progress: Progress | None = None) -> InitRun:
        """Run the phases that are left, and return what all of them did; it raises what `next` does."""
        with watch(progress) as reporter:
            while self.upcoming is not None:
                self.next(reporter)
        return self.run

    def panel(self) -> InitPanel:
        """Return the panel that a notebook shows, with a button for the next phase and one for all."""
        from labkit.widgets.init import InitPanel  # noqa: PLC0415 - who steps without a notebook needs no widgets

        return InitPanel(self, title=gettext("kubeadm init on lab {name!r}").format(name=self._cluster.spec.name))

    def _ipython_display_(self) -> None:
        self.panel()._ipython_display_()


def init(cluster: RootlessCluster, progress: Progress, *, time_limit: float = TIME_LIMIT) -> InitRun:
    """Run `kubeadm init` as a whole, and return what each phase did, whether it came to its end or not.

    Parameters
    ----------
    cluster : RootlessCluster
        A lab's whose nodes run.
    progress : Progress
        Shows the phases.
    time_limit : float
        Seconds, after which it is ended.
    """
    watch = Watch(cluster)
    with progress.phase("kubeadm init") as phase:
        watch.run(["init", "--config", CONFIG], first=PHASES[0].name, phase=phase, time_limit=time_limit)
    return watch.so_far()


def _composed(begun: Sequence[_Begun], files: Sequence[FileChange], objects: Sequence[ObjectChange]) -> InitRun:
    """Return phases with what was written in each, one after another: what a reader thought between two is no part."""
    written: dict[int, list[FileChange]] = defaultdict(list)
    for change in files:
        at = _place(begun, change)
        if at is not None:
            written[at].append(change)
    phases: list[InitPhase] = []
    for at, each in enumerate(begun):
        start = sum(phase.seconds for phase in phases)
        made = tuple(change for change in objects if each.start <= change.time < each.end)
        phases.append(InitPhase(each.name, start, each.end - each.start, tuple(each.lines), tuple(written[at]), made))
    return InitRun(tuple(phases), sum(phase.seconds for phase in phases), began=begun[0].start)


def _place(begun: Sequence[_Begun], change: FileChange) -> int | None:
    """Return in which phase a file was written; None where that was between two of them.

    A file's time is that of the kernel's last tick, some milliseconds before, and phases that only write files are as
    short: so where kubeadm says in which of them it writes the file, or what is in its folder, that counts more.
    """
    path = PurePosixPath(change.path)
    within = [at for at, each in enumerate(begun) if each.start <= change.time < each.end]
    for names in ((str(path), path.name, path.stem), map(str, path.parents)):
        quoted = {f'"{name}"' for name in names} if change.who == "kubeadm" else set()
        said = [at for at, each in enumerate(begun) if any(quote in line for line in each.lines for quote in quoted)]
        if said:
            return min(said, key=lambda at: max(begun[at].start - change.time, change.time - begun[at].end, 0.0))
    return within[0] if within else None


def _with_add_ons(begun: list[_Begun], objects: Sequence[ObjectChange]) -> list[_Begun]:
    """Return the phases with the last one begun when its first object was written.

    kubeadm prints a line of an add-on only when it has applied it; the phase before it writes no object.
    """
    names = [each.name for each in begun]
    if "addon" not in names or names[names.index("addon") - 1] != "kubelet-finalize":
        return begun
    before, add_ons = begun[names.index("addon") - 1], begun[names.index("addon")]
    first = next((each.time for each in objects if each.who == "kubeadm" and each.time > before.start), add_ons.start)
    before.end = add_ons.start = min(first, add_ons.start)
    return begun


def _error(lines: Sequence[str], code: int, time_limit: float) -> str:
    """Return kubeadm's own words on why it failed: the lines from its error on."""
    if code == 124:  # timeout(1)
        return gettext("it was ended after {seconds:.0f} s").format(seconds=time_limit)
    told = [line for line in map(str.strip, lines) if line.startswith(("[ERROR", "error"))]
    return "\n".join(told or lines[-5:])
