"""The log of a watcher, followed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from labkit.evidence.model import Change, ClusterFacts, Evidence
from labkit.evidence.recording import load, save
from labkit.evidence.watch import WatchTail

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def line(second: int, kind: str, name: str, resource: str = "pods") -> str:
    item = {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(second)}}
    time = (BEGAN + timedelta(seconds=second)).isoformat()
    return json.dumps({"time": time, "kind": kind, "resource": resource, "object": item}) + "\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "changes.jsonl"
    path.write_text(
        line(1, "LISTED", "a")
        + line(2, "ADDED", "b")
        + line(2, "ADDED", "event", "events")
        + line(3, "DELETED", "a")
        + line(9, "MODIFIED", "b")
    )
    return path


def names(changes: list[Change]) -> list[tuple[str, str]]:
    return [(change.kind, change.object["metadata"]["name"]) for change in changes]


def test_all_is_given_in_order(log: Path) -> None:
    tail = WatchTail(log)
    told = [("LISTED", "a"), ("ADDED", "b"), ("ADDED", "event"), ("DELETED", "a"), ("MODIFIED", "b")]
    assert names(tail.read()) == told
    assert tail.at_end
    with log.open("a") as file:
        file.write(line(10, "DELETED", "b"))
    assert names(tail.read()) == [("DELETED", "b")]
    tail.close()


def test_what_was_there_before_is_given_as_it_was(log: Path) -> None:
    tail = WatchTail(log, BEGAN + timedelta(seconds=5))
    assert names(tail.read()) == [("LISTED", "b"), ("MODIFIED", "b")]
    tail.close()


def test_gaps_and_damage_are_losses(log: Path) -> None:
    with log.open("a") as file:
        file.write(json.dumps({"time": BEGAN.isoformat(), "kind": "LOST", "resource": "jobs", "why": "403"}) + "\n")
        file.write("no JSON\n")
    tail = WatchTail(log)
    tail.read()
    told = [(loss.source, loss.what, loss.why) for loss in tail.take_losses()]
    tail.close()
    assert told == [
        ("watch", "jobs could not be followed for a while", "403"),
        ("watch", "1 lines are no changes", f"in {log}"),
    ]


def test_nobody_watches_a_cluster_that_tells_more() -> None:
    tail = WatchTail(None)
    assert (tail.read(), tail.at_end, tail.take_losses()) == ([], True, [])


def test_a_recording_keeps_changes_without_their_secrets(log: Path, tmp_path: Path) -> None:
    tail = WatchTail(log)
    changes = tail.read()
    tail.close()
    env = {"name": "DB_PASSWORD", "value": "hunter2"}
    item = {**changes[1].object, "spec": {"containers": [{"env": [env]}]}}
    secret = Change(9, BEGAN, "ADDED", "pods", item)
    facts = ClusterFacts("c", "context", "v1.34.3", "master", ("master",))
    kept = load(save(Evidence(facts, (), changes=[*changes, secret]), tmp_path / "c.labtrace")).evidence.changes
    assert list(kept[:-1]) == changes
    assert "hunter2" not in repr(kept)
