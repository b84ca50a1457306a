"""What a lab could leave behind, counted."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Callable, Sequence
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


def pids_of(program: str, user: str) -> list[int]:
    """Return the processes that an account has of a program; of all programs where it is empty."""
    uid = pwd.getpwnam(user).pw_uid
    found = []
    for process in psutil.process_iter(["pid", "name", "uids", "status"]):
        uids = process.info["uids"]
        living = process.info["status"] != psutil.STATUS_ZOMBIE
        if living and uids is not None and uids.real == uid and (not program or process.info["name"] == program[:15]):
            found.append(process.info["pid"])
    return found


def of_a_class(names: Sequence[str]) -> list[str]:
    """Return what is there of the students of a class: accounts, homes, networks, control groups, ways to them."""
    found = [account.pw_name for account in pwd.getpwall() if account.pw_name in names]
    for name in names:
        places = [Path("/home", name), Path("/run/netns", f"labkit-{name}")]
        places += [
            path for depth in ("", "*/") for path in Path("/sys/fs/cgroup").glob(f"{depth}labkit-classroom/{name}")
        ]
        found += [str(path) for path in places if path.exists()]
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "labkit.node.forwarder" in words and "127.0.0.1" in words:  # a lab's own lead to addresses inside it
            found.append(" ".join(words))
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
