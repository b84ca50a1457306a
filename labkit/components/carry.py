"""The components as one file, for machines without a network: written from what is here, read into the cache.

The file is a tar archive, packed with gzip: ``labkit-components.json`` first, which has the SHA-256 of every file, then
the files, each component in a folder of its own.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labkit import paths
from labkit.components import find
from labkit.components.locate import ensure
from labkit.components.pins import Pin, pins
from labkit.components.store import Store
from labkit.errors import ComponentError, UsageError
from labkit.language import gettext
from labkit.progress import Progress

FORMAT = "labkit components"
_INDEX = "labkit-components.json"
_INDEX_BYTES = 16 << 20
_LEVEL = 1  # gzip's quickest: programs shrink to a third, and who carries them waits for it


def save(file: Path, progress: Progress) -> Path:
    """Write every component into a file; what is missing here is fetched or built first.

    Parameters
    ----------
    file : Path
        What was there stays until the new one is complete.
    progress : Progress
        Is told a phase for each component.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ComponentError
        A component can be neither found, fetched nor built, or the file cannot be written.
    """
    folders = ensure(progress).folders
    index: dict[str, Any] = {"format": FORMAT, "machine": platform.machine(), "components": {}}
    try:
        with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.absolute().parent) as private:
            draft = Path(private, "draft")
            for name, folder in folders.items():
                index["components"][name] = {
                    "version": pins()[name].version,
                    "files": {str(path.relative_to(folder)): _sha256(path) for path in _files(pins()[name], folder)},
                }
            with tarfile.open(draft, "w:gz", compresslevel=_LEVEL) as archive:
                _add_index(archive, index)
                for name, folder in folders.items():
                    with progress.phase(f"{name} {pins()[name].version}"):
                        for path in _files(pins()[name], folder):
                            archive.add(path, f"{name}/{path.relative_to(folder)}", recursive=False, filter=_nobodys)
            draft.replace(file)
    except OSError as error:
        raise ComponentError(
            gettext("{file} cannot be written").format(file=file),
            why=str(error),
            fix=gettext("choose a folder that exists and has some 200 MB of room"),
        ) from error
    return file


def load(file: Path, progress: Progress) -> tuple[str, ...]:
    """Put the components of a file into the cache; those that are there already stay.

    Every file's checksum is compared, and every program has to say its version, before anything is of use.

    Returns
    -------
    tuple of str
        The folders of those that were put there: ``"etcd-3.6.5"``.

    Raises
    ------
    UsageError
        There is no such file.
    ComponentError
        It is none of `save`, is cut off or damaged, or is for another machine or another labkit.
    """
    store = Store(paths.cache_dir() / "components")
    try:
        with tarfile.open(file, "r:gz") as archive:
            index = _index(archive, file)
            new = [pin for pin in pins().values() if store.get(pin, verify=True) is None]
            with tempfile.TemporaryDirectory(prefix=".load.", dir=_made(store.folder)) as private:
                with progress.phase(gettext("unpack")):
                    _unpack(archive, index, Path(private))
                for pin in new:
                    _install(pin, Path(private, pin.name), index["components"][pin.name]["files"], store, progress)
    except FileNotFoundError as error:
        raise UsageError(
            gettext("There is no file {file}").format(file=file),
            fix=gettext("write one where there is a network: labkit images save"),
        ) from error
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, KeyError, TypeError) as error:
        raise ComponentError(
            gettext("{file} is no file of labkit's components, or is cut off or damaged").format(file=file),
            why=str(error) or type(error).__name__,
            fix=gettext("copy it again, or write it again: labkit images save FILE"),
        ) from error
    return tuple(pin.folder_name for pin in new)


def _install(pin: Pin, source: Path, files: dict[str, str], store: Store, progress: Progress) -> None:
    with progress.phase(f"{pin.name} {pin.version}") as phase, store.lock(pin, phase):
        for name, checksum in files.items():
            if _sha256(source / name) != checksum:
                raise ComponentError(
                    gettext("{name}/{name2} is not what was written").format(name=pin.name, name2=name),
                    why=gettext("its SHA-256 differs from the one in the file's index"),
                    fix=gettext("copy the file again"),
                )
        store.discard(pin, verify=True)
        with store.installing(pin) as folder:
            for path in source.iterdir():
                path.rename(folder / path.name)
            find.prove(pin, folder)


def _index(archive: tarfile.TarFile, file: Path) -> dict[str, Any]:
    """Return the index, which comes first.

    Raises
    ------
    ComponentError
        It is for another machine, or for another labkit.
    ValueError
        There is none.
    """
    first = archive.next()
    member = archive.extractfile(first) if first is not None and first.name == _INDEX else None
    if member is None:
        raise ValueError(f"its first member is no {_INDEX}")
    index: dict[str, Any] = json.loads(member.read(_INDEX_BYTES))
    if index["format"] != FORMAT:
        raise ValueError(f"its {_INDEX} does not say {FORMAT!r}")
    if index["machine"] != platform.machine():
        raise ComponentError(
            gettext("{file} is for machines of another kind").format(file=file),
            why=gettext("its programs are for {machine}, and this is {platform_machine}").format(
                machine=index["machine"], platform_machine=platform.machine()
            ),
            fix=gettext("write it on a machine of this kind"),
        )
    differing = [
        f"{pin.name} {pin.version}"
        for pin in pins().values()
        if index["components"].get(pin.name, {}).get("version") != pin.version
    ]
    if differing:
        raise ComponentError(
            gettext("{file} was written by another labkit").format(file=file),
            why=gettext("it lacks {components}").format(components=", ".join(differing)),
            fix=gettext("write it with this version of labkit"),
        )
    return index


def _unpack(archive: tarfile.TarFile, index: dict[str, Any], folder: Path) -> None:
    """Write the archive's files into a folder: those of the index, and nothing else.

    Raises
    ------
    ValueError
        It has something else.
    """
    wanted = {f"{name}/{file}" for name, component in index["components"].items() for file in component["files"]}
    for member in archive:
        path = folder / member.name
        if member.name == _INDEX:
            continue
        if member.name not in wanted or ".." in path.parts:
            raise ValueError(f"it has a file {member.name!r}, of which its index does not speak")
        path.parent.mkdir(parents=True, exist_ok=True)
        if member.islnk() and member.linkname in wanted:  # one program of several names
            path.hardlink_to(folder / member.linkname)
            continue
        content = archive.extractfile(member) if member.isreg() else None
        if content is None:
            raise ValueError(f"{member.name!r} is no plain file")
        with path.open("xb") as file:
            shutil.copyfileobj(content, file)
        path.chmod(0o755 if member.mode & 0o100 else 0o644)


def _files(pin: Pin, folder: Path) -> Iterator[Path]:
    """Return a component's own files: its folder may be /usr/bin."""
    own = [folder / program for program in pin.programs] if pin.programs else folder.rglob("*")
    return (path for path in sorted(own) if path.is_file())


def _add_index(archive: tarfile.TarFile, index: dict[str, Any]) -> None:
    text = json.dumps(index, indent=1, sort_keys=True).encode()
    member = tarfile.TarInfo(_INDEX)
    member.size = len(text)
    archive.addfile(member, io.BytesIO(text))


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out whose a file was."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
