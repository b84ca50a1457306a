"""What commands make of a recording: the same each time, clean for programs, harmless whatever is written in it."""

from __future__ import annotations

import dataclasses
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from labkit.evidence.recording import FORMAT_VERSION, load, save
from labkit.lab.lessons import shipped
from labkit.lab.recorded import DEFAULT
from tests.cli.command import LABKIT, here, in_terminal, labkit, without_escapes

pytestmark = pytest.mark.programs

MARKUP = "<script>alert(1)[bold red]\\u001b]0;owned\\u0007\\u001b[2J"  # as JSON writes it


def _rewritten(path: Path, change: Callable[[bytes], bytes], name: str = DEFAULT) -> str:
    """Write a shipped recording anew, each of its members changed."""
    with zipfile.ZipFile(shipped()[name]) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.namelist():
            target.writestr(member, change(source.read(member)))
    return str(path)


@pytest.mark.parametrize("name", ["deploy-tomcat", "update-tomcat", "crash-loop"])
def test_json_is_the_same_whatever_the_process(name: str) -> None:
    first, second = (labkit("replay", name, "--json", PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert first.stdout == second.stdout
    assert first.stdout == labkit("flow", str(shipped()[name]), "--json").stdout
    assert [step["number"] for step in json.loads(first.stdout)["story"]["steps"]]


def test_json_stays_clean_beside_pictures(tmp_path: Path) -> None:
    svg, page = tmp_path / "flow.svg", tmp_path / "flow.html"
    done = here("replay", DEFAULT, "--json", "--svg", str(svg), "--html", str(page))
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["format"] == "labkit-flow"
    said = done.stderr.splitlines()
    assert said[0].startswith("Recorded: ")
    assert said[1:] == [f"Written: {svg}", f"Written: {page}"]
    both = here("replay", DEFAULT, "--json", "--text").stdout
    assert both.startswith(done.stdout)
    assert "binds pod tomcat-" in both[len(done.stdout) :]


def test_exports_and_pages_are_the_same_each_time(tmp_path: Path) -> None:
    made = []
    for seed in ("1", "2"):
        files = {option: tmp_path / f"{option}{seed}" for option in ("audit", "otlp", "jaeger")}
        options = [word for option, path in files.items() for word in (f"--{option}", str(path))]
        assert labkit("export", DEFAULT, *options, PYTHONHASHSEED=seed).returncode == 0
        page = tmp_path / f"page{seed}"
        assert labkit("replay", DEFAULT, "--html", str(page), PYTHONHASHSEED=seed).returncode == 0
        made.append([path.read_bytes() for path in (*files.values(), page)])
    assert made[0] == made[1]


def test_a_recording_of_a_newer_labkit(tmp_path: Path) -> None:
    newer = f'"version":{FORMAT_VERSION + 1}'.encode()
    path = _rewritten(
        tmp_path / "newer.labtrace", lambda data: data.replace(f'"version":{FORMAT_VERSION}'.encode(), newer)
    )
    for arguments in (
        ["replay", path],
        ["flow", path],
        ["why", "tomcat", "--in", path],
        ["export", path, "--audit", "x"],
    ):
        done = here(*arguments)
        assert (done.exit_code, done.stdout) == (1, ""), arguments
        assert "newer labkit" in done.stderr
        assert "Update labkit" in done.stderr


def test_recordings_that_are_none(tmp_path: Path) -> None:
    damaged = bytearray(shipped()[DEFAULT].read_bytes())
    damaged[len(damaged) // 3] ^= 0xFF
    foreign = tmp_path / "zip.labtrace"
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("hello", "world")
    for path, content, words in (
        (tmp_path / "bit.labtrace", bytes(damaged), "cut off or damaged"),
        (foreign, foreign.read_bytes(), "no recording of labkit"),
    ):
        path.write_bytes(content)
        done = here("replay", str(path))
        assert (done.exit_code, done.stdout) == (1, "")
        assert words in done.stderr
        assert str(path) in done.stderr
    assert here("replay", str(tmp_path)).exit_code == 1, "a folder"


def test_a_recording_in_which_nobody_did_anything(tmp_path: Path) -> None:
    path = save(dataclasses.replace(load(shipped()[DEFAULT]).evidence, audit=()), tmp_path / "idle.labtrace")
    done = here("replay", str(path))
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Nobody did anything in this recording" in done.stderr


@pytest.mark.parametrize("number", ["--5", "²", "1.5", "-", ""])
def test_what_is_no_number_is_no_action(number: str) -> None:
    done = here("replay", DEFAULT, f"--action={number}")
    assert done.exit_code == 2, done.stderr
    assert "no kind of action" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay", DEFAULT, "--json", "--svg"],
        ["replay", DEFAULT, "--json", "--html"],
        ["export", DEFAULT, "--audit"],
        ["export", DEFAULT, "--otlp"],
        ["export", DEFAULT, "--jaeger"],
    ],
    ids=lambda arguments: arguments[-1],
)
def test_what_cannot_be_written(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file" / "below"):
        done = here(*arguments, str(place))
        assert done.exit_code == 2
        assert f"Error: {place} cannot be written" in done.stderr
        assert "Why: " in done.stderr


def test_markup_and_escape_sequences_in_names_do_nothing(tmp_path: Path) -> None:
    path = _rewritten(tmp_path / "hostile.labtrace", lambda data: data.replace(b"tomcat", MARKUP.encode()))
    svg, page = tmp_path / "flow.svg", tmp_path / "flow.html"
    code, shown = in_terminal([*LABKIT, "replay", path, "--svg", str(svg), "--html", str(page)], columns=200)
    assert code == 0, shown
    assert "creates deployment <script>alert(1)[bold red]" in without_escapes(shown)
    assert "\x1b]0;" not in shown
    assert "\x1b[2J" not in shown
    assert "<script>alert" not in svg.read_text()
    assert re.search(r"&lt;script&gt;alert", svg.read_text())
    assert "<script>alert" not in page.read_text()
    done = labkit("replay", path)
    assert "\x1b" not in done.stdout + done.stderr


def test_a_narrow_terminal_shows_the_whole_story() -> None:
    code, shown = in_terminal([*LABKIT, "replay", DEFAULT], columns=60)
    assert code == 0
    lines = without_escapes(shown).splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("create deployment"))
    assert max(map(len, lines[first:])) <= 60
    assert " 13  observed" in shown


@pytest.mark.parametrize("keep", [[], ["--keep"]], ids=str)
def test_a_demo_without_a_cluster_speaks_of_none(no_lab: Path, tmp_path: Path, keep: list[str]) -> None:
    svg = tmp_path / "flow.svg"
    done = labkit("demo", "--svg", str(svg), *keep, PATH=str(tmp_path))  # no program that a node needs
    assert done.returncode == 0, done.stderr
    assert done.stderr.index("bwrap") < done.stderr.index("Recorded: ")
    assert "A recording instead" in done.stdout
    assert "Down" not in done.stdout
    assert "stays up" not in done.stdout
    assert svg.exists()
    assert not (no_lab / "labs").exists()


def test_kube_proxys_rules_and_packets_of_a_recording() -> None:
    ipvs = here("proxy", "rules", "web", "--in", "kube-proxy-ipvs", "--mode", "ipvs")
    assert "-A -t 10.96." in ipvs.stdout, ipvs.stderr
    assert "Recorded: " in ipvs.stderr
    compared = here("proxy", "rules", "web", "--in", "kube-proxy-ipvs", "--modes", "--json")
    assert [each["rules"]["mode"] for each in json.loads(compared.stdout)["seen"]] == ["iptables", "nftables", "ipvs"]
    packet = here("proxy", "trace", "svc/tomcat", "--in", "kube-proxy", "--mode", "nftables")
    assert "nftables" in packet.stdout, packet.stderr
    live = here("proxy", "rules", "--mode", "ipvs")
    assert live.exit_code == 2
    assert "add --in RECORDING" in live.stderr
