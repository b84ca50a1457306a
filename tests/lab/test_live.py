"""A flow followed on the shared lab, whose past may be long: nothing is left out, however soon it is stopped."""

from __future__ import annotations

import pytest

from labkit.lab import Lab

pytestmark = pytest.mark.cluster


def test_stopped_at_once_it_shows_what_was_done(lab: Lab) -> None:
    live = lab.watch("followed").start()
    try:
        lab.kubectl("create deployment followed --image=labkit/standin --replicas=0")
        live.stop()
    finally:
        lab.kubectl("delete deployment followed")
    shown = live.panel.flow
    assert shown["title"] == "create deployment followed"
    assert shown["trouble"] == ""
    assert {"request", "persist"} <= {hop["kind"] for hop in shown["hops"]}
