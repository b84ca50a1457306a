"""The panel of slow motion: driven by its buttons' messages, in a real JupyterLab, and on the real cluster."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from playwright.sync_api import Browser, expect

from labkit.lab import Lab
from labkit.lab.slow_motion import PARTS
from labkit.widgets.slow_motion import SlowMotionPanel
from tests.chromium import needs_chromium
from tests.widgets.axe import violations
from tests.widgets.jupyterlab import Jupyter, run, write
from tests.widgets.parts import Relay, panel, refusal

SOURCE = """\
from tests.widgets.parts import Relay, panel
relay = Relay(seconds=6)
relay.gate.set()
shown = panel(relay)
shown"""


def press(shown: SlowMotionPanel, button: object) -> None:
    shown._handle_custom_msg({"press": button}, [])
    shown.paint()


def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.01)


def rested(shown: SlowMotionPanel) -> bool:
    shown.paint()
    return not shown.state["working"]


def states(shown: SlowMotionPanel) -> list[str]:
    return [part["state"] for part in shown.state["parts"]]


def test_part_after_part() -> None:
    relay = Relay()
    relay.gate.set()
    shown = panel(relay)
    assert states(shown) == ["next", "later", "later", "later", "later"]
    for count in range(1, 6):
        press(shown, "next")
        until(lambda: rested(shown))
        assert states(shown)[:count] == ["done"] * count
        assert shown.state["said"].startswith(f"Done: {PARTS[count - 1].actor} ")
    assert states(shown) == ["done"] * 5
    press(shown, "next")
    assert rested(shown)
    assert json.loads(json.dumps(shown.state)) == shown.state


def test_the_kernel_is_free_while_a_part_takes_long_and_no_other_begins() -> None:
    relay = Relay()
    shown = panel(relay)
    began = time.monotonic()
    press(shown, "next")
    assert time.monotonic() - began < 0.5
    assert shown.state["working"]
    assert shown.state["said"] == "kubectl goes on until its part is done …"
    press(shown, "next")
    press(shown, "all")
    relay.gate.set()
    until(lambda: rested(shown))
    assert len(relay.done) == 1
    assert not relay.over


def test_who_is_held_and_for_how_long_yet() -> None:
    relay = Relay(seconds=0.3)
    relay.gate.set()
    shown = panel(relay)
    assert shown.state["held"] == []
    press(shown, "next")
    until(lambda: rested(shown))
    (held,) = shown.state["held"]
    assert held["name"] == "kube-scheduler"
    assert 0 < held["left"] <= 0.3
    time.sleep(0.3)
    shown._looked = 0
    shown.paint()
    assert shown.state["held"] == []


def test_everything_goes_on() -> None:
    relay = Relay()
    shown = panel(relay)
    press(shown, "all")
    until(lambda: rested(shown))
    assert relay.over
    assert "next" not in states(shown)
    assert shown.state["said"] == "Everything goes on."


def told(shown: SlowMotionPanel, words: str) -> bool:
    """Whether the flow has a hop about that object."""
    return any(words in hop["object"] for hop in shown.live.panel.flow["hops"])


@pytest.mark.parametrize("error", [refusal(), OSError("the disk is full")])
def test_an_error_is_told(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    relay = Relay(broken=error)
    relay.gate.set()
    shown = panel(relay)
    press(shown, "next")
    until(lambda: rested(shown))
    assert shown.state["failed"]
    assert str(error) in shown.state["said"]
    assert ("a panel's button failed" in caplog.text) == isinstance(error, OSError)


def test_whatever_a_page_says() -> None:
    relay = Relay()
    shown = panel(relay)
    for message in ({}, {"press": None}, {"press": ["next"]}, {"press": "close"}, {"look": 1}):
        shown._handle_custom_msg(message, [])
    assert rested(shown)
    assert (relay.done, relay.over) == ((), False)


def test_it_is_shown_above_its_flow() -> None:
    InteractiveShell.instance()
    shown = panel(Relay())
    with capture_output() as captured:
        shown._ipython_display_()
    shown.live.stop()
    shown.stop()
    still, controls, *_flow = (output.data for output in captured.outputs)
    assert still["text/plain"].startswith("Deployment tomcat in slow motion\n")
    assert "Nothing has happened yet." in still["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in controls
    assert len(_flow) == 2


@needs_chromium
def test_by_keyboard_in_jupyterlab(browser: Browser, jupyter: Jupyter, tmp_path: Path) -> None:
    write(jupyter.folder / "slow.ipynb", SOURCE)
    with browser.new_page(viewport={"width": 1400, "height": 1000}) as page:
        run(page, jupyter.address, "slow.ipynb")
        shown = page.locator(".labkit-slow-motion")
        forward = shown.locator("[data-key=next]")
        expect(forward).to_have_text("Let kubectl go on", timeout=30_000)
        expect(shown.locator("[data-key=all]")).to_be_disabled()
        expect(shown.locator(".held")).to_have_text("Nothing is held still.")
        forward.focus()
        page.keyboard.press("Enter")
        expect(forward).to_have_text("Let kube-controller-manager go on")
        expect(forward).to_be_focused()
        expect(shown.locator(".said")).to_contain_text("Done: kubectl asks the API server")
        expect(shown.locator("tr[aria-current=step]")).to_contain_text("▸ next4 to 7kube-controller-manager")
        expect(shown.locator(".held")).to_contain_text("Held still: kube-scheduler (goes on by itself in 0:0")
        page.keyboard.press("Space")
        expect(forward).to_have_text("Let kube-scheduler go on")
        expect(page.locator(".labkit-player .count")).to_have_text("4 of 4")  # the flow came with it
        for light in ("false", "true"):
            page.evaluate(f"document.body.dataset.jpThemeLight = '{light}'")
            assert violations(page, ".labkit-slow-motion") == []
        page.screenshot(path=tmp_path / "slow.png")
        expect(shown.locator(".held")).to_have_text("Nothing is held still.", timeout=10_000)


@pytest.mark.cluster
def test_a_deployment_in_slow_motion_by_its_buttons(lab: Lab) -> None:
    with lab.slow_motion("shown", image="labkit/standin") as steps:
        shown = steps.panel()
        try:
            with shown.live:
                for count, hop in ((1, "deployments/shown"), (2, "pods/shown-"), (3, "/binding")):
                    press(shown, "next")
                    until(lambda: rested(shown), 20)
                    assert states(shown).count("done") == count, shown.state["said"]
                    until(partial(told, shown, hop))
                    names = [held["name"] for held in shown.state["held"]]
                    assert tuple(sorted(names)) == tuple(sorted(lab.frozen))
                assert {"kube-scheduler", "kubelet/node-01"} <= set(names)
                assert not any(each["kind"] == "runtime" for each in shown.live.panel.flow["hops"])
                press(shown, "all")
                until(lambda: rested(shown), 20)
                assert shown.state["held"] == []
                until(lambda: any(each["kind"] == "runtime" for each in shown.live.panel.flow["hops"]))
        finally:
            lab.kubectl("delete deployment shown --wait=false")
    assert lab.frozen == ()
