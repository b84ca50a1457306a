"""The machine's limit of inotify instances, raised for a while: several labs need more than the kernel's 128."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")


@contextmanager
def at_least(instances: int) -> Iterator[None]:
    """Let every user have so many, or more if there were more; as root."""
    before = LIMIT.read_text()
    LIMIT.write_text(str(max(instances, int(before))))
    try:
        yield
    finally:
        LIMIT.write_text(before)
