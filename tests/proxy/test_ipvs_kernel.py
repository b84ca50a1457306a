"""kube-proxy's ipvs mode on a kernel that has ip_vs: what labkit reads there, and what becomes of real connections."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from labkit.components import ensure
from labkit.proxy import ipvs_trace
from labkit.proxy.compare import compare
from labkit.proxy.model import ServicePort
from labkit.proxy.packet import Address, Step
from labkit.proxy.rules import Tables
from tests.proxy import captured
from tests.proxy.captured import NODES, meaning
from tests.vm import api, machine
from tests.vm.services import API, FROM_PORT, OUTSIDE, PODS, QUESTIONS
from tests.vm.services import NODES as ADDRESSES

pytestmark = [pytest.mark.cluster, pytest.mark.vm, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
SECONDS = 400.0  # it takes about 100 on a slow machine
CLIENT = PODS["master"][0]
ENDPOINTS = [*PODS["node-01"], *PODS["node-02"]]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the virtual machine left what it saw."""
    folder = tmp_path_factory.mktemp("vm")
    programs = ensure().programs
    environment = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "PYTHONPATH": str(ROOT)}
    job = [sys.executable, "-B", "-m", "tests.vm.services"]
    with api.running(programs, folder / "api") as server:
        server.create_all(ADDRESSES, captured.api("services"), captured.api("endpointslices"))
        given = {
            "programs": {name: str(path) for name, path in programs.items()},
            "services": server.items("/api/v1/services"),
            "endpointslices": server.items("/apis/discovery.k8s.io/v1/endpointslices"),
        }
        for name, content in given.items():
            (folder / f"{name}.json").write_text(json.dumps(content))
        (folder / "kubeconfig").write_text(server.kubeconfig(f"https://{API}:{machine.HOST[1]}"))
        machine.run(job, folder, seconds=SECONDS, megabytes=2048, environment=environment, port=server.port)
    return folder


def _json(folder: Path, name: str) -> Any:
    return json.loads((folder / f"{name}.json").read_text())


def _tables(folder: Path) -> dict[str, Tables]:
    return {each["node"]: Tables(**each) for each in _json(folder, "tables")}


def _answers(folder: Path, name: str) -> dict[str, int]:
    found: dict[str, int] = _json(folder, "traffic")[name]
    return found


@pytest.mark.parametrize("node", NODES)
def test_the_model_is_what_the_api_says(seen: Path, node: str) -> None:
    tables = _tables(seen)[node]
    assert tables.modes == ("ipvs",)
    check = compare(tables.parse("ipvs"), _json(seen, "services"), _json(seen, "endpointslices"))
    assert check.agrees, (check.missing, check.stale, (seen / f"kube-proxy-{node}.log").read_text()[-2000:])
    assert len(check.agreeing) == 12
    assert check.foreign == ()


@pytest.mark.parametrize("node", NODES)
def test_the_captured_outputs_are_as_those_of_this_kernel(seen: Path, node: str) -> None:
    """What the tests of the parser read is no other than what the tools print today."""

    def said(tables: Tables) -> list[ServicePort]:
        return [meaning(port) for port in tables.parse("ipvs").ports]

    assert said(_tables(seen)[node]) == said(captured.ipvs_tables(node))


def test_connections_spread_evenly(seen: Path) -> None:
    """``rr`` counts: the shares of 300 connections one after the other are exact."""
    assert _answers(seen, "web") == {f"{endpoint} {CLIENT}": 100 for endpoint in ENDPOINTS}
    assert _answers(seen, "alt") == {f"{endpoint} {CLIENT}": 2 for endpoint in ENDPOINTS}


def test_udp_spreads_too(seen: Path) -> None:
    assert _answers(seen, "udp") == {f"{endpoint} {CLIENT}": 10 for endpoint in ENDPOINTS}


def test_a_client_stays_with_its_endpoint(seen: Path) -> None:
    (answer,) = _answers(seen, "sticky").items()
    assert answer in {(f"{endpoint} {CLIENT}", 20) for endpoint in ENDPOINTS}


def test_no_endpoints_refuse_at_once(seen: Path) -> None:
    assert _answers(seen, "empty") == {"ConnectionRefusedError": 2}


def test_a_node_port_leads_to_all_and_hides_who_asks(seen: Path) -> None:
    answers = _answers(seen, "door")
    assert {answer.split()[0] for answer in answers} == {*ENDPOINTS}
    assert OUTSIDE not in {answer.split()[1] for answer in answers}


def test_the_external_policy_local_stays_on_the_node_and_shows_who_asks(seen: Path) -> None:
    assert _answers(seen, "near") == {f"{PODS['node-01'][0]} {OUTSIDE}": 6}


def test_the_internal_policy_local_stays_on_the_node(seen: Path) -> None:
    answers = _answers(seen, "inside")
    assert {answer.split()[0] for answer in answers} == {*PODS["node-01"]}
    assert sum(answers.values()) == 6


def test_a_node_that_asks_is_masqueraded(seen: Path) -> None:
    """Else the endpoints would answer the Service's own address, which every node has."""
    answers = _answers(seen, "from a node")
    assert {answer.split()[0] for answer in answers} == {*ENDPOINTS}
    assert {answer.split()[1] for answer in answers} == {ADDRESSES["node-01"], "192.168.1.1"}


def _way(seen: Path, name: str) -> tuple[Step, ...]:
    found = _json(seen, "counters")[name]
    before, after = (ipvs_trace.counts(found[moment]) for moment in ("before", "after"))
    _, _, ip, port, _ = QUESTIONS[name]
    source = Address(ipvs_trace.source(found["connection"]) or ADDRESSES["node-01"], FROM_PORT)
    return ipvs_trace.steps(before, after, found["connection"], source, Address(ip, port))


def test_the_way_of_a_request_is_told_by_counters_and_conntrack(seen: Path) -> None:
    scheduled, chosen, remembered = _way(seen, "web")
    counted = re.compile(r"connections (\d+) → (\d+), packets in \d+ → \d+$")
    for step in (scheduled, chosen):
        match = counted.search(step.rule)
        assert match, step.rule
        assert int(match[2]) - int(match[1]) == 1
    assert chosen.translation == "DNAT"
    assert chosen.translated_to is not None
    assert chosen.translated_to.ip in ENDPOINTS
    assert remembered.translation == "masquerade"


def test_a_request_that_nobody_took_has_a_way_too(seen: Path) -> None:
    (step,) = _way(seen, "empty")
    assert step.verdict == "reject"
