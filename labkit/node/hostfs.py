"""What a node sees of the machine it runs on: its programs and libraries, read-only, and nothing of its data."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]

#: Settings that programs of /usr read at fixed places, where the machine has them: folders are bound read-only.
_ETC = (
    "/etc/alternatives",  # update-alternatives(1): iptables, java
    "/etc/ca-certificates",
    "/etc/ssl/certs",
    "/etc/ld.so.cache",
    "/etc/ethertypes",
    "/etc/protocols",
    "/etc/services",
    "/etc/nsswitch.conf",
    "/etc/localtime",
    "/etc/mysql",
    "/etc/nginx",
    "/etc/php",
)
_ETC_PATTERNS = ("java-*",)
_TOP_LEVEL = tuple(Path("/", name) for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"))


def python_paths() -> list[Path]:
    """Return the folders that this Python needs to run labkit: its environment, its base and the package's parent."""
    paths = {Path(sys.prefix), Path(sys.base_prefix), _PACKAGE.parent}
    return sorted(path for path in paths if not path.is_relative_to("/usr"))


def link_top_level(root: Path) -> None:
    """Make ``/bin``, ``/lib`` and the like in a node's root folder, where on this machine they are links into /usr."""
    for path in _TOP_LEVEL:
        link = root / path.relative_to("/")
        if path.is_symlink() and not link.is_symlink():
            link.symlink_to(str(path.readlink()).removeprefix("/"))


def copy_files(root: Path) -> None:
    """Copy the settings that are single files into a node's root folder.

    Where one is replaced on the machine, as ldconfig(8) does whenever a package is installed, a bind of the old one
    could not be bound further into a container: its file has no name any more.
    """
    for path in _settings():
        if path.is_file():
            target = root / path.relative_to("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def bubblewrap_arguments() -> list[str]:
    """Return bubblewrap's options that show a node the machine's programs (bwrap(1))."""
    folders = [Path("/usr"), *(path for path in _TOP_LEVEL if not path.is_symlink())]
    arguments: list[str] = []
    for path in [*folders, *_settings(), *python_paths()]:
        if path.is_dir():
            arguments += ["--ro-bind", str(path), str(path)]
    return arguments


def _settings() -> list[Path]:
    return [Path(path) for path in _ETC] + [path for each in _ETC_PATTERNS for path in sorted(Path("/etc").glob(each))]
