"""Official release archives: downloaded, checked against the pinned checksum, and only then unpacked."""

from __future__ import annotations

import logging
import shutil
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

import pooch
import requests

from labkit.components.pins import Pin
from labkit.errors import ComponentError
from labkit.progress import Phase

log = logging.getLogger(__name__)

_CONNECT_SECONDS, _READ_SECONDS = 10, 60
_MB = 1_000_000


class _Bar:
    """What pooch wants of a progress bar, told as a phase."""

    def __init__(self, phase: Phase, name: str) -> None:
        self.total = 0
        self._done = 0
        self._phase = phase
        self._name = name

    def update(self, bytes_more: int) -> None:
        self._done += bytes_more
        total = max(self.total, self._done)
        self._phase.advance(f"downloading {self._name}: {self._done // _MB} of {total // _MB} MB", self._done / total)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        """Nothing is open."""


def official(pin: Pin, folder: Path, phase: Phase) -> None:
    """Download a component's official archive and unpack what is wanted of it into a folder.

    Raises
    ------
    ComponentError
        If it cannot be reached, has another checksum than the pinned one, or lacks a program.
    """
    assert pin.download is not None, "asked only of pins with a download"  # noqa: S101
    name = PurePosixPath(pin.download.url).name
    pooch.get_logger().setLevel(logging.WARNING)  # it writes to stderr, which is not ours to write to
    downloader = pooch.HTTPDownloader(progressbar=_Bar(phase, name), timeout=(_CONNECT_SECONDS, _READ_SECONDS))
    # Beside the destination: that is where there has to be room.
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        try:
            archive = pooch.retrieve(pin.download.url, pin.download.hash, name, temporary, downloader=downloader)
        except requests.RequestException as error:
            raise ComponentError(
                f"{pin.download.url} could not be downloaded.",
                why=_root_cause(error),
                fix="Connect to the internet and try again.",
            ) from error
        except ValueError as error:  # pooch's word for a wrong checksum
            log.warning("%s has not the pinned checksum; it was thrown away.", pin.download.url)
            raise ComponentError(
                f"{pin.download.url} has not the pinned checksum; it was thrown away.",
                why="The download was cut short, or something between here and there answers in its place.",
                fix="Try again, over another network if need be.",
            ) from error
        unpack(pin, Path(archive), pin.download.folder, folder, phase)


def unpack(pin: Pin, archive: Path, inside: str, folder: Path, phase: Phase) -> None:
    """Unpack the programs of a component, or everything if it has no programs, from a folder inside an archive.

    Only regular files are taken, and only to places inside `folder`.

    Raises
    ------
    ComponentError
        If the archive cannot be read or lacks something.
    """
    phase.advance(f"unpacking {archive.name}")
    missing = set(pin.programs)
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                if not member.isfile() or ".." in path.parts or not path.is_relative_to(inside):
                    continue
                relative = path.relative_to(inside)
                if pin.programs and str(relative) not in missing:
                    continue
                _extract(tar, member, folder / relative)
                missing.discard(str(relative))
    except (tarfile.TarError, EOFError) as error:
        raise ComponentError(f"{archive.name} cannot be unpacked.", why=str(error), fix="Try again.") from error
    if missing:
        raise ComponentError(f"{archive.name} has no {', '.join(sorted(missing))} in {inside}.")


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    source = tar.extractfile(member)
    assert source is not None, "asked only of regular files"  # noqa: S101
    target.parent.mkdir(parents=True, exist_ok=True)
    with source, target.open("xb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
    target.chmod(0o755 if member.mode & 0o111 else 0o644)


def _root_cause(error: BaseException) -> str:
    """Return the innermost reason: requests wraps urllib3's errors, which wrap the system's."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error)
