"""What a lab could leave behind, counted."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil


def processes(folder: Path) -> list[str]:
    """Return the command lines of all processes that have to do with a lab's folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and any(str(folder) in word for word in process.cmdline()):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def pid_namespace_members(namespace: str) -> list[int]:
    """Return the pids of the processes in a PID namespace, as ``pid:[4026532000]`` names it, or in one below it."""
    members = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if str((path / "ns/pid").readlink()) == namespace:
                members.append(int(path.name))
        except OSError:
            continue
    return members


def mounts(folder: Path) -> list[str]:
    """Return this mount namespace's mounts below a folder."""
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(folder) in line]


def eventually(condition: Callable[[], object], timeout: float = 10.0) -> None:
    """Wait until a condition holds; fail if it does not in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come to hold in time"
        time.sleep(0.05)
