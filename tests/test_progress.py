"""What is reported of a phase, to whom, and from which threads."""

from __future__ import annotations

import threading

import pytest

from labkit.progress import PhaseEvent, Progress


def _states(events: list[PhaseEvent]) -> list[tuple[str, str]]:
    return [(event.phase, event.state) for event in events]


def test_a_phase_starts_advances_and_finishes() -> None:
    events: list[PhaseEvent] = []
    with Progress(events.append).phase("etcd") as phase:
        phase.advance("downloading", 0.5)
        phase.advance("unpacking")
    assert _states(events) == [("etcd", "started"), ("etcd", "advanced"), ("etcd", "advanced"), ("etcd", "finished")]
    assert [(event.detail, event.fraction) for event in events[1:3]] == [("downloading", 0.5), ("unpacking", None)]
    assert [event.seconds for event in events] == sorted(event.seconds for event in events)
    assert events[0].seconds >= 0


def test_what_came_of_it_is_told_at_the_end() -> None:
    events: list[PhaseEvent] = []
    with Progress(events.append).phase("provider") as phase:
        phase.conclude("rootless")
        phase.advance("asking")
    assert [(event.state, event.detail) for event in events[1:]] == [("advanced", "asking"), ("finished", "rootless")]


@pytest.mark.parametrize("error", [ValueError("first line\nsecond line"), KeyboardInterrupt("first line")])
def test_a_phase_that_raises_has_failed_and_the_error_goes_on(error: BaseException) -> None:
    events: list[PhaseEvent] = []
    with pytest.raises(type(error)) as caught, Progress(events.append).phase("join"):
        raise error
    assert caught.value is error
    assert _states(events) == [("join", "started"), ("join", "failed")]
    assert events[-1].detail == "first line"


def test_phases_nest() -> None:
    events: list[PhaseEvent] = []
    progress = Progress(events.append)
    with progress.phase("outer"), progress.phase("inner"):
        pass
    assert _states(events) == [
        ("outer", "started"),
        ("inner", "started"),
        ("inner", "finished"),
        ("outer", "finished"),
    ]


def test_phases_run_side_by_side() -> None:
    events: list[PhaseEvent] = []
    progress = Progress(events.append)
    together = threading.Barrier(2, timeout=10)

    def work(name: str) -> None:
        with progress.phase(name):
            together.wait()

    threads = [threading.Thread(target=work, args=[name]) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in ("a", "b"):
        assert [event.state for event in events if event.phase == name] == ["started", "finished"]
    assert [event.state for event in events[:2]] == ["started", "started"]


def test_nobody_has_to_watch() -> None:
    with Progress().phase("alone") as phase:
        phase.advance("unseen", 1.0)
    assert phase.name == "alone"
