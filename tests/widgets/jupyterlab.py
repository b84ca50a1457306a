"""A real JupyterLab for tests and benchmarks: nothing of the user's own, on a loopback port that the system chose."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from playwright.sync_api import Locator, Page, expect

TOKEN = "tests-of-labkit"  # noqa: S105 - of a server that lives as long as one test
ROOT = Path(__file__).parents[2]
IDLE = "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
_REMEMBERED = ".jupyter/config/lab"  # which notebooks were open (workspaces), and the user's settings


@dataclass(frozen=True)
class Jupyter:
    """A JupyterLab that several tests use, one after the other.

    Attributes
    ----------
    address : str
        Where it listens.
    folder : Path
        Where its notebooks are.
    """

    address: str
    folder: Path

    def end_kernels(self) -> None:
        """End every kernel."""
        for kernel in json.loads(self._ask("GET", "kernels")):
            self._ask("DELETE", f"kernels/{kernel['id']}")

    def forget(self) -> None:
        """End every kernel, and remove the notebooks and what JupyterLab remembers: which were open, its settings."""
        self.end_kernels()
        for notebook in self.folder.glob("*.ipynb"):
            notebook.unlink()
        shutil.rmtree(self.folder / _REMEMBERED)
        _ask_nothing(self.folder)

    def _ask(self, method: str, path: str) -> bytes:
        request = Request(f"{self.address}/api/{path}?token={TOKEN}", method=method)  # noqa: S310 - loopback
        with urlopen(request) as answer:  # noqa: S310
            body: bytes = answer.read()
            return body


@contextmanager
def jupyterlab(folder: Path, *more: str) -> Iterator[str]:
    """Start a JupyterLab with its files in a folder and more options, yield its address, and end it and its kernels."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = folder / ".jupyter"
    kinds = ("CONFIG", "DATA", "RUNTIME")
    own = {f"JUPYTER_{kind}_DIR": str(home / kind.lower()) for kind in kinds}
    _ask_nothing(folder)
    own["PYTHONPATH"] = str(ROOT)  # kernels find the tests' flows
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    options += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    options += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}"]
    with (home / "server.log").open("wb") as log:
        command = [sys.executable, "-m", "jupyterlab", *options, *more]
        lab = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log)
        try:
            _wait(f"http://127.0.0.1:{port}/api?token={TOKEN}", lab, home / "server.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            lab.terminate()
            try:
                lab.wait(20)
            except subprocess.TimeoutExpired:  # a busy machine; its kernels end with it
                lab.kill()
                lab.wait()


def _ask_nothing(folder: Path) -> None:
    """Keep JupyterLab from asking whether it may tell news, on top of what tests look at."""
    settings = folder / _REMEMBERED / "user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"fetchNews": "false"}')


def write(file: Path, *sources: str) -> None:
    """Write a notebook of one or more cells."""
    cell: dict[str, Any] = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    cells = [{**cell, "id": f"cell-{place}", "source": source} for place, source in enumerate(sources)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    file.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": cells}))


def open_notebook(page: Page, server: str, name: str, viewer: str = "lab/tree") -> None:
    """Open a notebook of a server that exposes its application, until its kernel is there."""
    page.add_locator_handler(page.locator(".jp-Dialog"), agree)
    page.goto(f"{server}/{viewer}/{name}?token={TOKEN}")
    page.wait_for_function(IDLE, timeout=60_000)


def run(page: Page, server: str, name: str, viewer: str = "lab/tree") -> None:
    """Open a notebook, in JupyterLab or (``notebooks``) in Notebook 7, and run its cell."""
    page.add_locator_handler(page.locator(".jp-Dialog"), agree)
    page.goto(f"{server}/{viewer}/{name}?token={TOKEN}")
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()  # what is run before is lost
    cell = page.locator(".jp-Notebook-cell").first
    for _ in range(3):  # on a busy machine it may be lost nevertheless
        cell.locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        with suppress(AssertionError):
            expect(cell.locator(".jp-InputPrompt")).not_to_have_text("[ ]:", timeout=3_000)
            return


def agree(dialog: Locator) -> None:
    """Say in the test's output what Jupyter itself asks, which lies on the page, and agree."""
    print("Jupyter asked:", dialog.inner_text())
    dialog.locator("button.jp-mod-accept").first.click()


def troubles(page: Page, server: str) -> list[str]:
    """Return a list that takes the page's errors from now on, and each address asked for that is not the server's."""
    found: list[str] = []
    own = (server, server.replace("http", "ws", 1), "data:", "blob:")
    page.on("pageerror", lambda error: found.append(error.stack or error.message))
    page.on("console", lambda said: found.append(said.text) if said.type == "error" else None)
    page.on("request", lambda asked: None if asked.url.startswith(own) else found.append(asked.url))
    page.on("websocket", lambda asked: None if asked.url.startswith(own) else found.append(asked.url))
    return found


def outputs(file: Path) -> list[dict[str, Any]]:
    """Return the outputs of a notebook's one cell; none of a file that is being written."""
    try:
        found: list[dict[str, Any]] = json.loads(file.read_text())["cells"][0]["outputs"]
    except json.JSONDecodeError:
        return []
    return found


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
