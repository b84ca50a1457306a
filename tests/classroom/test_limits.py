"""Control groups of both versions: what is written, read and refused. A real one bounds a class in test_hub.py."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from labkit.classroom.limits import ROOT, ControlGroup, Usage
from labkit.errors import PreflightError


def _unified(root: Path) -> Path:
    (root / "cgroup.controllers").write_text("cpu memory\n")
    return root / "labkit-classroom/ann"


def test_the_bounds_of_version_2(tmp_path: Path) -> None:
    folder = _unified(tmp_path)
    ControlGroup("ann", memory=1 << 30, processors=1.5, root=tmp_path).make()
    assert (folder / "memory.max").read_text() == "1073741824"
    assert (folder / "cpu.max").read_text() == "150000 100000"
    for above in (tmp_path, folder.parent):
        assert (above / "cgroup.subtree_control").read_text() == "+memory +cpu"
    ControlGroup("ann", root=tmp_path).make()
    assert (folder / "memory.max").read_text() == "max"
    assert (folder / "cpu.max").read_text() == "max 100000"


def test_the_usage_of_version_2(tmp_path: Path) -> None:
    folder = _unified(tmp_path)
    group = ControlGroup("ann", root=tmp_path)
    group.make()
    (folder / "memory.current").write_text("100\n")
    (folder / "memory.peak").write_text("200\n")
    (folder / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    (folder / "memory.events").write_text("low 0\noom 4\noom_kill 3\n")
    assert group.usage() == Usage(memory=100, peak=200, processor=2.5, killed=3)


def test_the_bounds_of_version_1(tmp_path: Path) -> None:
    ControlGroup("ann", memory=1 << 30, processors=0.5, root=tmp_path).make()
    assert (tmp_path / "memory/labkit-classroom/ann/memory.limit_in_bytes").read_text() == "1073741824"
    assert (tmp_path / "cpu/labkit-classroom/ann/cpu.cfs_quota_us").read_text() == "50000"


def test_where_none_can_be_made_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "memory").write_text("a file")
    with pytest.raises(PreflightError, match="cannot be bounded"):
        ControlGroup("ann", root=tmp_path).make()


@pytest.mark.skipif(os.geteuid() != 0 or not os.access(ROOT, os.W_OK), reason="only root makes control groups")
def test_every_process_of_a_real_one_ends_whatever_started_it() -> None:
    group = ControlGroup("labkit-test")
    try:
        group.make()
    except PreflightError as error:
        pytest.skip(str(error))
    script = "setsid sleep 300 & setsid sleep 300 & exec sleep 300"
    process = subprocess.Popen(["sh", "-c", script], preexec_fn=group.enter)  # noqa: PLW1509 - no thread runs
    end = time.monotonic() + 10
    while len(list(group._processes())) < 3:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert group.usage().memory > 0
    group.end()
    assert process.wait(5) != 0
    assert not any(folder.exists() for folder in group._folders.values())
    group.end()  # there is none any more
