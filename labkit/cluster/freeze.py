"""Hold a component of a running cluster still, and let it go on: SIGSTOP and SIGCONT (signal(7)), with a way out.

Who holds is a small process on the component's node. It lets go when it is told to, when its time is over, and when
the process that asked for it has ended, however that was: its standard input then ends. So nothing stays frozen.
"""

from __future__ import annotations

import atexit
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from labkit.cluster.kubeadm import STATIC_PODS
from labkit.cluster.protocol import Cluster
from labkit.errors import ClusterError, UsageError
from labkit.language import gettext

#: On every node.
EVERYWHERE = ("kubelet", "kube-proxy")
#: Seconds. The kubelet starts a static pod anew that does not answer its liveness probes (`kubeadm.LIVENESS_FAILURES`).
LONGEST = 600.0

_MARK = "labkit-holds"
_PATIENCE = 5.0
# A shell runs a trap only between commands or during `wait`, and gives what it runs in the background no input. Who is
# told to stop does so when each of its threads next has a processor.
_HOLD = """
seconds=$1; shift
trap 'kill -CONT "$@" 2>/dev/null; kill $! 2>/dev/null' EXIT
trap exit HUP INT TERM
exec 3<&0
kill -STOP "$@" || exit
for pid; do
    while grep -q '^State:.[RSD]' "/proc/$pid/status" 2>/dev/null; do sleep 0.01; done
done
echo held
timeout "$seconds" cat <&3 >/dev/null & wait
"""


@dataclass(frozen=True, slots=True)
class Component:
    """A component on a node; as a string ``"kube-scheduler"`` or ``"kubelet/node-01"``.

    Attributes
    ----------
    name, node : str
        ``"kubelet"``, ``"node-01"``.
    """

    name: str
    node: str

    def __str__(self) -> str:
        """Return how a person names it."""
        return f"{self.name}/{self.node}" if self.name in EVERYWHERE else self.name


#: What this process holds: a component is not let go only because nobody remembers the `Freeze`.
_kept: set[Freeze] = set()


@atexit.register
def _thaw_kept() -> None:
    for held in list(_kept):
        held.thaw()


class Freeze:
    """A component that is held still; as a context manager it is let go at the end of the block.

    Parameters
    ----------
    component : Component
        Which.
    holder : subprocess.Popen
        The process that holds it; it lets go when its input ends.
    limit : float
        Seconds after which it lets go by itself.
    """

    def __init__(self, component: Component, holder: subprocess.Popen[str], limit: float) -> None:
        self.component = component
        self.limit = limit
        self._holder = holder
        self._since = time.monotonic()
        _kept.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.thaw()

    def __repr__(self) -> str:
        state = f"frozen, {self.left:.0f} s left" if self.active else "goes on"
        return f"<{self.component}: {state}>"

    @property
    def active(self) -> bool:
        """Whether the component is still held."""
        return self._holder.poll() is None

    @property
    def left(self) -> float:
        """Seconds until it is let go by itself; 0 once it has been."""
        return max(0.0, self.limit - (time.monotonic() - self._since)) if self.active else 0.0

    def wait(self) -> None:
        """Wait until it is let go by itself."""
        self._holder.wait()

    def thaw(self) -> None:
        """Let the component go on; nothing happens if it already does."""
        _kept.discard(self)
        for pipe in (self._holder.stdin, self._holder.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._holder.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            raise ClusterError(
                gettext("{component} was not let go in time").format(component=self.component),
                why=gettext("the process that holds it does not end"),
                fix="lab.thaw()",
            ) from None


def find(cluster: Cluster, name: str) -> Component:
    """Return the component of that name.

    Parameters
    ----------
    cluster : Cluster
        Whose.
    name : str
        ``"kube-scheduler"``, ``"kubelet/node-01"``.

    Raises
    ------
    UsageError
        There is none, or it does not say on which node.
    """
    program, _, node = name.partition("/")
    nodes = cluster.spec.node_names
    if program in STATIC_PODS and node in {"", nodes[0]}:
        return Component(program, nodes[0])
    if program in EVERYWHERE and node in nodes:
        return Component(program, node)
    if program in EVERYWHERE:
        raise UsageError(
            gettext("Which {program}?").format(program=program),
            why=gettext("every node has one"),
            fix=gettext("say {program}/{node}, for example").format(program=program, node=nodes[-1]),
        )
    known = (*STATIC_PODS, *(f"{each}/NODE" for each in EVERYWHERE))
    raise UsageError(
        gettext("There is no component {name!r}").format(name=name),
        why=gettext("there are {known}").format(known=", ".join(known)),
        fix=gettext("choose one of them"),
    )


def freeze(cluster: Cluster, name: str, *, limit: float = LONGEST) -> Freeze:
    """Hold a component still.

    Parameters
    ----------
    cluster : Cluster
        Whose.
    name : str
        As `find` takes it.
    limit : float
        Seconds after which it is let go by itself; at most `LONGEST`.

    Raises
    ------
    UsageError
        There is no such component, or the limit is out of range.
    ClusterError
        It does not run.
    """
    component = find(cluster, name)
    if not 0 < limit <= LONGEST:
        raise UsageError(
            gettext("A component cannot be frozen for {seconds:g} s").format(seconds=limit),
            why=gettext("from {longest:.0f} s on the kubelet would take it for dead and start it anew").format(
                longest=LONGEST
            ),
            fix=gettext("say between 1 and {longest:.0f}").format(longest=LONGEST),
        )
    pids = [process.pid for process in _processes(cluster, component.node) if process.runs(component.name)]
    if not pids:
        raise ClusterError(
            gettext("{component} does not run").format(component=component),
            why=gettext("{node} has no such process").format(node=component.node),
            fix="labkit status",
        )
    command = ["sh", "-c", _HOLD, _MARK, f"{limit:g}", *pids]
    holder = subprocess.Popen(
        cluster.node_command(component.node, command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a notebook's "interrupt" is for its cell, not for what it holds
    )
    held = Freeze(component, holder, limit)
    if holder.stdout is None or holder.stdout.readline() != "held\n":
        held.thaw()
        raise ClusterError(
            gettext("{component} could not be frozen").format(component=component),
            why=gettext("its process has just ended"),
            fix=gettext("try again"),
        )
    return held


def frozen(cluster: Cluster) -> tuple[Component, ...]:
    """Return the components that are held still, by whomever."""
    return tuple(component for component, pids in _held(cluster).items() if pids)


def thaw(cluster: Cluster, name: str | None = None) -> tuple[Component, ...]:
    """Let a component, or every one, go on, whoever holds it; return those that were held.

    Raises
    ------
    UsageError
        There is no such component.
    """
    wanted = None if name is None else find(cluster, name)
    thawed = []
    for component, pids in _held(cluster).items():
        if pids and wanted in {None, component}:
            holders = [p.pid for p in _processes(cluster, component.node) if p.holds(pids)]
            # The holder is told first, or it would still count the time of a component that goes on.
            script = "kill $1 2>/dev/null; kill -CONT $2"
            _run(cluster, component.node, ["sh", "-c", script, "sh", " ".join(holders), " ".join(pids)])
            thawed.append(component)
    return tuple(thawed)


@dataclass(frozen=True, slots=True)
class _Process:
    """A line of ps(1)."""

    pid: str
    state: str
    command: str

    def runs(self, program: str) -> bool:
        return self.command.partition(" ")[0].rpartition("/")[2] == program

    def holds(self, pids: Sequence[str]) -> bool:
        _, _, held = self.command.partition(f"{_MARK} ")
        return set(pids) <= set(held.split()[1:])


def _held(cluster: Cluster) -> dict[Component, list[str]]:
    """Return the stopped processes of every component on the nodes that run."""
    nodes = [node for node in cluster.spec.node_names if cluster.node_running(node)]
    found = {}
    for node in nodes:
        processes = _processes(cluster, node)
        for name in (*(STATIC_PODS if node == cluster.spec.node_names[0] else ()), *EVERYWHERE):
            stopped = [p.pid for p in processes if p.runs(name) and p.state.startswith("T")]
            found[Component(name, node)] = stopped
    return found


def _processes(cluster: Cluster, node: str) -> list[_Process]:
    lines = _run(cluster, node, ["ps", "-ww", "-eo", "pid=,stat=,args="]).splitlines()
    return [_Process(*fields) for line in lines if len(fields := line.split(None, 2)) == 3]


def _run(cluster: Cluster, node: str, argv: Sequence[str]) -> str:
    return subprocess.run(cluster.node_command(node, argv), capture_output=True, text=True, check=False).stdout
