"""Who is behind a user name."""

from __future__ import annotations

import pytest

from labkit.flow import API_SERVER, actor


@pytest.mark.parametrize(
    ("user", "agent", "identity", "kind", "name"),
    [
        ("kubernetes-admin", "kubectl/v1.34.3 (linux/amd64) kubernetes/$Format", "client/kubectl", "client", "kubectl"),
        ("learner", "OpenAPI-Generator/34.1.0/python", "client/OpenAPI-Generator", "client", "Python client"),
        ("learner", "", "client/learner", "client", "learner"),
        ("system:kube-scheduler", "kube-scheduler/v1.34.3", "kube-scheduler", "scheduler", "scheduler"),
        (
            "system:serviceaccount:kube-system:deployment-controller",
            "kube-controller-manager/v1.34.3",
            "deployment-controller",
            "controller",
            "deployment-controller",
        ),
        (
            "system:serviceaccount:kube-system:generic-garbage-collector",
            "",
            "generic-garbage-collector",
            "controller",
            "generic-garbage-collector",
        ),
        ("system:kube-controller-manager", "", "kube-controller-manager", "controller", "controller-manager"),
        ("system:serviceaccount:kube-system:kube-proxy", "", "kube-system/kube-proxy", "other", "kube-proxy"),
        ("system:serviceaccount:shop:deployment-controller", "", "shop/deployment-controller", "other", None),
    ],
)
def test_users(*, user: str, agent: str, identity: str, kind: str, name: str | None) -> None:
    found = actor(user, agent)
    assert (found.id, found.kind) == (identity, kind)
    assert name is None or found.name == name
    assert found.node == ""


def test_a_kubelet_knows_its_node() -> None:
    found = actor("system:node:node-02", "kubelet/v1.34.3")
    assert (found.id, found.kind, found.node) == ("kubelet/node-02", "kubelet", "node-02")
    assert found.name == "kubelet on node-02"


def test_the_api_server_is_itself() -> None:
    assert actor("system:apiserver") is API_SERVER


def test_a_client_cannot_pass_for_a_component() -> None:
    """The user agent is the client's own word, so it never makes a component of a person."""
    pretender = actor("mallory", "kube-scheduler/v1.34.3")
    assert pretender.kind == "client"
    assert pretender.id != actor("system:kube-scheduler").id
