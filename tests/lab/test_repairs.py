"""Parts of a cluster that a learner removed: each is named with what stops without it, and is brought back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import labkit
from labkit.cluster.parts import Missing
from labkit.lab import Lab
from labkit.progress import PhaseEvent, Progress
from tests.cli.command import here
from tests.traces import eventually

pytestmark = pytest.mark.cluster

NAME = "removed"
REMOVED = {
    "daemonset kube-proxy": ("kube-proxy", "the nodes' rules do not follow the Services"),
    "deployment coredns": ("coredns", "names of Services are not found"),
    "service kube-dns": ("coredns", "names of Services are not found"),
    "daemonset labkit-network": ("labkit-network", "no node learns of another's pods"),
}
MANIFESTS = {
    "kube-scheduler": "new pods get no node",
    "kube-apiserver": "nobody can ask or change anything",
}


@pytest.fixture(scope="module")
def broken() -> Iterator[Lab]:
    """A lab of one node, to be broken."""
    with labkit.up(NAME, workers=0, progress=Progress()) as lab:
        yield lab


def test_a_removed_add_on_is_told_and_a_button_brings_it_back(broken: Lab) -> None:
    before = _service_address(broken)
    broken.proxy.switch("nftables", progress=Progress())
    assert broken.status().missing == ()
    for what in REMOVED:
        broken.kubectl(f"delete {what} --namespace kube-system")
    panel = broken.nodes_panel()
    status = broken.status()
    told = {each.part: each for each in status.missing}
    for what, (part, stops) in REMOVED.items():
        kind, name = what.split()
        assert f"{kind} {name}" in " ".join(told[part].what).lower()
        assert stops in told[part].stops
        assert stops in " ".join(panel.state["missing"])
    assert f"labkit repair --name {NAME}" in status._repr_html_()

    panel.press({"do": "repair"})
    eventually(lambda: not (panel.paint() or panel.state["working"]), timeout=120)
    assert panel.state["said"].startswith("Repaired: kube-proxy, coredns, labkit-network."), panel.state["said"]
    assert (panel.state["failed"], panel.state["missing"]) == (False, [])
    panel.press({"do": "repair"})  # nothing is missing: nothing is done
    assert not panel.state["working"]
    panel.close()
    assert broken.status().missing == ()
    assert broken.proxy.mode == "nftables", "what the learner has set stays"
    eventually(lambda: broken.proxy.check().agrees)  # rules follow the API within moments
    assert _service_address(broken) == before


def test_a_manifest_that_was_moved_away_is_told_and_made_anew(broken: Lab) -> None:
    for name in MANIFESTS:
        broken.nodes[0].exec(f"mv /etc/kubernetes/manifests/{name}.yaml /root/")
    eventually(lambda: broken.status().state == "not answering", timeout=60)
    told = {each.part: each.stops for each in broken.status().missing}
    assert told.keys() == MANIFESTS.keys()
    assert all(stops in told[name] for name, stops in MANIFESTS.items())
    done = here("repair", "--name", NAME)
    assert done.exit_code == 0, done.output
    assert "kubeadm init phase control-plane scheduler" in done.output
    status = broken.status()
    assert (status.state, status.missing) == ("running", ())
    assert len(broken.components().named("kube-scheduler")) == 1


def test_a_configmap_that_is_gone_comes_back_as_kubeadm_made_it(broken: Lab) -> None:
    broken.kubectl("delete configmap kube-proxy --namespace kube-system")
    assert broken.status().missing == (
        Missing("kube-proxy", ("ConfigMap kube-proxy",), broken.status().missing[0].stops),
    )
    events: list[PhaseEvent] = []
    with broken.freeze("kube-scheduler"):
        repaired = broken.repair(progress=Progress(events.append))
        assert not broken.frozen
    assert repaired.rows()[0] == ("kube-scheduler", "held still", "let go on")
    assert repaired.rows()[1][:2] == ("kube-proxy", "missing: ConfigMap kube-proxy")
    assert [e.phase for e in events if e.state == "finished"] == ["API server", "kube-proxy", "system pods"]
    assert broken.proxy.mode == "iptables"
    again = broken.repair(progress=Progress())
    assert again.caption() == "Nothing is missing, and nothing is held still"


def _service_address(lab: Lab) -> str:
    return lab.kubectl("get service kube-dns --namespace kube-system --output jsonpath={.spec.clusterIP}")
