"""The recordings that come with labkit."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from labkit.evidence.recording import SUFFIX


def shipped() -> dict[str, Path]:
    """Return the recordings that come with labkit, by name."""
    folder = Path(str(resources.files("labkit") / "recordings"))
    return {path.name.removesuffix(SUFFIX): path for path in sorted(folder.glob(f"*{SUFFIX}"))}
