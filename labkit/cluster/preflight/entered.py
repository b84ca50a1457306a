"""A machine as the checks see it that can only be entered: a node that is a container, on whatever machine Docker runs.

Every look is a program that runs there. labkit itself need not be there.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from labkit.cluster.preflight.host import SBIN, TIMEX, Host
from labkit.language import gettext

_PATIENCE = 5.0  # seconds, of which entering takes a tenth
#: As `Host.clock_state`.
_CLOCK = f"import ctypes; print(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer({TIMEX})))"


class EnteredHost(Host):
    """A machine to look at from outside.

    Parameters
    ----------
    enter : callable
        Takes a program and its arguments, and returns the command line that runs it on the machine, as its root.
    """

    def __init__(self, enter: Callable[[Sequence[str]], list[str]]) -> None:
        super().__init__(Path("/"), Path("/"), os.pathsep.join((*SBIN, "/usr/local/bin", "/usr/bin", "/bin")))
        self._enter = enter

    def read(self, name: str) -> str:
        """Return a small text file, stripped; raise `OSError` where it cannot be read."""
        done = self._run("cat", f"/{name}")
        if done.returncode:
            raise OSError(errno.ENOENT, done.stderr.strip().rpartition(": ")[2], f"/{name}")
        return done.stdout.strip()

    def has(self, name: str) -> bool:
        """Return whether a file or folder exists."""
        return self._run("test", "-e", f"/{name}").returncode == 0

    def running(self) -> frozenset[str]:
        """Return the names of the processes that run (proc(5), comm)."""
        return frozenset(self._run("sh", "-c", "cat /proc/[0-9]*/comm").stdout.split("\n")) - {""}

    def clock_state(self) -> int:
        """Return what the kernel says of its clock (adjtimex(2)); raise `OSError` where nobody can ask."""
        done = self._run("python3", "-I", "-c", _CLOCK)
        if done.returncode:
            raise OSError(gettext("Python, which could ask the kernel, is not there"))
        if (state := int(done.stdout)) < 0:
            raise OSError("adjtimex")
        return state

    def runtime_version(self, socket: str) -> str:
        """Return name and version of the runtime, if it is containerd; raise `OSError` where it does not answer."""
        said = self._of_containerd(socket, "version")
        server = re.search(r"Server:\s+Version:\s+(\S+)", said)
        return f"containerd {server[1] if server else ''}".rstrip()

    def runtime_images(self, socket: str) -> frozenset[str]:
        """Return the names of all images of the runtime, if it is containerd; raise `OSError` where it is not."""
        return frozenset(self._of_containerd(socket, "--namespace", "k8s.io", "images", "list", "--quiet").split())

    def program(self, name: str) -> str | None:
        """Return where a program is, or None."""
        found = self._run("sh", "-c", f"PATH={shlex.quote(self.path)} command -v {shlex.quote(name)}").stdout.strip()
        return found or None

    def output(self, *command: str, timeout: float = _PATIENCE) -> str:
        """Run a program and return what it wrote (both streams); raise `OSError` where it did not run or end."""
        # The shell joins the streams there: what enters the machine has an own stream for its warnings.
        both = ("sh", "-c", 'exec "$@" 2>&1', "sh", *command)
        return self._run(*both, timeout=timeout, known_as=command[0]).stdout.strip()

    def _of_containerd(self, socket: str, *arguments: str) -> str:
        done = self._run("ctr", "--address", socket, *arguments)
        if done.returncode:
            why = done.stderr.strip().rpartition("\n")[2]
            raise OSError(gettext("the runtime at {runtime} does not answer: {code}").format(runtime=socket, code=why))
        return done.stdout

    def _run(self, *command: str, timeout: float = _PATIENCE, known_as: str = "") -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                self._enter(command),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout,
                check=False,
                encoding="utf-8",
                errors="replace",
            )
        except subprocess.TimeoutExpired as error:
            raise OSError(
                gettext("{command} did not end within {seconds:g} s").format(
                    command=known_as or command[0], seconds=timeout
                )
            ) from error
