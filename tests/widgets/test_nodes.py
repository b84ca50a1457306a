"""The nodes panel: on the real cluster by its buttons' messages, and on a lab that does not run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from labkit.cluster import rootless
from labkit.cluster.rootless import RootlessCluster
from labkit.cluster.spec import LabSpec
from labkit.cluster.state import LabFolder
from labkit.components import Components
from labkit.lab import Lab
from labkit.widgets.nodes import NodesPanel


def press(panel: NodesPanel, does: object, node: object, component: object = "") -> None:
    panel._handle_custom_msg({"do": does, "node": node, "component": component}, [])


def until(condition: Callable[[], bool], panel: NodesPanel, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while panel.paint() or panel.state["working"] or not condition():
        assert time.monotonic() < end, (panel.state["said"], panel.state["trouble"], panel.state["rows"])
        time.sleep(0.02)


def states(panel: NodesPanel) -> dict[str, str]:
    return {f"{row[0]}/{row[1].partition(' ')[0]}": row[2] for row in panel.state["rows"]}


def offers(panel: NodesPanel, component: str, node: str) -> str:
    (control,) = [each for each in panel.state["controls"] if (each["component"], each["node"]) == (component, node)]
    return str(control["do"]) if control["able"] else ""


@pytest.fixture
def panel(lab: Lab) -> Iterator[NodesPanel]:
    panel = lab.nodes_panel()
    yield panel
    panel.close()
    assert not lab.frozen


@pytest.mark.cluster
def test_a_component_is_frozen_and_goes_on(lab: Lab, panel: NodesPanel) -> None:
    assert set(states(panel).values()) == {"runs"}
    assert len(states(panel)) == 13
    (scheduler,) = [row for row in panel.state["rows"] if row[0] == "kube-scheduler"]
    assert scheduler[1] == "master (Ready)"
    assert scheduler[3] == str(lab.components().named("kube-scheduler")[0].pid)
    assert scheduler[4] == "127.0.0.1:10259"
    press(panel, "freeze", "master", "kube-scheduler")
    press(panel, "freeze", "node-01", "kubelet")  # while another works: nothing
    until(lambda: offers(panel, "kube-scheduler", "master") == "thaw", panel)
    assert lab.frozen == ("kube-scheduler",)
    assert states(panel)["kube-scheduler/master"] == "frozen, 10 min left"
    assert "goes on by itself in 10 minutes" in panel.state["said"]
    assert json.loads(json.dumps(panel.state)) == panel.state
    press(panel, "freeze", "node-01", "kubelet")
    until(lambda: offers(panel, "kubelet", "node-01") == "thaw", panel)
    press(panel, "thaw", "master", "kube-scheduler")
    until(lambda: states(panel)["kube-scheduler/master"] == "runs", panel)
    assert lab.frozen == ("kubelet/node-01",)  # which goes on when the panel is closed


@pytest.mark.cluster
def test_what_another_command_holds_is_seen_and_let_go(lab: Lab, panel: NodesPanel) -> None:
    held = lab.freeze("kube-proxy/node-02")
    panel._stale = True
    until(lambda: states(panel)["kube-proxy/node-02"] == "frozen", panel)
    press(panel, "thaw", "node-02", "kube-proxy")
    until(lambda: offers(panel, "kube-proxy", "node-02") == "freeze", panel)
    held.thaw()


@pytest.mark.cluster
def test_without_the_api_server_all_but_ready_is_known(lab: Lab, panel: NodesPanel) -> None:
    press(panel, "freeze", "master", "kube-apiserver")
    began = time.monotonic()
    until(lambda: offers(panel, "kube-apiserver", "master") == "thaw", panel)
    assert time.monotonic() - began < 5, "nobody waits for an API server that is known to be still"
    assert panel.state["trouble"].startswith("kube-apiserver: frozen, 10 min left; nobody tells")
    assert states(panel)["kubelet/node-01"] == "runs"
    assert "Ready or not: unknown" in panel.state["rows"][0][1]
    press(panel, "thaw", "master", "kube-apiserver")
    until(lambda: panel.state["rows"][0][1] == "master (Ready)", panel)
    assert panel.state["trouble"] == ""


@pytest.mark.cluster
def test_a_node_is_switched_off_and_on(lab: Lab, panel: NodesPanel) -> None:
    press(panel, "stop", "node-02")
    try:
        until(lambda: offers(panel, "", "node-02") == "start", panel)
        assert states(panel)["kubelet/node-02"] == "off, as its node is"
        assert panel.state["rows"][-1][1].startswith("node-02 (off, ")
        assert offers(panel, "kubelet", "node-02") == ""
        press(panel, "start", "node-02")
        until(lambda: states(panel)["kube-proxy/node-02"] == "runs", panel, 60)
        until(lambda: panel.state["rows"][-1][1] == "node-02 (Ready)", panel, 60)
    finally:
        lab.nodes["node-02"].start()


@pytest.mark.cluster
def test_messages_of_any_kind_do_nothing(panel: NodesPanel) -> None:
    messages: list[dict[str, Any]] = [
        {},
        {"do": "freeze"},
        {"do": ["freeze"], "node": {}, "component": None},
        {"do": "thaw", "node": "master", "component": "etcd"},  # it runs
        {"do": "start", "node": "master", "component": ""},
        {"do": "freeze", "node": "node-01", "component": "etcd"},
        {"do": "freeze", "node": "master", "component": "container runtime"},
        {"do": "freeze", "node": "master; reboot", "component": "kubelet"},
    ]
    for message in messages:
        panel._handle_custom_msg(message, [])
        assert not panel._working, message
    assert not panel.state["said"]


@pytest.fixture
def stopped() -> Iterator[Lab]:
    """A lab that is not started."""
    folder = LabFolder.of("dark")
    folder.create(LabSpec(name="dark"))
    yield Lab(RootlessCluster(folder, Components({})))
    rootless.remove(folder)


def test_a_lab_that_does_not_run_is_told(stopped: Lab) -> None:
    panel = stopped.nodes_panel()
    assert "Lab 'dark' does not run" in panel.state["trouble"]
    assert "labkit up --name dark" in panel.state["trouble"]
    assert set(states(panel).values()) == {"off, as its node is"}
    assert not any(control["able"] for control in panel.state["controls"])
    page = panel.still_html()
    assert "<script" not in page
    assert "off, as its node is" in page
    assert panel.still_text().startswith("Nodes of lab 'dark'\n")
    panel.close()
