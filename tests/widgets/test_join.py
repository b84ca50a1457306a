"""The page of the panel of tokens, alone in a browser: by keyboard, with hostile words, and looked at by axe-core."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from labkit.errors import ClusterError
from labkit.progress import Progress
from labkit.widgets.join import JoinPanel, JoinSeen, JoinState
from tests.chromium import needs_chromium
from tests.widgets.axe import violations
from tests.widgets.test_pages import HOSTILE, mount, page

__all__ = ["page"]  # a fixture


class Tickets:
    """Tokens of any description, and a machine that joins when `gate` is open."""

    title = HOSTILE

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.asked: list[tuple[str, ...]] = []

    def look(self) -> JoinState:
        return JoinState((("abcdef", "59 min 3 s", HOSTILE), ("zyxwvu", "for ever", "")), HOSTILE)

    def create(self, ttl: str) -> str:
        self.asked.append(("create", ttl))
        if ttl == "soon":
            raise ClusterError("No", why=HOSTILE, fix="24h")
        return "made"

    def delete(self, token: str) -> str:
        self.asked.append(("delete", token))
        return "deleted"

    def join(self, node: str, token: str, progress: Progress, *, prefix: str) -> JoinSeen:
        self.asked.append(("join", node, token))
        with progress.phase(f"kubeadm join {node}") as phase:
            phase.advance("preflight")
            self.gate.wait(10)
        picture = f'<svg xmlns="http://www.w3.org/2000/svg" id="{prefix}"><title>joined</title></svg>'
        return JoinSeen(f"{node} joined", picture, ("hop", "who"), (("1", HOSTILE),))


@pytest.fixture
def panel() -> Iterator[JoinPanel]:
    made = JoinPanel(Tickets())
    yield made
    made.close()


def _source(panel: JoinPanel) -> Tickets:
    source = panel._source
    assert isinstance(source, Tickets)
    return source


def _press(panel: JoinPanel, message: dict[str, Any]) -> dict[str, Any]:
    panel._handle_custom_msg(message, [])
    return _settled(panel)


def _settled(panel: JoinPanel) -> dict[str, Any]:
    end = time.monotonic() + 10
    while panel.paint() or panel.state["working"]:
        assert time.monotonic() < end
        time.sleep(0.01)
    return dict(panel.state)


def test_buttons_ask_for_what_they_say(panel: JoinPanel) -> None:
    source = _source(panel)
    assert _press(panel, {"do": "create", "ttl": " 10m "})["said"] == "made"
    assert _press(panel, {"do": "delete", "token": "abcdef"})["said"] == "deleted"
    refused = _press(panel, {"do": "create", "ttl": "soon"})
    assert refused["failed"]
    assert "What to do: 24h" in refused["said"]
    assert "cannot be a name" in _press(panel, {"do": "join", "node": "No Name"})["said"]
    assert source.asked == [("create", "10m"), ("delete", "abcdef"), ("create", "soon")]
    for message in ({}, {"do": None}, {"do": ["join"]}):
        panel._handle_custom_msg(message, [])
        assert not panel.state["working"]


def test_phases_are_seen_while_a_machine_joins(panel: JoinPanel) -> None:
    panel._handle_custom_msg({"do": "join", "node": "node-03", "token": "abcdef"}, [])
    end = time.monotonic() + 10
    while panel.state["phases"] != "kubeadm join node-03 → preflight":
        assert time.monotonic() < end, panel.state["phases"]
        panel.paint()
        time.sleep(0.01)
    assert panel.state["working"]
    _source(panel).gate.set()
    state = _settled(panel)
    assert state["summary"] == "node-03 joined"
    assert _source(panel).asked == [("join", "node-03", "abcdef")]
    assert "<img" not in panel.still_html()
    assert "abcdef" in panel.still_text()


@needs_chromium
def test_the_page_by_keyboard_and_for_those_who_do_not_see_it(panel: JoinPanel, page: Page) -> None:
    _source(panel).gate.set()
    _press(panel, {"do": "join", "node": "node-03", "token": ""})
    mount(page, panel)
    shown = page.locator(".labkit-panel")
    expect(shown.get_by_role("button", name="Delete token abcdef")).to_be_enabled()
    assert violations(page, ".labkit-panel") == []
    shown.get_by_label("Lives for", exact=True).fill("10m")
    page.keyboard.press("Enter")
    shown.get_by_label("Machine", exact=True).fill("node-04")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    shown.get_by_role("button", name="Delete token abcdef").focus()
    page.keyboard.press("Enter")
    sent = [message for message in page.evaluate("window.sent") if "do" in message]
    assert [message["do"] for message in sent] == ["create", "join", "delete"]
    assert (sent[0]["ttl"], sent[1]["node"], sent[1]["token"], sent[2]["token"]) == (
        "10m",
        "node-04",
        "abcdef",
        "abcdef",
    )
    page.evaluate("window.show({working: true})")
    expect(shown.get_by_role("button", name="Join", exact=True)).to_be_disabled()
    page.evaluate("window.show({working: false})")
    expect(shown.get_by_role("button", name="Delete token abcdef")).to_be_focused()
