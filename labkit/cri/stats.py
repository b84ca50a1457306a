"""What containers use, from /proc: there are no cgroups here.

Sources: proc(5) for ``/proc/PID/stat`` and ``/proc/net/dev``. A process's own time with that of the children it has
waited for, summed over all living processes of a container, is the time of all that ever ran in it, since orphans are
waited for by the container's init.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from labkit.cri import processes


@dataclass(slots=True)
class Usage:
    """What a set of processes uses.

    Attributes
    ----------
    cpu : int
        Nanoseconds of processor time since the start.
    memory : int
        Bytes of resident memory.
    minor_faults, major_faults : int
        Page faults since the start.
    processes : int
        How many there are.
    """

    cpu: int = 0
    memory: int = 0
    minor_faults: int = 0
    major_faults: int = 0
    processes: int = 0


def usage() -> dict[str, Usage]:
    """Return the usage of every container on the node, by the name of its mount namespace."""
    # Asked for here, not at the import: Windows, which reads recordings and kind's labs, has no sysconf(3).
    tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    page = os.sysconf("SC_PAGE_SIZE")
    found: dict[str, Usage] = {}
    for pid in processes.pids():
        fields = processes.stat(pid)
        mounts = processes.namespace(pid, "mnt")
        if not fields or not mounts:
            continue
        total = found.setdefault(mounts, Usage())
        total.cpu += sum(map(int, fields[11:15])) * tick
        total.memory += int(fields[21]) * page
        total.minor_faults += int(fields[7])
        total.major_faults += int(fields[9])
        total.processes += 1
    return found


def disk(folder: Path) -> tuple[int, int]:
    """Return the bytes and the number of files in a folder, of its own file system alone."""
    size = files = 0
    for base, folders, names in os.walk(folder):
        for name in (*folders, *names):
            try:
                entry = os.lstat(os.path.join(base, name))  # noqa: PTH118 - many files
            except OSError:
                continue
            size += entry.st_blocks * 512
            files += 1
    return size, files


def interface(pid: int, name: str) -> tuple[int, int, int, int] | None:
    """Return bytes and errors received, bytes and errors sent, by an interface in a process's network namespace."""
    try:
        lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        label, _, numbers = line.partition(":")
        if label.strip() == name:
            values = list(map(int, numbers.split()))
            return values[0], values[2], values[8], values[10]
    return None
