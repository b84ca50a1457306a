"""Folders of Debian's packages as tar files, by mmdebstrap(1)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from labkit.cri import stats
from labkit.errors import ClusterError, PreflightError
from labkit.language import gettext
from labkit.progress import Phase

#: The suite whose containerd, Java and Python the images have (Debian 12).
SUITE = "bookworm"
# What neither a node nor a pod ever reads (dpkg(1), --path-exclude); the copyright files stay.
_NOT_WANTED = [
    *("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/doc/*", "/usr/share/lintian/*"),
    "/usr/lib/*/gconv/*",  # iconv(1)'s tables of old character sets
    # Of Python: what helps those who write programs.
    *(f"/usr/lib/python3*/{name}*" for name in ("doctest", "pdb", "pydoc", "test/", "turtle", "unittest/")),
    # Of Java: what a compiler for older releases needs, and classes laid out for heaps of more than 32 GB.
    *("/usr/lib/jvm/*/lib/ct.sym", "/usr/lib/jvm/*/lib/server/classes_nocoops.jsa"),
]
_WANTED = ["/usr/share/doc/*/copyright"]
_TAIL = 12
#: apt waits for ever for a file that its own download could not write, as the disk was full.
_STALLED_SECONDS = 120.0
_LOOK_SECONDS = 5.0


def require() -> None:
    """Make sure that the programs are there which a node image is made with.

    Raises
    ------
    PreflightError
        One is not.
    """
    lacking = [program for program in ("mmdebstrap", "zstd") if shutil.which(program) is None]
    if lacking:
        raise PreflightError(
            gettext("A node image is made of Debian's packages, by mmdebstrap, and of images that zstd packs"),
            why=gettext("there is no program {programs} on PATH").format(programs=" or ".join(lacking)),
            fix=gettext("install it (Debian, Ubuntu: apt-get install {packages})").format(packages=" ".join(lacking)),
        )


def bootstrap(target: Path, packages: Sequence[str], phase: Phase, *, variant: str, hooks: Sequence[str] = ()) -> None:
    """Write a folder of packages, with all that they depend on, as a tar file.

    Parameters
    ----------
    target : Path
        The tar file.
    packages : sequence of str
        Their names.
    phase : Phase
        Is told what mmdebstrap does.
    variant : {"essential", "extract"}
        A system whose packages are configured, or their files alone.
    hooks : sequence of str
        More of mmdebstrap's options.

    Raises
    ------
    ClusterError
        It failed, or nothing more came: there is no way to Debian's packages, or the disk is full.
    """
    command = ["mmdebstrap", f"--variant={variant}", f"--include={','.join(packages)}", "--format=tar"]
    command += [f"--dpkgopt=path-exclude={path}" for path in _NOT_WANTED]
    command += [f"--dpkgopt=path-include={path}" for path in _WANTED]
    command += [*hooks, SUITE, str(target)]
    status, lines = _run(command, target, phase)
    if status != 0:
        target.unlink(missing_ok=True)
        raise ClusterError(
            gettext("Debian's packages could not be put together"),
            why="\n".join(lines[-_TAIL:]) or gettext("mmdebstrap ended with {status}").format(status=status),
            fix=gettext("see that the machine reaches a Debian mirror and that its disk has 2 GB free, then try again"),
        )


def _run(command: Sequence[str], target: Path, phase: Phase) -> tuple[int, list[str]]:
    """Run mmdebstrap to its end; return its status and what it said."""
    lines: list[str] = []
    over = threading.Event()
    with (
        tempfile.TemporaryDirectory(prefix="labkit-debian-", dir=target.parent) as scratch,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": scratch},
            start_new_session=True,  # so that an interrupt ends apt and dpkg, too
        ) as process,
        ThreadPoolExecutor(max_workers=1, thread_name_prefix="stalled") as pool,
    ):
        watching = pool.submit(_end_when_stalled, process, Path(scratch), target, over)
        try:
            for line in process.stderr or ():
                lines.append(line.rstrip())
                if line.startswith("I: "):
                    phase.advance(line.removeprefix("I: ").strip())
            status = process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            raise
        finally:
            over.set()
        if watching.result():
            lines.append(gettext("nothing more came for {seconds:.0f} s").format(seconds=_STALLED_SECONDS))
    return status, lines


def _end_when_stalled(process: subprocess.Popen[str], scratch: Path, target: Path, over: threading.Event) -> bool:
    """End a process, and those that it started, when the files that it writes do not change; return whether it did."""
    before, unchanged = (0, 0, 0), 0.0
    while not over.wait(_LOOK_SECONDS):
        now = (*stats.disk(scratch), target.stat().st_size if target.exists() else 0)
        unchanged = unchanged + _LOOK_SECONDS if now == before else 0.0
        before = now
        if unchanged >= _STALLED_SECONDS:
            with suppress(ProcessLookupError):  # it has just ended by itself
                os.killpg(process.pid, signal.SIGTERM)
            return True
    return False
