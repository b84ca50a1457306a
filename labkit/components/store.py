"""The cache: one folder per component, made in one step, with a manifest that proves each file."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

import filelock

from labkit.components.pins import Pin
from labkit.errors import ComponentError
from labkit.language import gettext
from labkit.progress import Phase

log = logging.getLogger(__name__)

_MANIFEST = "manifest.json"
_FILES = "files"


class _File(TypedDict):
    sha256: str
    size: int
    mtime_ns: int


class Store:
    """The components in the cache: ``<folder>/<name>-<version>/{manifest.json,files/}``.

    Parameters
    ----------
    folder : Path
        Of the cache; it is made when something is put into it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, pin: Pin, *, verify: bool = False) -> Path | None:
        """Return the folder of a component's files if it is whole and unchanged, else None.

        Parameters
        ----------
        pin : Pin
            The component.
        verify : bool, optional
            Compute every file's SHA-256, not only where size or time differ from the manifest.
        """
        if self._fault(pin, verify=verify):
            return None
        return self.folder / pin.folder_name / _FILES

    def discard(self, pin: Pin, *, verify: bool) -> str:
        """Remove what is left of a component that `get` refuses.

        The caller holds the component's lock, so what lies there half made was left by an interrupted process.

        Returns
        -------
        str
            What was wrong with it; "" if nothing was there.
        """
        home = self.folder / pin.folder_name
        fault = self._fault(pin, verify=verify) if home.exists() else ""
        with self._writing():
            for left in (home, *self.folder.glob(f".{pin.folder_name}.*.part")):
                if left.exists():
                    shutil.rmtree(left)
        return fault

    @contextmanager
    def lock(self, pin: Pin, phase: Phase) -> Iterator[None]:
        """Hold the component's lock, so that of several processes one does the work and the others wait.

        Raises
        ------
        ComponentError
            If the cache cannot be written to.
        """
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.folder / f"{pin.folder_name}.lock")
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                phase.advance(gettext("another labkit process is at it; waiting for it"))
                lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def installing(self, pin: Pin) -> Iterator[Path]:
        """Give an empty folder to fill; afterwards it becomes the component's, in one step, or vanishes.

        The caller holds the component's lock.

        Raises
        ------
        ComponentError
            If the cache cannot be written to or the disk is full.
        """
        with (
            self._writing(),
            tempfile.TemporaryDirectory(
                prefix=f".{pin.folder_name}.", suffix=".part", dir=self.folder, ignore_cleanup_errors=True
            ) as temporary,
        ):
            home = Path(temporary, "home")
            files = home / _FILES
            files.mkdir(parents=True)
            yield files
            manifest = {str(path.relative_to(files)): _describe(path) for path in _files_in(files)}
            (home / _MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True))
            home.rename(self.folder / pin.folder_name)

    def _fault(self, pin: Pin, *, verify: bool) -> str:
        """Return what is wrong with a component, "" if nothing is."""
        home = self.folder / pin.folder_name
        try:
            manifest: dict[str, _File] = json.loads((home / _MANIFEST).read_text())
        except FileNotFoundError:
            return gettext("it is incomplete") if home.exists() else gettext("it is not there")
        except (OSError, ValueError) as error:
            return gettext("its manifest cannot be read: {error}").format(error=error)
        if not manifest.keys() >= pin.programs.keys():
            return gettext("it lacks a program")
        for name, expected in manifest.items():
            path = home / _FILES / name
            try:
                now = path.stat()
                same = (now.st_size, now.st_mtime_ns) == (expected["size"], expected["mtime_ns"])
                if (verify or not same) and _sha256(path) != expected["sha256"]:
                    return gettext("{name} has changed since it was put there").format(name=name)
            except OSError as error:
                return gettext("{name} cannot be read: {error}").format(name=name, error=error.strerror)
            if not same:
                # The content is right, only its time is not, as after a plain copy: mend that, where we may, so that
                # the next check is fast again.
                _set_time(path, expected["mtime_ns"])
        return ""

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ComponentError(
                gettext("The cache {folder} cannot be written to.").format(folder=self.folder),
                why=f"{error.strerror or error}" + (f" ({error.filename})" if error.filename else ""),
                fix=gettext(
                    "Free space or mend its permissions, or choose another folder with the variable LABKIT_CACHE."
                ),
            ) from error


def _files_in(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _describe(path: Path) -> _File:
    status = path.stat()
    return {"sha256": _sha256(path), "size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _set_time(path: Path, mtime_ns: int) -> None:
    try:
        os.utime(path, ns=(mtime_ns, mtime_ns))
    except OSError as error:
        log.debug("The time of %s stays as it is: %s", path, error)
