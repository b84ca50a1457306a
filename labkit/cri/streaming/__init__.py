"""Exec, attach and port-forward by HTTP upgrade: the streaming half of the container runtime."""

from labkit.cri.streaming.server import StreamingServer

__all__ = ["StreamingServer"]
