"""A classroom without a network: the components come in a file, and a lab comes up from it alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labkit.cluster.spec import LabSpec
from labkit.components import carry, ensure, list_components
from labkit.errors import ComponentError
from labkit.lab import images
from labkit.progress import Progress

# In a network namespace of its own there is no way out.
_NO_NETWORK = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


@pytest.mark.cluster
@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a network namespace, and no user namespace around labs")
def test_a_lab_with_an_empty_cache_and_no_network(tmp_path: Path) -> None:
    file = carry.save(tmp_path / "labkit.tar.gz", Progress())
    given = {"LABKIT_CACHE": str(tmp_path / "cache"), "LABKIT_STATE": str(tmp_path / "state"), "LABKIT_COMPONENTS": ""}

    def run(*arguments: str) -> str:
        command = [*_NO_NETWORK, sys.executable, "-m", "labkit", *arguments]
        done = subprocess.run(
            command, env={**os.environ, **given}, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "The cache has kubernetes-v1.34.3" in run("images", "load", str(file))
    assert "had all of it already" in run("images", "load", str(file))
    try:
        assert "master" in run("up", "--name", "carried", "--workers", "0")
    finally:
        run("down", "--name", "carried")


def test_every_image_that_kubeadm_needs_is_something_here() -> None:
    spec = LabSpec(image_repository="mirror.example/k8s")
    found = images.needed(ensure(), list_components(), spec)
    assert len(found) == 7
    assert all(image.reference.startswith("mirror.example/k8s/") for image in found)
    assert all(image.programs and image.source for image in found)
    server = next(image for image in found if "kube-apiserver" in image.reference)
    assert server.source.startswith(f"kubernetes {spec.kubernetes_version}, ")


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ComponentError, match="cannot be written"):
        carry.save(tmp_path / "no-folder" / "file", Progress())
