"""kube-proxy's panel: on a recording, on a lab that does not run, in a real JupyterLab, and on the real cluster."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from playwright.sync_api import Browser, expect

from labkit.cluster import rootless
from labkit.cluster.rootless import RootlessCluster
from labkit.cluster.spec import LabSpec
from labkit.cluster.state import LabFolder
from labkit.components import Components
from labkit.errors import EvidenceError
from labkit.lab import Lab
from labkit.lab.recorded import DEFAULT, replay
from labkit.lab.recorded_proxy import RecordedProxy
from labkit.progress import Progress
from labkit.widgets.proxy import ProxyPanel
from tests.chromium import needs_chromium
from tests.widgets.jupyterlab import Jupyter, run, write

RECORDED = """\
import labkit
labkit.replay("kube-proxy").proxy"""
STEPS = [
    "edit the ConfigMap",
    "list the pods",
    "delete the pods",
    "list the new pods",
    "read their logs",
    "all nodes serve",
]


def press(shown: ProxyPanel, mode: object, **more: object) -> None:
    shown._handle_custom_msg({"press": mode, **more}, [])


def until(condition: Callable[[], bool], what: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what()
        time.sleep(0.02)


def present(shown: ProxyPanel) -> list[str]:
    return [mode["name"] for mode in shown.state["modes"] if mode["present"]]


@pytest.fixture
def recorded() -> Iterator[ProxyPanel]:
    shown = replay("kube-proxy").proxy.panel()
    shown.start()
    yield shown
    shown.stop()


def test_a_recording_shows_each_of_its_modes(recorded: ProxyPanel) -> None:
    assert "recording of 20" in recorded.state["recorded"]
    assert present(recorded) == ["iptables"]
    for mode in ("nftables", "iptables"):
        press(recorded, mode)
        until(lambda mode=mode: present(recorded) == [mode], lambda: recorded.state)  # type: ignore[misc]
        until(lambda: not recorded.state["working"], lambda: recorded.state)
        assert recorded.state["said"] == f"Recorded: kube-proxy in mode {mode}"
        assert [row[0] for row in recorded.state["rows"]] == ["master", "node-01", "node-02"]
        for _, pod, line, kernel in recorded.state["rows"]:
            assert pod.startswith("kube-proxy-")
            assert line == f"Using {mode} Proxier"
            assert kernel.startswith(f"{mode}, ")
        assert [step["what"] for step in recorded.state["steps"]] == STEPS
        assert f"mode: {mode}" in recorded.state["picture"]
    assert json.loads(json.dumps(recorded.state)) == recorded.state


def test_a_mode_that_was_not_recorded_cannot_be_had(recorded: ProxyPanel) -> None:
    unable = {mode["name"]: mode["unable"] for mode in recorded.state["modes"]}
    assert unable["iptables"] == unable["nftables"] == ""
    assert "not recorded" in unable["ipvs"]
    press(recorded, "ipvs")
    assert not recorded.state["working"]
    with pytest.raises(EvidenceError, match="has nothing of kube-proxy"):
        replay(DEFAULT).proxy.panel()


def test_a_recording_without_a_switch_has_no_names_of_pods() -> None:
    found = replay("kube-proxy")
    rules = tuple(record for record in found.recording.evidence.proxy if record.kind == "rules")
    evidence = dataclasses.replace(found.evidence(), proxy=rules)
    shown = RecordedProxy(evidence, found.path, found.banner).panel()
    assert shown.state["steps"] == []
    assert shown.state["rows"][1] == ["node-01", "kube-proxy runs", "", "iptables, 53 rules"]


def test_whatever_a_page_says(recorded: ProxyPanel) -> None:
    before = recorded.state
    for message in (
        {},
        {"press": None},
        {"press": ["ipvs"]},
        {"press": "userspace", "force": True},
        {"look": 1},
        {"look": None},
    ):
        recorded._handle_custom_msg(message, [])
    time.sleep(0.3)
    assert recorded.state == before


def test_nobody_looks_while_no_page_shows_the_panel(recorded: ProxyPanel) -> None:
    recorded._handle_custom_msg({"look": True}, [])
    recorded._handle_custom_msg({"look": False}, [])
    time.sleep(0.5)  # a look that had begun
    looked = recorded._looked = time.monotonic() - 60
    time.sleep(0.5)
    assert recorded._looked == looked
    recorded._handle_custom_msg({"look": True}, [])
    until(lambda: recorded._looked > looked, lambda: "nobody looks again")


def test_a_closed_panel_looks_no_longer(recorded: ProxyPanel) -> None:
    assert recorded._painter.running
    recorded.close()
    until(lambda: not recorded._painter.running, lambda: "it still looks")


def test_a_panel_leaves_a_page_that_shows_without_a_kernel(recorded: ProxyPanel) -> None:
    InteractiveShell.instance()
    with capture_output() as captured:
        recorded._ipython_display_()
    still, live = (output.data for output in captured.outputs)
    assert "application/vnd.jupyter.widget-view+json" in live
    page = still["text/html"]
    assert "<script" not in page
    for word in ("kube-proxy of recording", "<svg", "Using iptables Proxier", "delete the pods", "nothing runs here"):
        assert word in page
    assert "kube-proxy of recording kube-proxy.labtrace: iptables" in still["text/plain"]


@pytest.fixture
def stopped() -> Iterator[Lab]:
    """A lab that is not started."""
    folder = LabFolder.of("silent")
    folder.create(LabSpec(name="silent"))
    yield Lab(RootlessCluster(folder, Components({})))
    rootless.remove(folder)


def test_a_lab_that_does_not_run_is_told(stopped: Lab) -> None:
    shown = stopped.proxy.panel()
    assert "Lab 'silent' does not run" in shown.state["trouble"]
    assert "labkit up --name silent" in shown.state["trouble"]
    assert present(shown) == []
    press(shown, "nftables")
    until(lambda: shown.paint() and not shown.state["working"], lambda: shown.state)
    assert shown.state["failed"]
    assert "does not run" in shown.state["said"]
    stopped.cluster.folder.spec_file.unlink()
    stopped.cluster.folder.path.rename(stopped.cluster.folder.path.with_name("gone"))
    shown._looked = 0
    shown.paint()
    assert "does not run" in shown.state["trouble"]
    stopped.cluster.folder.path.with_name("gone").rename(stopped.cluster.folder.path)


@needs_chromium
def test_by_keyboard_in_jupyterlab(browser: Browser, jupyter: Jupyter, tmp_path: Path) -> None:
    write(jupyter.folder / "proxy.ipynb", RECORDED)
    with browser.new_page(viewport={"width": 1400, "height": 1000}) as page:
        run(page, jupyter.address, "proxy.ipynb")
        shown = page.locator(".labkit-proxy")
        expect(shown.locator("[data-key=iptables]")).to_have_attribute("aria-pressed", "true", timeout=30_000)
        for theme, light in (("dark", "false"), ("light", "true")):
            page.evaluate(f"document.body.dataset.jpThemeLight = '{light}'")
            expect(shown).to_have_attribute("data-theme", theme)
            expect(shown.locator("svg[role=img]")).to_have_attribute("data-theme", theme)
        expect(page.locator("[id^=labkit-still-]")).to_be_hidden()
        expect(shown.locator("[data-key=ipvs]")).to_be_disabled()
        shown.locator("[data-key=nftables]").focus()
        page.keyboard.press("Enter")
        expect(shown.locator("[data-key=nftables]")).to_have_attribute("aria-pressed", "true")
        expect(shown.locator("[data-key=nftables]")).to_be_focused()
        expect(shown.locator("[aria-live=polite].said")).to_have_text("Recorded: kube-proxy in mode nftables")
        expect(shown.locator("svg[role=img]")).to_contain_text("Using nftables Proxier")
        expect(shown.locator(".steps tbody tr")).to_have_count(6)
        page.screenshot(path=tmp_path / "proxy.png")
        expect(page.locator("[id^=labkit-still-]")).to_contain_text("Using nftables Proxier")  # what is saved


@pytest.fixture
def live(lab: Lab) -> Iterator[ProxyPanel]:
    """Two modes away from each other: the panel begins in iptables, where the lab also ends."""
    lab.proxy.switch("iptables")
    shown = lab.proxy.panel()
    shown.start()
    yield shown
    until(lambda: not shown.state["working"], lambda: shown.state)
    shown.stop()
    lab.proxy.switch("iptables")


@pytest.mark.cluster
def test_a_switch_by_a_button_pressed_twice(lab: Lab, live: ProxyPanel) -> None:
    before = len(lab.proxy.seen.switches)
    assert present(live) == ["iptables"]
    press(live, "nftables")
    press(live, "nftables")
    press(live, "iptables")
    until(lambda: live.state["working"], lambda: live.state)
    seen = set()
    while live.state["working"]:
        seen |= {step["what"] for step in live.state["steps"]}
        time.sleep(0.05)
    assert len(seen) > 2, f"the steps were not shown while they were done: {seen}"
    until(lambda: present(live) == ["nftables"] and not live.state["working"], lambda: live.state)
    assert live.state["said"].startswith("kube-proxy: iptables → nftables on every node, in ")
    assert not live.state["failed"]
    assert [step["what"] for step in live.state["steps"]] == STEPS
    assert len(lab.proxy.seen.switches) == before + 1
    assert lab.proxy.mode == "nftables"
    until(lambda: all(row[2:][0] == "Using nftables Proxier" for row in live.state["rows"]), lambda: live.state)
    assert all(row[3].startswith("nftables, ") for row in live.state["rows"])


@pytest.mark.cluster
def test_a_switch_by_another_command_is_seen_in_every_panel(lab: Lab, live: ProxyPanel) -> None:
    second = lab.proxy.panel()
    second.start()
    try:
        lab.proxy.switch("nftables", progress=Progress())
        for shown in (live, second):
            until(lambda shown=shown: present(shown) == ["nftables"], lambda: shown.state)  # type: ignore[misc] # noqa: B023
            until(lambda shown=shown: "iptables → nftables" in shown.state["said"], lambda: shown.state)  # type: ignore[misc] # noqa: B023
            assert [step["what"] for step in shown.state["steps"]] == STEPS
    finally:
        second.stop()


@pytest.mark.cluster
def test_what_cannot_be_done_is_told(lab: Lab, live: ProxyPanel) -> None:
    unable = {mode["name"]: mode["unable"] for mode in live.state["modes"]}
    assert unable["nftables"] == ""
    assert "modprobe" in unable["ipvs"]
    press(live, "ipvs")
    assert not live._working
    with lab.cluster.folder.locked():
        press(live, "nftables")
        until(lambda: live.state["failed"], lambda: live.state)
    assert "Another command is changing lab" in live.state["said"]
    assert lab.proxy.mode == "iptables"


@pytest.mark.cluster
def test_a_broken_config_map_is_told(lab: Lab, live: ProxyPanel) -> None:
    get = "get configmap kube-proxy --namespace kube-system --output json"
    whole = json.loads(lab.kubectl(get))
    whole["metadata"] = {key: whole["metadata"][key] for key in ("name", "namespace")}
    broken = {**whole, "data": {**whole["data"], "config.conf": whole["data"]["config.conf"].replace("mode:", "mood:")}}
    lab.kubectl("replace --filename -", stdin=json.dumps(broken))
    try:
        until(lambda: "no line that begins with mode:" in live.state["trouble"], lambda: live.state)
        assert [row[3].partition(",")[0] for row in live.state["rows"]] == ["iptables"] * 3
    finally:
        lab.kubectl("replace --filename -", stdin=json.dumps(whole))
    until(lambda: live.state["trouble"] == "", lambda: live.state)
