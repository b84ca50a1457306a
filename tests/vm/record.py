"""Record the lesson kube-proxy-ipvs anew in the virtual machine: `make recording-ipvs`, best on an idle machine.

It takes minutes of two cores; on a busy machine, requests time out.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import labkit
from labkit.components import ensure
from labkit.evidence.recording import SUFFIX
from tests.vm import lesson, machine

_ROOT = Path(labkit.__file__).parents[1]
_SECONDS = 3600.0
_MEGABYTES = 5000


def main() -> None:
    """Record, and put the recording where labkit ships it."""
    ensure()
    environment = {"HOME": str(Path.home()), "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "PYTHONPATH": str(_ROOT)}
    job = [sys.executable, "-B", "-m", lesson.__name__]
    with tempfile.TemporaryDirectory() as part:
        print(machine.run(job, Path(part), seconds=_SECONDS, megabytes=_MEGABYTES, environment=environment))
        target = Path(labkit.__file__).parent / "recordings" / f"{lesson.NAME}{SUFFIX}"
        shutil.copy(Path(part, target.name), target)
        target.chmod(0o644)  # it holds no secrets, and this one is for everybody


if __name__ == "__main__":
    main()
