"""Packages of npm that tests need: fetched once, by npm, and checked against a pinned checksum each time."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from dataclasses import dataclass

import pytest

from labkit.paths import cache_dir


@dataclass(frozen=True)
class Package:
    """A published package, and the file of it that is wanted."""

    name: str
    version: str
    sha256: str
    file: str

    def text(self) -> str:
        """Return the file; the test is skipped where the package can be had neither from the cache nor from npm."""
        folder = cache_dir() / "tests"
        archive = folder / f"{self.name.strip('@').replace('/', '-')}-{self.version}.tgz"
        if not archive.exists():
            npm = shutil.which("npm") or pytest.skip(f"{self.name} is a package of npm, which is not here")
            folder.mkdir(parents=True, exist_ok=True)
            command = [npm, "pack", "--pack-destination", str(folder), f"{self.name}@{self.version}"]
            if subprocess.run(command, capture_output=True, check=False, timeout=120).returncode:
                pytest.skip(f"npm cannot fetch {self.name}")
        assert hashlib.sha256(archive.read_bytes()).hexdigest() == self.sha256, f"remove {archive}"
        with tarfile.open(archive) as opened:
            member = opened.extractfile(f"package/{self.file}")
            assert member is not None
            return member.read().decode()
