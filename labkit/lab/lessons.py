"""The recordings that come with labkit: of lessons, and of the notebooks' sessions."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from labkit.evidence.recording import SUFFIX
from labkit.lab.session import tape


def shipped() -> dict[str, Path]:
    """Return the recordings that come with labkit, by name."""
    return _shipped(SUFFIX)


def sessions() -> dict[str, Path]:
    """Return the sessions that come with labkit, by the notebook's name."""
    return _shipped(tape.SUFFIX)


def _shipped(suffix: str) -> dict[str, Path]:
    folder = Path(str(resources.files("labkit") / "recordings"))
    return {path.name.removesuffix(suffix): path for path in sorted(folder.glob(f"*{suffix}"))}
