"""Becoming another program, which then has the terminal, the signals and the exit code to itself."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn


def become(argv: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> NoReturn:
    """Replace this process; does not return.

    Parameters
    ----------
    argv : sequence of str or Path
        The program and its arguments.
    environment : mapping, optional
        By default this process's own.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    # Python ignores SIGPIPE, and a program that is started inherits what is ignored: `yes | head` would complain.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    words = [str(word) for word in argv]
    os.execvpe(words[0], words, {**(os.environ if environment is None else environment)})  # noqa: S606 - no shell is the point
