"""Labs that start by turns: real processes that hold them, wait for them, and are killed."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from labkit.cluster import turns
from labkit.progress import PhaseEvent, Progress

_HOLD = """\
import sys
from labkit.cluster import turns
from labkit.progress import Progress
with turns.turn(Progress()):
    print("mine", flush=True)
    sys.stdin.read()
"""

_FORK = """\
import os, signal
from labkit.cluster import turns
from labkit.progress import Progress
with turns.turn(Progress()):
    child = os.fork()
    if child == 0:
        os.close(1)
        signal.pause()
print(child)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for one turn, which this process's environment names."""
    place = tmp_path / "run/turns"
    turns.make(place, 1)
    monkeypatch.setenv(turns.FOLDER_VARIABLE, str(place))
    return place


@contextmanager
def _holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that has a turn until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, turns.FOLDER_VARIABLE: str(folder)},
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mine\n"
        yield process
        process.kill()


class _Waiting:
    """A thread that wants a turn, and what it reported."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.waits, self.has_it, self.give_back = (threading.Event() for _ in range(3))
        self._thread = threading.Thread(target=self._want, daemon=True)
        self._thread.start()

    def _want(self) -> None:
        with turns.turn(Progress(self._hear)):
            self.has_it.set()
            self.give_back.wait(60)

    def _hear(self, event: PhaseEvent) -> None:
        self.told.append(f"{event.phase} {event.state}")
        self.waits.set()

    def end(self) -> None:
        self.give_back.set()
        self._thread.join(10)


def test_a_turn_that_is_free_is_taken_at_once_and_nobody_is_told(folder: Path) -> None:
    only = _Waiting()
    assert only.has_it.wait(5)
    only.end()
    assert only.told == []
    with _holder(folder):  # it was given back
        pass


def test_who_comes_second_waits_for_the_first_and_says_so(folder: Path) -> None:
    with _holder(folder) as first:
        second = _Waiting()
        assert second.waits.wait(5)
        assert not second.has_it.wait(0.5)
        assert first.stdin is not None
        first.stdin.close()
        assert second.has_it.wait(5)
        second.end()
    assert second.told == ["turn started", "turn advanced", "turn finished"]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_the_turn_of_who_is_ended_is_free_again(folder: Path, end: signal.Signals) -> None:
    with _holder(folder) as first:
        second = _Waiting()
        assert second.waits.wait(5)
        first.send_signal(end)
        assert second.has_it.wait(5)
        second.end()


def test_a_turn_is_given_back_though_a_child_that_was_forked_meanwhile_lives(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _FORK], stdout=subprocess.PIPE, text=True, check=True)
    child = int(done.stdout)
    try:
        with _holder(folder):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_as_many_have_a_turn_as_there_are(folder: Path) -> None:
    turns.make(folder, 2)
    with _holder(folder), _holder(folder):
        third = _Waiting()
        assert third.waits.wait(5)
        assert not third.has_it.wait(0.5)
        turns.make(folder, 3)  # a teacher has allowed more
        assert third.has_it.wait(5)
        third.end()
    turns.make(folder, 1)
    assert [path.name for path in folder.iterdir()] == ["0"]


def test_patience_ends(folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(turns, "_PATIENCE_SECONDS", 0.5)
    with _holder(folder), caplog.at_level(logging.WARNING), turns.turn(Progress()):
        assert "starting without one" in caplog.text


@pytest.mark.parametrize("number", [0, None])
def test_without_turns_nobody_waits(
    folder: Path, number: int | None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if number is None:
        monkeypatch.setenv(turns.FOLDER_VARIABLE, str(folder / "nowhere"))
    else:
        turns.make(folder, number)
    with turns.turn(Progress(lambda event: pytest.fail(f"waited: {event}"))):
        pass
    assert ("no turns to start in" in caplog.text) == (number is None)


def test_what_accounts_can_lock_they_cannot_change(tmp_path: Path) -> None:
    folder, umask = tmp_path / "turns", os.umask(0o077)
    try:
        turns.make(folder, 1)
    finally:
        os.umask(umask)
    assert folder.stat().st_mode & 0o777 == 0o755
    assert (folder / "0").stat().st_mode & 0o777 == 0o444
