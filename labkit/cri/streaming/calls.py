"""What the kubelet was given a URL for, until it comes."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from labkit.errors import ClusterError

LIFETIME = 60.0
"""Seconds a URL is good for (as in kubelet/pkg/cri/streaming/request_cache.go)."""

MAX_WAITING = 1000
"""URLs that may wait to be used, likewise."""


class Exec(NamedTuple):
    """A process to start in a container."""

    container_id: str
    command: list[str]
    tty: bool
    stdin: bool
    stdout: bool
    stderr: bool


class Attach(NamedTuple):
    """The main process of a container to join."""

    container_id: str
    tty: bool
    stdin: bool
    stdout: bool
    stderr: bool


class PortForward(NamedTuple):
    """A pod to connect to; the ports matter for WebSocket only, where they make the channels."""

    sandbox_id: str
    ports: list[int]


Call = Exec | Attach | PortForward

_PATHS = {Exec: "exec", Attach: "attach", PortForward: "portforward"}


class Calls:
    """Calls by the path of their URL; each path has a random part and works once."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[float, Call]] = {}  # oldest first

    def add(self, call: Call) -> str:
        """Return the path under which a call can be taken.

        Raises
        ------
        ClusterError
            Too many wait already.
        """
        now = time.monotonic()
        for path, (expires, _) in list(self._waiting.items()):
            if expires > now:
                break
            del self._waiting[path]
        if len(self._waiting) >= MAX_WAITING:
            raise ClusterError(
                "Too many exec, attach and port-forward requests are waiting.",
                why=f"{MAX_WAITING} URLs were given out within {LIFETIME:.0f} s and not used",
                fix="Try again in a minute.",
            )
        path = f"/{_PATHS[type(call)]}/{os.urandom(16).hex()}"
        self._waiting[path] = (now + LIFETIME, call)
        return path

    def take(self, path: str) -> Call | None:
        """Return the call of a path and forget it; none if it was never there, was taken, or has expired."""
        expires, call = self._waiting.pop(path, (0.0, None))
        return call if expires > time.monotonic() else None
