"""A class on one server: a real JupyterHub, all of whose students call `labkit.up()` at the same moment.

Seconds until the first, the middle and the last lab is up; then, with a Tomcat in each, memory and idle processor time
of a student, JupyterLab and the notebook's kernel included; and how many students that makes on 16 GB, and on a
processor. With `--students 8 16 20`, one class after the other, up to what the machine bears. To be run as root.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from labkit.classroom.limits import ControlGroup
from tests.classroom import hub as hubs
from tests.classroom.hub import Student

_UP = """\
import labkit
from labkit.progress import Progress
lab = labkit.up(small={small}, progress=Progress())
print(lab.kubectl("get nodes --no-headers"))"""
_DEPLOY = 'lab.deploy("tomcat", image="tomcat8", progress=Progress())'
_MB, _SERVER = 1e6, 16_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", type=int, nargs="+", default=[8], help="of each class (default 8)")
    parser.add_argument("--ordinary", action="store_true", help="ordinary labs, not small ones")
    parser.add_argument("--idle", type=float, default=30.0, help="seconds in which nobody does anything (default 30)")
    options = parser.parse_args()
    if why := hubs.missing():
        sys.exit(why)
    print(f"{psutil.cpu_count()} processors, load {psutil.getloadavg()[0]:.1f}")
    for number in options.students:
        names = [f"labkit-bench-{each}" for each in range(1, number + 1)]
        with TemporaryDirectory() as folder, hubs.classroom(Path(folder)) as hub:
            _lesson([hub.student(name) for name in names], small=not options.ordinary, idle=options.idle)


def _lesson(students: Sequence[Student], *, small: bool, idle: float) -> None:
    groups = [ControlGroup(student.name) for student in students]
    with ExitStack() as until_the_end, ThreadPoolExecutor(len(students)) as pool:
        free, started = psutil.virtual_memory().available, time.monotonic()
        list(pool.map(Student.start, students))
        kernels = [until_the_end.enter_context(student.kernel()) for student in students]
        print(f"{len(students)} students: servers and kernels up in {time.monotonic() - started:.1f} s", flush=True)
        before = _used(groups)
        seconds = list(pool.map(lambda run: _up(run, small=small), kernels))
        up = [each for each in seconds if each]
        print(
            f"  labs up: {len(up)} of {len(students)}, the first after {min(up):.1f} s, the middle one "
            f"{statistics.median(up):.1f} s, the last {max(up):.1f} s; "
            f"{(_used(groups) - before) / len(students):.1f} s of a processor for each",
            flush=True,
        )
        deployed = list(pool.map(lambda run: _seconds(run, _DEPLOY)[0], kernels))
        print(
            f"  a Tomcat deployed by all at once: the middle one runs after {statistics.median(deployed):.1f} s, "
            f"the last after {max(deployed):.1f} s",
            flush=True,
        )
        memory = [_memory(student.name) for student in students]
        before, began = _used(groups), time.monotonic()
        time.sleep(idle)
        busy = (_used(groups) - before) / (time.monotonic() - began) / len(students)
        each, free = statistics.mean(memory), free - psutil.virtual_memory().available
        print(
            f"  one student, one Tomcat: {each:.0f} MB PSS, so {_SERVER / each:.0f} in 16 GB; "
            f"idle {100 * busy:.1f} % of a processor, so {1 / busy:.1f} on each; "
            f"all take {free / _MB / 1e3:.1f} GB of what was available",
            flush=True,
        )


def _up(run: Callable[[str], str], *, small: bool) -> float | None:
    """Return the seconds until a student's lab is up, None where it does not come up."""
    seconds, said = _seconds(run, _UP.format(small=small))
    if said.count(" Ready ") == 1 + (1 if small else 2):
        return seconds
    print(said)
    return None


def _seconds(run: Callable[[str], str], code: str) -> tuple[float, str]:
    """Return how long code took in a kernel, and what it printed."""
    started = time.monotonic()
    said = run(code)
    return time.monotonic() - started, said


def _used(groups: Sequence[ControlGroup]) -> float:
    return sum(group.usage().processor for group in groups)


def _memory(account: str) -> float:
    """Return the proportional set size of all processes of an account, in MB."""
    total = 0
    for process in psutil.process_iter():
        try:
            if f"/labkit-classroom/{account}\n" in Path(f"/proc/{process.pid}/cgroup").read_text():
                total += process.memory_full_info().pss
        except (OSError, psutil.NoSuchProcess):  # it has ended
            continue
    return total / _MB


if __name__ == "__main__":
    main()
