"""Processes that outlive the Python that started them: how to recognise one, and how to end it."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from labkit.errors import ClusterError
from labkit.language import gettext

#: A process's start time is read from /proc in clock ticks: 10 ms on Linux (proc(5), starttime).
_START_TIME_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process that cannot be mistaken for a later one with the same pid.

    Attributes
    ----------
    pid : int
        As the host's PID namespace numbers it.
    started : float
        Seconds since the epoch.
    """

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """Identify a living process.

        Raises
        ------
        psutil.NoSuchProcess
            There is none of that pid.
        """
        return cls(pid, psutil.Process(pid).create_time())

    @property
    def alive(self) -> bool:
        """Whether exactly this process still runs (a zombie does not)."""
        try:
            process = psutil.Process(self.pid)
            return (
                abs(process.create_time() - self.started) <= _START_TIME_TOLERANCE
                and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return False

    def kill(self, wait: float = 5.0) -> None:
        """End the process at once and wait until it is gone; nothing happens where it is gone already.

        Parameters
        ----------
        wait : float
            Seconds.
        """
        if not self.alive:
            return
        try:
            process = psutil.Process(self.pid)
            process.kill()
            process.wait(wait)
        except psutil.NoSuchProcess:
            pass


def detach(process: subprocess.Popen[bytes]) -> ProcessIdentity:
    """Let a child go its own way: it may outlive this process, and becomes no zombie if this process outlives it."""
    identity = ProcessIdentity.of(process.pid)
    threading.Thread(target=process.wait, name=f"wait-{process.pid}", daemon=True).start()
    return identity


def run(
    command: Sequence[str | Path],
    *,
    what: str,
    stdin: str = "",
    timeout: float = 60.0,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a command to its end and return its standard output.

    Parameters
    ----------
    command : sequence of str or Path
        Program and arguments.
    what : str
        What it is to do, for the error: ``"make the lab's bridge"``.
    stdin : str
        What it reads.
    timeout : float
        Seconds.
    environment : mapping, optional
        Instead of this process's.

    Raises
    ------
    ClusterError
        It could not be started, failed, or took too long.
    """
    argv = [str(part) for part in command]
    try:
        done = subprocess.run(
            argv, input=stdin, capture_output=True, text=True, timeout=timeout, check=False, env=environment
        )
    except FileNotFoundError as error:
        raise ClusterError(
            gettext("Could not {what}").format(what=what), why=str(error), fix=gettext("run `labkit doctor`")
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(
            gettext("Could not {what}").format(what=what),
            why=gettext("it took longer than {seconds:.0f} s").format(seconds=timeout),
        ) from error
    if done.returncode != 0:
        output = "\n".join((done.stderr + done.stdout).strip().splitlines()[-15:])
        raise ClusterError(
            gettext("Could not {what}").format(what=what),
            why=output or gettext("it ended with {status}").format(status=done.returncode),
        )
    return done.stdout
