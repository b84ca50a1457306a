"""What is said where Docker cannot be used, by its own program; the daemon is tests/cluster/contract's."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from labkit.errors import PreflightError
from labkit.node import docker

pytestmark = pytest.mark.skipif(shutil.which("docker") is None, reason="there is no program docker")


def test_without_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PreflightError, match="not installed") as caught:
        docker.require()
    assert "--provider rootless" in caught.value.fix
    assert docker.inspect("image", ["any"]) == []


def test_without_a_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    with pytest.raises(PreflightError, match="Docker does not run") as caught:
        docker.require()
    assert "docker.sock" in caught.value.why


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who is not allowed")
def test_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "docker.sock"
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\nexec setpriv --reuid=65534 --clear-groups {shutil.which("docker")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o600)
        for folder in (tmp_path, *tmp_path.parents[:2]):
            folder.chmod(0o755)
        with pytest.raises(PreflightError, match="not for this user") as caught:
            docker.require()
    assert "group docker" in caught.value.fix


@pytest.mark.parametrize("version", ["19.03.15", "1.13.1"])
def test_one_that_is_too_old(version: str) -> None:
    with pytest.raises(PreflightError, match=f"{version} is too old"):
        docker.refuse_old(version)


@pytest.mark.parametrize("version", ["20.10.24+dfsg1", "27.5.1", "dev"])
def test_one_that_is_new_enough(version: str) -> None:
    docker.refuse_old(version)
