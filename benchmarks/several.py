"""Several labs on one machine, as a class has them: seconds, memory and idle processor time of each further one."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

import labkit
from benchmarks.lifecycle import memory
from labkit import components
from labkit.lab import Lab
from labkit.progress import Progress

_ALL = "all processes, one Tomcat"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labs", type=int, default=4, help="how many, one after the other (default 4)")
    parser.add_argument("--small", action="store_true", help="small ones")
    parser.add_argument("--idle", type=float, default=30.0, help="seconds in which nobody does anything (default 30)")
    options = parser.parse_args()
    components.ensure()
    labs: list[Lab] = []
    with ExitStack() as until_the_end:
        for number in range(1, options.labs + 1):
            started = time.monotonic()
            lab = labkit.up(f"bench-{number}", small=options.small, provider="rootless", progress=Progress())
            labs.append(until_the_end.enter_context(lab))
            seconds = time.monotonic() - started
            lab.deploy("tomcat", progress=Progress())
            sizes = [memory(each)[_ALL] for each in labs]
            print(
                f"lab {number}: up in {seconds:.1f} s; memory of all {sum(sizes):.0f} MB PSS, "
                f"{sum(sizes) / number:.0f} for each, the machine has {_available():.0f} MB left",
                flush=True,
            )
        print(f"idle: {100 * _busy(labs, options.idle) / len(labs):.1f} % of a processor for each lab")


def _available() -> float:
    return psutil.virtual_memory().available / 1e6


def _busy(labs: list[Lab], seconds: float) -> float:
    """Return how many processors the labs' processes used on average."""
    before = _processor_seconds(labs)
    time.sleep(seconds)
    after = _processor_seconds(labs)
    return sum(after[pid] - before.get(pid, 0.0) for pid in after) / seconds


def _processor_seconds(labs: list[Lab]) -> dict[int, float]:
    folders = [str(lab.cluster.folder.path) for lab in labs]
    found: dict[int, float] = {}
    for process in psutil.process_iter():
        try:
            words = [word for link in (process, *process.parents()) for word in link.cmdline()]
            if any(folder in word for folder in folders for word in words):
                times = process.cpu_times()
                found[process.pid] = times.user + times.system
        except psutil.Error:
            continue
    return found


if __name__ == "__main__":
    main()
