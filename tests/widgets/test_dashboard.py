"""The dashboard on the real cluster: its buttons deploy, and its flow shows what comes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from playwright.sync_api import Browser, Page, expect

from labkit.lab import Lab
from labkit.widgets.deploy import DeployPanel
from labkit.widgets.flow import LiveFlow
from labkit.widgets.why import WhyPanel
from tests.chromium import needs_chromium
from tests.widgets.axe import violations
from tests.widgets.jupyterlab import Jupyter, open_notebook, run, troubles, write

SOURCE = """\
import labkit
lab = labkit.attach("test")
lab.dashboard("shown", image="nginx")"""
#: A player and kube-proxy's panel, each in a tab, of recordings.
RECORDED = """\
import labkit
from labkit.widgets.dashboard import Dashboard
from labkit.widgets.flow import LiveFlow
from tests.views import played
flow = played.tomcat()
Dashboard({
    "Deploy and watch": [LiveFlow(lambda: None, flow, lambda hop: [])],
    "kube-proxy": [labkit.replay("kube-proxy").proxy.panel()],
})"""
_CHANGE_THEME = "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})"


def _until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.1)


@pytest.mark.cluster
def test_the_flow_shows_what_the_buttons_do(lab: Lab) -> None:
    InteractiveShell.instance()
    with capture_output() as captured:
        board = lab.dashboard("by-board", image="nginx")
        board._ipython_display_()
    *stills, live = captured.outputs
    assert [still.data["text/html"].startswith('<div id="labkit-still-') for still in stills] == [True] * 6
    assert "application/vnd.jupyter.widget-view+json" in live.data
    assert board.tabs.titles == ("Deploy and watch", "Scheduler", "Nodes", "kube-proxy", "etcd")
    deploy, flow = board.panels["Deploy and watch"]
    assert isinstance(deploy, DeployPanel)
    assert isinstance(flow, LiveFlow)
    (decisions,) = board.panels["Scheduler"]
    assert isinstance(decisions, WhyPanel)
    fields = {"name": "by-board", "image": "nginx", "replicas": "1", "port": ""}
    try:
        deploy._handle_custom_msg({"do": "deploy", **fields}, [])
        _until(lambda: deploy.state["summary"] == "by-board: 1 of 1 pods ready")
        _until(lambda: flow.panel.flow["title"] == "create deployment by-board")
        _until(lambda: any(hop["verb"] == "StartContainer" for hop in flow.panel.flow["hops"]))
        (pod,) = (row[0] for row in deploy.state["rows"])
        _until(lambda: decisions.state["caption"] == f"default/{pod}, attempt 1")
        placed = [node["name"] for node in decisions.state["nodes"] if node["chosen"]]
        assert placed == [row[1] for row in deploy.state["rows"]]
    finally:
        board.stop()
        lab.kubectl("delete deployment by-board --ignore-not-found")


@pytest.fixture
def page(browser: Browser, jupyter: Jupyter) -> Iterator[Page]:
    """A dashboard in JupyterLab, at a width at which nothing needs to be scrolled sideways."""
    write(jupyter.folder / "board.ipynb", SOURCE)
    with browser.new_page(viewport={"width": 1280, "height": 1000}, color_scheme="light") as page:
        problems = troubles(page, jupyter.address)
        run(page, jupyter.address, "board.ipynb")
        yield page
        assert not problems


@needs_chromium
def test_what_cannot_be_read_is_found(browser: Browser) -> None:
    with browser.new_page() as page:
        page.set_content("<main><button></button><p style='color: #ccc; background: #fff'>pale</p><p>dark</p></main>")
        found = violations(page, "main")
    assert [rule.partition(":")[0] for rule in found] == ["button-name", "color-contrast"]


@needs_chromium
def test_tabs_are_chosen_by_pointer_and_by_keys_also_when_the_notebook_is_opened_again(
    browser: Browser, jupyter: Jupyter
) -> None:
    """Far down a notebook: what is in sight at once is attached in time, and ipywidgets' own tab bar works."""
    write(jupyter.folder / "long.ipynb", *30 * ["print(60 * 'line\\n')"], RECORDED)
    for run_first in (True, False):
        with browser.new_page(viewport={"width": 1280, "height": 1000}) as page:
            open_notebook(page, jupyter.address, "long.ipynb")
            if run_first:
                page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
            _choose(page)
            page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")


def _choose(page: Page) -> None:
    first, second = (page.get_by_role("tab", name=name) for name in ("Deploy and watch", "kube-proxy"))
    expect(first).to_be_visible(timeout=30_000)
    second.click()
    expect(second).to_have_attribute("aria-selected", "true")
    expect(page.locator(".labkit-proxy")).to_be_visible()
    first.click()
    expect(page.locator(".labkit-player")).to_be_visible()
    first.focus()
    for key, chosen in (("ArrowRight", second), ("ArrowRight", first), ("ArrowLeft", second)):
        page.keyboard.press(key)
        expect(chosen).to_have_attribute("aria-selected", "true")
        expect(chosen).to_be_focused()
    first.click()


@needs_chromium
@pytest.mark.cluster
def test_in_jupyterlab_by_keyboard_for_everybody(lab: Lab, page: Page, tmp_path: Path) -> None:
    try:
        deploy = page.locator(".labkit-deploy")
        expect(deploy.locator("h4")).to_contain_text("There is no deployment shown", timeout=30_000)
        deploy.get_by_role("button", name="Deploy").click()
        expect(deploy.locator("h4")).to_contain_text("1 of 1 pods ready", timeout=20_000)
        expect(page.locator(".labkit-player .count")).to_contain_text(" of ", timeout=20_000)
        _look(page, "deploy", tmp_path, ".labkit-deploy", ".labkit-player")

        page.get_by_role("tab", name="Scheduler").click()
        decisions = page.locator(".labkit-scheduler")
        expect(decisions.locator("h4")).to_contain_text("default/shown-", timeout=10_000)
        expect(decisions.get_by_role("columnheader", name="✓ chosen").first).to_be_visible()
        older = decisions.locator(".pods button").nth(2)
        name = older.locator(".name").text_content() or ""
        older.focus()
        page.keyboard.press("Enter")
        expect(decisions.locator("h4")).to_contain_text(name)
        expect(older).to_be_focused()
        decisions.locator("summary").click()
        _look(page, "scheduler", tmp_path, ".labkit-scheduler")

        page.get_by_role("tab", name="Nodes").click()
        freeze = page.locator(".labkit-nodes [data-key='kube-scheduler/master']")
        expect(freeze).to_have_accessible_name("Freeze kube-scheduler on master")
        freeze.focus()
        page.keyboard.press("Enter")
        expect(freeze).to_have_accessible_name("Thaw kube-scheduler on master", timeout=10_000)
        expect(freeze).to_be_focused()
        assert "kube-scheduler" in lab.frozen
        expect(page.locator(".labkit-nodes svg[role=img]")).to_contain_text("frozen, 10 min left")
        _look(page, "nodes", tmp_path, ".labkit-nodes")
        page.keyboard.press("Space")
        expect(freeze).to_have_accessible_name("Freeze kube-scheduler on master", timeout=10_000)
        assert not lab.frozen

        page.get_by_role("tab", name="kube-proxy").click()
        expect(page.locator(".labkit-proxy [aria-pressed=true]")).to_have_count(1, timeout=10_000)
        _look(page, "proxy", tmp_path, ".labkit-proxy")

        page.get_by_role("tab", name="etcd").click()
        expect(page.locator(".labkit-etcd")).to_contain_text("deployments/default/shown at revision", timeout=10_000)
        _look(page, "etcd", tmp_path, ".labkit-etcd")

        page.get_by_role("tab", name="etcd").click()
        expect(page.locator(".labkit-etcd svg[role=img]")).to_be_visible(timeout=10_000)
        _look(page, "etcd", tmp_path, ".labkit-etcd")
    finally:
        lab.kubectl("delete deployment shown --ignore-not-found")


def _look(page: Page, name: str, folder: Path, *panels: str) -> None:
    """Look at panels in light and dark: all can be read and reached by everybody, and nothing is cut off."""
    for theme in ("dark", "light"):
        page.evaluate(_CHANGE_THEME, f"JupyterLab {theme.capitalize()}")
        expect(page.locator("#jupyterlab-splash")).to_have_count(0)  # lies on all while a theme is loaded
        for panel in panels:
            expect(page.locator(panel)).to_have_attribute("data-theme", theme)
            # axe-core does not get through the colours of what scrolls inside the player: its own page's test does.
            passed = "button-name" if panel == ".labkit-player" else "color-contrast"
            assert violations(page, panel, passed=passed) == []
        page.screenshot(path=folder / f"{name}-{theme}.png")
    for panel in panels:
        box = page.locator(panel).bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 1280
        wide = page.locator(panel).evaluate("panel => [panel.scrollWidth, panel.clientWidth]")
        assert wide[0] == wide[1]
