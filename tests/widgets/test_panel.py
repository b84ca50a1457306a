"""What all panels with buttons have in common, seen by a panel that counts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from labkit.widgets._panel import Panel, page
from tests.chromium import needs_chromium
from tests.widgets.jupyterlab import Jupyter, run, write

BUSY = """\
import time
import labkit
from IPython.display import display
display(labkit.replay("kube-proxy").proxy.panel())
time.sleep(8)
print("the cell", "is over")"""


class Counter(Panel):
    """A number that a button raises, and that is slow to look at."""

    _esm = page("deploy.js")

    def __init__(self) -> None:
        self.count = self.seen = 0
        self.looking, self.go_on, self.over = threading.Event(), threading.Event(), threading.Event()
        self.go_on.set()
        super().__init__()

    def look(self) -> None:
        count = self.count
        self.looking.set()
        assert self.go_on.wait(10)
        self.seen = count

    def shown(self) -> dict[str, Any]:
        return {"count": self.seen}

    def job(self, message: Mapping[str, Any]) -> tuple[str, Callable[[], str]] | None:
        return ("Raising it …", self._raise) if message.get("press") else None

    def done(self) -> None:
        self.over.set()

    def still_html(self) -> str:
        return f"<p>{self.seen}</p>"

    def still_text(self) -> str:
        return str(self.seen)

    def _raise(self) -> str:
        assert self.looking.wait(10)
        self.count += 1
        return f"It is {self.count} now"


@pytest.fixture
def counter() -> Iterator[Counter]:
    panel = Counter()
    yield panel
    panel.close()


def test_the_end_of_a_button_is_shown_only_with_what_was_seen_after_it(counter: Counter) -> None:
    counter.looking.clear()
    counter.go_on.clear()
    counter._looked = 0
    painter = threading.Thread(target=counter.paint)
    painter.start()
    assert counter.looking.wait(10)  # it has read the number before
    counter.press({"press": True})
    assert counter.over.wait(10)
    while counter._working:
        pass
    counter.go_on.set()
    painter.join(10)
    assert counter.state == {"working": False, "said": "It is 1 now", "failed": False, "count": 1}


def test_a_button_pressed_while_another_works_does_nothing(counter: Counter) -> None:
    counter.looking.clear()
    counter.press({"press": True})  # waits until it is looked
    counter.press({"press": True})
    counter.looking.set()
    assert counter.over.wait(10)
    while counter._working:
        pass
    assert counter.paint()
    assert counter.state["count"] == counter.count == 1


@needs_chromium
def test_a_click_while_a_cell_runs_is_acknowledged_at_once_and_not_lost(browser: Browser, jupyter: Jupyter) -> None:
    write(jupyter.folder / "busy.ipynb", BUSY)
    with browser.new_page(viewport={"width": 1400, "height": 1000}) as page:
        run(page, jupyter.address, "busy.ipynb")
        panel, button = page.locator(".labkit-proxy"), page.locator(".labkit-proxy [data-key=nftables]")
        expect(button).to_have_attribute("aria-pressed", "false", timeout=30_000)
        button.click()
        assert "asked" in str(panel.get_attribute("class"))
        assert page.get_by_text("the cell is over").count() == 0, "the kernel was still busy"
        expect(button).to_have_attribute("aria-pressed", "true", timeout=20_000)
        assert "asked" not in str(panel.get_attribute("class"))
        expect(page.get_by_text("the cell is over")).to_have_count(1)
