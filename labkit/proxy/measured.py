"""What was measured of kube-proxy's modes, as plain values and as a table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from labkit.language import gettext, gettext_noop
from labkit.proxy.model import Mode
from labkit.proxy.table import Table


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured.

    Attributes
    ----------
    cores : int
        Processors that the measured node may use.
    processor, kernel, kubernetes : str
        As they name themselves.
    load : float
        Processes that wanted to run on average in the minute before (proc(5), loadavg).
    nodes : int
        How many nodes, and so kube-proxies, shared the machine.
    """

    cores: int
    processor: str
    kernel: str
    kubernetes: str
    load: float
    nodes: int

    def __str__(self) -> str:
        """Return it in a line."""
        return gettext(
            "{nodes} nodes on one machine: {cores} cores ({processor}), Linux {kernel}, "
            "Kubernetes {kubernetes}; load {load:.1f} before"
        ).format(**asdict(self))


@dataclass(frozen=True, slots=True)
class Run:
    """What was measured once of a mode, with so many Services.

    Attributes
    ----------
    mode : {"iptables", "nftables", "ipvs"}
        kube-proxy's.
    services : int
        How many were made for it, each with one endpoint.
    rules, elements : int
        The rules on the measured node, and the elements of sets and maps; of ipvs, the servers are elements.
    program_all : float
        How long kube-proxy needed to write all rules after its start, s
        (``kubeproxy_sync_full_proxy_rules_duration_seconds``).
    program_one : tuple of float
        From the API server's answer that a Service is made to the first connection that it answers, s, each time.
    first, last : float
        The median time to connect to the Service that the rules have first, and last, s.
    cpu : float
        Processor time of kube-proxy and of the programs that it calls, from its start until all was programmed, s.
    memory : float
        kube-proxy's resident memory then, MB.
    switch : float
        How long the switch to the mode took until all nodes served, s.
    asked, failed : int
        Requests to a Service 20 times a second during the switch, and how many were not answered.
    """

    mode: Mode
    services: int
    rules: int
    elements: int
    program_all: float
    program_one: tuple[float, ...]
    first: float
    last: float
    cpu: float
    memory: float
    switch: float
    asked: int
    failed: int


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that was measured several times: its mean and how far the values are from it (standard deviation)."""

    mean: float
    deviation: float

    def __str__(self) -> str:
        """Return ``"1.23 ± 0.04"``, with three digits that matter."""
        if not self.deviation:
            return _digits(self.mean)
        return f"{_digits(self.mean)} ± {_digits(self.deviation)}"


@dataclass(frozen=True, slots=True, repr=False)
class Measurement(Table):
    """All that was measured.

    Attributes
    ----------
    machine : Machine
        Where.
    node : str
        The node on which it was measured.
    runs : tuple of Run
        In order of time.
    left_out : str
        Which mode could not be measured and why; empty where all were.
    """

    machine: Machine
    node: str
    runs: tuple[Run, ...]
    left_out: str = ""

    TITLES: ClassVar[Sequence[str]] = (
        gettext_noop("mode"),
        "Services",
        gettext_noop("rules"),
        gettext_noop("elements"),
        gettext_noop("program all s"),
        gettext_noop("one more s"),
        gettext_noop("connect to first µs"),
        gettext_noop("to last µs"),
        gettext_noop("CPU s"),
        gettext_noop("memory MB"),
        gettext_noop("switch s"),
        gettext_noop("failed requests"),
    )

    def caption(self) -> str:
        """Return where and how it was measured."""
        rest = f" {self.left_out}." if self.left_out else ""
        return gettext(
            "kube-proxy on {node}, mean ± standard deviation of {repeats} runs. {machine}. "
            "Each Service has one endpoint. One more waits for kube-proxy's next round, too.{rest}"
        ).format(node=self.node, repeats=self.repeats, machine=self.machine, rest=rest)

    @property
    def repeats(self) -> int:
        """How often each was measured."""
        return max((len(self.of(run.mode, run.services)) for run in self.runs), default=0)

    def of(self, mode: str, services: int) -> list[Run]:
        """Return the runs of a mode with so many Services."""
        return [run for run in self.runs if (run.mode, run.services) == (mode, services)]

    @property
    def groups(self) -> list[tuple[Mode, int]]:
        """The modes and numbers of Services that were measured, in order."""
        return sorted({(run.mode, run.services) for run in self.runs}, key=lambda each: (each[1], each[0]))

    def figure(self, mode: str, services: int, name: str) -> Figure:
        """Return a figure of `Run` by its attribute's name; its single values are taken together."""
        values: list[float] = []
        for run in self.of(mode, services):
            value = getattr(run, name)
            values += value if isinstance(value, tuple) else (value,)
        return Figure(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0)

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per mode and number of Services."""
        return [self._row(mode, services) for mode, services in self.groups]

    def _row(self, mode: Mode, services: int) -> Sequence[str]:
        def shown(name: str, factor: float = 1.0) -> str:
            found = self.figure(mode, services, name)
            return str(Figure(found.mean * factor, found.deviation * factor))

        runs = self.of(mode, services)
        return (
            mode,
            str(services),
            *(shown(name) for name in ("rules", "elements", "program_all", "program_one")),
            *(shown(name, 1e6) for name in ("first", "last")),
            *(shown(name) for name in ("cpu", "memory", "switch")),
            gettext("{failed} of {asked}").format(
                failed=sum(run.failed for run in runs), asked=sum(run.asked for run in runs)
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain objects for `json.dumps`."""
        return asdict(self)


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
