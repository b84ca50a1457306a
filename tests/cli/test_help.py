"""Help, version, completion, and that none of them costs time."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from labkit.cli.app import app
from labkit.cluster.state import LabFolder
from tests.cli.command import labkit

pytestmark = pytest.mark.programs

ROOT: Any = typer.main.get_command(app)


def _tree(command: Any = ROOT, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from _tree(child, (*path, name))


COMMANDS = dict(_tree())
NAMES = [" ".join(path) or "labkit" for path in COMMANDS]


def test_the_tree_has_every_command_that_is_promised() -> None:
    promised = """up preflight status down freeze thaw stop start doctor kubectl kubeconfig deploy open flow why
        record replay export demo node components proxy proxy-mode proxy-rules proxy-trace
        proxy-follow proxy-bench node-list node-exec node-shell node-stop node-start node-restart
        node-rejoin node-logs node-add node-prepare components-list components-fetch join token
        token-create token-list token-delete token-join-command token-ca-hash images images-save
        images-load image image-build-node image-load certs certs-renew static-pods repair init reset network
        network-install"""
    assert {"-".join(path) for path in COMMANDS if path} == set(promised.split())


@pytest.mark.parametrize("path", COMMANDS, ids=NAMES)
def test_help_of_every_command_has_an_example_of_itself(path: tuple[str, ...]) -> None:
    if path == ("kubectl",):
        text = COMMANDS[path].epilog  # its --help is kubectl's own
    else:
        result = CliRunner().invoke(app, [*path, "--help"])
        assert result.exit_code == 0
        text = result.stdout
    _, example, lines = text.partition("Example:")
    assert example
    # [^)]: in $(labkit kubeconfig)
    found = re.findall(r"(labkit [^)\n]+)", lines)
    assert found
    assert any(_command_of(shlex.split(line)[1:])[0][: len(path)] == path for line in found)


@pytest.mark.parametrize("path", COMMANDS, ids=NAMES)
def test_every_example_is_a_command_line_that_labkit_takes(path: tuple[str, ...]) -> None:
    for line in re.findall(r"(labkit [^)\n]+)", COMMANDS[path].epilog):
        command_path, rest = _command_of(shlex.split(line)[1:])
        COMMANDS[command_path].make_context(command_path[-1], rest)


def _command_of(words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """Split a command line into the command's path and the command's own arguments."""
    if words[:1] == ["--name"]:
        words = words[2:]
    path: tuple[str, ...] = ()
    while words and (*path, words[0]) in COMMANDS:
        path, words = (*path, words[0]), words[1:]
    return path, words


@pytest.mark.parametrize("path", [path for path in COMMANDS if path], ids=" ".join)
def test_the_short_help_is_short_enough_not_to_be_cut(path: tuple[str, ...]) -> None:
    assert "..." not in COMMANDS[path].get_short_help_str(62)


def test_help_fits_a_narrow_terminal() -> None:
    done = labkit("up", "--help", COLUMNS="50")
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 50


def test_version() -> None:
    assert labkit("--version").stdout == f"labkit {version('labkit')}\n"


def test_without_a_command_the_help_is_shown_and_it_is_a_usage_error() -> None:
    done = labkit()
    assert done.returncode == 2
    assert "Example:" in done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["status"], ["up", "--help"]])
def test_what_takes_long_to_import_is_not_imported_for_little(no_lab: object, arguments: list[str]) -> None:
    program = (
        "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        f"sys.argv = {['labkit', *arguments]!r}\nfrom labkit.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    modules = set(done.stderr.split())
    assert "labkit.cli.app" in modules
    assert modules.isdisjoint({"kubernetes", "matplotlib", "networkx", "grpc", "cryptography", "ipywidgets", "IPython"})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("labkit sta", {"status", "start", "static-pods"}),
        ("labkit status --name re", {"resting"}),
        ("labkit --name resting node stop w", {"worker-a"}),
        ("labkit node shell --name resting c", {"cp"}),
        ("labkit node logs cp r", {"runtime"}),
        ("labkit node shell --name none c", set()),
    ],
)
def test_the_shell_completes_commands_labs_and_nodes(stopped_lab: LabFolder, line: str, expected: set[str]) -> None:
    words = line.split()
    done = labkit(_LABKIT_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1))
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == expected


def test_completion_can_be_shown_for_a_shell() -> None:
    done = labkit("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "_LABKIT_COMPLETE" in done.stdout + done.stderr
