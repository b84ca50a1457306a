"""Who owns whom on a real cluster."""

from __future__ import annotations

import pytest

from labkit.errors import ClusterError
from labkit.lab import Lab

pytestmark = pytest.mark.cluster


def test_the_owners_of_the_clusters_own_pods(lab: Lab) -> None:
    seen = lab.owners("kube-system")
    owners = {name: owner for name, owner, _ in seen.rows()}
    assert owners["Pod kube-apiserver-master"] == "Node master"
    assert owners["Node master"] == "nobody"
    (replica_set,) = [name for name, owner in owners.items() if owner == "Deployment coredns"]
    assert sum(owner == replica_set for owner in owners.values()) == 2
    assert sum(owner == "DaemonSet kube-proxy" for owner in owners.values()) == 3
    order = [each.uid for each in seen.objects]
    assert all(order.index(each.owner) < order.index(each.uid) for each in seen.objects if each.owner)
    assert "Pod kube-apiserver-master, owned by Node master: Running, ready" in seen._repr_html_()


def test_a_namespace_that_is_not_there_is_empty(lab: Lab) -> None:
    assert lab.owners("nowhere").objects == ()
    with pytest.raises(ClusterError, match="no namespace can have that name"):
        lab.owners("no/where")
