"""What is done to a Service, followed to each node's rules on the shared lab; nothing of it is left on the nodes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import networkx
import pytest

from labkit.errors import ClusterError, PreflightError, UsageError
from labkit.lab import Lab
from labkit.proxy.cause import Chain, Link
from labkit.proxy.rule_watch import watch
from tests import traces
from tests.cli.command import labkit
from tests.pods.space import workload
from tests.proxy.hidden import WithoutPrograms

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module", autouse=True)
def _deployment(lab: Lab) -> Iterator[None]:
    """Two pods that a Service may lead to; Services that tests make are removed."""
    made = workload("Deployment", "caused", {"replicas": 2}, {"name": "main", "image": "labkit/standin"})
    lab.kubectl("create -f -", stdin=json.dumps(made))
    lab.kubectl("rollout status deployment/caused")
    yield
    lab.kubectl("delete --cascade=foreground deployment/caused")
    lab.kubectl("delete service caused --ignore-not-found")


@pytest.fixture(autouse=True)
def _nothing_left(lab: Lab) -> Iterator[None]:
    yield
    assert left(lab) == []


def left(lab: Lab) -> list[str]:
    """Return what following left on the nodes: processes that listen."""
    found = []
    for node in lab.nodes:
        found += node.exec("grep -lazE '^(monitor|labkit.node.rule_monitor)$' /proc/[0-9]*/cmdline || true").split()
    return found


def requests(chain: Chain) -> list[Link]:
    return [link for link in chain.links if link.kind == "request"]


def rules(chain: Chain, node: str) -> list[Link]:
    return [link for link in chain.links if link.kind == "rules" and link.node == node]


def endpoints(lab: Lab) -> set[str]:
    """Return the addresses that the API has for the Service."""
    chosen = "get endpointslices --selector=kubernetes.io/service-name=caused"
    return set(str(lab.kubectl(f"{chosen} -o jsonpath={{..addresses[*]}}")).split())


def test_expose(lab: Lab) -> None:
    with lab.proxy.follow("caused") as cause:
        lab.kubectl("expose deployment caused --port 80 --target-port 8080 --type NodePort")
        with pytest.raises(UsageError, match="not known yet"):
            _ = cause.chain
    chain = cause.chain
    assert (chain.service, chain.mode) == ("default/caused", "iptables")
    first, *others = requests(chain)
    assert (first.source, first.what, first.observed) == ("kubectl", "creates Service caused", True)
    slices = next(link for link in others if link.source == "endpointslice-controller")
    assert slices.what.endswith(": 2 ready")
    for node in lab.nodes:
        changed = rules(chain, node.name)
        came = [rule for link in changed for rule in link.came]
        went = [rule for link in changed for rule in link.went]
        there = set(came) - set(went)
        for address in endpoints(lab):
            (rule,) = [each for each in there if f"--to-destination {address}:8080" in each]
            assert rule.startswith("nat KUBE-SEP-")
        assert not [rule for rule in there if "reject" in rule], "what refused connections has gone again"
        told = chain.links[(changed[-1].after or 0) - 1]
        assert (told.kind, told.observed, told.after) == ("notify", False, slices.number)
        assert told.start <= changed[-1].start
    assert [each.node for each in chain.nodes] == [node.name for node in lab.nodes]
    for each in chain.nodes:
        assert each.first is not None
        assert each.last is not None
        assert each.delay is not None
        assert 0 < each.first <= each.last < 10_000
        assert 0 <= each.delay < 10_000
        assert each.syncing is not None, "kube-proxy tells how long it wrote"
    _is_shown(cause.to_graph(), cause.to_svg(), cause._repr_html_(), repr(cause))


def _is_shown(graph: networkx.MultiDiGraph, svg: str, html: str, text: str) -> None:
    for node in ("master", "node-01", "node-02"):
        assert networkx.has_path(graph, "kubectl", f"rules of {node}")
        assert f"rules of {node}" in svg
    assert ET.fromstring(svg).get("role") == "img"  # noqa: S314 - our own text
    assert "creates Service caused" in svg
    assert html.count("<table>") == 2
    assert "kubectl creates Service caused: the rules of default/caused had followed after" in text


def test_a_pods_death_by_the_command(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LABKIT_NAME", lab.name)
    pod = lab.kubectl("get pods --selector=app=caused -o jsonpath={.items[0].metadata.name}")
    svg = tmp_path / "cause.svg"
    done = labkit("proxy", "follow", "svc/caused", "--json", "--svg", str(svg), "--", "delete", "pod", str(pod))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout[: done.stdout.rindex("}") + 1])
    who = [(link["source"], link["what"].split()[0]) for link in found["links"] if link["kind"] == "request"]
    assert who[0] == ("kubectl", "deletes")
    assert {"replicaset-controller", "scheduler", "endpointslice-controller"} <= {source for source, _ in who}
    for node in lab.nodes:
        changed = [link for link in found["links"] if link["kind"] == "rules" and link["node"] == node.name]
        assert any("--to-destination" in rule for link in changed for rule in link["went"]), "the dead pod's"
        assert any("--to-destination" in rule for link in changed for rule in link["came"]), "its successor's"
    assert svg.read_text().startswith("<svg")


def test_a_node_whose_kube_proxy_is_frozen_does_not_follow(lab: Lab) -> None:
    with lab.freeze("kube-proxy/node-02"), lab.proxy.follow("caused") as cause:
        lab.kubectl("scale deployment caused --replicas 3")
    by_name = {each.node: each for each in cause.chain.nodes}
    assert by_name["node-02"].last is None
    assert by_name["master"].last is not None
    assert by_name["node-01"].last is not None
    assert "those of node-02 did not change" in cause.chain.caption()
    assert "rules of node-02" in cause.to_svg()
    # Who went on comes after the others: the next test follows what is done, and not this.
    traces.eventually(lambda: lab.proxy.check().agrees, timeout=30)


def test_two_may_follow_at_once(lab: Lab) -> None:
    with lab.proxy.follow("caused") as one, lab.proxy.follow("svc/caused") as other:
        lab.kubectl("scale deployment caused --replicas 1")
    for cause in (one, other):
        assert requests(cause.chain)[0].what == "scales deployment caused to 1"
        assert all(each.last is not None for each in cause.chain.nodes)


@pytest.mark.parametrize("name", ["", "svc/", "a/b/c", "svc/a/b/c"])
def test_what_names_no_service(lab: Lab, name: str) -> None:
    with pytest.raises(UsageError, match="names no Service"):
        lab.proxy.follow(name)


def test_nothing_changes(lab: Lab) -> None:
    with (
        pytest.raises(ClusterError, match="No node's rules of Service default/nothing changed within 1 s") as failure,
        lab.proxy.follow("nothing", timeout=1),
    ):
        lab.kubectl("label service caused seen=yes")
    assert failure.value.fix == "labkit proxy rules default/nothing"


def test_an_error_in_the_block_is_told_at_once(lab: Lab) -> None:
    began = time.monotonic()
    with pytest.raises(ClusterError, match="kubectl"), lab.proxy.follow("caused"):
        lab.kubectl("scale deployment nowhere --replicas 1")
    assert time.monotonic() - began < 5


def test_a_node_without_nft(lab: Lab) -> None:
    hidden = WithoutPrograms(lab, "nft")
    with pytest.raises(PreflightError, match="cannot be followed") as failure, watch(hidden):  # type: ignore[arg-type]
        pass
    assert failure.value.fix == "apt-get install nftables"


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_who_is_cut_off_leaves_nothing(lab: Lab, end: signal.Signals) -> None:
    block = f"with labkit.attach({lab.name!r}).proxy.follow('caused'): time.sleep(60)"
    program = f"import time, labkit\n{block}"
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL) as following:
        traces.eventually(lambda: len(left(lab)) >= 2 * len(lab.nodes))
        following.send_signal(end)
        following.wait()
    assert following.returncode != 0
    traces.eventually(lambda: not left(lab), timeout=3)
