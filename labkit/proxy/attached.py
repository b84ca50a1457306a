"""Processes on a node that end when labkit does, however that is."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

_PATIENCE = 5.0  # seconds that one has to end


@contextmanager
def attached(command: Sequence[str], *, stdout: int | IO[str]) -> Iterator[subprocess.Popen[str]]:
    """Run a process that ends when its standard input does; in a session of its own, which Ctrl-C does not reach.

    Parameters
    ----------
    command : sequence of str
        Program and arguments; it must read its standard input to the end.
    stdout : int or file
        Where it prints to, as for `subprocess.Popen`.
    """
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=stdout, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            if process.stdin is not None and not process.stdin.closed:
                process.stdin.close()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
