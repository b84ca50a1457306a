"""Labs that need no cluster: none at all, and one that was stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from labkit.cluster.spec import LabSpec
from labkit.cluster.state import LabFolder


@pytest.fixture
def no_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty state folder, for this process and those that it starts."""
    state = tmp_path / "state"
    monkeypatch.setenv("LABKIT_STATE", str(state))
    monkeypatch.delenv("LABKIT_NAME", raising=False)
    return state


@pytest.fixture
def stopped_lab(no_lab: Path) -> LabFolder:
    """A lab named ``resting`` of which no process runs."""
    folder = LabFolder.of("resting")
    folder.create(LabSpec(name="resting", node_names=("cp", "worker-a")))
    folder.ready_file.touch()
    return folder
