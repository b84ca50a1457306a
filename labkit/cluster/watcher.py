"""The program that follows a cluster's objects for a lab of provider ``context``, and keeps what it was told.

Arguments are a kubeconfig, a folder, and the one namespace that may be looked into, empty for all. In the folder it
writes ``changes.jsonl``: one JSON object a line, with ``time`` (UTC, by this machine's clock), ``kind``, ``resource``
and ``object``, as `labkit.cluster.watching` tells them. A file that has become too large is renamed; of those one is
kept. It reads no Secrets, and ends when its folder is removed.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from labkit.cluster.watching import RESOURCES, Seen, Watching

#: Exists once everything that is there has been listed.
SERVES = "serves"
LOG = "changes.jsonl"

_FILE_BYTES = 64 << 20
_LOOK_SECONDS = 1.0


class ChangeLog:
    """The file that is written, by several threads.

    Parameters
    ----------
    folder : Path
        Where it lies.
    limit : int
        Bytes after which it is renamed.
    """

    def __init__(self, folder: Path, limit: int = _FILE_BYTES) -> None:
        self._path = folder / LOG
        self._limit = limit
        self._lock = threading.Lock()
        self._descriptor = self._open()

    def append(self, resource: str, seen: Seen) -> None:
        """Write one line."""
        with self._lock:
            now = datetime.now(UTC).isoformat(timespec="microseconds")
            line: dict[str, object] = {"time": now, "kind": seen.kind, "resource": resource}
            line |= {"why": seen.why} if seen.kind == "LOST" else {"object": seen.object}
            os.write(self._descriptor, json.dumps(line, separators=(",", ":")).encode() + b"\n")
            if os.fstat(self._descriptor).st_size > self._limit:
                os.close(self._descriptor)
                self._path.replace(self._path.with_name(f"{self._path.stem}-1{self._path.suffix}"))
                self._descriptor = self._open()

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def follow(kubeconfig: Path, folder: Path, namespace: str = "") -> None:
    """Follow every resource until the folder is gone, in one namespace or, where that is empty, in all."""
    log = ChangeLog(folder)
    left = set(RESOURCES)
    lock = threading.Lock()

    def done(resource: str) -> Callable[[], None]:
        def listed() -> None:
            with lock:
                left.discard(resource)
                if not left:
                    with contextlib.suppress(FileNotFoundError):
                        (folder / SERVES).touch(mode=0o600)

        return listed

    def run(resource: str, url: str) -> None:
        listed = done(resource)
        for seen in Watching(kubeconfig, url, listed).follow():
            log.append(resource, seen)
            if seen.kind == "LOST":
                listed()  # what may not be read keeps nobody waiting for the rest

    for resource, url in RESOURCES.items():
        group, _, plural = url.rpartition("/")
        place = f"{group}/namespaces/{namespace}/{plural}" if namespace else url
        threading.Thread(target=run, args=(resource, place), name=resource, daemon=True).start()
    while folder.exists():
        time.sleep(_LOOK_SECONDS)


if __name__ == "__main__":
    follow(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
