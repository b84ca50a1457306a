"""A namespace for each module, gone after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labkit.lab import Lab
from tests.pods.space import Space


@pytest.fixture(scope="module")
def space(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Space]:
    """The module's own namespace: ``tests/pods/test_volumes.py`` has ``volumes``."""
    name = request.node.path.stem.removeprefix("test_").replace("_", "-")
    lab.kubectl(["create", "namespace", name])
    yield Space(lab, name)
    lab.kubectl(["delete", "namespace", name, "--wait=false"])
    lab.api.rest_client.pool_manager.clear()  # the client itself never closes its connections
