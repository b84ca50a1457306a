"""The panel of `kubeadm init`: its buttons run phases, and say what they wrote or why they failed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from labkit.lab.installation.phases import PHASES
from labkit.widgets.init import InitPanel
from tests.widgets.phases import Phases


def press(shown: InitPanel, button: object) -> None:
    shown._handle_custom_msg({"press": button}, [])
    shown.paint()


def until(condition: Callable[[], bool], shown: InitPanel) -> None:
    end = time.monotonic() + 5
    while shown.paint() or not condition():
        assert time.monotonic() < end, shown.state
        time.sleep(0.02)


def test_one_phase_then_all() -> None:
    steps = Phases("kubeadm-config")
    shown = InitPanel(steps, title="kubeadm init")
    assert shown.state["next"] == "certs"
    assert shown.state["about"].startswith("Phase 2 of 12: make the certificate authorities")
    press(shown, "next")
    assert shown.state["working"]
    assert shown.state["said"] == "kubeadm init phase certs …"
    press(shown, "next")
    steps.gate.set()
    until(lambda: not shown.state["working"], shown)
    assert shown.state["said"] == "certs took 0.50 s: configmaps kubeadm-config"
    assert [row[0] for row in shown.state["rows"]] == ["preflight", "certs"], "the second press did nothing"
    press(shown, "all")
    until(lambda: not shown.state["working"], shown)
    assert shown.state["next"] == ""
    assert len(shown.state["rows"]) == len(PHASES)
    press(shown, "all")
    assert not shown.state["working"]
    assert json.loads(json.dumps(shown.state)) == shown.state
    assert "All phases have been run." in shown.still_html()
    shown.close()


def test_a_failure_is_told_and_the_phase_stays_the_next() -> None:
    steps = Phases("kubeadm-config", broken=True)
    steps.gate.set()
    shown = InitPanel(steps, title="kubeadm init")
    for button in (None, 3, "<b>", ["next"]):
        press(shown, button)
        assert not shown.state["working"]
    press(shown, "all")
    until(lambda: bool(shown.state["failed"]), shown)
    assert shown.state["said"].startswith("kubeadm init phase certs failed\nWhy: <b>error")
    assert shown.state["next"] == "certs"
    shown.close()
