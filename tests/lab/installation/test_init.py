"""A lab whose nodes are only prepared: kubeadm init watched, wrong options, reset, the network; all on one lab.

The tests go on where the one before has left the lab, from prepared nodes to a cluster and back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

import labkit
from labkit.checks import init as checks
from labkit.cluster import kubeadm
from labkit.cluster.spec import LabSpec
from labkit.errors import ClusterError, UsageError
from labkit.lab import Lab
from labkit.lab.installation import mistakes
from labkit.lab.installation.phases import PHASES
from labkit.progress import PhaseEvent, Progress
from tests.cli.command import labkit as command

NAME = "birth"
STRANGER = "abcdef.0123456789abcdef"


def _tell(event: PhaseEvent) -> None:
    """Print what goes on, which is seen where a test fails."""
    print(f"{event.phase}: {event.state} after {event.seconds:.1f} s {event.detail}")


TOLD = Progress(_tell)


@pytest.fixture(scope="module")
def birth() -> Iterator[Lab]:
    with labkit.up(NAME, workers=1, init=False, progress=TOLD) as prepared:
        yield prepared


def test_no_network_without_a_cluster() -> None:
    with pytest.raises(UsageError, match=r"not initialised yet"):
        labkit.up(NAME, init=False, network=True)
    assert NAME not in labkit.lab_names()


def test_wrong_values_replace_the_right_ones_and_nothing_else() -> None:
    right = kubeadm.init_documents(LabSpec(), "abcdef.0123456789abcdef", whole=True)
    wrong = mistakes.changed(right, mistakes.MISTAKES["image-repository"])
    lines = set(wrong.splitlines()) ^ set(right.splitlines())
    assert {line.strip() for line in lines} == {
        "imageRepository: registry.k8s.io",
        "imageRepository: registry.invalid",
        "timeouts:",
        "controlPlaneComponentHealthCheck: '60s'",
    }


@pytest.mark.cluster
def test_a_prepared_lab_says_that_it_waits(birth: Lab) -> None:
    status = birth.status()
    assert status.state == "not initialised"
    assert [row[3] for row in status.rows()] == ["prepared", "prepared"]
    with pytest.raises(ClusterError, match=r"not initialised yet[\s\S]*kubeadm init"):
        birth.kubectl("get nodes")
    with pytest.raises(UsageError, match="not initialised yet"):
        labkit.up(NAME, progress=TOLD)
    assert labkit.up(NAME, init=False, progress=TOLD).status().state == "not initialised"
    shown = command("status", "--name", NAME, "--json")
    assert json.loads(shown.stdout)[0]["state"] == "not initialised"
    assert f"Lab {NAME}: not initialised" in command("status", "--name", NAME).stdout
    assert "--image-repository" in repr(birth.init_options)
    with pytest.raises(UsageError, match="init-twice needs a lab that is"):
        birth.try_init("init-twice")


@pytest.mark.cluster
def test_a_machine_that_joins_before_init_finds_nobody(birth: Lab) -> None:
    with pytest.raises(ClusterError, match=r"kubeadm says[\s\S]*connection refused[\s\S]*Before `kubeadm init`"):
        birth.join("node-01", token=STRANGER, ca_hash=f"sha256:{'0' * 64}", seconds=2, progress=TOLD)
    with pytest.raises(ClusterError, match="There is no cluster yet"):
        birth.token.create()
    assert birth.status().state == "not initialised"


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("mistake", "who", "phase", "words"),
    [
        ("image-repository", "container runtime", "preflight", "no host is called registry.invalid"),
        ("kubernetes-version", "kubeadm", "preflight", ">= 1.33.0"),
        ("overlapping-ranges", "kube-controller-manager", "addon", "CIDRNotAvailable"),
        ("advertise-address", "etcd", "wait-control-plane", "bind: cannot assign requested address"),
    ],
)
def test_a_wrong_option_and_the_node_as_before(birth: Lab, mistake: str, who: str, phase: str, words: str) -> None:
    tried = birth.try_init(mistake, progress=TOLD)
    assert words in repr(tried)
    assert (tried.noticed, tried.run.phases[-1].name) == (who, phase)
    assert checks.noticed([tried], {mistake: who}).right
    wrong = checks.noticed([tried], {mistake: next(name for name in checks.WHO if name != who)})
    assert wrong.right is False
    assert who == "kubeadm" or who not in repr(wrong), "kubeadm is named in every clue"
    assert birth.status().state == "not initialised"
    birth.nodes[0].exec("mkdir -p /var/lib/etcd")
    left = birth.nodes[0].exec("find /etc/kubernetes /var/lib/etcd -type f -not -path '*/labkit/*'")
    assert left == "", "reset has taken away all but folders"


@pytest.mark.cluster
def test_init_watched_a_second_time_and_the_network(birth: Lab) -> None:
    run = birth.init(progress=TOLD)
    assert [phase.name for phase in run.phases] == [kind.name for kind in PHASES]
    assert sum(phase.seconds for phase in run.phases) == pytest.approx(run.seconds, rel=0.05)
    right = {"A": "etcd", "B": "certs", "C": "kubelet-start", "D": "upload-config", "E": "addon"}
    assert checks.made(run, right).right, checks.made(run, right)
    assert "admin.conf" in repr(run.written("kubeconfig"))
    secret = birth.nodes[0].exec(f"grep -o '[a-z0-9]\\{{6\\}}\\.[a-z0-9]\\{{16\\}}' {kubeadm.CONFIG}")
    assert secret not in repr([phase.lines for phase in run.phases]), "a token is a secret"
    assert "nodes master" in run["mark-control-plane"].wrote
    with pytest.raises(UsageError, match="initialised already"):
        birth.init()

    twice = birth.try_init("init-twice", progress=TOLD)
    assert "[ERROR Port-6443]" in twice.run.trouble
    assert twice.noticed == "kubeadm"
    assert birth.status().state == "running", "the cluster that runs is left alone"

    assert "NotReady" in birth.kubectl("get nodes --no-headers")
    installed = birth.network.install(progress=TOLD)
    assert installed.steps[0].what == "DaemonSet is stored"
    assert installed.steps[-1].what == "master: node is Ready"
    assert ("master", "file", "+", "/etc/cni/net.d/10-labkit.conflist") in installed.rows()
    assert any(row[1:3] == ("route", "+") for row in installed.rows())
    with pytest.raises(UsageError, match="installed already"):
        birth.network.install()
    assert birth.explain("daemonset/labkit-network", "kube-system").flow.hops
    assert [row[3] for row in birth.status().rows()] == ["Ready", "prepared"]
    assert labkit.up(NAME, progress=TOLD).status().state == "running", "it is an ordinary lab now"


@pytest.mark.cluster
def test_reset_and_all_phases_one_by_one(birth: Lab) -> None:
    birth.reset(progress=TOLD)
    assert birth.status().state == "not initialised"
    steps = birth.init_steps()
    panel = steps.panel()
    assert panel.state["next"] == "preflight"
    first = steps.next()
    assert (first.name, first.files) == ("preflight", ())
    assert steps.upcoming is not None
    assert steps.upcoming.name == "certs"
    run = steps.rest(TOLD)
    assert [phase.name for phase in run.phases] == [kind.name for kind in PHASES]
    assert steps.upcoming is None
    with pytest.raises(UsageError, match="All phases"):
        steps.next()
    assert birth.kubectl("get nodes --output name") == "node/master"
    assert "wait-control-plane" in panel.still_html() or panel.paint()
    panel.close()
