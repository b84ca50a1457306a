"""A node that is deleted while it runs, and the two ways back: its kubelet's own, and kubeadm's."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from labkit.errors import UsageError
from labkit.lab import Lab
from labkit.progress import Progress

pytestmark = pytest.mark.cluster
NODE = "node-02"


@pytest.fixture(autouse=True)
def _all_nodes(lab: Lab) -> Iterator[None]:
    yield
    if NODE not in _names(lab):
        lab.rejoin(NODE, progress=Progress())


def _names(lab: Lab) -> list[str]:
    return lab.kubectl("get nodes --output jsonpath={.items[*].metadata.name}").split()


def _uid(lab: Lab) -> str:
    return lab.kubectl(f"get node {NODE} --output jsonpath={{.metadata.uid}}")


def test_a_deleted_node_comes_back_when_its_kubelet_starts_and_when_it_joins(lab: Lab) -> None:
    node, first = lab.nodes[NODE], _uid(lab)
    lab.kubectl(f"delete node {NODE}")
    time.sleep(2)
    assert NODE not in _names(lab)
    kubelet = node.exec("pidof kubelet")  # a running kubelet registers only at its start
    node.exec(["kill", "-KILL", *kubelet.split()])
    lab.kubectl(f"wait --for=create node/{NODE} --timeout=60s")
    lab.kubectl(f"wait --for=condition=Ready node/{NODE} --timeout=60s")
    second = _uid(lab)
    certificate = node.exec("readlink /var/lib/kubelet/pki/kubelet-client-current.pem")
    lab.rejoin(NODE, progress=Progress())
    assert len({first, second, _uid(lab)}) == 3
    assert node.exec("readlink /var/lib/kubelet/pki/kubelet-client-current.pem") != certificate
    with pytest.raises(UsageError, match="cannot join again"):
        lab.rejoin("master", progress=Progress())
