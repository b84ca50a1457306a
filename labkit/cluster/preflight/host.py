"""The host as the checks see it: its files, programs, clock and runtime, and one trial of what nodes are made of."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from labkit.language import gettext

_INOTIFY = "anon_inode:inotify"
TIMEX = 208  # bytes of struct timex on 64-bit Linux (adjtimex(2))
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # an ordinary user's PATH often lacks them; iptables lives there

# Each line tries one thing in namespaces that end with the script, so the host stays as it is.
_TRIAL = """
try() { name=$1; shift
  if out=$("$@" 2>&1); then echo "$name=ok"; else echo "$name=$(echo "$out" | head -n 1)"; fi; }
echo namespaces=ok
try proc mount -t proc proc /proc
try forward sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
try bridge-netfilter test -e /proc/sys/net/bridge/bridge-nf-call-iptables
try bridge ip link add labkit0 type bridge
try veth ip link add labkit1 type veth peer name labkit2
try iptables iptables -t nat -A PREROUTING -j ACCEPT
try nftables nft add table ip labkit
"""


class Host:
    """A machine to look at.

    Parameters
    ----------
    root : Path
        The folder that stands for ``/``; another machine's files can be looked at this way.
    state : Path
        The folder that labs are kept in; need not exist yet.
    path : str, optional
        Folders with programs, as in ``$PATH``; by default `$PATH` and the sbin folders.
    small : bool
        Whether it is to run a small lab only.
    """

    def __init__(self, root: Path, state: Path, path: str | None = None, *, small: bool = False) -> None:
        self.root = root
        self.state = state
        self.small = small
        self.path = os.pathsep.join((os.environ.get("PATH", os.defpath), *SBIN)) if path is None else path

    def read(self, name: str) -> str:
        """Return a small text file below the root, stripped; raise `OSError` where it cannot be read."""
        return (self.root / name).read_text(encoding="utf-8", errors="replace").strip()

    def number(self, name: str) -> int:
        """Return the integer in a file; raise `OSError`, or `ValueError` where there is none."""
        return int(self.read(name))

    def has(self, name: str) -> bool:
        """Return whether a file or folder exists below the root."""
        return (self.root / name).exists()

    def inotify_instances(self) -> int:
        """Return how many inotify instances the caller's processes have open (inotify(7), proc_pid_fd(5))."""
        count = 0
        for process in (self.root / "proc").glob("[0-9]*"):
            with suppress(OSError):  # it has just ended
                if process.stat().st_uid == os.geteuid():
                    count += [str(opened.readlink()) for opened in (process / "fd").iterdir()].count(_INOTIFY)
        return count

    def running(self) -> frozenset[str]:
        """Return the names of the processes that run (proc(5), comm)."""
        names = set()
        for folder in (self.root / "proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended meanwhile
                names.add((folder / "comm").read_text().strip())
        return frozenset(names)

    def clock_state(self) -> int:
        """Return what the kernel says of its clock (adjtimex(2), return value); raise `OSError` where it does not."""
        if sys.platform != "linux":
            raise OSError(gettext("only Linux has adjtimex(2), which tells it"))
        timex = ctypes.create_string_buffer(TIMEX)  # modes 0: the clock is only read
        state = ctypes.CDLL(None, use_errno=True).adjtimex(timex)
        if state < 0:
            raise OSError(ctypes.get_errno(), "adjtimex")
        return int(state)

    def runtime_version(self, socket: str) -> str:
        """Return name and version of the container runtime at a socket; raise `OSError` where it does not answer."""
        from labkit.cluster.preflight import cri_questions  # noqa: PLC0415 - gRPC takes long to import

        return cri_questions.version(self.root / socket.lstrip("/"))

    def runtime_images(self, socket: str) -> frozenset[str]:
        """Return the tags of all images that a runtime has; raise `OSError` where it does not answer."""
        from labkit.cluster.preflight import cri_questions  # noqa: PLC0415 - as above

        return cri_questions.images(self.root / socket.lstrip("/"))

    def program(self, name: str) -> str | None:
        """Return where a program is, or None."""
        return shutil.which(name, path=self.path)

    def output(self, *command: str, timeout: float = 3) -> str:
        """Run a program and return what it wrote (both streams); raise `OSError` where it did not run or end."""
        try:
            # The loader's own folders come last: a trial must find `sh` and `head` even with a short path.
            path = os.pathsep.join((self.path, os.defpath))
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
                env={"PATH": path, "LC_ALL": "C"},
            )
        except subprocess.TimeoutExpired as error:
            raise OSError(
                gettext("{command} did not end within {seconds:g} s").format(command=command[0], seconds=timeout)
            ) from error
        return done.stdout.decode(errors="replace").strip()

    @functools.cached_property
    def trial(self) -> Mapping[str, str]:
        """What works inside fresh namespaces, by name: ``"ok"`` or the error's first line.

        Without the key ``namespaces`` they could not be made; ``error`` then says what unshare said.

        Raises
        ------
        OSError
            unshare is missing or hangs.
        """
        unshare = self.program("unshare")
        if unshare is None:
            raise OSError(gettext("the program unshare is missing, so namespaces could not be tried"))
        flags = ("--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child")
        output = self.output(unshare, *flags, "sh", "-c", _TRIAL)
        steps = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
        return steps if steps.get("namespaces") == "ok" else {"error": output.partition("\n")[0]}

    @functools.cached_property
    def is_root(self) -> bool:
        """Whether the caller's effective user id is 0."""
        return self.status("Uid").split()[1] == "0"

    def status(self, field: str) -> str:
        """Return one field of the caller's ``/proc/self/status`` (proc(5)); raise `ValueError` if it has none."""
        for line in self.read("proc/self/status").splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return value.strip()
        raise ValueError(gettext("/proc/self/status has no field {field}").format(field=field))

    @functools.cached_property
    def distribution(self) -> frozenset[str]:
        """The ids in ``/etc/os-release`` (os-release(5)): the distribution's own and those it is like."""
        try:
            lines = self.read("etc/os-release").splitlines()
        except OSError:
            return frozenset()
        fields = dict(line.split("=", 1) for line in lines if "=" in line)
        ids = f"{fields.get('ID', '')} {fields.get('ID_LIKE', '')}".replace('"', "").replace("'", "")
        return frozenset(ids.split())

    def as_root(self, command: str) -> str:
        """Return a command as the caller has to type it."""
        try:
            return command if self.is_root else f"sudo {command}"
        except (OSError, ValueError):
            return f"sudo {command}"

    def sysctl(self, setting: str) -> str:
        """Return the command that sets a sysctl, ``name=value``."""
        return self.as_root(f"sysctl -w {setting}")

    def install(self, package: str, program: str) -> str:
        """Return how to install a program here, given its Debian package."""
        if "debian" in self.distribution:
            return self.as_root(f"apt-get install -y {package}")
        return gettext("Install the package that has the program {program} (Debian calls it {package}).").format(
            program=program, package=package
        )
