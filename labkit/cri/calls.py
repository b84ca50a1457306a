"""The log of CRI calls that change something: evidence of what kubelet asked for and when it was done."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any


class CallsLog:
    """One line of JSON per call.

    Each has ``time`` (RFC 3339, UTC, microseconds, of the call's start), ``call``, ``seconds``, the ids and names of
    what the call is about, and ``error`` if it failed.

    Parameters
    ----------
    path : Path
        The file; its folder is made if it is missing.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, call: str, started: int, subject: dict[str, Any], error: str = "") -> None:
        """Write a call's line.

        Parameters
        ----------
        call : str
            The method's name in the CRI.
        started : int
            Nanoseconds since the epoch.
        subject : dict
            Ids and names.
        error : str
            Why it failed; empty if it did not.
        """
        seconds, fraction = divmod(started // 1000, 1_000_000)
        entry = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{fraction:06d}Z",
            "call": call,
            "seconds": round((time.time_ns() - started) / 1e9, 6),
            **subject,
        }
        if error:
            entry["error"] = error
        os.write(self._descriptor, json.dumps(entry).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
