"""Each exercise of notebook 06, measured: its solution is right, and a wrong answer is explained without naming it.

On what the notebook's lab answered when its session was recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import chain as joined
from itertools import combinations
from typing import Any

import pytest

from labkit.checks import kube_proxy_measured
from labkit.lab import up
from labkit.proxy.cause import Chain


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    """What the recorded notebook found: the chains of an expose and of a pod's death, that pod, the measurement."""
    lab: Any = up("06_kube_proxy_measured", provider="replay")
    lab.deploy("web", image="nginx", replicas=2)
    with lab.proxy.follow("shop") as exposed:
        lab.kubectl("expose deployment web --name shop --port 80")
    pod = lab.kubectl("get pods --selector app=web -o jsonpath={.items[0].metadata.name}")
    with lab.proxy.follow("shop") as death:
        lab.kubectl(f"delete pod {pod} --wait=false")
    measured = lab.proxy.bench([5, 15, 45], ["iptables", "nftables"], repeats=2)
    return {"exposed": exposed.chain, "death": death.chain, "pod": str(pod), "measurement": measured.measurement}


def test_from_which_request_rules_follow(seen: dict[str, Any]) -> None:
    chain: Chain = seen["exposed"]
    assert kube_proxy_measured.follows_from(chain, "node-01", None).right is None
    verdicts = {link: kube_proxy_measured.follows_from(chain, "node-01", link.number) for link in chain.links}
    right = [link for link, verdict in verdicts.items() if verdict.right]
    assert [(link.source, link.kind) for link in right] == [("endpointslice-controller", "request")]
    first = verdicts[chain.links[0]]
    assert first.right is False
    assert first.evidence[0].startswith("link 1, +0.0 ms: kubectl creates Service shop")
    assert right[0].source not in repr(first)
    told = next(link for link in chain.links if link.kind == "notify")
    assert verdicts[told].why == f"Link {told.number} is no request to the API server."
    assert kube_proxy_measured.follows_from(chain, "node-01", 99).why == "There is no link 99."
    assert kube_proxy_measured.follows_from(chain, "node-77", 1).right is None


def _sets(nodes: list[str]) -> Iterator[set[str]]:
    return map(set, joined.from_iterable(combinations(nodes, count) for count in range(len(nodes) + 1)))


def test_which_rules_outlived_a_pod(seen: dict[str, Any]) -> None:
    chain: Chain = seen["death"]
    pod = seen["pod"]
    nodes = [each.node for each in chain.nodes]
    assert kube_proxy_measured.outlived(chain, pod, None).right is None
    report = next(link for link in chain.links if link.source.startswith("kubelet") and f"pod {pod}" in link.what)
    # The same chain, and the same as if the process had ended at once, and as if it had taken another minute.
    for later in (timedelta(), chain.links[0].start - report.start, timedelta(minutes=1)):
        moved = replace(report, start=report.start + later)
        links = tuple(moved if link == report else link for link in chain.links)
        verdicts = [
            (each, kube_proxy_measured.outlived(replace(chain, links=links), pod, each)) for each in _sets(nodes)
        ]
        (right,) = [nodes for nodes, verdict in verdicts if verdict.right]
        assert later >= timedelta() or right == set(nodes)
        assert later <= timedelta() or right == set()
        for given, verdict in verdicts:
            assert f"link {report.number}, " in verdict.evidence[0]
            said = " ".join((verdict.why, *verdict.evidence[1:]))  # the first line is the kubelet's, of the pod's node
            assert all(each not in said for each in right - given)
    assert kube_proxy_measured.outlived(chain, pod, "node-77").why == "There is no node node-77."
    assert kube_proxy_measured.outlived(chain, "another", set()).right is None


def test_what_one_more_service_costs(seen: dict[str, Any]) -> None:
    measurement = seen["measurement"]
    assert kube_proxy_measured.rules_for_each(measurement, "iptables", None).right is None
    # A Service of one endpoint: a line in KUBE-SERVICES, two in its chain KUBE-SVC-…, two in its endpoint's KUBE-SEP-…
    assert kube_proxy_measured.rules_for_each(measurement, "iptables", 5).right
    assert kube_proxy_measured.rules_for_each(measurement, "nftables", 4).right
    wrong = kube_proxy_measured.rules_for_each(measurement, "iptables", 4)
    assert wrong.right is False
    assert wrong.evidence[0].startswith("5 Services: ")
    share = measurement.figure("iptables", 45, "rules").mean / 45
    assert "divided" in kube_proxy_measured.rules_for_each(measurement, "iptables", share).why
    one = replace(measurement, runs=tuple(run for run in measurement.runs if run.services == 5))
    assert kube_proxy_measured.rules_for_each(one, "iptables", 5).right is None
