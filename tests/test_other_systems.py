"""labkit where much of Linux is missing: it can be imported, and recordings be read, on macOS and on Windows.

Each test has a Python of its own, in which labkit is told of the other system, and does not find what the other's
Python has not (docs.python.org/3/library: "Availability"). Labs on macOS are what tests/lab/test_ordinary_user.py has.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.programs

_LINUX_ALONE = """
os.setns os.unshare os.memfd_create os.pidfd_open os.sched_getaffinity os.sched_setaffinity os.eventfd os.pipe2
signal.pidfd_send_signal
"""
_UNIX_ALONE = """
os.fork os.geteuid os.getuid os.getgid os.getegid os.getgroups os.chown os.lchown os.fchown os.killpg os.getpgid
os.getsid os.setsid os.uname os.mkfifo os.mknod os.openpty os.getloadavg os.sysconf os.statvfs os.pread os.pwrite
os.chroot os.nice os.ttyname os.wait3 os.wait4
signal.SIGHUP signal.SIGKILL signal.SIGPIPE signal.SIGALRM signal.SIGCHLD signal.pthread_sigmask signal.sigwait
fcntl grp pty pwd readline resource syslog termios tty
"""
# Arguments: the system, its name for Python, and what it lacks. Only labkit's own imports are led astray.
_THERE = """
import builtins, sys
from types import ModuleType

class There(ModuleType):
    def __init__(self, module):
        super().__init__(module.__name__)
        self._module = module

    def __getattr__(self, name):
        full = f"{self.__name__}.{name}"
        if full in lacking:
            raise AttributeError(f"there is no {full}")
        return instead[full] if full in instead else getattr(self._module, name)

system, platform, *lacking = sys.argv[1:]
instead = {"sys.platform": platform, "platform.system": lambda: system}
changed = {each.partition(".")[0] for each in (*lacking, *instead)}
real = builtins.__import__

def imported(name, importer=None, *more, **named):
    found = real(name, importer, *more, **named)
    if (importer or {}).get("__name__", "").partition(".")[0] != "labkit" or name not in changed:
        return found
    if name in lacking:
        raise ModuleNotFoundError(f"there is no {name}", name=name)
    return There(found)

builtins.__import__ = imported
"""
# Every module but those that run on Linux alone: the container runtime's own, and those of a class's server.
_TRY = """
import importlib, pkgutil
import labkit
for module in pkgutil.walk_packages(labkit.__path__, "labkit."):
    if not module.name.startswith(("labkit.cri.", "labkit.classroom.")) and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
assert {"labkit.lab.lab", "labkit.cluster.kind", "labkit.cluster.rootless"} <= set(sys.modules)
assert "<svg" in labkit.replay("deploy-tomcat").explain("tomcat").to_svg()
for command in ("replay", "deploy-tomcat"), ("doctor",):
    sys.argv = ["labkit", *command]
    try:
        labkit.cli.main()
    except SystemExit as end:
        print("ended:", end.code)
"""
MACOS = ("Darwin", "darwin", *_LINUX_ALONE.split())
WINDOWS = ("Windows", "win32", *_LINUX_ALONE.split(), *_UNIX_ALONE.split())
OTHERS = pytest.mark.parametrize("system", [MACOS, WINDOWS], ids=lambda system: system[0])


def _python(script: str, system: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _THERE + script, *system]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@OTHERS
def test_every_module_is_imported_and_a_recording_told(system: tuple[str, ...]) -> None:
    done = _python(_TRY, system)
    assert done.returncode == 0, done.stderr
    replayed, checked, _ = done.stdout.split("ended: ")
    assert "binds" in replayed
    assert checked.startswith("0")
    words = " ".join(checked.split())
    assert system[0] in words
    assert {"Darwin": "labkit up --provider kind", "Windows": "WSL 2"}[system[0]] in words


def test_what_is_lacking_is_missed() -> None:
    asks = "exec('import fcntl', {'__name__': 'labkit.cri.sessions'})"
    assert "ModuleNotFoundError: there is no fcntl" in _python(asks, WINDOWS).stderr
    assert _python(asks, MACOS).returncode == 0
    asks = "exec('import os; os.geteuid()', {'__name__': 'labkit.node.outer'})"
    assert "AttributeError: there is no os.geteuid" in _python(asks, WINDOWS).stderr
