"""Joining a network namespace, for the small programs that work in one: it imports as little as they do."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_CLONE_NEWNET = 0x40000000  # setns(2)


def join(namespace: Path) -> None:
    """Move the calling thread into a network namespace.

    Parameters
    ----------
    namespace : Path
        Its file: ``/proc/PID/ns/net``, or one on which it is mounted.

    Raises
    ------
    OSError
        There is none there, or it may not be joined.
    """
    with namespace.open() as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(namespace))
