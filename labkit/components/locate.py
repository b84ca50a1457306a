"""The order in which components are looked for, and what is made of them."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from labkit import paths
from labkit.components import fetch, find
from labkit.components.pins import Pin, optional_pins, pins
from labkit.components.store import Store
from labkit.errors import UsageError
from labkit.language import gettext
from labkit.progress import Phase, Progress

log = logging.getLogger(__name__)

Source = Literal["folder", "cache", "path", "missing"]


@dataclass(frozen=True)
class Components:
    """The pinned programs that a lab needs, found and proved.

    Attributes
    ----------
    folders : mapping of str to Path
        The folder of each component, by the component's name.
    """

    folders: Mapping[str, Path]

    @property
    def programs(self) -> dict[str, Path]:
        """The absolute path of each program of Kubernetes, etcd and CoreDNS, by its name."""
        return {
            program: self.folders[pin.name] / program
            for pin in pins().values()
            if pin.name in self.folders and pin.name != "cni"
            for program in pin.programs
        }

    def program(self, name: str) -> Path:
        """Return the absolute path of a program.

        Parameters
        ----------
        name : str
            ``"kubeadm"``, ``"etcd"``, ``"coredns"``, …

        Raises
        ------
        UsageError
            If no component has such a program.
        """
        try:
            return self.programs[name]
        except KeyError:
            known = ", ".join(sorted(self.programs))
            raise UsageError(
                gettext("labkit has no program {name!r}.").format(name=name),
                fix=gettext("Choose one of: {known}.").format(known=known),
            ) from None

    @property
    def cni_dir(self) -> Path:
        """The folder with the CNI plugins."""
        return self.folders["cni"]

    @property
    def tomcat(self) -> Path:
        """Apache Tomcat's home, its CATALINA_HOME; it is never written to."""
        return self.folders["tomcat"]


@dataclass(frozen=True)
class Row:
    """Where a component is now, for a table.

    Attributes
    ----------
    name, version : str
        Of the component.
    source : {"folder", "cache", "path", "missing"}
        How it was found.
    path : Path or None
        Its folder; None if missing.
    bytes : int
        The size of its files; 0 if missing.
    """

    name: str
    version: str
    source: Source
    path: Path | None
    bytes: int


def ensure(
    progress: Progress | None = None,
    *,
    folder: Path | None = None,
    verify: bool = False,
    only: Collection[str] | None = None,
) -> Components:
    """Find every component; fetch or build into the cache what is missing.

    Parameters
    ----------
    progress : Progress, optional
        Is told a phase for each component that is not ready yet.
    folder : Path, optional
        A folder with programs to use first; without it the variable `LABKIT_COMPONENTS`.
    verify : bool, optional
        Compute the full SHA-256 of what is in the cache instead of comparing sizes and times.
    only : collection of str, optional
        The names of those that are needed; by default all.

    Raises
    ------
    UsageError
        If the folder does not exist.
    ComponentError
        If a component can be neither found, fetched nor built; each way's reason is told.
    """
    progress = progress or Progress()
    named = _named_folder(folder)
    wanted = [pin for pin in pins().values() if only is None or pin.name in only]
    return Components({pin.name: _ensure(pin, named, progress, verify=verify) for pin in wanted})


def ensure_optional(name: str, progress: Progress | None = None) -> Path:
    """Find a component that only some labs need, or fetch or build it into the cache; return its folder.

    Parameters
    ----------
    name : str
        ``"kind"``.
    progress : Progress, optional
        Is told a phase if it is not ready yet.

    Raises
    ------
    ComponentError
        If it can be neither found, fetched nor built; each way's reason is told.
    """
    return _ensure(optional_pins()[name], _named_folder(None), progress or Progress(), verify=False)


def find_optional(name: str) -> Path | None:
    """Return the folder of a component that only some labs need, None if it is not there; nothing is fetched."""
    store = Store(paths.cache_dir() / "components")
    return _look_up(optional_pins()[name], _named_folder(None), store, verify=False)[1]


def list_components(*, folder: Path | None = None, verify: bool = False) -> list[Row]:
    """Return where each component is now; nothing is fetched or built.

    Parameters
    ----------
    folder, verify
        As for `ensure`.
    """
    named = _named_folder(folder)
    store = Store(paths.cache_dir() / "components")
    rows = []
    for pin in pins().values():
        source, path = _look_up(pin, named, store, verify=verify)
        rows.append(Row(pin.name, pin.version, source, path, _size(pin, path) if path else 0))
    return rows


def _named_folder(folder: Path | None) -> Path | None:
    if folder is None and not os.environ.get("LABKIT_COMPONENTS"):
        return None
    named = Path(folder or os.environ["LABKIT_COMPONENTS"]).expanduser().absolute()
    if not named.is_dir():
        raise UsageError(
            gettext("The folder for components, {named}, does not exist.").format(named=named),
            why=gettext("It was given as an argument or by the variable LABKIT_COMPONENTS."),
            fix=gettext("Name a folder that exists, or unset LABKIT_COMPONENTS."),
        )
    return named


def _look_up(pin: Pin, named: Path | None, store: Store, *, verify: bool) -> tuple[Source, Path | None]:
    if named is not None:
        # Laid out as the cache is, it has a manifest that proves it; anything else has to say its version.
        path = Store(named).get(pin, verify=verify) or find.in_folder(pin, named)
        if path is not None:
            return "folder", path
    if (path := store.get(pin, verify=verify)) is not None:
        return "cache", path
    if (path := find.on_path(pin)) is not None:
        return "path", path
    return "missing", None


def _ensure(pin: Pin, named: Path | None, progress: Progress, *, verify: bool) -> Path:
    store = Store(paths.cache_dir() / "components")
    _, path = _look_up(pin, named, store, verify=verify)
    if path is None:
        with progress.phase(f"{pin.name} {pin.version}") as phase:
            path = _obtain(pin, store, phase, verify=verify)
    return path


def _obtain(pin: Pin, store: Store, phase: Phase, *, verify: bool) -> Path:
    """Fetch or build a component into the cache, unless another process has done so by the time it is our turn."""
    with store.lock(pin, phase):
        if (path := store.get(pin, verify=verify)) is not None:
            return path
        if reason := store.discard(pin, verify=verify):
            log.warning("%s in the cache is not usable (%s); it is fetched again.", pin.folder_name, reason)
            phase.advance(gettext("the cached copy is not usable ({reason}); fetching it again").format(reason=reason))
        with store.installing(pin) as folder:
            fetch.into(pin, folder, phase)
            find.prove(pin, folder)
        path = store.get(pin)
        assert path is not None, "what was just installed is there"  # noqa: S101
        return path


def _size(pin: Pin, path: Path) -> int:
    files = [path / program for program in pin.programs] if pin.programs else path.rglob("*")
    # Several names can be one file.
    return sum({found.st_ino: found.st_size for found in (file.stat() for file in files if file.is_file())}.values())
