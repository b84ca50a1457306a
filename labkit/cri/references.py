"""Image references, completed as Docker completes them.

Source: the grammar in github.com/distribution/reference (``reference.go``, ``normalize.go``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from labkit.cri.errors import ArgumentError

_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Reference:
    """An image reference in full.

    Attributes
    ----------
    repository : str
        Registry and path: ``docker.io/library/tomcat``.
    tag : str
        ``latest`` where neither tag nor digest was given, empty where only a digest was.
    digest : str
        ``sha256:…`` or empty.
    """

    repository: str
    tag: str
    digest: str

    def __str__(self) -> str:
        """Return the reference as text, complete."""
        return self.repository + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Complete a reference.

        Raises
        ------
        ArgumentError
            If the text is no image reference.
        """
        name, at, digest = text.partition("@")
        head, slash, last = name.rpartition("/")
        last, colon, tag = last.partition(":")
        repository = head + slash + last
        domain, slash, path = repository.partition("/")
        if not slash or not (set(domain) & set(".:[") or domain == "localhost"):
            domain, path = "docker.io", repository
        if domain in {"docker.io", "index.docker.io"}:
            domain, path = "docker.io", path if "/" in path else f"library/{path}"
        valid = _DOMAIN.fullmatch(domain) and _REPOSITORY.fullmatch(path)
        if not valid or (colon and not _TAG.fullmatch(tag)) or (at and not _DIGEST.fullmatch(digest)):
            raise ArgumentError(
                f"{text!r} is not an image reference",
                why="A reference is [registry/]name[:tag][@sha256:digest], the name in lower case.",
                fix="Correct the image's name in the pod.",
            )
        return cls(f"{domain}/{path}", tag or ("" if digest else "latest"), digest)
