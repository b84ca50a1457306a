"""A real lab of each provider, which all tests of the contract share."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

import labkit
from labkit.cluster import nodeimage
from labkit.lab import Lab
from labkit.progress import PhaseEvent, Progress
from tests import docker_daemon

# The node image may have to be built.
PROVIDERS = [
    pytest.param("rootless", marks=pytest.mark.cluster),
    pytest.param("kind", marks=[pytest.mark.cluster, pytest.mark.kind, pytest.mark.timeout(900)]),
]
NODES = ("master", "node-01", "node-02")
NAME = "contract"
#: Another name of the node image, by which the lab of containers is made.
IMAGE = "labkit/contract:v1"


def docker(*arguments: str) -> list[str]:
    """Return the words that a docker command prints."""
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.split()


def skip_rootless(lab: Lab, place: str) -> None:
    """Leave out what another module shows of rootless labs."""
    if lab.cluster.provider == "rootless":
        pytest.skip(f"{place} does so")


@pytest.fixture(scope="package", params=PROVIDERS)
def any_lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A lab of three nodes: the shared one, or one of containers."""
    if request.param == "rootless":
        yield request.getfixturevalue("lab")
        return
    mirror = request.getfixturevalue("mirror")
    with docker_daemon.with_node_image():
        docker("tag", nodeimage.IMAGE, IMAGE)
        told: list[PhaseEvent] = []
        # Nobody names a provider: Docker answers and kind is installed.
        with labkit.up(
            NAME, node_image=IMAGE, registry_mirrors=[f"docker.io={mirror}"], progress=Progress(told.append)
        ) as made:
            assert [event.detail for event in told if event.phase == "provider"][-1].startswith("kind: Docker answers")
            assert made.cluster.provider == "kind"
            yield made
        docker("image", "rm", IMAGE)
        left = [*docker("ps", "--all", "--quiet"), *docker("network", "ls", "--quiet", "--filter", "name=labkit-")]
    assert left == []
    assert NAME not in labkit.lab_names()


@pytest.fixture(scope="package")
def tomcat(any_lab: Lab) -> Iterator[str]:
    """A deployment of a real Tomcat with its Service."""
    any_lab.deploy(NAME, image="tomcat8", replicas=2)
    yield NAME
    any_lab.kubectl(f"delete deployment,service {NAME} --cascade=foreground")
