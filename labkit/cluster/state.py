"""A lab's folder: everything labkit knows of a lab, and the lock that lets one command at a time change it."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock

from labkit import paths
from labkit.cluster.spec import LabSpec, check_name
from labkit.errors import ClusterError, PreflightError, UsageError
from labkit.language import gettext

_LOCK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class LabFolder:
    """The folder of one lab.

    Attributes
    ----------
    path : Path
        ``<state>/labs/<name>``; it exists from `up` to `down`.
    """

    path: Path

    @classmethod
    def of(cls, name: str) -> LabFolder:
        """Return the folder of the lab of that name, whether it exists or not.

        Raises
        ------
        UsageError
            It is no name for a lab.
        """
        check_name(name)
        return cls(paths.state_dir() / "labs" / name)

    @property
    def spec_file(self) -> Path:
        """The lab's `LabSpec`, written first."""
        return self.path / "lab.json"

    @property
    def ready_file(self) -> Path:
        """Exists once `up` has come to its end; without it, the lab is the rest of an interrupted `up`."""
        return self.path / "ready"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, for programs on the host."""
        return self.path / "kubeconfig"

    @property
    def catalogue(self) -> Path:
        """The user's own image catalogue as it was at `up`; missing where there was none."""
        return self.path / "images.toml"

    @property
    def nodes(self) -> Path:
        """The nodes' folders."""
        return self.path / "nodes"

    @property
    def logs(self) -> Path:
        """What kubeadm and labkit's own processes printed."""
        return self.path / "logs"

    @property
    def forwards(self) -> Path:
        """One file per port that is open on the host."""
        return self.path / "forwards"

    @property
    def watch(self) -> Path:
        """What the watcher of a context keeps."""
        return self.path / "watch"

    @property
    def deployed(self) -> Path:
        """What `Lab.deploy` has made: a line for each object, its resource, namespace, name and uid."""
        return self.path / "deployed"

    @property
    def spans(self) -> Path:
        """What the receiver of trace spans keeps."""
        return self.path / "spans"

    @property
    def proxy(self) -> Path:
        """What was seen of kube-proxy."""
        return self.path / "kube-proxy"

    def create(self, spec: LabSpec) -> None:
        """Make the folder, for this user alone.

        Raises
        ------
        PreflightError
            It cannot be written.
        """
        try:
            for folder in (self.path, self.nodes, self.logs, self.forwards):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            spec.save(self.spec_file)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def load_spec(self) -> LabSpec:
        """Return the lab's spec.

        Raises
        ------
        UsageError
            There is no such lab.
        """
        try:
            return LabSpec.load(self.spec_file)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UsageError(
                gettext("There is no lab {name!r}").format(name=self.path.name),
                why=gettext("{path} does not exist").format(path=self.path),
                fix="labkit up",
            ) from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ClusterError(
                gettext("Lab {name!r} cannot be read").format(name=self.path.name),
                why=f"{self.spec_file}: {error}",
                fix=gettext("labkit down --name {name}, then labkit up").format(name=self.path.name),
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other commands from changing the lab at the same time.

        Raises
        ------
        UsageError
            Another command is changing it.
        PreflightError
            The state folder cannot be written.
        """
        # A lock must outlive what it guards, so it lies in the cache, under a name that no other state folder shares.
        digest = hashlib.sha256(str(self.path).encode()).hexdigest()[:12]
        lock_path = paths.cache_dir() / "locks" / f"{self.path.name}-{digest}.lock"
        try:
            lock_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = filelock.FileLock(lock_path)
            lock.acquire(timeout=_LOCK_SECONDS)
        except filelock.Timeout as error:
            raise UsageError(
                gettext("Another command is changing lab {name!r} now").format(name=self.path.name),
                why=gettext("{lock_path} is held").format(lock_path=lock_path),
                fix=gettext("wait until it has ended, or choose another --name"),
            ) from error
        except OSError as error:
            raise _unwritable(lock_path, error) from error
        try:
            yield
        finally:
            lock.release()


def lab_names() -> list[str]:
    """Return the names of all labs of this user, running or not."""
    folder = paths.state_dir() / "labs"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def _unwritable(path: Path, error: OSError) -> PreflightError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:  # the disk is full, or what of it is this account's
        return PreflightError(
            gettext("The disk is full"),
            why=str(error),
            fix=gettext("free some space, or set LABKIT_STATE to a folder on another disk"),
        )
    return PreflightError(
        gettext("{path} cannot be written").format(path=path),
        why=str(error),
        fix=gettext("make it writable, or set LABKIT_STATE to another folder"),
    )
