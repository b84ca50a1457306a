"""The player in figures: frames a second while 1,000 hops play, and from a new flow to the page, in real Chromium."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page

sys.path.insert(0, str(Path(__file__).parents[1]))

from labkit.views import player
from tests.chromium import chromium
from tests.views import played

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


def _play(page: Page, view: str, hops: int) -> None:
    times = page.evaluate(_FRAMES, view)
    gaps = sorted(after - before for before, after in zip(times, times[1:], strict=False))
    seconds = (times[-1] - times[0]) / 1000
    late = gaps[int(0.95 * len(gaps))]
    print(
        f"{view}: {hops} hops in {seconds:.1f} s; frames a second: {len(gaps) / seconds:.0f} "
        f"(median {1000 / statistics.median(gaps):.0f}, slowest in twenty {1000 / late:.0f})"
    )


if __name__ == "__main__":
    main()
