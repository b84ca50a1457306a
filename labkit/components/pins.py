"""Which programs labkit runs, in which version, and where they come from: the data of `pins.toml`."""

from __future__ import annotations

import functools
import platform
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}  # the last as macOS has it


@dataclass(frozen=True)
class Download:
    """An official release archive.

    Attributes
    ----------
    url : str
        Where it is.
    hash : str
        Its pinned checksum as ``"sha256:<hex>"`` or ``"sha512:<hex>"``.
    folder : str
        The folder inside the archive that is wanted; ``"."`` for its root.
    """

    url: str
    hash: str
    folder: str


@dataclass(frozen=True)
class Pin:
    """One component: programs that have one version and come from one place.

    Attributes
    ----------
    name : str
        ``"kubernetes"``, ``"etcd"``, ``"coredns"``, ``"cni"``, ``"tomcat"`` or ``"kind"``.
    version : str
        As the programs themselves print it.
    programs : mapping of str to tuple of str
        Each program, and the arguments that make it print its version. Empty for Tomcat, which is a folder of its own.
    recipe : str
        The folder under ``recipes/`` with the Go module that builds it; empty if Go does not.
    ldflags : tuple of str
        What Go's linker writes into the programs: their version.
    renames : mapping of str to str
        Names as Go gives them, to names as Kubernetes knows them.
    links : mapping of str to tuple of str
        A program that is several in one, as Go names it, to the names that it gets instead: all are one file.
    maven : str
        Coordinates of the same archive for Maven's client; empty where there is none.
    download : Download or None
        The official archive for this machine's architecture, if its checksum is pinned.
    """

    name: str
    version: str
    programs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    recipe: str = ""
    ldflags: tuple[str, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    maven: str = ""
    download: Download | None = None

    @property
    def folder_name(self) -> str:
        """The component's folder in the cache: ``"etcd-3.6.5"``."""
        return f"{self.name}-{self.version}"


@functools.cache
def pins() -> Mapping[str, Pin]:
    """Return every pinned component that each lab needs, by name, for this machine's system and architecture."""
    return {name: _pin(name, table) for name, table in _tables().items() if not table.get("optional")}


@functools.cache
def optional_pins() -> Mapping[str, Pin]:
    """Return every pinned component that only some labs need, by name."""
    return {name: _pin(name, table) for name, table in _tables().items() if table.get("optional")}


def _tables() -> dict[str, Any]:
    tables = tomllib.loads(resources.files(__package__).joinpath("pins.toml").read_text("utf-8"))
    if platform.system() != "Darwin":
        return tables
    return {name: {**table, **table["darwin"]} for name, table in tables.items() if "darwin" in table}


def _pin(name: str, table: Mapping[str, Any]) -> Pin:
    downloads = table.get("download", {})
    download = downloads.get(_ARCHITECTURES.get(platform.machine(), ""), downloads.get("any"))
    return Pin(
        name=name,
        version=table["version"],
        programs={program: tuple(arguments) for program, arguments in table.get("programs", {}).items()},
        recipe=table.get("recipe", ""),
        ldflags=tuple(table.get("ldflags", ())),
        renames=table.get("renames", {}),
        links={made: tuple(names) for made, names in table.get("links", {}).items()},
        maven=table.get("maven", ""),
        download=Download(**download) if download else None,
    )
