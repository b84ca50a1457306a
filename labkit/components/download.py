"""Official release archives: downloaded, checked against the pinned checksum, and only then unpacked."""

from __future__ import annotations

import http.client
import logging
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath
from typing import IO

import pooch

from labkit.components.pins import Pin
from labkit.errors import ComponentError
from labkit.language import gettext
from labkit.progress import Phase

log = logging.getLogger(__name__)

_PATIENCE = 20  # seconds for the other side to say anything
_CHUNK = 1 << 20  # bytes
_MB = 1_000_000


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

    def downloader(url: str, output_file: str, _pooch: object) -> None:
        _download(url, Path(output_file), phase)

    # Beside the destination: that is where there has to be room.
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        try:
            archive = pooch.retrieve(pin.download.url, pin.download.hash, name, temporary, downloader=downloader)
        except ValueError as error:  # pooch's word for a wrong checksum
            log.warning("%s has not the pinned checksum; it was thrown away.", pin.download.url)
            raise ComponentError(
                gettext("{url} has not the pinned checksum; it was thrown away.").format(url=pin.download.url),
                why=gettext("The download was cut short, or something between here and there answers in its place."),
                fix=gettext("Try again, over another network if need be."),
            ) from error
        unpack(pin, Path(archive), pin.download.folder, folder, phase)


def _download(url: str, target: Path, phase: Phase) -> None:
    """Download a file, telling how far it is; whether it came whole, its checksum shows."""
    name = PurePosixPath(url).name
    try:
        response = urllib.request.urlopen(url, timeout=_PATIENCE)  # noqa: S310 - the URL is pinned, not a user's
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it is the response too, and holds the connection
        raise _unreachable(url, error) from error
    with response, target.open("wb") as file:
        total = int(response.headers["Content-Length"] or 0)
        done = 0
        while chunk := _read(response, url):
            file.write(chunk)
            done += len(chunk)
            of_total = f" of {total // _MB}" if total else ""
            phase.advance(
                gettext("downloading {name}: {done}{of_total} MB").format(
                    name=name, done=done // _MB, of_total=of_total
                ),
                min(done / total, 1) if total else None,
            )


def _read(response: IO[bytes], url: str) -> bytes:
    try:
        return response.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(url, error) from error


def _unreachable(url: str, error: Exception) -> ComponentError:
    return ComponentError(
        gettext("{url} could not be downloaded.").format(url=url),
        why=str(error),
        fix=gettext("Connect to the internet and try again."),
    )


def unpack(pin: Pin, archive: Path, inside: str, folder: Path, phase: Phase) -> None:
    """Unpack the programs of a component, or everything if it has no programs, from a folder inside an archive.

    Only regular files are taken, and only to places inside `folder`.

    Raises
    ------
    ComponentError
        If the archive cannot be read or lacks something.
    """
    phase.advance(gettext("unpacking {file}").format(file=archive.name))
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
        raise ComponentError(
            gettext("{file} cannot be unpacked.").format(file=archive.name), why=str(error), fix=gettext("Try again.")
        ) from error
    if missing:
        raise ComponentError(
            gettext("{file} has no {missing} in {inside}.").format(
                file=archive.name, missing=", ".join(sorted(missing)), inside=inside
            )
        )


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    source = tar.extractfile(member)
    assert source is not None, "asked only of regular files"  # noqa: S101
    target.parent.mkdir(parents=True, exist_ok=True)
    with source, target.open("xb") as file:
        shutil.copyfileobj(source, file, _CHUNK)
    target.chmod(0o755 if member.mode & 0o111 else 0o644)
