"""What was written while something went on: a node's files, and the API's objects.

Files are looked at from outside, time and again; when a file was written is what its own file system says (its mtime,
inode(7)). Objects are what the API server's audit log says of writes that it granted.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from labkit.errors import EvidenceError
from labkit.evidence.audit import AuditEvent, AuditLog

#: Where `kubeadm`, the kubelet, etcd and a network add-on write.
FOLDERS = ("/etc/kubernetes", "/etc/cni/net.d", "/var/lib/kubelet", "/var/lib/etcd")

Change = Literal["created", "changed", "removed"]
Files = Mapping[str, tuple[int, int]]

_LOOK_SECONDS = 0.2
_VERBS: Mapping[str, Change] = {"create": "created", "update": "changed", "patch": "changed", "delete": "removed"}
#: What is asked rather than stored, and what is written all the time.
_PASSING = frozenset({"events", "leases", "tokenreviews", "subjectaccessreviews", "selfsubjectaccessreviews"})


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that came, changed or went.

    Attributes
    ----------
    path : str
        On the node.
    change : {"created", "changed", "removed"}
        What happened to it.
    time : float
        When, seconds since the epoch; of a file that went, when that was seen.
    size : int
        Bytes; 0 for one that went.
    """

    path: str
    change: Change
    time: float
    size: int

    @property
    def who(self) -> str:
        """Whose file it is, as its place tells."""
        if self.path.startswith("/var/lib/etcd/"):
            return "etcd"
        if self.path.startswith("/etc/cni/"):
            return "network add-on"
        if self.path.startswith("/var/lib/kubelet/") and self.path not in _KUBEADMS:
            return "kubelet"
        return "kubeadm"


#: Below the kubelet's folder, but for the kubelet to read (kubeadm's cmd/kubeadm/app/phases/kubelet).
_KUBEADMS = frozenset(
    f"/var/lib/kubelet/{name}" for name in ("config.yaml", "kubeadm-flags.env", "instance-config.yaml")
)


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """An object of the API that somebody wrote.

    Attributes
    ----------
    resource, namespace, name : str
        Which; the namespace is empty for what has none.
    change : {"created", "changed", "removed"}
        What happened to it.
    time : float
        When the API server had done it, seconds since the epoch.
    who : str
        What the client calls itself: ``"kubeadm"``, ``"kubelet"``.
    """

    resource: str
    namespace: str
    name: str
    change: Change
    time: float
    who: str

    def __str__(self) -> str:
        """Return it as kubectl would name it."""
        return "/".join(part for part in (self.namespace, self.resource, self.name) if part)


def files(root: Path, folders: Iterable[str] = FOLDERS) -> Files:
    """Return the files below some folders of a node: path → time in nanoseconds, and size in bytes.

    Parameters
    ----------
    root : Path
        The node's root folder, as the host sees it.
    folders : iterable of str
        Paths on the node; what is not there has no files.
    """
    found = {}
    for folder in folders:
        for parent, _, names in os.walk(root / folder.lstrip("/")):
            for name in names:
                path = f"{parent}/{name}"
                try:
                    status = os.lstat(path)
                except FileNotFoundError:  # it went meanwhile
                    continue
                found[path.removeprefix(str(root))] = (status.st_mtime_ns, status.st_size)
    return found


def file_changes(before: Files, after: Files, now: float) -> Iterator[FileChange]:
    """Return what came, changed and went between two looks; `now` is when the second was taken."""
    for path, (written, size) in after.items():
        if path not in before:
            yield FileChange(path, "created", written / 1e9, size)
        elif before[path] != (written, size):
            yield FileChange(path, "changed", written / 1e9, size)
    for path in before.keys() - after.keys():
        yield FileChange(path, "removed", now, 0)


class FileWatch:
    """Looks at a node's files several times a second, during each `with` block.

    Parameters
    ----------
    root : Path
        The node's root folder, as the host sees it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen = files(root)
        self._lock = threading.Lock()
        self._changes: list[FileChange] = []
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._end.clear()
        self._thread = threading.Thread(target=self._follow, name="labkit-files", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        if self._thread is not None:
            self._thread.join()
        self._look()

    @property
    def changes(self) -> tuple[FileChange, ...]:
        """What changed until now, in order of time."""
        with self._lock:
            return tuple(sorted(self._changes, key=lambda each: each.time))

    def _follow(self) -> None:
        while not self._end.wait(_LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        seen = files(self._root)
        with self._lock:
            self._changes += file_changes(self._seen, seen, time.time())
            self._seen = seen


def object_changes(audit_log: Path, since: float) -> tuple[ObjectChange, ...]:
    """Return what was written to the API, in order of time.

    Parameters
    ----------
    audit_log : Path
        The API server's; where there is none, nothing was written.
    since : float
        From when on, seconds since the epoch.
    """
    if not audit_log.exists():
        return ()
    try:
        found = [change for event in AuditLog(audit_log) if (change := _object_change(event)) and change.time >= since]
    except EvidenceError:  # the API server has just begun a new file
        return ()
    return tuple(sorted(found, key=lambda each: each.time))


def _object_change(event: AuditEvent) -> ObjectChange | None:
    about, change = event.object, _VERBS.get(event.verb)
    granted = event.stage == "ResponseComplete" and event.code is not None and event.code < 300
    if about is None or change is None or not granted or about.resource in _PASSING or about.subresource:
        return None
    name = about.name or str(_metadata(event.response).get("name", ""))
    who = event.user_agent.partition("/")[0]
    return ObjectChange(about.resource, about.namespace, name, change, event.staged.timestamp(), who)


def _metadata(body: Any) -> Mapping[str, Any]:
    return (body or {}).get("metadata") or {}
