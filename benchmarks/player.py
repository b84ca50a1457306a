"""The player in Chromium: frames a second while 1,000 hops play; from a new flow to what JupyterLab shows of it."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).parents[1]))

from labkit.views import player
from tests.chromium import chromium
from tests.views import played
from tests.widgets.jupyterlab import jupyterlab, run, write

# In the notebook: every 0.3 s a hop more; the title says when the source had it, by the clock that the page reads too.
_LIVE = """\
import dataclasses, itertools, time
from labkit.widgets.flow import LiveFlow
from tests.views import played
flow = played.many(%d)
counts = iter(range(1, len(flow.hops) + 1))
due = time.time()
def poll():
    global due
    if time.time() < due: return None
    due += 0.3
    count = next(counts, None)
    if count is None: return None
    return dataclasses.replace(flow, hops=flow.hops[:count], action=f"{time.time() * 1000}"), None
LiveFlow(poll, dataclasses.replace(flow, hops=()))"""
_SHOWN = """async (count) => {
  const title = document.querySelector(".labkit-player h2");
  const delays = [];
  await new Promise((done) => new MutationObserver(() => {
    delays.push(Date.now() - Number(title.textContent));
    if (delays.length >= count) done();
  }).observe(title, { childList: true, characterData: true, subtree: true }));
  return delays;
}"""
_FRAMES = """async (view) => {
  document.querySelector(`.tabs [data-key=${view}]`).click();
  document.querySelector("[data-key=first]").click();
  document.querySelector("[data-key=play]").click();
  const playing = () => document.querySelector("[data-key=play]").title === "Pause";
  const times = [];
  await new Promise((done) => {
    const frame = (time) => (times.push(time), playing() ? requestAnimationFrame(frame) : done());
    requestAnimationFrame(frame);
  });
  return times;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hops", type=int, default=1000, help="how long a flow (default 1000)")
    options = parser.parse_args()
    flow = played.many(options.hops)
    began = time.perf_counter()
    pictures = player.pictures(flow)
    data = player.payload(flow, pictures=pictures)
    print(f"payload with pictures of {options.hops} hops (ms) {1000 * (time.perf_counter() - began):40.0f}")
    print(f"its size (kB) {len(player.embed(data)) / 1000:64.0f}")
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        file = player.save_html(flow, Path(folder) / "many.html", pictures=pictures)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(file.as_uri())
        page.get_by_label("Speed").select_option("real")
        for view in ("architecture", "lanes", "table"):
            _play(page, view, options.hops)
        page.close()
        _follow(browser, Path(folder))


def _follow(browser: Browser, folder: Path) -> None:
    write(folder / "live.ipynb", _LIVE % 60)
    with jupyterlab(folder) as server:
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        run(page, server, "live.ipynb")
        page.locator(".labkit-player").wait_for()
        delays = sorted(page.evaluate(_SHOWN, 40))
        late = delays[int(0.95 * len(delays))]
        middle = statistics.median(delays)
        print(f"from a flow's being there to the page (ms): median {middle:.0f}, 95th percentile {late:.0f}")


def _play(page: Page, view: str, hops: int) -> None:
    times = page.evaluate(_FRAMES, view)
    gaps = sorted(after - before for before, after in pairwise(times))
    seconds = (times[-1] - times[0]) / 1000
    late = gaps[int(0.95 * len(gaps))]
    print(
        f"{view}: {hops} hops in {seconds:.1f} s; frames a second: {len(gaps) / seconds:.0f} "
        f"(median {1000 / statistics.median(gaps):.0f}, slowest in twenty {1000 / late:.0f})"
    )


if __name__ == "__main__":
    main()
