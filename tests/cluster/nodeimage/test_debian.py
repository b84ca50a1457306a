"""What becomes of a mmdebstrap that does not end."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from labkit.cluster.nodeimage import debian
from labkit.errors import ClusterError
from labkit.progress import PhaseEvent, Progress
from tests import traces

pytestmark = pytest.mark.programs


def _program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that come first; what stalls is ended at once."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(debian, "_STALLED_SECONDS", 1.0)
    monkeypatch.setattr(debian, "_LOOK_SECONDS", 0.2)
    return tmp_path


def test_one_that_stalls_is_ended_with_what_it_started(quick: Path) -> None:
    _program(quick / "mmdebstrap", f"sleep 1000 & echo $! >{quick}/child; echo 'E: apt-get update' >&2; wait")
    with Progress(_quiet).phase("packages") as phase, pytest.raises(ClusterError) as caught:
        debian.bootstrap(quick / "made.tar", ["busybox"], phase, variant="extract")
    assert caught.value.why == "E: apt-get update\nnothing more came for 1 s"
    assert "its disk has 2 GB free" in caught.value.fix
    child = int((quick / "child").read_text())
    traces.eventually(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)
    assert not (quick / "made.tar").exists()


def test_one_that_is_slow_and_writes_is_left_alone(quick: Path) -> None:
    script = "for second in 1 2 3 4 5; do sleep 0.5; echo $second >$TMPDIR/$second; done; echo done >"
    _program(quick / "mmdebstrap", f"{script}{quick}/made.tar")
    began = time.monotonic()
    with Progress(_quiet).phase("packages") as phase:
        debian.bootstrap(quick / "made.tar", ["busybox"], phase, variant="extract")
    assert time.monotonic() - began > 2
    assert (quick / "made.tar").read_text() == "done\n"


def _quiet(_event: PhaseEvent) -> None:
    pass
