"""The panel in a real JupyterLab 4 and Notebook 7: run, stepped through by keys, saved, opened again without kernel."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.chromium import needs_chromium
from tests.widgets.jupyterlab import TOKEN, Jupyter, outputs, run, write

pytestmark = needs_chromium

SOURCE = """\
from labkit.widgets.flow import LiveFlow
from tests.views import played
flow = played.tomcat()
news = [(flow, played.story())]
detail = lambda hop: [{"kind": "facts", "title": "From Python", "open": True, "rows": [["hop", str(hop.number)]]}]
live = LiveFlow(lambda: news.pop() if news else None, type(flow)(flow.subject, ()), detail)
live.start()
live"""


@pytest.mark.parametrize("viewer", ["lab/tree", "notebooks"], ids=["jupyterlab", "notebook"])
def test_a_panel_in(viewer: str, browser: Browser, jupyter: Jupyter, tmp_path: Path) -> None:
    file = jupyter.folder / "flow.ipynb"
    write(file, SOURCE)
    with browser.new_page(viewport={"width": 1400, "height": 1000}) as page:
        run(page, jupyter.address, file.name, viewer)
        panel = page.locator(".labkit-player")
        expect(panel.locator(".count")).to_contain_text("of 12", timeout=30_000)  # also what came while it was made
        still = page.locator("div[id^=labkit-still]")
        expect(still).to_have_count(1)
        expect(still).to_be_hidden()

        panel.locator("[data-key=stage]").focus()
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        expect(panel.locator(".words")).to_contain_text("Step 2. Hop 2, +5.1 ms: API server → etcd")
        expect(panel.locator("[data-key=stage]")).to_be_focused()
        expect(panel.locator(".evidence")).to_contain_text("From Python")  # the kernel was asked and answered
        page.screenshot(path=tmp_path / "panel.png")

        page.keyboard.press("Control+s")
        _until(lambda: len(outputs(file)) == 2)
        markup = "".join(outputs(file)[0]["data"]["text/html"])
        assert "<script" not in markup
        assert markup.count("<tr") == 13, "the still is what was shown at last"

    jupyter.end_kernels()
    with browser.new_page() as page:
        page.goto(f"{jupyter.address}/{viewer}/{file.name}?token={TOKEN}&reset")
        expect(page.locator("div[id^=labkit-still] tbody tr").first).to_be_visible(timeout=20_000)
        page.screenshot(path=tmp_path / "no-kernel.png")


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "not within 10 s"
        time.sleep(0.1)
