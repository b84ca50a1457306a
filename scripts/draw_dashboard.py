"""Draw the README's picture of the dashboard anew, in a real JupyterLab and from a real lab: `make picture`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import expect

sys.path.insert(0, str(Path(__file__).parents[1]))

import labkit
from labkit.progress import Progress
from tests.chromium import chromium
from tests.widgets.jupyterlab import jupyterlab, run, write

_PICTURE = Path(__file__).parents[1] / "docs/images/dashboard.png"
_WIDTH, _HEIGHT = 1480, 1150
_CELL = """\
import labkit
lab = labkit.attach("picture")
lab.dashboard("tomcat")"""
#: Where it is to be seen, once its head is at the top.
_VISIBLE = """element => {
  element.scrollIntoView({ block: "start" });
  const { x, y, width, bottom } = element.getBoundingClientRect();
  const frame = element.closest(".jp-NotebookPanel").getBoundingClientRect();
  return { x, y, width, height: Math.min(bottom, frame.bottom) - y };
}"""


def main() -> None:
    """Make a lab, deploy by the dashboard's button, and take the picture."""
    with (
        labkit.up("picture", provider="rootless", progress=Progress()),
        tempfile.TemporaryDirectory() as folder,
        jupyterlab(Path(folder)) as server,
        chromium() as browser,
    ):
        write(Path(folder) / "dashboard.ipynb", _CELL)
        page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT}, color_scheme="light")
        run(page, server, "dashboard.ipynb")
        panel = page.locator(".labkit-deploy")
        panel.get_by_label("Replicas").fill("2")
        panel.get_by_role("button", name="Deploy").click()
        expect(panel.locator("h4")).to_contain_text("2 of 2 pods ready", timeout=60_000)
        page.wait_for_timeout(5_000)  # the last hops, and what shows that something was pressed, is over
        dashboard = page.locator(".jupyter-widgets.widget-tab")
        clip = dashboard.evaluate(_VISIBLE)
        page.screenshot(path=_PICTURE, clip=clip)
    print(_PICTURE)


if __name__ == "__main__":
    main()
