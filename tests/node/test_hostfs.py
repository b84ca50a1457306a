"""What a node sees of the machine, also when a package is installed there while a lab runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from labkit.lab import Lab
from labkit.node import hostfs


def test_single_files_are_copied_and_folders_bound(tmp_path: Path) -> None:
    arguments = hostfs.bubblewrap_arguments()
    assert "/usr" in arguments
    assert all(Path(path).is_dir() for path in arguments if path != "--ro-bind")
    hostfs.copy_files(tmp_path)
    assert (tmp_path / "etc/ld.so.cache").read_bytes() == Path("/etc/ld.so.cache").read_bytes()
    assert not (tmp_path / "etc/ssl/certs").exists()


@pytest.mark.cluster
@pytest.mark.skipif(os.geteuid() != 0, reason="ldconfig writes /etc/ld.so.cache as root alone")
def test_containers_start_after_a_package_was_installed(lab: Lab) -> None:
    before = Path("/etc/ld.so.cache").stat().st_ino
    subprocess.run(["/sbin/ldconfig"], check=True)  # what installing a package with a library ends with
    assert Path("/etc/ld.so.cache").stat().st_ino != before
    lab.kubectl("run after --image=nginx --restart=Never")
    try:
        lab.kubectl("wait --for=condition=Ready pod/after --timeout=20s")
    finally:
        lab.kubectl("delete pod after --grace-period=1")
