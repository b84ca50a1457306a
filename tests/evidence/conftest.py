"""What one real session left behind; see data/README.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from labkit.evidence.model import Evidence
from labkit.evidence.recording import load


@pytest.fixture(scope="session")
def sample_path() -> Path:
    return Path(__file__).parent / "data" / "v1.labtrace"


@pytest.fixture(scope="session")
def sample(sample_path: Path) -> Evidence:
    return load(sample_path).evidence
