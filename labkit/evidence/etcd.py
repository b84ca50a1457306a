"""etcd's history and its new revisions, by `etcdctl watch` on the control plane's node.

etcd keeps old revisions until the API server has it compact them (``--etcd-compaction-interval``, 5 minutes), so a
watch from an earlier revision gives what happened before it began: nothing has to run all the time
(etcd.io/docs/v3.6/tutorials/how-to-watch-keys, and learning/api, "Watch streams").
"""

from __future__ import annotations

import os
import subprocess
import time
from base64 import b64decode
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from labkit.errors import LabkitError
from labkit.evidence.model import Json, Loss, Revision
from labkit.evidence.tail import lines

REGISTRY = "/registry/"

_BUDGET = 4 << 20
_CHUNK = 1 << 16  # a pipe holds no more
_RETRY_SECONDS = 1.0
_END_SECONDS = 2.0
#: So long an etcd may say nothing of a past that it has: one that cannot write, on a full disk, answers nothing at all.
_SILENT_SECONDS = 10.0
#: Shell, for the control plane's node: which etcd etcdctl speaks to, and who it is there.
AS_HEALTH_CHECK = """
k=/etc/kubernetes/pki/etcd
export ETCDCTL_ENDPOINTS=127.0.0.1:2379
export ETCDCTL_CACERT=$k/ca.crt ETCDCTL_CERT=$k/healthcheck-client.crt ETCDCTL_KEY=$k/healthcheck-client.key
"""
# All keys are watched, not only Kubernetes' own: then the newest revision is always among them, and tells that the past
# has been read. The watch ends with its reader: that one's end closes the standard input.
_SCRIPT = f"""{AS_HEALTH_CHECK}
etcdctl get "" --prefix --limit=1 --keys-only -w json || exit
exec 3<&0
(cat; kill $$) <&3 >/dev/null 2>&1 &
exec etcdctl watch "" --prefix --prev-kv --rev="$1" -w json 3<&-
"""


def parse(raw: Json) -> list[Revision]:
    """Return what one response of a watch tells of Kubernetes' keys.

    Raises
    ------
    ValueError
        It is none.
    """
    try:
        found = []
        for event in raw["Events"]:
            stored = event["kv"]
            key = b64decode(stored["key"]).decode(errors="replace")
            if key.startswith(REGISTRY):
                found.append(
                    Revision(
                        revision=stored["mod_revision"],
                        key=key,
                        value=json_value(stored),
                        removed=event.get("type") == 1,  # DELETE, etcd's kv.proto
                        created=stored.get("create_revision", 0),
                        previous=json_value(event.get("prev_kv") or {}),
                    )
                )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a revision without {error}") from error
    return found


class EtcdWatch:
    """The revisions of etcd's keys, followed.

    Parameters
    ----------
    command : callable
        Returns the command line that runs a program on the control plane's node; may raise LabkitError.
    first : int
        The first revision wanted; 1 for all that etcd still has.
    """

    def __init__(self, command: Callable[[Sequence[str]], list[str]], first: int) -> None:
        self._command = command
        self._next = first
        self._newest: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""
        self._message = ""
        self._failed = ""
        self._again = False
        self._retry_at = 0.0
        self._heard_at = 0.0
        self._losses: list[Loss] = []

    @property
    def at_end(self) -> bool:
        """Whether all that was there when the watch began has been read, or cannot be."""
        return bool(self._failed) or (self._newest is not None and self._next > self._newest)

    @property
    def failure(self) -> str:
        """Why nothing can be read at the moment; empty where it can."""
        return self._failed

    def read(self) -> list[Revision]:
        """Return what is new since the last call; never waits."""
        if self._process is None and time.monotonic() >= self._retry_at:
            self._start()
        if self._process is None:
            return []
        running = self._process.poll() is None
        whole, more = self._read_lines(self._process)
        revisions = [revision for line in whole for revision in self._take(line)]
        if whole or more or self.at_end:
            self._heard_at = time.monotonic()
        silent = time.monotonic() - self._heard_at > _SILENT_SECONDS
        if silent:
            self._message = f"etcd has not answered for {_SILENT_SECONDS:.0f} s"
        if silent or not (running or more):
            self._ended()
        return revisions

    def take_losses(self) -> list[Loss]:
        """Return what was lost since the last call."""
        losses, self._losses = self._losses, []
        return losses

    def close(self) -> None:
        """End the watch."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _start(self) -> None:
        try:
            self._process = subprocess.Popen(
                self._command(["sh", "-c", _SCRIPT, "sh", str(self._next)]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C, and a notebook's interrupt, are meant for who reads, not for it
            )
        except (LabkitError, OSError) as error:
            self._fail(" ".join(str(error).split()))
            return
        assert self._process.stdout is not None  # noqa: S101 - PIPE was asked for
        os.set_blocking(self._process.stdout.fileno(), False)
        self._rest, self._message, self._newest = b"", "", None
        self._heard_at = time.monotonic()

    def _read_lines(self, process: subprocess.Popen[bytes]) -> tuple[list[bytes], bool]:
        """Return what the watch printed, and whether there may be more."""
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for
        chunks, size, data = [self._rest], 0, b"-"
        while data and size < _BUDGET:
            try:
                data = os.read(process.stdout.fileno(), _CHUNK)
            except BlockingIOError:
                data = b""
            chunks.append(data)
            size += len(data)
        whole, self._rest = lines(b"".join(chunks))
        return whole, bool(data)

    def _take(self, line: bytes) -> list[Revision]:
        """Read one line: what `get` printed first, then the watch's responses, or a message."""
        try:
            raw = orjson.loads(line)
            if "header" in raw:
                self._newest = int(raw["header"]["revision"])
                return []
            if raw["CompactRevision"]:
                self._compacted(int(raw["CompactRevision"]))
                return []
            revisions = parse(raw)
            self._next = max((event["kv"]["mod_revision"] + 1 for event in raw["Events"]), default=self._next)
        except (ValueError, KeyError, TypeError):
            self._message = line.decode(errors="replace")[:500]
            return []
        self._failed = ""
        return revisions

    def _compacted(self, oldest: int) -> None:
        self._losses.append(
            Loss(
                "etcd",
                f"revisions {self._next} to {oldest} are gone",
                "the API server has etcd compact what is older than five minutes",
            )
        )
        self._next = oldest + 1
        self._again = True

    def _ended(self) -> None:
        """Begin again where the watch stopped: it was compacted, or its node or etcd ended."""
        self.close()
        if not self._again:
            self._fail(self._message or "etcdctl ended")
        self._again = False

    def _fail(self, why: str) -> None:
        self._retry_at = time.monotonic() + _RETRY_SECONDS
        if not self._failed:
            self._losses.append(Loss("etcd", "etcd's revisions cannot be read now", why))
        self._failed = why


def json_value(stored: Any) -> Json | None:
    """Return a key's value as an object, None where it is none: an address, a range of ports, or not JSON."""
    value = stored.get("value")
    if not value:
        return None
    try:
        found = orjson.loads(b64decode(value))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
