"""Nodes that were switched off come back by themselves; what runs on while the master is away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labkit.errors import ClusterError, UsageError
from labkit.lab import Lab
from labkit.progress import Progress

pytestmark = pytest.mark.cluster
NODE = "node-01"


@pytest.fixture(scope="module")
def web(lab: Lab) -> Iterator[str]:
    lab.deploy("web", image="labkit/standin", replicas=2, progress=Progress())
    yield "web"
    lab.kubectl("delete deployment,service web")


def test_a_worker_comes_back_by_its_kubelet_alone(lab: Lab, web: str) -> None:
    seen = lab.restart(NODE, away=2)
    told = [what for _, who, what, _ in seen.moments if who in {"kubelet", "kube-apiserver"}]
    expected = [
        "its process runs",
        "asks to be registered",
        f"create Node {NODE}: 409, there is one",
        "is told that its Node is there already",
        "tells its status: Ready",
    ]
    assert [what for what in told if what in expected] == expected
    assert any(what.startswith("starts kube-proxy of ") for _, _, what, _ in seen.moments)
    assert 0 < seen.ready <= seen.running + 1
    assert seen.away >= 2
    assert seen.answers == ()
    assert "<svg" in seen._repr_html_()


def test_a_service_answers_while_the_master_is_away(lab: Lab, web: str) -> None:
    seen = lab.restart("master", away=3, service=web)
    assert [at for at, _ in seen.answers if at < seen.away], "nobody asked while the master was off"
    assert seen.failed == 0, seen
    assert len(seen.answers) > 5 * seen.away
    started = [what for _, _, what, _ in seen.moments if what.startswith("starts ")]
    assert [what for what in started if what.startswith("starts etcd of ")]
    assert any(what.startswith("answers again: ") for _, _, what, _ in seen.moments)
    assert f"answered {len(seen.answers)} of {len(seen.answers)}" in seen.caption()


def test_a_service_that_does_not_answer_before_is_told_and_the_node_stays_on(lab: Lab) -> None:
    lab.kubectl("create service clusterip nobody --tcp=8080")
    with pytest.raises(ClusterError, match="8080 does not answer on node-01"):
        lab.restart("master", service="nobody")
    assert lab.nodes[0].running
    lab.kubectl("delete service nobody")


def test_what_cannot_be_restarted(lab: Lab) -> None:
    with pytest.raises(UsageError, match="too short"):
        lab.restart(NODE, away=0)
    with pytest.raises(UsageError, match="'node-99'"):
        lab.restart("node-99")
    with pytest.raises(UsageError, match="'nothing'"):
        lab.restart(NODE, service="nothing")
    assert all(node.running for node in lab.nodes)
