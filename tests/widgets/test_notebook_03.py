"""Notebook 03 as a learner has it, in a real JupyterLab and Notebook 7: run, pressed, stepped, restarted, reloaded.

It is the notebook that ships, on the tests' lab, which stays at the end; and, as a learner adds it, a cell with the
dashboard.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from labkit.lab import Lab
from tests.chromium import needs_chromium
from tests.notebooks import FOLDER
from tests.widgets.axe import violations
from tests.widgets.jupyterlab import IDLE, Jupyter, open_notebook, troubles

pytestmark = [needs_chromium, pytest.mark.cluster]

NAME = "03_deploy_tomcat.ipynb"
DASHBOARD = 'lab.dashboard("watched", image="nginx")'
_DEPLOYMENTS = ("tomcat", "slow", "held", "watched")
_CELLS = "window.jupyterapp.shell.currentWidget.content.widgets"
_COUNTS = f"{_CELLS}.filter(cell => cell.model.type === 'code').map(cell => cell.model.executionCount)"
_RUN_ALL = "() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }"  # it ends when all cells have
_ERRORS = (
    f"{_CELLS}.flatMap(cell => cell.model.type === 'code' ? cell.model.outputs.toJSON() : [])"
    ".filter(output => output.output_type === 'error').map(output => output.evalue)"
)
# What JupyterLab's widget manager itself says of each panel whose kernel is gone, and whose cell was not run again
# since the restart (jupyterlab_widgets, renderer.ts: renderModel); the panel's still stands there meanwhile.
_OF_BEFORE = re.compile(r"Error: widget model not found\n *at .*/@jupyter-widgets/jupyterlab-manager/")
# What Notebook 7.6 says of itself, whatever it shows: its keyboard shortcuts look for settings of an extension that it
# has not, and its file browser for a command of JupyterLab's.
_OF_NOTEBOOK_7 = re.compile(
    r"(TypeError: Cannot read properties of undefined \(reading 'schema'\)"
    r"|Error: Command 'filebrowser:open-path' not registered\.)\n *at .*/static/notebook/notebook_core\."
)
_SIZE: ViewportSize = {"width": 1400, "height": 1100}
_RESTART = "() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()"  # as the menu does, once asked
_RUN_CELL = """
place => {
  const { content } = window.jupyterapp.shell.currentWidget;
  content.activeCellIndex = place < 0 ? content.widgets.length + place : place;
  window.jupyterapp.commands.execute('notebook:run-cell');
}
"""


@pytest.fixture
def server(lab: Lab, jupyter: Jupyter) -> Iterator[str]:
    """A JupyterLab with the notebook, on the tests' lab."""
    notebook = nbformat.read(FOLDER / NAME, as_version=4)  # type: ignore[no-untyped-call]
    for cell in notebook.cells:
        cell.source = cell.source.replace("labkit.up()", f"labkit.up({lab.name!r})").replace("lab.down()", DASHBOARD)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    assert [cell.source for cell in notebook.cells if DASHBOARD in cell.source] == [DASHBOARD]
    nbformat.write(notebook, jupyter.folder / NAME)  # type: ignore[no-untyped-call]
    mode = lab.proxy.mode
    yield jupyter.address
    lab.kubectl(["delete", "deployment,service", *_DEPLOYMENTS, "--ignore-not-found"])
    lab.proxy.switch(mode)
    assert not lab.frozen


@pytest.mark.timeout(600)  # on a busy machine, on which a page of JupyterLab takes half a minute to open
def test_a_learners_hour(lab: Lab, browser: Browser, server: str, tmp_path: Path) -> None:
    with browser.new_page(viewport=_SIZE, color_scheme="light") as page:
        problems = troubles(page, server)
        open_notebook(page, server, NAME)
        _run_all(page)
        _was_followed(page)

        _deploy_and_watch(page)
        _step_and_read(page)
        _look(page, "player", tmp_path)
        _switch(lab, page, "nftables")
        _look(page, "proxy", tmp_path)
        _darken(page)
        _look(page, "proxy", tmp_path)
        _panel(page)
        _look(page, "player", tmp_path)
        assert problems == []

        page.evaluate(_RESTART)
        page.wait_for_function(IDLE, timeout=60_000)
        for place in (1, -2):  # labkit.up finds the lab that runs
            page.evaluate(_RUN_CELL, place)
        _scale(page, "3", of=1)
        page.get_by_role("tab", name="kube-proxy").click()
        expect(page.locator(".labkit-proxy [aria-pressed=true]")).to_contain_text("nftables", timeout=15_000)

        _panel(page)
        page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
        page.reload()
        page.wait_for_function(IDLE, timeout=60_000)
        _scale(page, "2", of=3)
        assert _besides_known(problems) == []

    with browser.new_page(viewport=_SIZE, color_scheme="dark") as page:
        problems = troubles(page, server)
        open_notebook(page, server, NAME, "notebooks")
        _scale(page, "1", of=2)
        _step_and_read(page)
        page.screenshot(path=tmp_path / "notebook-7.png")
        assert violations(page, ".widget-tab .labkit-panel", passed="button-name") == []
        _switch(lab, page, "iptables")
        assert _besides_known(problems) == []


def _besides_known(problems: list[str]) -> list[str]:
    return [each for each in problems if not _OF_BEFORE.match(each) and not _OF_NOTEBOOK_7.match(each)]


def _run_all(page: Page) -> None:
    """Run all cells, until each has been or one fails."""
    page.evaluate(_RUN_ALL)
    page.wait_for_function(f"() => {_COUNTS}.every(Boolean) || {_ERRORS}.length", timeout=120_000)
    assert page.evaluate(_ERRORS) == []


def _was_followed(page: Page) -> None:
    """The notebook's own panels: what was deployed by a cell is in the one with buttons, and its hops in the other."""
    panel, player = page.locator(".labkit-deploy").first, page.locator(".labkit-player").first
    panel.scroll_into_view_if_needed()
    expect(panel.locator("h4")).to_contain_text("tomcat: 3 of 3 pods ready", timeout=20_000)  # it was scaled, too
    expect(player.locator("h2")).to_contain_text("create deployment tomcat")
    expect(player.locator(".count")).to_contain_text(re.compile(r"of \d\d"))


def _deploy_and_watch(page: Page) -> None:
    """Press *Deploy* in the dashboard; hops come one after the other, not all at the end."""
    panel = _panel(page)
    expect(panel.locator("h4")).to_contain_text("There is no deployment watched", timeout=20_000)
    panel.get_by_role("button", name="Deploy").click()
    counts = _hops_until(page, lambda: "1 of 1 pods ready" in (panel.locator("h4").text_content() or ""))
    assert len(set(counts)) > 1, counts
    # When spans come, a later time of a write may show that nobody was told of it before: two notifications less.
    gains = [later - earlier for earlier, later in itertools.pairwise(counts)]
    assert min(gains) >= -2, " ".join(map(str, counts))


def _scale(page: Page, replicas: str, *, of: int) -> None:
    """Scale by a panel that shows what runs already; it is followed."""
    panel = _panel(page)
    expect(panel.locator("h4")).to_contain_text(f"{of} of {of} pods ready", timeout=20_000)
    panel.get_by_label("Replicas").fill(replicas)
    panel.get_by_role("button", name="Scale").click()
    expect(panel.locator("h4")).to_contain_text(f"{replicas} of {replicas} pods ready", timeout=20_000)
    assert _hops_until(page, lambda: _board(page).locator(".labkit-player").locator(".stage .hop").count() > 0)[-1] > 0


def _panel(page: Page) -> Locator:
    """Bring the dashboard, which is in the last cell but one, into sight."""
    page.evaluate(
        "() => { const { content } = window.jupyterapp.shell.currentWidget;"
        "content.scrollToItem(content.widgets.length - 2, 'start'); }"
    )
    tab = page.get_by_role("tab", name="Deploy and watch")
    expect(tab).to_be_visible(timeout=20_000)
    tab.click()
    return _board(page).locator(".labkit-deploy")


def _board(page: Page) -> Locator:
    return page.locator(".widget-tab")


def _hops_until(page: Page, over: Callable[[], bool], seconds: float = 20) -> list[int]:
    """Return how many hops the dashboard's flow had, each time that was looked."""
    shown = _board(page).locator(".labkit-player").locator(".count")
    counts: list[int] = []
    end = time.monotonic() + seconds
    while not counts or not counts[-1] or not over():
        assert time.monotonic() < end, counts
        found = re.search(r"of (\d+)", shown.text_content() or "")
        counts.append(int(found[1]) if found else 0)
        time.sleep(0.05)
    return counts


def _step_and_read(page: Page) -> None:
    """Step by a key, then choose an arrow of the picture by a click, and read its evidence."""
    player = _board(page).locator(".labkit-player")
    player.locator("[data-key=stage]").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect(player.locator(".words")).to_contain_text(" Hop 2, ")
    edge = player.locator(".stage .hop[data-hop='1']:visible")
    edge.first.dispatch_event("click")
    expect(player.locator(".words")).to_contain_text("Hop 1, ")
    evidence = player.locator(".evidence")
    expect(evidence).to_contain_text("Audit event", timeout=10_000)


def _switch(lab: Lab, page: Page, mode: str) -> None:
    page.get_by_role("tab", name="kube-proxy").click()
    panel = page.locator(".labkit-proxy")
    panel.get_by_role("button", name=mode).click()
    expect(panel.locator("[aria-pressed=true]")).to_contain_text(mode, timeout=30_000)
    expect(panel.locator(".said")).to_contain_text(f"→ {mode} on every node, in ", timeout=60_000)
    assert lab.proxy.mode == mode


def _look(page: Page, kind: str, folder: Path) -> None:
    """Look at a panel of the dashboard: it has JupyterLab's theme, and everybody can read and reach what it has."""
    theme = "light" if page.evaluate("document.body.dataset.jpThemeLight") == "true" else "dark"
    expect(_board(page).locator(f".labkit-{kind}")).to_have_attribute("data-theme", theme)
    assert violations(page, f".widget-tab .labkit-{kind}", passed="button-name") == []
    page.screenshot(path=folder / f"{kind}-{theme}.png")


def _darken(page: Page) -> None:
    page.evaluate("window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    expect(page.locator("#jupyterlab-splash")).to_have_count(0, timeout=30_000)  # lies on all while a theme is loaded
