"""What labkit does while `kubeadm init` runs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

import labkit
from labkit.cluster import freeze
from labkit.errors import ClusterError, UsageError
from labkit.progress import Progress

NAME = "held"


@pytest.mark.cluster
def test_who_would_be_refused_is_held_until_the_api_server_is_ready_and_let_go() -> None:
    held: set[str] = set()
    with ThreadPoolExecutor() as pool:
        coming_up = pool.submit(labkit.up, NAME, workers=0, provider="rootless", progress=Progress())
        while not coming_up.done():
            with suppress(ClusterError, UsageError):  # it is not there yet, or its nodes do not run
                held |= {component.name for component in freeze.frozen(labkit.attach(NAME).cluster)}
    with coming_up.result() as lab:
        assert held == {"kube-scheduler", "kube-controller-manager"}
        assert freeze.frozen(lab.cluster) == ()
