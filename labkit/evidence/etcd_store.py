"""What etcd says when it is asked: its keys, a key's value at a revision, and how far back it remembers.

By `etcdctl` on the control plane's node, as `labkit.evidence.etcd` follows what comes. A value with a secret in it
leaves this module redacted.
"""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson

from labkit.errors import ClusterError, EvidenceError, UsageError
from labkit.evidence.etcd import AS_HEALTH_CHECK, REGISTRY, EtcdWatch, json_value
from labkit.evidence.model import Json, Revision
from labkit.evidence.redaction import redacted_revision
from labkit.language import gettext
from labkit.node.process import run

_SCRIPT = f'{AS_HEALTH_CHECK}\nexec etcdctl --dial-timeout=2s --command-timeout=3s --write-out=json "$@"'
_SECONDS = 10.0
_READING_SECONDS = 30.0
_POLL_SECONDS = 0.01
# What etcd answers (etcd.io, api/v3rpc/rpctypes/error.go: ErrGRPCCompacted, ErrGRPCFutureRev).
_COMPACTED = "required revision has been compacted"
_FUTURE = "required revision is a future revision"


@dataclass(frozen=True, slots=True)
class EtcdStatus:
    """How far etcd is.

    Attributes
    ----------
    revision : int
        The newest.
    compacted : int
        The one up to which what was overwritten is gone; 0 where nothing is.
    """

    revision: int
    compacted: int


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as etcd keeps it (etcd.io/docs/v3.6/learning/api, "Key-value pair").

    Attributes
    ----------
    key : str
        ``"/registry/pods/default/tomcat-5c8-x7k2p"``.
    created, revision : int
        The revisions that made it, and that wrote it last.
    version : int
        How many times it was written since it was made.
    value : mapping or None
        The object, without secrets; None where only keys were asked for, or where it is no JSON.
    """

    key: str
    created: int
    revision: int
    version: int
    value: Json | None = None


class EtcdStore:
    """etcd of a cluster, asked.

    Parameters
    ----------
    command : callable
        Returns the command line that runs a program on the control plane's node; may raise LabkitError.
    """

    def __init__(self, command: Callable[[Sequence[str]], list[str]]) -> None:
        self._command = command

    def status(self) -> EtcdStatus:
        """Return how far etcd is, and how far back it remembers.

        Raises
        ------
        ClusterError
            It does not answer.
        """
        (answer,) = self._ask("endpoint", "hashkv")
        found = answer["HashKV"]
        return EtcdStatus(found["header"]["revision"], max(0, found.get("compact_revision", 0)))

    def keys(self, prefix: str, revision: int | None = None) -> list[StoredKey]:
        """Return the keys that begin with a prefix, in order, without values; by default those of now.

        Raises
        ------
        UsageError
            There is no such revision, or not any more.
        ClusterError
            etcd does not answer.
        """
        return self._get(prefix, "--prefix", "--keys-only", revision=revision)

    def values(self, prefix: str, revision: int | None = None) -> list[StoredKey]:
        """Return the same with their values; it raises the same."""
        return self._get(prefix, "--prefix", revision=revision)

    def get(self, key: str, revision: int | None = None) -> StoredKey | None:
        """Return one key, or None where there is none; it raises the same."""
        return next(iter(self._get(key, revision=revision)), None)

    def compact(self, revision: int) -> None:
        """Have etcd forget what was overwritten or removed before a revision.

        Raises
        ------
        UsageError
            There is no such revision, or not any more.
        ClusterError
            etcd does not answer.
        """
        self._ask("compact", str(_checked(revision)), revision=revision)

    def follow(self, first: int) -> EtcdWatch:
        """Return what follows etcd from a revision on; what it reads is not redacted."""
        return EtcdWatch(self._command, first)

    def since(self, first: int) -> list[Revision]:
        """Return what happened from a revision on, without secrets.

        Raises
        ------
        EvidenceError
            It is gone, or cannot be read.
        """
        watch = self.follow(first)
        found: list[Revision] = []
        deadline = time.monotonic() + _READING_SECONDS
        try:
            while not watch.at_end:
                found += watch.read()
                if time.monotonic() > deadline:
                    raise EvidenceError(
                        gettext("etcd's revisions were not read"),
                        why=gettext("not within {seconds:.0f} s").format(seconds=_READING_SECONDS),
                    )
                time.sleep(_POLL_SECONDS)
            for loss in watch.take_losses():
                raise EvidenceError(gettext("etcd: {what}").format(what=loss.what), why=loss.why, fix="labkit status")
        finally:
            watch.close()
        return list(map(redacted_revision, found))

    def _get(self, key: str, *options: str, revision: int | None) -> list[StoredKey]:
        at = [] if revision is None else [f"--rev={_checked(revision)}"]
        answer = self._ask("get", *options, *at, "--", key, revision=revision)
        return [_stored(each) for each in answer.get("kvs") or ()]

    def _ask(self, *arguments: str, revision: int | None = None) -> Any:
        command = self._command(["sh", "-c", _SCRIPT, "sh", *arguments])
        try:
            printed = run(command, what=gettext("ask etcd"), timeout=_SECONDS)
        except ClusterError as error:
            self._refused(error, revision)
        # `compact` prints a sentence in place of JSON.
        return orjson.loads(printed) if arguments[0] != "compact" else None

    def _refused(self, error: ClusterError, revision: int | None) -> NoReturn:
        if _COMPACTED in error.why:
            raise UsageError(
                gettext("Revision {revision} is gone").format(revision=revision),
                why=gettext("etcd was compacted: it remembers revisions from {compacted} on").format(
                    compacted=self.status().compacted
                ),
                fix=gettext("ask for a later one, or for the present value"),
            ) from None
        if _FUTURE in error.why:
            raise UsageError(
                gettext("There is no revision {revision} yet").format(revision=revision),
                why=gettext("the newest is {revision}").format(revision=self.status().revision),
                fix=gettext("ask for an earlier one"),
            ) from None
        said = [line for line in error.why.splitlines() if line.startswith("Error:")] or error.why.splitlines()[-1:]
        raise ClusterError(
            gettext("etcd does not answer"),
            why=" ".join(said).removeprefix("Error: "),
            fix=gettext("labkit status tells whether it runs; labkit thaw lets it go on if it is frozen"),
        ) from None


def full(key: str) -> str:
    """Return a key as etcd has it: what Kubernetes stores begins with ``/registry/``, which may be left out."""
    return REGISTRY + key.strip().lstrip("/").removeprefix(REGISTRY.lstrip("/"))


def _checked(revision: int) -> int:
    """Return a revision that can be asked for: to etcd 0 and less mean the newest."""
    if revision < 1:
        raise UsageError(
            gettext("There is no revision {revision}").format(revision=revision),
            why=gettext("etcd counts them from 1"),
            fix=gettext("ask for a later one"),
        )
    return revision


def _stored(raw: Any) -> StoredKey:
    key = b64decode(raw["key"]).decode(errors="replace")
    clean = redacted_revision(Revision(raw["mod_revision"], key, json_value(raw)))
    return StoredKey(key, raw["create_revision"], raw["mod_revision"], raw["version"], clean.value)
