"""Runs labkit as its users do: as a process of its own, with pipes or in a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence

from typer.testing import CliRunner, Result

from labkit.cli.app import app

LABKIT = (sys.executable, "-m", "labkit")
_TIMEOUT = 200


def labkit(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``labkit …`` with pipes."""
    process = subprocess.Popen(
        [*LABKIT, *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    with process:
        try:
            stdout, stderr = process.communicate(timeout=_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.terminate()  # it then takes down what it has started
            stdout, stderr = process.communicate()
            raise AssertionError(f"labkit {' '.join(arguments)} took too long:\n{stdout}\n{stderr}") from None
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def here(*arguments: str, **environment: str) -> Result:
    """Run ``labkit …`` in this process: quick, but not for what becomes another program."""
    return CliRunner().invoke(app, arguments, env=environment, prog_name="labkit")


def in_terminal(
    argv: Sequence[str], *, columns: int = 80, environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run a program in a terminal; return its exit code and all that the terminal received."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    variables = {key: value for key, value in os.environ.items() if key not in {"COLUMNS", "LINES", "NO_COLOR"}}
    variables |= {"TERM": "xterm-256color", **(environment or {})}
    with subprocess.Popen(
        argv, env=variables, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    ) as process:
        os.close(slave)
        received = b""
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # EIO: the last process has closed the terminal
                break
            if not chunk:
                break
            received += chunk
        process.wait(timeout=_TIMEOUT)
    os.close(master)
    return process.returncode, received.decode(errors="replace").replace("\r\n", "\n")


def without_escapes(text: str) -> str:
    """Return what a terminal received without its control sequences (ECMA-48)."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text)
