"""The panel without a browser: what it sends, what it answers, what stays in the notebook, and the thread behind it."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from labkit.errors import EvidenceError
from labkit.flow import Flow, Hop, Story
from labkit.views import player
from labkit.widgets.flow import FlowPanel, LiveFlow
from tests.views import played
from tests.views.test_player import HOSTILE

Sections = list[dict[str, Any]]


def facts(hop: Hop) -> Sections:
    return [{"kind": "facts", "title": "Hop", "open": True, "rows": [["number", str(hop.number)]]}]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "not within 5 s"
        time.sleep(0.01)


def growing(flow: Flow) -> Iterator[Flow]:
    for count in range(1, len(flow.hops) + 1):
        yield dataclasses.replace(flow, hops=flow.hops[:count])


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    messages: list[Any] = []
    monkeypatch.setattr(FlowPanel, "send", lambda _self, content, _buffers=None: messages.append(content))
    return messages


def test_a_panel_shows_its_flow_with_details_that_need_no_kernel() -> None:
    panel = FlowPanel(played.tomcat(), played.story(), played.details())
    assert [hop["number"] for hop in panel.flow["hops"]] == list(range(1, 13))
    assert list(panel.flow["details"]) == ["1"]
    assert not panel.live
    assert json.loads(json.dumps(panel.flow)) == panel.flow
    assert "export default" in panel._esm


def test_details_are_asked_for_and_nothing_else_is_answered(sent: list[Any]) -> None:
    panel = FlowPanel(played.tomcat(), details=facts)
    assert panel.live
    for question in ({"ask": 3}, {"ask": 0}, {"ask": 13}, {"ask": "3"}, {"ask": True}, {}, {"ask": None}):
        panel._handle_custom_msg(question, [])
    assert sent == [{"hop": 3, "detail": facts(played.tomcat().hops[2])}]


def test_details_that_cannot_be_had_say_why(sent: list[Any]) -> None:
    def gone(hop: Hop) -> Sections:
        raise EvidenceError("The evidence is gone.")

    FlowPanel(played.tomcat(), details=gone)._handle_custom_msg({"ask": 1}, [])
    assert sent[0]["detail"][0]["text"] == "The evidence is gone."


def test_a_page_that_missed_something_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    panel = FlowPanel(Flow(played.tomcat().subject, ()))
    panel.show(played.tomcat())
    monkeypatch.setattr(FlowPanel, "send_state", lambda _self, key=None: sent.append(key))
    panel._handle_custom_msg({"ready": 1}, [])
    assert sent == []
    panel._handle_custom_msg({"ready": 0}, [])
    assert sent == [["flow", "edition"]]


def test_the_still_has_no_script_and_every_hop() -> None:
    flow = played.tomcat(HOSTILE)
    data, _ = FlowPanel(flow)._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/html"].count("<tr") == 13
    assert "<script" not in data["text/html"]
    assert data["text/plain"] == "create deployment tomcat: 12 hops: 9 observed, 3 inferred · 1.33 s"


def test_shown_in_a_notebook_it_leaves_a_still_and_a_live_view() -> None:
    InteractiveShell.instance()
    with capture_output() as captured:
        FlowPanel(played.tomcat())._ipython_display_()
    still, live = (output.data for output in captured.outputs)
    assert "text/html" in still
    assert "text/html" not in live
    assert "application/vnd.jupyter.widget-view+json" in live


def test_two_panels_on_a_page_have_pictures_with_ids_of_their_own() -> None:
    one, other = (FlowPanel(played.tomcat()).flow["pictures"]["architecture"] for _ in range(2))
    assert one != other


def test_a_live_flow_shows_the_latest_and_stops() -> None:
    flows = growing(played.tomcat())
    news: list[Flow] = [next(flows)]
    live = LiveFlow(lambda: (news.pop(), None) if news else None, Flow(news[0].subject, ()), hertz=50)
    with live:
        until(lambda: len(live.panel.flow["hops"]) == 1)
        *_, whole = flows
        news.append(whole)
        until(lambda: len(live.panel.flow["hops"]) == 12)
        assert live.running
    assert not live.running


def test_what_came_at_the_end_is_still_shown() -> None:
    news: list[tuple[Flow, Story | None]] = []
    live = LiveFlow(lambda: news.pop() if news else None, Flow(played.tomcat().subject, ()), hertz=0.01).start()
    until(lambda: live.running)
    time.sleep(0.05)
    news.append((played.tomcat(), played.story()))
    live.stop()
    assert len(live.panel.flow["hops"]) == 12


def test_who_stops_waits_for_what_is_there_already() -> None:
    """As of a lab with a long past, of which one look reads a part."""
    parts = list(range(20))

    def poll() -> tuple[Flow, None] | None:
        parts.pop()
        return None if parts else (played.tomcat(), None)

    live = LiveFlow(poll, Flow(played.tomcat().subject, ()), behind=lambda: bool(parts), hertz=0.01).start()
    live.stop()
    assert len(live.panel.flow["hops"]) == 12


def test_who_stops_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labkit.widgets.flow._PATIENCE", 0.2)
    live = LiveFlow(lambda: None, played.tomcat(), behind=lambda: True, hertz=50).start()
    live.stop()
    assert not live.running


def test_the_rate_is_kept_and_a_slow_poll_gets_half_of_the_time() -> None:
    calls: list[float] = []

    def slow() -> None:
        calls.append(time.monotonic())
        time.sleep(0.05)

    with LiveFlow(slow, played.tomcat(), hertz=100):
        time.sleep(0.8)
    assert 5 <= len(calls) <= 9


def test_closing_the_panel_ends_the_thread_and_closes_the_source_once() -> None:
    closed: list[bool] = []
    live = LiveFlow(lambda: None, played.tomcat(), hertz=50, close=lambda: closed.append(True)).start()
    live.panel.close()
    until(lambda: not live.running)
    live.stop()
    assert closed == [True]


def test_what_is_shown_is_followed() -> None:
    InteractiveShell.instance()
    live = LiveFlow(lambda: None, played.tomcat())
    with capture_output(), live:
        live._ipython_display_()
        assert live.running


def test_an_error_while_following_is_shown_and_what_was_shown_stays(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> None:
        raise OSError("the audit log is gone")

    closed: list[bool] = []
    live = LiveFlow(broken, played.tomcat(), hertz=50, close=lambda: closed.append(True)).start()
    until(lambda: not live.running)
    assert live.panel.flow["trouble"] == "This flow is followed no longer: the audit log is gone\nShow it again."
    assert len(live.panel.flow["hops"]) == 12
    assert "not followed any more" in caplog.text
    assert closed == [True]


def test_why_there_is_no_more_is_told_as_long_as_it_is_so() -> None:
    flows = growing(played.tomcat())
    news: list[Flow] = [next(flows)]
    trouble = ["The lab does not run"]
    with LiveFlow(
        lambda: (news.pop(), None) if news else None, played.tomcat(), trouble=lambda: trouble[0], hertz=50
    ) as live:
        until(lambda: live.panel.flow["trouble"] == "The lab does not run")
        edition = live.panel.edition
        news.append(next(flows))
        until(lambda: live.panel.edition > edition)
        assert live.panel.flow["trouble"] == "The lab does not run"
        assert len(live.panel.flow["hops"]) == 2, "what was shown stays"
        trouble[0] = ""
        until(lambda: live.panel.flow["trouble"] == "")


def test_only_one_thread_paints() -> None:
    before = threading.active_count()
    with LiveFlow(lambda: None, played.tomcat()):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_the_front_end_is_one_module_with_one_default_export() -> None:
    assert player.script().count("export default") == 1
