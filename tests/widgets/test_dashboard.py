"""The dashboard on the real cluster: its buttons deploy, and its flow shows what comes of it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from labkit.lab import Lab


def _until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.1)


@pytest.mark.cluster
def test_the_flow_shows_what_the_buttons_do(lab: Lab) -> None:
    InteractiveShell.instance()
    with capture_output() as captured:
        board = lab.dashboard("by-board", image="nginx")
        board._ipython_display_()
    *stills, live = captured.outputs
    assert [still.data["text/html"].startswith('<div id="labkit-still-') for still in stills] == [True] * 3
    assert "application/vnd.jupyter.widget-view+json" in live.data
    assert board.tabs.titles == ("Deploy and watch", "kube-proxy")
    fields = {"name": "by-board", "image": "nginx", "replicas": "1", "port": ""}
    try:
        board.deploy._handle_custom_msg({"do": "deploy", **fields}, [])
        _until(lambda: board.deploy.state["summary"] == "by-board: 1 of 1 pods ready")
        _until(lambda: board.flow.panel.flow["title"] == "create deployment by-board")
        _until(lambda: any(hop["verb"] == "StartContainer" for hop in board.flow.panel.flow["hops"]))
    finally:
        board.stop()
        lab.kubectl("delete deployment by-board --ignore-not-found")
