"""Which images have been pulled: the catalogue's programs are always there, yet the pull policies must have meaning."""

from __future__ import annotations

import json
from pathlib import Path

from labkit.cri import rootfs
from labkit.cri.errors import ArgumentError, NotFoundError
from labkit.cri.images import Catalogue, Image
from labkit.cri.references import Reference
from labkit.cri.state import write_atomically


class ImageStore:
    """The node's pulled images.

    Parameters
    ----------
    catalogue : Catalogue
        What can be pulled.
    state_dir : Path
        Where the store remembers, and keeps what images share.
    """

    def __init__(self, catalogue: Catalogue, state_dir: Path) -> None:
        self._catalogue = catalogue
        self._file = state_dir / "images.json"
        self._shared = state_dir / "shared"
        self._pulled: dict[str, str] = json.loads(self._file.read_bytes()) if self._file.exists() else {}

    def pull(self, text: str) -> Image:
        """Note that an image is on the node.

        Raises
        ------
        ArgumentError, NotFoundError, StateError
            If the text is no reference, the catalogue lacks it, or the machine lacks its programs.
        """
        reference = Reference.parse(text)
        image = self._catalogue.pull(reference)
        if image.root == "busybox":
            rootfs.prepare(self._shared)
        if self._pulled.get(str(reference)) != image.id:
            self._pulled[str(reference)] = image.id
            self._save()
        return image

    def find(self, text: str) -> tuple[Image, list[str]] | None:
        """Return a pulled image, by reference or id, with all references it was pulled by; None if there is none."""
        identifier = text if text in self._pulled.values() else self._identify(text)
        references = [reference for reference, pulled in self._pulled.items() if pulled == identifier]
        for reference in references:
            image = self._current(reference)
            if image and image.id == identifier:
                return image, references
        return None

    def all(self) -> list[tuple[Image, list[str]]]:
        """Return every pulled image with its references."""
        found = (self.find(identifier) for identifier in sorted(set(self._pulled.values())))
        return [entry for entry in found if entry]

    def remove(self, text: str) -> None:
        """Forget an image with all its references; one that is not there is no error."""
        if found := self.find(text):
            self._pulled = {key: value for key, value in self._pulled.items() if value != found[0].id}
            self._save()

    def _identify(self, text: str) -> str | None:
        """Return the id that a reference was pulled as; one by digest means any pull of its repository."""
        try:
            wanted = Reference.parse(text)
        except ArgumentError:
            return None
        if not wanted.digest:
            return self._pulled.get(str(wanted))
        pulled = {Reference.parse(key).repository for key, value in self._pulled.items() if value == wanted.digest}
        return wanted.digest if wanted.repository in pulled else None

    def _current(self, reference: str) -> Image | None:
        """Return what the catalogue says now; it may have been changed since the pull."""
        try:
            return self._catalogue.find(Reference.parse(reference))
        except NotFoundError:
            return None

    def _save(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._file, json.dumps(self._pulled, indent=1).encode())
