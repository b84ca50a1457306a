"""Start bubblewrap and learn from it: which process is the sandbox's, and how it ended.

Source: bwrap(1), ``--json-status-fd``: one JSON object a line, ``child-pid`` first and ``exit-code`` at the end. They
go to a file, so an exit code is known even if nobody was there when it happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
from pathlib import Path

from labkit.cri import processes
from labkit.cri.bubblewrap import BWRAP
from labkit.cri.processes import Identity

_PAUSE = 0.001
_PATIENCE = 10.0
# The programs that run between bubblewrap's start and the container's own program.
_STAGES = {os.path.realpath(path) for path in (BWRAP, "/usr/bin/nsenter", "/usr/bin/setpriv", "/usr/bin/setsid")}


def start(
    options: list[str],
    program: list[str],
    *,
    enter: list[str],
    env: dict[str, str],
    streams: tuple[int, int, int],
    inherit: tuple[int, ...],
) -> tuple[Identity, subprocess.Popen[bytes]]:
    """Start bubblewrap in a session of its own, so that nothing that ends the runtime ends it.

    Its options go through a descriptor (``--args``): process 1 of a container is bubblewrap, and ``ps`` there should
    be readable.

    Parameters
    ----------
    options, program : list of str
        Bubblewrap's options, and what it runs.
    enter : list of str
        The command that enters the pod's namespaces before.
    env : dict of str to str
        The program's environment.
    streams : tuple of int
        Standard input, output and errors.
    inherit : tuple of int
        Other descriptors that the options name.

    Returns
    -------
    tuple of Identity, subprocess.Popen
        Bubblewrap's outer process, and the handle that reaps it while this runtime lives.
    """
    stdin, stdout, stderr = streams
    arguments = os.memfd_create("bwrap")
    try:
        os.write(arguments, b"".join(option.encode() + b"\0" for option in options))
        os.lseek(arguments, 0, os.SEEK_SET)
        handle = subprocess.Popen(
            [*enter, BWRAP, "--args", str(arguments), "--", *program],
            env=env,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=(*inherit, arguments),
            start_new_session=True,
        )
    finally:
        os.close(arguments)
    # A child that has ended stays a zombie until it is reaped: its pid is safe, its start time no longer matters.
    return Identity.of(handle.pid) or Identity(handle.pid, -1), handle


async def can_mount_proc() -> bool:
    """Tell whether a new /proc may be mounted: not where a part of the present one is hidden (user_namespaces(7))."""
    argv = [BWRAP, "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"]
    argv += ["--unshare-pid", "--proc", "/proc", "--", "/usr/bin/true"]
    code, _, _ = await processes.run(argv, env={}, stdin=b"", timeout=_PATIENCE)
    return code == 0


def status(path: Path) -> dict[str, int]:
    """Return what bubblewrap has written so far: ``child-pid``, and ``exit-code`` once it has ended."""
    found: dict[str, int] = {}
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        try:
            found |= json.loads(line)
        except ValueError:
            continue  # half a line: bubblewrap is writing it
    return found


def first(folder: Path, monitor: Identity) -> Identity | None:
    """Return a sandbox's first process: bubblewrap's child or, once bubblewrap has ended, who writes to its output."""
    pid = status(folder / "status").get("child-pid")
    if pid is None:
        return None
    with contextlib.suppress(OSError):
        if processes.parent(pid) == monitor.pid or Path(f"/proc/{pid}/fd/1").samefile(folder / "stdout"):
            return Identity.of(pid)
    return None


def main_of(eldest: Identity, *, init: bool) -> Identity | None:
    """Return a sandbox's own program: its first process or, where that is an init, the init's first child."""
    children = processes.children(eldest.pid) if init else [eldest.pid]
    return Identity.of(children[0]) if children else None


async def program(folder: Path, monitor: Identity, *, init: bool) -> Identity | None:
    """Wait until a sandbox's own program runs.

    Parameters
    ----------
    folder : Path
        Where the status file is.
    monitor : Identity
        Bubblewrap's outer process.
    init : bool
        Whether bubblewrap's own init comes between it and the program.

    Returns
    -------
    Identity or None
        The program; None if bubblewrap ended before it was seen.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _PATIENCE
    while monitor.alive() and loop.time() < deadline:
        eldest = first(folder, monitor)
        if eldest and (main := main_of(eldest, init=init)) and _is_own(main.pid):
            return main
        await asyncio.sleep(_PAUSE)
    return None


def _is_own(pid: int) -> bool:
    path = processes.executable(pid)
    return path is not None and os.path.realpath(path) not in _STAGES and not path.endswith("/ld.so")
