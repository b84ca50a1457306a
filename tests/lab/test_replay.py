"""Recordings: those that ship with labkit, and one made of a real lab, asked as the lab was."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.errors import ClusterError, EvidenceError, UsageError
from labkit.flow import tell, trace
from labkit.flow.export import to_json
from labkit.lab import Lab
from labkit.lab.lessons import shipped
from labkit.lab.recorded import DEFAULT, replay
from labkit.lab.recorder import Recorder

STOPS = {"missing-image": 13, "crash-loop": 13, "unschedulable": 8, "no-scheduler": 8}  # at which step


def _story(name: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "labkit", "replay", name, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_recording_explains_its_action(name: str) -> None:
    recording = replay(name)
    action = next(action for action in recording.actions() if not action.refused)
    found = recording.explain(f"{action.object.resource}/{action.object.name}", action.object.namespace)
    assert found.flow.hops[0].cause is None
    assert all(hop.evidence for hop in found.flow.hops)
    assert all(hop.observed for hop in found.flow.hops if hop.kind == "persist")
    assert (found.story.stop.step if found.story.stop else None) == STOPS.get(name)
    assert "<svg" in found.to_svg()
    assert found.to_html().startswith("<!doctype html>")
    assert all(found.detail(hop) for hop in found.flow.hops)
    assert recording.path.stat().st_mode & 0o777 == 0o644


def test_the_fourteen_steps_were_all_seen() -> None:
    story = replay(DEFAULT).explain("tomcat").story
    assert [step.number for step in story.steps] == list(range(14))
    assert {step.seen for step in story.steps} <= {"observed", "inferred"}


def test_a_recording_says_plainly_that_it_is_one() -> None:
    recording = replay(DEFAULT)
    assert "Recorded" in recording._repr_html_()
    assert "nothing runs here" in recording.banner
    found = recording.explain("tomcat")
    for shown in (found.to_svg(), found.to_html(), found.panel().flow["title"]):
        assert f"create deployment tomcat (recorded on {recording.recorded:%Y-%m-%d})" in shown
    assert "recorded on" not in found.to_json()
    with pytest.raises(ClusterError, match="recording has no 'kubectl'"):
        recording.kubectl  # noqa: B018
    for name in ("dashboard", "etcd", "nodes_panel", "thaw"):
        with pytest.raises(ClusterError, match=f"recording has no {name!r}"):
            getattr(recording, name)
    with pytest.raises(AttributeError):
        recording.nonsense  # noqa: B018


def test_unknown_names_and_files() -> None:
    with pytest.raises(UsageError, match="deploy-tomcat"):
        replay("no-such-lesson")
    with pytest.raises(EvidenceError):
        replay("no-such-file.labtrace")
    with pytest.raises(EvidenceError):
        replay(DEFAULT).explain("nobody")


def test_the_command_line_gives_every_form(tmp_path: Path) -> None:
    assert json.loads(_story(DEFAULT, "--json"))["format"] == "labkit-flow"
    _story(DEFAULT, "--svg", str(tmp_path / "f.svg"), "--html", str(tmp_path / "f.html"))
    assert (tmp_path / "f.svg").read_text().startswith("<svg")
    assert "http" not in (tmp_path / "f.html").read_text().partition("<script")[0].replace("http-equiv", "")
    assert "binds pod" in _story(DEFAULT, "--text")


@pytest.fixture(scope="module")
def recorded(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    """A recording of a deployment, just made."""
    with lab.record(tmp_path_factory.mktemp("recordings") / "live.labtrace", "a stand-in") as recorder:
        recorder.mark("create")
        lab.kubectl("create deployment recorded --image=labkit/standin")
        lab.kubectl("rollout status deployment/recorded --timeout=60s")
    yield recorder
    lab.kubectl("delete deployment recorded --cascade=foreground --wait")


@pytest.mark.cluster
def test_replay_gives_the_same_flow_as_live_byte_for_byte(recorded: Recorder) -> None:
    said = []
    for evidence in (recorded.evidence(), replay(recorded.path).evidence()):
        flow = trace(evidence, "deployment/recorded")
        said.append(to_json(flow, tell(flow, evidence)))
    assert said[0] == said[1]
    assert len(json.loads(said[0])["flow"]["hops"]) > 30


@pytest.mark.cluster
def test_the_file_is_private_and_says_what_it_is(lab: Lab, recorded: Recorder) -> None:
    assert recorded.path.stat().st_mode & 0o777 == 0o600
    recording = replay(recorded.path).recording
    assert (recording.title, recording.provider) == ("a stand-in", "rootless")
    assert [mark.what for mark in recording.marks] == ["create"]
    assert recording.kubernetes_version == lab.spec.kubernetes_version


@pytest.mark.cluster
def test_a_folder_that_does_not_exist_is_told_before_anything_is_recorded(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="no folder"):
        lab.record(tmp_path / "none" / "x.labtrace")
