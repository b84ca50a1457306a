"""How phases look: in a terminal, in a pipe, in parallel, when one fails."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.cli.command import in_terminal, without_escapes

pytestmark = pytest.mark.programs

PROGRAM = """
import threading, time
from labkit.cli.progress import progress
with progress() as reporter:
    with reporter.phase("preflight"):
        pass
    def join(name):
        with reporter.phase(f"kubeadm join {name}") as phase:
            for step in range(10):
                phase.advance(f"step {step} of a rather long story that no narrow terminal has room for", step / 10)
                time.sleep(0.05)
    threads = [threading.Thread(target=join, args=[f"node-0{n}"]) for n in (1, 2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
print("result")
"""
FAILING = """
from labkit.cli.progress import progress
with progress() as reporter:
    with reporter.phase("one"):
        pass
    with reporter.phase("two") as phase:
        phase.advance("half way", 0.5)
        raise SystemExit(7)
"""
SLOW = """
from labkit.cli import progress
progress._DETAIL_EVERY = 0.0
with progress.progress() as reporter, reporter.phase("build") as phase:
    phase.advance("compiling k8s.io/api", 0.25)
    phase.advance("linking")
"""
CONCLUDED = """
from labkit.cli.progress import progress
with progress() as reporter, reporter.phase("provider") as phase:
    phase.conclude("rootless: Docker does not run")
"""
PHASES = ("preflight", "kubeadm join node-01", "kubeadm join node-02")


def _last_lines(text: str) -> dict[str, str]:
    """Return the lines with seconds, by name."""
    return {m[2]: m[1] for m in re.finditer(r"^ *(\S*) +(\S.*?) +[0-9.]+ s$", text, re.MULTILINE)}


def test_a_pipe_gets_plain_lines_and_the_result_is_apart() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == "result\n"
    assert "\x1b" not in done.stderr
    assert "\r" not in done.stderr
    for name in PHASES:
        assert re.search(rf"^· {name} …$", done.stderr, re.MULTILINE)
        assert re.search(rf"^✓ {name} +[0-9]\.[0-9] s$", done.stderr, re.MULTILINE)
    assert re.search(r"^  total +0\.[5-9] s$", done.stderr.splitlines()[-1])


@pytest.mark.parametrize("columns", [24, 80, 200])
def test_a_terminal_shows_it_live_and_keeps_a_line_for_each(columns: int) -> None:
    code, shown = in_terminal([sys.executable, "-c", PROGRAM], columns=columns)
    assert code == 0
    assert "\x1b[1A" in shown, "it paints over what it painted before"
    assert re.search("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]", shown), "a spinner"
    if columns >= 80:
        assert "━" in shown, "a bar"
        assert re.search("step [1-9]", shown)
    kept = _kept(shown, columns)
    assert kept[0].startswith("✓ preflight")
    assert {line.split("  ")[0] for line in kept if line} >= {f"✓ {name}" for name in PHASES}
    assert kept[-2].strip().startswith("total")
    assert kept[-1] == "result"


def test_a_terminal_without_unicode_gets_ascii() -> None:
    code, shown = in_terminal([sys.executable, "-c", PROGRAM], environment={"PYTHONIOENCODING": "ascii"})
    assert code == 0
    assert shown.isascii()
    assert "ok preflight" in shown
    assert "?" not in without_escapes(shown)


def test_what_came_of_a_phase_stands_behind_it() -> None:
    _, shown = in_terminal([sys.executable, "-c", CONCLUDED])
    assert re.search(r"✓ provider +0\.\d s  rootless: Docker does not run$", without_escapes(shown), re.MULTILINE)


def test_a_dumb_terminal_gets_lines() -> None:
    _, shown = in_terminal([sys.executable, "-c", PROGRAM], environment={"TERM": "dumb"})
    assert "\x1b" not in shown


def test_a_forced_colour_does_not_make_a_pipe_a_terminal() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env={"FORCE_COLOR": "1"}
    )
    assert "\x1b[1A" not in done.stderr


def test_a_phase_that_fails_is_marked_and_there_is_no_total() -> None:
    done = subprocess.run([sys.executable, "-c", FAILING], capture_output=True, text=True, check=False)
    assert done.returncode == 7
    assert "✓ one" in done.stderr
    assert "✗ two" in done.stderr
    assert "total" not in done.stderr
    code, shown = in_terminal([sys.executable, "-c", FAILING])
    assert code == 7
    assert "✗ two" in without_escapes(shown)


def test_a_pipe_hears_now_and_then_what_a_long_phase_is_at() -> None:
    done = subprocess.run([sys.executable, "-c", SLOW], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[:3] == [
        "· build …",
        "· build … 25% compiling k8s.io/api",
        "· build … linking",
    ]


def _kept(shown: str, columns: int) -> list[str]:
    """Return what is on the terminal at the end: cursor up, erase line, carriage return and new line are obeyed."""
    screen: list[str] = [""]
    row = 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\n|\r|[^\x1b\n\r]+", shown):
        if part == "\n":
            row += 1
            if row == len(screen):
                screen.append("")
        elif part == "\x1b[1A":
            row -= 1
        elif part == "\x1b[2K":
            screen[row] = ""
        elif not part.startswith("\x1b") and part != "\r":
            screen[row] = part if not screen[row] else screen[row] + part
            assert len(screen[row]) <= max(columns, 40)
    return [line.rstrip() for line in screen if line.strip()]
