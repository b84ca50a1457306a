"""What one account may use of the machine, held by control groups (cgroups(7)), of version 1 or 2."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labkit.errors import ClusterError, PreflightError

ROOT = Path("/sys/fs/cgroup")
_PARENT = "labkit-classroom"
_PERIOD = 100_000  # microseconds, the kernel's default (Documentation/scheduler/sched-bwc)
_END_SECONDS = 10.0
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Usage:
    """What the processes of an account used.

    Attributes
    ----------
    memory, peak : int
        Bytes, now and at most; page cache is part of it.
    processor : float
        Seconds of processor time since the group was made.
    killed : int
        How many processes the kernel ended because the limit of memory was reached.
    """

    memory: int
    peak: int
    processor: float
    killed: int


class ControlGroup:
    """The processes of one account, from the first to the last.

    Parameters
    ----------
    name : str
        The account's.
    memory : int or None
        Bytes that they may take together; None for no bound.
    processors : float or None
        Of how many processors they may take the time; None for no bound.
    root : Path
        Where control groups are mounted.
    """

    def __init__(
        self, name: str, *, memory: int | None = None, processors: float | None = None, root: Path = ROOT
    ) -> None:
        self._memory, self._processors = memory, processors
        self._unified = (root / "cgroup.controllers").exists()
        if self._unified:
            self._folders = {"": root / _PARENT / name}
        else:
            self._folders = {each: root / each / _PARENT / name for each in ("memory", "cpu", "cpuacct")}

    def make(self) -> None:
        """Make the group, or take the one that there is, and set its bounds.

        Raises
        ------
        PreflightError
            This machine lets nobody make control groups: only root can, and not in every container.
        """
        try:
            for folder in self._folders.values():
                folder.mkdir(parents=True, exist_ok=True)
            if self._unified:
                for above in (self._only.parents[1], self._only.parent):
                    (above / "cgroup.subtree_control").write_text("+memory +cpu")
            for path, value in self._bounds():
                path.write_text(value)
        except OSError as error:
            raise PreflightError(
                "An account's memory and processors cannot be bounded",
                why=str(error),
                fix="run the Hub as root on a machine whose control groups can be written, "
                "or set neither mem_limit nor cpu_limit",
            ) from error

    def enter(self) -> None:
        """Move the calling process into the group; those that it starts are in it, too."""
        for folder in self._folders.values():
            (folder / "cgroup.procs").write_text(str(os.getpid()))

    def usage(self) -> Usage:
        """Return what they use."""
        if self._unified:
            events = _table(self._only / "memory.events")
            used = _table(self._only / "cpu.stat")["usage_usec"] / 1e6
            memory, peak = _number(self._only / "memory.current"), _number(self._only / "memory.peak")
            return Usage(memory, peak, used, events["oom_kill"])
        folder = self._folders["memory"]
        return Usage(
            _number(folder / "memory.usage_in_bytes"),
            _number(folder / "memory.max_usage_in_bytes"),
            _number(self._folders["cpuacct"] / "cpuacct.usage") / 1e9,
            _table(folder / "memory.oom_control")["oom_kill"],
        )

    def end(self) -> None:
        """End every process of the group, and remove it; nothing happens where there is none.

        Raises
        ------
        ClusterError
            A process does not end.
        """
        deadline = time.monotonic() + _END_SECONDS
        while living := set(self._processes()):
            if time.monotonic() > deadline:
                raise ClusterError(
                    "Processes of an account do not end",
                    why=f"still there after SIGKILL: {', '.join(map(str, sorted(living)))}",
                    fix="look what they wait for: cat /proc/PID/stack",
                )
            for pid in living:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(_POLL_SECONDS)
        for folder in self._folders.values():
            for each in _below(folder):
                each.rmdir()

    @property
    def _only(self) -> Path:
        return self._folders[""]

    def _bounds(self) -> Iterator[tuple[Path, str]]:
        if self._unified:
            yield self._only / "memory.max", "max" if self._memory is None else str(self._memory)
            quota = "max" if self._processors is None else str(int(self._processors * _PERIOD))
            yield self._only / "cpu.max", f"{quota} {_PERIOD}"
        else:
            yield self._folders["memory"] / "memory.limit_in_bytes", str(-1 if self._memory is None else self._memory)
            quota = "-1" if self._processors is None else str(int(self._processors * _PERIOD))
            yield self._folders["cpu"] / "cpu.cfs_quota_us", quota

    def _processes(self) -> Iterator[int]:
        folder = next(iter(self._folders.values()))
        for each in _below(folder):
            yield from map(int, (each / "cgroup.procs").read_text().split())


def _below(folder: Path) -> list[Path]:
    """Return a group and those in it, the innermost first."""
    return sorted((path for path in (folder, *folder.rglob("*")) if path.is_dir()), reverse=True)


def _number(path: Path) -> int:
    return int(path.read_text())


def _table(path: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}
