"""What the virtual machine says where it cannot run; that it runs is shown by what runs in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from labkit.errors import PreflightError
from tests.vm import machine


def test_missing_programs_are_named_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PreflightError, match="cannot run") as caught:
        machine.run(["true"], tmp_path, seconds=1, megabytes=256, environment={})
    assert "qemu-system-x86_64" in caught.value.why
    assert "apt-get install --no-install-recommends qemu-system-x86" in caught.value.fix
    assert list(tmp_path.iterdir()) == []
