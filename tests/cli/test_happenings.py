"""What happened, on the command line: recordings told, drawn and exported; what is offered where no cluster can run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from labkit.lab.lessons import shipped
from labkit.lab.recorded import DEFAULT
from tests.cli.command import labkit

pytestmark = pytest.mark.programs

FORBID = "echo 0 >/proc/sys/user/max_user_namespaces && exec "


def test_replay_lists_what_is_shipped() -> None:
    done = labkit("replay")
    assert done.returncode == 0
    assert all(name in done.stdout for name in shipped())


def test_a_recording_is_told_and_plainly_called_one() -> None:
    done = labkit("replay", DEFAULT)
    assert done.returncode == 0
    assert done.stderr.startswith("Recorded: ")
    assert "nothing runs here" in done.stderr
    for words in ("create deployment tomcat", " 13  observed", "binds pod tomcat-", "inferred"):
        assert words in done.stdout


def test_json_is_the_same_each_time_and_nothing_else_is_printed() -> None:
    first, second = (labkit("replay", DEFAULT, "--json").stdout for _ in range(2))
    assert first == second
    assert len(json.loads(first)["story"]["steps"]) == 14


def test_a_file_is_as_good_as_a_name() -> None:
    path = str(shipped()["scale-tomcat"])
    for command in (["replay", path], ["flow", path], ["flow", path, "--of", "deployment/tomcat", "--action", "scale"]):
        done = labkit(*command)
        assert done.returncode == 0, done.stderr
        assert "scale deployment tomcat to 3" in done.stdout


def test_pictures_and_pages_are_written_into_new_folders(tmp_path: Path) -> None:
    svg, page = tmp_path / "a" / "f.svg", tmp_path / "b" / "f.html"
    assert labkit("replay", "blog", "--svg", str(svg), "--html", str(page)).returncode == 0
    assert svg.read_text().startswith("<svg")
    assert page.read_text().startswith("<!doctype html>")
    assert labkit("replay", "blog", "--svg", "/proc/nowhere/f.svg").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["replay", "no-such-lesson"], 2, "labkit comes with"),
        (["replay", "no-such-file.labtrace"], 1, "There is no recording"),
        (["replay", DEFAULT, "--of", "deployment/nobody"], 1, "Nobody wrote anything about"),
        (["replay", DEFAULT, "--action", "7"], 1, "no action"),
        (["replay", DEFAULT, "--action", "juggle"], 2, "no kind of action"),
        (["replay", DEFAULT, "--of", "nonsense/of/all"], 2, "names no object"),
        (["export", DEFAULT], 2, "Nothing to export"),
        (["why", "nobody", "--in", "no-such-file.labtrace"], 1, "There is no recording"),
        (["record", "session.zip"], 2, "no name for a recording"),
    ],
)
def test_what_cannot_be_is_told(arguments: list[str], code: int, words: str) -> None:
    done = labkit(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "What to do:" in done.stderr
    assert "Traceback" not in done.stderr


def test_damaged_files_are_told(tmp_path: Path) -> None:
    whole = shipped()[DEFAULT].read_bytes()
    for name, data in {"cut": whole[: len(whole) // 2], "foreign": b"PNG", "empty": b""}.items():
        path = tmp_path / f"{name}.labtrace"
        path.write_bytes(data)
        done = labkit("replay", str(path))
        assert done.returncode == 1
        assert str(path) in done.stderr


def test_the_schedulers_why_of_a_recording() -> None:
    flow = json.loads(labkit("replay", DEFAULT, "--json").stdout)["flow"]
    (pod,) = flow["pods"]
    done = labkit("why", pod, "--in", str(shipped()[DEFAULT]))
    assert done.returncode == 0, done.stderr
    assert flow["pods"][pod] in done.stdout
    assert "NodeResourcesFit" in done.stdout


def test_export_for_other_tools(tmp_path: Path) -> None:
    audit, otlp, jaeger = (tmp_path / name for name in ("audit.jsonl", "otlp.json", "jaeger.json"))
    done = labkit("export", DEFAULT, "--audit", str(audit), "--otlp", str(otlp), "--jaeger", str(jaeger))
    assert done.returncode == 0, done.stderr
    assert {json.loads(line)["apiVersion"] for line in audit.read_text().splitlines()} == {"audit.k8s.io/v1"}
    assert json.loads(otlp.read_text())["resourceSpans"]
    assert json.loads(jaeger.read_text())["data"]


def test_where_no_cluster_can_run_recordings_are_offered_and_shown(tmp_path: Path) -> None:
    def forbidden(*arguments: str) -> subprocess.CompletedProcess[str]:
        script = f'{FORBID} {sys.executable} -m labkit "$@"'
        inside = ["unshare", "--user", "--map-root-user", "--", "sh", "-c", script, "sh", *arguments]
        return subprocess.run(inside, capture_output=True, text=True, check=False, timeout=60)

    up = forbidden("up", "--name", "none")
    assert up.returncode == 3
    assert "user namespaces" in up.stderr
    assert DEFAULT in up.stdout
    assert DEFAULT not in forbidden("up", "--name", "none", "--provider", "rootless").stdout
    demo = forbidden("demo", "--name", "none", "--svg", str(tmp_path / "flow.svg"))
    assert demo.returncode == 0, demo.stderr
    assert "user namespaces" in demo.stderr
    assert "Recorded: " in demo.stderr
    assert "binds pod tomcat-" in demo.stdout
    assert (tmp_path / "flow.html").exists()
