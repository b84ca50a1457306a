"""Debian's kernel for the virtual machine, taken out of its package into the cache: nothing is installed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import filelock

from labkit.errors import PreflightError
from labkit.node.process import run
from labkit.paths import cache_dir

_META_PACKAGE = "linux-image-amd64"  # not the -cloud one: it lacks 9p
_SECONDS = 300.0
#: The modules that a node or its way to the host's files can need; all of them would be 390 MB.
_KEPT = (
    "net",
    "lib",
    "crypto",
    "arch",
    "drivers/virtio",
    "drivers/net/*.ko",
    "fs/9p",
    "fs/fscache",
    "fs/netfs",
    "fs/overlayfs",
)


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel and its modules.

    Attributes
    ----------
    root : Path
        A folder with ``boot`` and ``lib/modules``.
    """

    root: Path

    @property
    def image(self) -> Path:
        """What boots."""
        return next(self.root.glob("boot/vmlinuz-*"))

    @property
    def version(self) -> str:
        """As ``uname -r`` says it."""
        return self.image.name.removeprefix("vmlinuz-")

    def files_of(self, modules: Sequence[str]) -> list[Path]:
        """Return the files of modules and of those that they need, in the order in which they can be loaded."""
        command = ["modprobe", "--show-depends", "--all", "--dirname", self.root, "--set-version", self.version]
        printed = run([*map(str, command), *modules], what="look up the kernel's modules")
        files = [line.split()[1] for line in printed.splitlines() if line.startswith("insmod ")]
        return [Path(file) for file in dict.fromkeys(files)]


def ensure() -> Kernel:
    """Return the kernel, downloaded by apt-get(8) where the cache has none.

    Raises
    ------
    PreflightError
        This is no Debian, or apt-get cannot download it.
    """
    folder = cache_dir() / "virtual-machine"
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / ".lock"):
        kept = sorted(folder.glob("linux-image-*"))
        if kept:
            return Kernel(kept[-1])
        package = _newest()
        with tempfile.TemporaryDirectory(dir=folder) as part:
            # apt-get gives up root for a user of its own, who must be able to write there (apt.conf(5), APT::Sandbox).
            Path(part).chmod(0o777)
            _apt(["apt-get", "--quiet", "download", package], part)
            root = Path(part, "root")
            _unpack(next(Path(part).glob("*.deb")), root)
            root.rename(folder / package)
        return Kernel(folder / package)


def _newest() -> str:
    printed = _apt(["apt-cache", "depends", "--important", _META_PACKAGE], "/")
    return next(line.split()[1] for line in printed.splitlines() if line.strip().startswith("Depends: linux-image-"))


def _apt(command: list[str], folder: str) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, check=True, capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", "") or error).strip()
        raise PreflightError(
            "There is no kernel for the virtual machine",
            why=f"{' '.join(command)}: {said}",
            fix="on Debian, as root: apt-get update",
        ) from error
    return done.stdout


def _unpack(package: Path, root: Path) -> None:
    whole = package.with_suffix(".root")
    run(["dpkg-deb", "--extract", str(package), str(whole)], what="unpack the kernel", timeout=_SECONDS)
    modules = next(whole.glob("lib/modules/*"))
    kept = root / "lib" / "modules" / modules.name
    for module in (found for pattern in _KEPT for found in modules.glob(f"kernel/{pattern}")):
        target = kept / module.relative_to(modules)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(module, target)
    for index in modules.glob("modules.*"):
        shutil.move(index, kept / index.name)
    (root / "boot").mkdir()
    shutil.move(whole / "boot" / f"vmlinuz-{modules.name}", root / "boot")
    run(["depmod", "--basedir", str(root), modules.name], what="list the kernel's modules")
