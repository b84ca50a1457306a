"""Container images written as files: layers, and the archive that a container runtime imports.

Formats: OCI image specification 1.1, `image-layout.md`, `manifest.md`, `config.md` and `layer.md`
(github.com/opencontainers/image-spec); ``io.containerd.image.name`` is where containerd looks for an image's whole
name (containerd, images/annotations.go). Layers are packed by zstd(1), whose media type is in `layer.md`, too.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import IO, Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
#: Where Debian's Python looks even when it is told to be isolated (python3 -I).
_PACKAGES = PurePosixPath("usr/lib/python3/dist-packages")
_MEDIA = "application/vnd.oci.image"
#: zstd takes as long as gzip does for a fifth less; above this level it takes twice the time for one hundredth.
USUAL = 9
#: This one takes ten times as long for a tenth less: for layers that are not large.
SMALLEST = 19


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer, packed.

    Attributes
    ----------
    path : Path
        The tar file, compressed.
    digest, diff_id : str
        ``sha256:`` of it, and of what it unpacks to.
    """

    path: Path
    digest: str
    diff_id: str


@dataclass(frozen=True, slots=True)
class Image:
    """An image: its names, its layers from the lowest up, and how it runs.

    Attributes
    ----------
    names : tuple of str
        Whole: ``"registry.k8s.io/pause:3.10.1"``.
    layers : tuple of Layer
        From the lowest up.
    config : mapping
        `Entrypoint`, `Cmd`, `Env`, `WorkingDir`, … as in the specification.
    """

    names: tuple[str, ...]
    layers: tuple[Layer, ...]
    config: Mapping[str, Any] = field(default_factory=dict)


def architecture() -> str:
    """Return this machine's architecture as images name it: ``"amd64"``."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def pack(path: Path, add: Callable[[tarfile.TarFile], None], *, level: int = USUAL) -> Layer:
    """Write a layer.

    Parameters
    ----------
    path : Path
        The file to write.
    add : callable
        Adds the layer's files to the archive.
    level : int
        zstd's: how hard it tries.
    """
    with _compressed(path, level) as packed:
        plain = _Hashed(packed)
        with tarfile.open(fileobj=plain, mode="w|") as archive:
            add(archive)
    return Layer(path, _digest(path), plain.digest)


def pack_tar(path: Path, source: Path) -> Layer:
    """Write a layer of what is in a tar file already."""
    with _compressed(path) as packed, source.open("rb") as unpacked:
        plain = _Hashed(packed)
        shutil.copyfileobj(unpacked, plain, 1 << 20)
    return Layer(path, _digest(path), plain.digest)


def pack_rest(path: Path, source: Path, base: Path, *, level: int = USUAL) -> Layer:
    """Write a layer of what is in a tar file and not in another, whose layer is below.

    Parameters
    ----------
    path : Path
        The file to write.
    source, base : Path
        The tar files.
    level : int
        zstd's: how hard it tries.
    """
    with tarfile.open(base) as below:
        known = {member.name for member in below if not member.isdir()}

    def add(archive: tarfile.TarFile) -> None:
        with tarfile.open(source) as unpacked:
            for member in unpacked:
                if member.name not in known:
                    archive.addfile(member, unpacked.extractfile(member) if member.isreg() else None)

    return pack(path, add, level=level)


def add_file(archive: tarfile.TarFile, source: Path, name: str) -> None:
    """Add a file or a folder as root's, under another name; of a file that is there already, a hard link to it."""

    def as_roots(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        info.mtime = 0
        return info

    archive.add(source, name, filter=as_roots)


def add_text(archive: tarfile.TarFile, text: str, name: str, mode: int = 0o755) -> None:
    """Add a file with a text."""
    data = text.encode()
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    archive.addfile(info, io.BytesIO(data))


def add_modules(archive: tarfile.TarFile, modules: Iterable[ModuleType]) -> None:
    """Add modules of labkit for Debian's Python, in packages that have nothing else in them."""
    folders = set()
    for module in modules:
        assert module.__file__ is not None, "it was read from a file"  # noqa: S101
        place = PurePosixPath(_PACKAGES, *module.__name__.split("."))
        add_text(archive, Path(module.__file__).read_text("utf-8"), f"{place}.py", 0o644)
        folders |= {folder for folder in place.parents if len(folder.parts) > len(_PACKAGES.parts)}
    for folder in sorted(folders):
        add_text(archive, "", f"{folder}/__init__.py", 0o644)


def add_folder(archive: tarfile.TarFile, name: str, mode: int) -> None:
    """Add an empty folder."""
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, mode
    archive.addfile(info)


def add_link(archive: tarfile.TarFile, name: str, target: str) -> None:
    """Add a symbolic link."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = tarfile.SYMTYPE, target, 0o777
    archive.addfile(info)


def write_archive(path: Path, images: Iterable[Image]) -> dict[str, str]:
    """Write images into one archive, each blob once; return each name's manifest, as its digest."""
    written: set[str] = set()
    index: list[dict[str, Any]] = []
    digests: dict[str, str] = {}
    with tarfile.open(path, "w") as archive:
        add_text(archive, '{"imageLayoutVersion":"1.0.0"}', "oci-layout", 0o644)
        for image in images:
            for layer in image.layers:
                if layer.digest not in written:
                    add_file(archive, layer.path, _blob(layer.digest))
                    written.add(layer.digest)
            config = _add_json(archive, _config(image), f"{_MEDIA}.config.v1+json", written)
            layers = [_descriptor(f"{_MEDIA}.layer.v1.tar+zstd", _.digest, _.path.stat().st_size) for _ in image.layers]
            document = {
                "schemaVersion": 2,
                "mediaType": f"{_MEDIA}.manifest.v1+json",
                "config": config,
                "layers": layers,
            }
            manifest = _add_json(archive, document, f"{_MEDIA}.manifest.v1+json", written)
            digests |= dict.fromkeys(image.names, str(manifest["digest"]))
            where = {"architecture": architecture(), "os": "linux"}
            index += [
                {**manifest, "platform": where, "annotations": {"io.containerd.image.name": name}}
                for name in image.names
            ]
        listing = {"schemaVersion": 2, "mediaType": f"{_MEDIA}.index.v1+json", "manifests": index}
        add_text(archive, json.dumps(listing), "index.json", 0o644)
    return digests


@contextmanager
def _compressed(path: Path, level: int = USUAL) -> Iterator[IO[bytes]]:
    """Give a file to write to, of which another gets what zstd makes of it.

    Raises
    ------
    OSError
        zstd failed: the disk is full.
    """
    command = ["zstd", f"-{level}", "--threads=0", "--quiet"]
    with path.open("wb") as file, tempfile.TemporaryFile() as said:
        with (
            suppress(BrokenPipeError),  # it has ended too early, and says why
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=file, stderr=said) as process,
        ):
            assert process.stdin is not None, "it was asked for"  # noqa: S101
            yield process.stdin
        if process.returncode != 0:
            said.seek(0)
            raise OSError(said.read().decode(errors="replace").strip() or f"zstd ended with {process.returncode}")


class _Hashed(io.RawIOBase):
    """A file to write to that knows the digest of what was written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._sum = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._sum.update(data)
        return self._file.write(data)

    @property
    def digest(self) -> str:
        return f"sha256:{self._sum.hexdigest()}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _config(image: Image) -> dict[str, Any]:
    return {
        "architecture": architecture(),
        "os": "linux",
        "config": dict(image.config),
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in image.layers]},
    }


def _add_json(archive: tarfile.TarFile, document: dict[str, Any], media: str, written: set[str]) -> dict[str, Any]:
    text = json.dumps(document)
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    if digest not in written:
        add_text(archive, text, _blob(digest), 0o644)
        written.add(digest)
    return _descriptor(media, digest, len(text.encode()))


def _descriptor(media: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media, "digest": digest, "size": size}


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"
