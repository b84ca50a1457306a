"""The panel under VS Code's widget manager: shown, stepped through, answered by the kernel, in VS Code's theme."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.chromium import needs_chromium
from tests.widgets import vscode
from tests.widgets.jupyterlab import Jupyter
from tests.widgets.test_jupyterlab import SOURCE

pytestmark = needs_chromium


def test_a_panel_in_vs_code(browser: Browser, jupyter: Jupyter, tmp_path: Path) -> None:
    with browser.new_page(viewport={"width": 1300, "height": 1000}, color_scheme="light") as page:
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        vscode.open_page(page, jupyter.address)
        problems.clear()  # of JupyterLab, whose page this was
        page.evaluate("document.body.dataset.vscodeThemeKind = 'vscode-light'")
        vscode.run(page, SOURCE)

        panel = page.locator(".labkit-player")
        expect(panel.locator(".count")).to_contain_text("of 12", timeout=30_000)
        expect(page.locator("div[id^=labkit-still]")).to_be_hidden()
        panel.locator("[data-key=stage]").focus()
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        expect(panel.locator(".words")).to_contain_text("Step 2. Hop 2, +5.1 ms: API server → etcd")
        expect(panel.locator(".evidence")).to_contain_text("From Python")
        light = panel.evaluate("panel => getComputedStyle(panel).backgroundColor")
        page.screenshot(path=tmp_path / "vscode.png")
        page.evaluate("document.body.dataset.vscodeThemeKind = 'vscode-dark'")
        page.wait_for_function(
            "light => getComputedStyle(document.querySelector('.labkit-player')).backgroundColor !== light", arg=light
        )
        page.screenshot(path=tmp_path / "vscode-dark.png")
        assert not problems
