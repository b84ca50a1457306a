"""The scheduler's panel: on the real cluster, where pods come and cannot be placed, and on a lab that does not run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from labkit.cluster import rootless
from labkit.cluster.rootless import RootlessCluster
from labkit.cluster.spec import LabSpec
from labkit.cluster.state import LabFolder
from labkit.components import Components
from labkit.flow.attempts import FILTERS
from labkit.lab import Lab
from labkit.widgets.why import WhyPanel


def choose(panel: WhyPanel, pod: object) -> None:
    panel._handle_custom_msg({"pod": pod}, [])
    panel.paint()


def until(condition: Callable[[], bool], panel: WhyPanel, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while panel.paint() or not condition():
        assert time.monotonic() < end, panel.state
        time.sleep(0.05)


@pytest.fixture
def panel(lab: Lab) -> Iterator[WhyPanel]:
    panel = lab.why_panel()
    yield panel
    panel.close()
    lab.kubectl("delete pod earlier placed homeless --ignore-not-found --now")


@pytest.mark.cluster
def test_pods_appear_as_they_are_placed_and_the_newest_is_shown(lab: Lab, panel: WhyPanel) -> None:
    earlier = "default/earlier"
    lab.kubectl("run earlier --image=labkit/standin")
    until(lambda: panel.state["caption"] == f"{earlier}, attempt 1", panel)
    lab.kubectl("run placed --image=labkit/standin")
    until(lambda: panel.state["caption"] == "default/placed, attempt 1", panel)
    until(lambda: panel.state["pods"][0]["node"] != "", panel)
    state = panel.state
    decision = lab.why("placed")
    assert state["pods"][0] == {"pod": "default/placed", "node": decision.node, "shown": True}
    assert state["why"] == decision.attempts[0].why
    assert [node["name"] for node in state["nodes"] if node["chosen"]] == [decision.node]
    *_, total = state["scores"]
    assert total["name"] == "sum"
    assert [cell["text"] for cell in total["cells"]] == [
        str(decision.attempts[0].sums.get(node["name"], "")) for node in state["nodes"]
    ]
    assert all(0 <= cell["part"] <= 1 for cell in total["cells"] if cell["part"] is not None)
    assert [line["name"] for line in state["filters"]] == list(FILTERS)
    assert json.loads(json.dumps(state)) == state

    choose(panel, earlier)
    assert panel.state["caption"].startswith(f"{earlier}, attempt ")
    assert not panel.state["newest"]
    lab.kubectl(["run", "homeless", "--image=labkit/standin", '--overrides={"spec":{"nodeSelector":{"no":"where"}}}'])
    until(lambda: panel.state["pods"][0]["pod"] == "default/homeless", panel)
    assert panel.state["caption"].startswith(f"{earlier}, attempt "), "the reader stays where they are"
    choose(panel, "")
    assert panel.state["newest"]
    until(lambda: panel.state["why"].startswith("no node was feasible: 0/3 nodes are available"), panel)
    assert not any(node["chosen"] for node in panel.state["nodes"])
    assert "default/homeless" in panel.still_html()
    assert panel.still_text().startswith("default/homeless, attempt 1: no node was feasible")


@pytest.mark.cluster
def test_messages_of_any_kind_do_nothing(panel: WhyPanel) -> None:
    before = panel.state
    odd: list[object] = [None, ["x"], {}, "default/nobody", 3]
    for pod in odd:
        panel._handle_custom_msg({"pod": pod}, [])
        assert not panel._working
    assert panel._composed() == before


def test_a_lab_that_never_ran() -> None:
    folder = LabFolder.of("idle")
    folder.create(LabSpec(name="idle"))
    try:
        panel = Lab(RootlessCluster(folder, Components({}))).why_panel()
        assert panel.state["why"] == "The scheduler has placed no pod yet."
        assert "there is no log of a scheduler" in panel.state["trouble"]
        assert "does not run" in panel.state["trouble"]
        assert panel.state["pods"] == panel.state["scores"] == []
        assert "placed no pod yet" in panel.still_html()
        panel.close()
    finally:
        rootless.remove(folder)
