"""The program that waits for a kubelet's configuration."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from labkit.node import until_written


def test_it_ends_when_every_file_has_something_in_it(tmp_path: Path) -> None:
    first, second = tmp_path / "config.yaml", tmp_path / "flags.env"
    first.write_text("kind: KubeletConfiguration\n")
    second.touch()
    command: list[str | Path] = [sys.executable, "-I", "-S", until_written.__file__, first, second]
    with subprocess.Popen(command) as waiting:
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(0.5)
        second.write_text("KUBELET_KUBEADM_ARGS=\n")
        assert waiting.wait(10) == 0
