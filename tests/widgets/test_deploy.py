"""The deploy panel on the real cluster: by its buttons' messages, and in a real JupyterLab."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from playwright.sync_api import Browser, expect

import labkit
from labkit.lab import Lab
from labkit.widgets.deploy import DeployPanel
from tests.chromium import needs_chromium
from tests.widgets.jupyterlab import TOKEN, Jupyter, run, write

pytestmark = pytest.mark.cluster

SOURCE = """\
import labkit
lab = labkit.attach("test")
lab.deploy_panel("shown", image="nginx")"""


def _press(panel: DeployPanel, what: str, **fields: Any) -> dict[str, Any]:
    panel._handle_custom_msg(
        {"do": what, "name": "by-hand", "image": "nginx", "replicas": "2", "port": "80"} | fields, []
    )
    _until(lambda: not panel.state["working"] and panel.state["said"] != "", panel)
    return dict(panel.state)


def _until(condition: Callable[[], bool], panel: DeployPanel, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while panel.paint() or not condition():
        assert time.monotonic() < end, panel.state
        time.sleep(0.05)


def test_every_button_does_what_kubectl_does(lab: Lab) -> None:
    panel = lab.deploy_panel("by-hand", image="nginx")
    assert panel.state["summary"] == "There is no deployment by-hand."
    assert "tomcat" in panel.state["images"]
    said = _press(panel, "deploy")["said"]
    assert said.startswith("$ kubectl create deployment by-hand --image=nginx --replicas=2 --port=80\n")
    _until(lambda: panel.state["summary"] == "by-hand: 2 of 2 pods ready", panel)
    assert {row[2] for row in panel.state["rows"]} == {"Running, ready"}
    again = _press(panel, "deploy")
    assert again["failed"]
    assert "already exists" in again["said"]
    _press(panel, "scale", replicas="1")
    _until(lambda: panel.state["summary"] == "by-hand: 1 of 1 pods ready" and len(panel.state["rows"]) == 1, panel)
    _press(panel, "expose")
    _until(lambda: panel.state["service"].endswith(":80"), panel)
    _press(panel, "open")
    _until(lambda: panel.state["url"].startswith("http://127.0.0.1:"), panel)
    with urllib.request.urlopen(panel.state["url"], timeout=10) as page:  # noqa: S310 - loopback
        assert page.status == 200
    _press(panel, "delete")
    _until(lambda: not panel.state["exists"] and not panel.state["rows"], panel)
    assert not panel.state["url"]
    assert json.loads(json.dumps(panel.state)) == panel.state


@pytest.mark.parametrize(
    ("what", "fields", "words"),
    [
        ("deploy", {"name": "No Name"}, "small letters, digits and hyphens"),
        ("deploy", {"name": ""}, "cannot be a name"),
        ("deploy", {"image": " "}, "There is no image"),
        ("deploy", {"replicas": "-1"}, "a whole number from 0 to 100"),
        ("scale", {"replicas": "two"}, "a whole number from 0 to 100"),
        ("expose", {"port": "65536"}, "a whole number from 1 to 65535"),
        ("expose", {"port": None}, "a whole number from 1 to 65535"),
        ("scale", {"name": "nobody"}, "not found"),
    ],
)
def test_bad_input_is_explained_in_place(lab: Lab, what: str, fields: dict[str, Any], words: str) -> None:
    state = _press(lab.deploy_panel("by-hand"), what, **fields)
    assert state["failed"]
    assert words in state["said"]


def test_an_image_that_there_is_not_shows_at_the_pod(lab: Lab) -> None:
    panel = lab.deploy_panel("by-hand")
    _press(panel, "deploy", image="<b>no</b>.example/such:1", replicas="1")
    try:
        _until(
            lambda: bool(panel.state["rows"]) and panel.state["rows"][0][2] in {"InvalidImageName", "ErrImagePull"},
            panel,
        )
        assert "<b>" not in panel.state["picture"]
        assert "<b>" not in panel.still_html()
    finally:
        _press(panel, "delete")


def test_two_notebooks_on_one_lab_show_the_same(lab: Lab) -> None:
    one, other = lab.deploy_panel("by-hand"), labkit.attach(lab.name).deploy_panel("by-hand")
    try:
        assert not _press(one, "deploy", replicas="1")["failed"]
        late = _press(other, "deploy", replicas="1")
        assert late["failed"]
        assert "already exists" in late["said"]
        for panel in (one, other):
            _until(lambda panel=panel: panel.state["summary"] == "by-hand: 1 of 1 pods ready", panel)  # type: ignore[misc]
        assert one.state["rows"] == other.state["rows"]
    finally:
        _press(other, "delete")
    _until(lambda: not one.state["exists"] and not one.state["rows"], one)


def test_messages_of_any_kind_do_nothing(lab: Lab) -> None:
    panel = lab.deploy_panel("by-hand")
    for message in ({}, {"do": "rm -rf"}, {"do": None}, {"name": 3}, {"do": ["deploy"]}):
        panel._handle_custom_msg(message, [])
        assert not panel.state["working"]
    assert not panel.state["said"]


def test_what_stays_in_the_notebook(lab: Lab) -> None:
    InteractiveShell.instance()
    with capture_output() as captured:
        panel = lab.deploy_panel("by-hand")
        panel._ipython_display_()
    panel.stop()
    still, live = captured.outputs
    assert "<script" not in still.data["text/html"]
    assert "There is no deployment by-hand." in still.data["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in live.data


@needs_chromium
def test_in_jupyterlab_by_keyboard_and_after_the_kernel_was_started_again(
    lab: Lab, browser: Browser, jupyter: Jupyter, tmp_path: Path
) -> None:
    file = jupyter.folder / "deploy.ipynb"
    write(file, SOURCE)
    with browser.new_page(viewport={"width": 1300, "height": 900}, color_scheme="light") as page:
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        run(page, jupyter.address, file.name)
        panel = page.locator(".labkit-panel")
        expect(panel.locator("h4")).to_contain_text("There is no deployment shown", timeout=30_000)
        expect(page.locator("div[id^=labkit-still]")).to_be_hidden()
        panel.get_by_label("Port").fill("80")
        page.keyboard.press("Enter")  # the first thing that can be done: Deploy
        expect(panel.locator("h4")).to_contain_text("1 of 1 pods ready", timeout=20_000)
        expect(panel.locator(".said")).to_contain_text("$ kubectl create deployment shown --image=nginx")
        panel.get_by_role("button", name="Expose").click()
        expect(panel.locator("h4")).to_contain_text("Service at 10.96.", timeout=10_000)
        page.screenshot(path=tmp_path / "panel.png")

        page.goto(f"{jupyter.address}/lab/tree/{file.name}?token={TOKEN}&reset")  # the reader comes back
        run(page, jupyter.address, file.name)
        expect(panel.locator("h4")).to_contain_text("1 of 1 pods ready", timeout=30_000)
        panel.get_by_role("button", name="Delete").click()
        expect(panel.locator("h4")).to_contain_text("There is no deployment shown", timeout=20_000)
        assert not problems
