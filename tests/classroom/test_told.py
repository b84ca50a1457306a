"""What a student tells, and how a teacher's service reads what may be anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from labkit.checks.verdict import Verdict
from labkit.classroom import told


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LABKIT_STATE", str(tmp_path / "state"))
    return told.file()


def test_only_verdicts_are_told_and_only_when_it_was_agreed(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shell = InteractiveShell.instance()
    shell.user_ns["verdict"] = Verdict(True, "So it is.", ("a secret",))
    shell.run_cell("verdict")  # type: ignore[no-untyped-call]
    assert not path.exists()
    shell.run_line_magic("load_ext", "labkit.classroom.told")
    assert "not your answers" in capsys.readouterr().out
    try:
        shell.run_cell("verdict", cell_id="abc")  # type: ignore[no-untyped-call]
        shell.run_cell("1 + 1")  # type: ignore[no-untyped-call]
    finally:
        shell.run_line_magic("unload_ext", "labkit.classroom.told")
    shell.run_cell("verdict")  # type: ignore[no-untyped-call]
    (line,) = told.read(path)
    assert (line.notebook, line.cell, line.right) == ("", "abc", True), "this is no kernel of a notebook"
    assert "secret" not in path.read_text()
    assert path.parent.stat().st_mode & 0o77 == 0


def test_lines_that_somebody_broke_are_passed_over(path: Path) -> None:
    path.parent.mkdir()
    good = '{"time": "2026-01-01T00:00:00+00:00", "notebook": "02_pods", "cell": "a", "right": null}'
    path.write_bytes(f"{good}\nnonsense\n[1]\n{{}}\n{good}\n".encode() + b"\xff\xfe\n")
    assert [line.cell for line in told.read(path)] == ["a", "a"]


def test_what_is_no_file_is_not_read(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    assert list(told.read(path)) == []
    os.mkfifo(path)
    assert list(told.read(path)) == []
    path.unlink()
    other = tmp_path / "other"
    other.write_text('{"time": "", "notebook": "", "cell": "", "right": true}\n')
    path.symlink_to(other)
    assert list(told.read(path)) == []
