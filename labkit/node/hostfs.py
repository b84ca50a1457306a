"""What a node sees of the machine it runs on: the machine's programs and libraries, read-only, and nothing of its data."""

from __future__ import annotations

import sys
from pathlib import Path

import labkit

#: Settings that programs of /usr read at fixed places; each is bound read-only where the machine has it.
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
_USR_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


def python_paths() -> list[Path]:
    """Return the folders that this Python needs to run labkit: its environment, its base and the package's parent."""
    paths = {Path(sys.prefix), Path(sys.base_prefix), Path(labkit.__file__).parents[1]}
    return sorted(path for path in paths if not path.is_relative_to("/usr"))


def bubblewrap_arguments() -> list[str]:
    """Return bubblewrap's options that show a node the machine's programs (bwrap(1))."""
    arguments = ["--ro-bind", "/usr", "/usr"]
    for name in _USR_LINKS:
        path = Path("/", name)
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()).removeprefix("/"), str(path)]
        elif path.is_dir():
            arguments += ["--ro-bind", str(path), str(path)]
    etc = [Path(path) for path in _ETC]
    for pattern in _ETC_PATTERNS:
        etc += sorted(Path("/etc").glob(pattern))
    for path in [*etc, *python_paths()]:
        if path.exists():
            arguments += ["--ro-bind", str(path), str(path)]
    return arguments
