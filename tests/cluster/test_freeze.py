"""Which component is meant, and what is refused; the holding itself is tested on a real cluster in tests/lab."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labkit.cluster import freeze, rootless
from labkit.cluster.rootless import RootlessCluster
from labkit.cluster.spec import LabSpec
from labkit.cluster.state import LabFolder
from labkit.components import Components
from labkit.errors import UsageError


@pytest.fixture
def cluster() -> Iterator[RootlessCluster]:
    """A lab that is not started."""
    folder = LabFolder.of("freezer")
    folder.create(LabSpec(name="freezer"))
    yield RootlessCluster(folder, Components({}))
    rootless.remove(folder)


@pytest.mark.parametrize(
    ("name", "node", "text"),
    [
        ("kube-scheduler", "master", "kube-scheduler"),
        ("etcd/master", "master", "etcd"),
        ("kubelet/node-02", "node-02", "kubelet/node-02"),
        ("kube-proxy/master", "master", "kube-proxy/master"),
    ],
)
def test_names(cluster: RootlessCluster, name: str, node: str, text: str) -> None:
    component = freeze.find(cluster, name)
    assert (component.node, str(component)) == (node, text)


@pytest.mark.parametrize("name", ["kubelet", "kube-proxy", "kubelet/nobody", "etcd/node-01", "scheduler", ""])
def test_unknown_names_say_what_there_is(cluster: RootlessCluster, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        freeze.find(cluster, name)
    assert caught.value.fix
    assert "kubelet" in f"{caught.value.what}{caught.value.why}" or "kube-proxy" in caught.value.what


@pytest.mark.parametrize("limit", [0, -1, freeze.LONGEST + 1, float("nan")])
def test_limits(cluster: RootlessCluster, limit: float) -> None:
    with pytest.raises(UsageError, match="cannot be frozen"):
        freeze.freeze(cluster, "etcd", limit=limit)
