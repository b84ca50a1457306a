"""The panel in a real JupyterLab 4: a notebook is run, stepped through by keyboard, and saved."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from playwright.sync_api import expect

from tests.chromium import chromium, needs_chromium

pytest.importorskip("jupyterlab")
pytestmark = needs_chromium

TOKEN = "tests-of-labkit"  # noqa: S105 - of a server that lives as long as one test
ROOT = Path(__file__).parents[2]
SOURCE = f"""\
import sys
sys.path.insert(0, {str(ROOT)!r})
from labkit.widgets.flow import LiveFlow
from tests.views import played
flow = played.tomcat()
news = [(flow, played.story())]
detail = lambda hop: [{{"kind": "facts", "title": "From Python", "open": True, "rows": [["hop", str(hop.number)]]}}]
live = LiveFlow(lambda: news.pop() if news else None, type(flow)(flow.subject, ()), detail)
live.start()
live"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A JupyterLab with nothing of the user's own, on a loopback port that the system chose."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {
        name: str(tmp_path / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    }
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    options += ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    options += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={tmp_path / 'work'}"]
    (tmp_path / "work").mkdir()
    with (tmp_path / "server.log").open("wb") as log:
        lab = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options], env=os.environ | own, stdout=log, stderr=log
        )
        try:
            _wait(f"http://127.0.0.1:{port}/api?token={TOKEN}", lab, tmp_path / "server.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            lab.terminate()
            lab.wait(20)


def _wait(url: str, lab: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            with urlopen(url):  # noqa: S310 - loopback
                return
        except URLError:
            assert lab.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)


def test_a_panel_in_jupyterlab(server: str, tmp_path: Path) -> None:
    file = tmp_path / "work" / "flow.ipynb"
    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "flow",
        "metadata": {},
        "source": SOURCE,
        "outputs": [],
        "execution_count": None,
    }
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    file.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": [cell]}))
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.goto(f"{server}/lab/tree/flow.ipynb?token={TOKEN}")
        page.get_by_text("(ipykernel) | Idle").wait_for()  # what is run before is lost
        page.locator(".jp-Notebook-cell .cm-content").click()
        page.keyboard.press("Shift+Enter")
        panel = page.locator(".labkit-player")
        expect(panel.locator(".count")).to_contain_text("of 12", timeout=30_000)  # what came while it was made
        still = page.locator("[id^=labkit-still]")
        expect(still).to_have_count(1)
        expect(still).to_be_hidden()

        panel.locator("[data-key=stage]").focus()
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        expect(panel.locator(".words")).to_contain_text("Step 2. Hop 2, +5.1 ms: API server → etcd")
        expect(panel.locator("[data-key=stage]")).to_be_focused()
        expect(panel.locator(".evidence")).to_contain_text("From Python")  # the kernel was asked and answered
        page.screenshot(path=tmp_path / "jupyterlab.png")

        page.keyboard.press("Control+s")
        _until_saved(file)
        page.close()
    outputs = json.loads(file.read_text())["cells"][0]["outputs"]
    assert "<script" not in "".join(outputs[0]["data"]["text/html"])
    assert "".join(outputs[0]["data"]["text/html"]).count("<tr") == 13, "the still is what was shown at last"


def _until_saved(file: Path) -> None:
    end = time.monotonic() + 10
    while True:
        outputs: list[dict[str, Any]] = json.loads(file.read_text())["cells"][0]["outputs"]
        if len(outputs) == 2:
            return
        assert time.monotonic() < end
        time.sleep(0.1)
