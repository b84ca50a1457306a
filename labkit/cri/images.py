"""The image catalogue: which reference stands for which program of this machine."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
import tomllib
import typing
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Literal

from labkit.cri.errors import NotFoundError, StateError
from labkit.cri.references import Reference
from labkit.errors import UsageError
from labkit.language import gettext, gettext_noop

PACKAGE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Image:
    """One image, as ``images.toml`` describes it.

    Attributes
    ----------
    name : str
        What the catalogue calls it.
    repositories : tuple of str
        Patterns (``*`` and ``?``) of complete repositories: ``docker.io/library/tomcat``, ``*/kube-proxy``.
    tags : tuple of str
        Patterns of tags; ``{kubernetes_version}`` stands for the node's version.
    root : {"host", "busybox"}
        What the container sees as ``/usr``: the machine's, read-only, or busybox's applets alone.
    programs : tuple of str
        Files on the machine without which the image cannot run; they make its size.
    package : str
        Where to get missing programs, for the error message.
    binds : dict of str to str
        Path in the container → file or folder of the node, read-only; ``{labkit}`` is this package's folder.
    etc : tuple of str
        Entries of the node's ``/etc`` that the programs read.
    directories : tuple of str
        Folders that the container's own root starts with.
    entrypoint, command : tuple of str
        What runs, as in a Dockerfile's ENTRYPOINT and CMD.
    env : dict of str to str
        Environment; ``{pod}``, ``{namespace}``, ``{ip}`` and ``{node}`` are filled in.
    ports : tuple of int
        Where its program listens, the main one first, as in a Dockerfile's EXPOSE.
    workdir : str
        Working directory.
    stop_signal : str
        What asks it to end.
    python : bool
        Whether the lab's Python is bound into it.
    about : str
        One line for people.
    """

    name: str
    repositories: tuple[str, ...]
    about: str
    tags: tuple[str, ...] = ("*",)
    root: Literal["host", "busybox"] = "host"
    programs: tuple[str, ...] = ()
    package: str = ""
    binds: dict[str, str] = dataclasses.field(default_factory=dict)
    etc: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    ports: tuple[int, ...] = ()
    workdir: str = "/"
    stop_signal: str = "SIGTERM"
    python: bool = False

    @property
    def id(self) -> str:
        """The SHA-256 of the entry's canonical JSON: it changes when the entry does."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    def matches(self, reference: Reference, version: str) -> bool:
        """Tell whether a reference means this image on a node of a Kubernetes version."""
        if reference.digest and reference.digest != self.id:
            return False
        tags = (tag.replace("{kubernetes_version}", version) for tag in self.tags)
        return any(fnmatchcase(reference.repository, pattern) for pattern in self.repositories) and (
            not reference.tag or any(fnmatchcase(reference.tag, pattern) for pattern in tags)
        )

    def missing(self) -> list[str]:
        """Return the programs that this machine lacks."""
        return [program for program in self.programs if not Path(program).exists()]

    def size(self) -> int:
        """Return the bytes of its programs; for kubelet an image without size is no image."""
        programs = [*self.programs, *([sys.executable] if self.python else [])]
        return sum(_size(Path(program).resolve()) for program in programs)

    @classmethod
    def from_values(cls, values: dict[str, Any], origin: str) -> Image:
        """Make an image of a TOML table or a stored record.

        Raises
        ------
        UsageError
            If a key is unknown, missing or of the wrong type.
        """
        label = gettext("image {name!r} in {file}").format(name=values.get("name", gettext("(no name)")), file=origin)
        hints = _types()
        problems = [gettext("unknown key {key!r}").format(key=key) for key in values if key not in hints]
        problems += [
            gettext("missing key {key!r}").format(key=field.name)
            for field in dataclasses.fields(cls)
            if field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING
            and field.name not in values
        ]
        problems += [
            gettext("{key!r} must be {expected}").format(key=key, expected=expected)
            for key, value in values.items()
            if key in hints and (expected := _mismatch(value, hints[key]))
        ]
        if problems:
            raise UsageError(
                gettext("The {label} cannot be used").format(label=label),
                why="; ".join(problems),
                fix=gettext("The keys are {keys}; name, repositories and about are needed.").format(
                    keys=", ".join(hints)
                ),
            )
        typed: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in values.items()}
        return cls(**typed)


_LISTS = {str: gettext_noop("a list of strings"), int: gettext_noop("a list of numbers")}
_SINGLE = {str: gettext_noop("a string"), bool: gettext_noop("true or false")}


@cache
def _types() -> dict[str, Any]:
    return typing.get_type_hints(Image)


def _mismatch(value: object, hint: Any) -> str:
    """Return what a value should have been; empty if it is."""
    origin = typing.get_origin(hint)
    if origin is tuple:
        item_type = typing.get_args(hint)[0]
        right = isinstance(value, list | tuple) and all(type(item) is item_type for item in value)
        return "" if right else gettext(_LISTS[item_type])
    if origin is dict:
        right = isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
        return "" if right else gettext("a table of strings")
    if origin is Literal:
        choices = typing.get_args(hint)
        return "" if value in choices else gettext("one of {choices}").format(choices=", ".join(choices))
    return "" if isinstance(value, hint) else gettext(_SINGLE[hint])


@cache
def _size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; a program does not change while the node runs."""
    if path.is_dir():
        return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())
    return path.stat().st_size if path.exists() else 0


class Catalogue:
    """All images of a node: labkit's own and the user's, the user's first.

    Parameters
    ----------
    version : str
        The node's Kubernetes version, the control plane's tag.
    extra : Path, optional
        The user's own images.

    Raises
    ------
    UsageError
        If a file cannot be read or an entry is wrong.
    """

    def __init__(self, version: str, extra: Path | None = None) -> None:
        files = [file for file in (extra, PACKAGE / "images.toml") if file]
        self._version = version
        self._images = [image for file in files for image in _read(file)]

    def find(self, reference: Reference) -> Image:
        """Return the image that a reference means.

        Raises
        ------
        NotFoundError
            If the catalogue has none; the message lists what it has. Or if no host has the registry's name, as it is
            of all names under ``.invalid`` (RFC 6761, section 6.4).
        """
        registry = reference.repository.partition("/")[0]
        if registry.partition(":")[0].endswith(".invalid"):
            raise NotFoundError(
                f"image {reference}: no host is called {registry}",
                fix="Give a registry that this node can reach.",
            )
        for image in self._images:
            if image.matches(reference, self._version):
                return image
        raise NotFoundError(
            f"image {reference} is not in the lab's catalogue, which has: {', '.join(self.listing())}",
            fix="Use one of these, or describe yours in the catalogue file of the lab.",
        )

    def pull(self, reference: Reference) -> Image:
        """Return the image that a reference means, once its programs are known to be there.

        Raises
        ------
        NotFoundError
            If the catalogue has no such image.
        StateError
            If this machine lacks a program of the image.
        """
        image = self.find(reference)
        if missing := image.missing():
            raise StateError(
                f"image {reference} needs {', '.join(missing)}, which this machine lacks",
                fix=f"Install it: {image.package}." if image.package else "",
            )
        return image

    def listing(self) -> list[str]:
        """Return the references that people can use, shortest form."""
        return sorted({_display(image, self._version) for image in self._images})


def _display(image: Image, version: str) -> str:
    repository = image.repositories[0].removeprefix("docker.io/library/").removeprefix("docker.io/").removeprefix("*/")
    tag = image.tags[0].replace("{kubernetes_version}", version)
    return repository if tag == "*" else f"{repository}:{tag}"


def _read(path: Path) -> list[Image]:
    try:
        document = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(
            gettext("The image catalogue {path} cannot be read").format(path=path),
            why=str(error),
            fix=gettext("It must be a TOML file with a table [[image]] for each image."),
        ) from error
    entries = document.get("image", [])
    if set(document) - {"image"} or not isinstance(entries, list):
        raise UsageError(
            gettext("The image catalogue {path} cannot be used").format(path=path),
            why=gettext("its top level has {keys}").format(keys=", ".join(document)),
            fix=gettext("It must have nothing but tables [[image]]."),
        )
    return [Image.from_values(entry, path.name) for entry in entries]
