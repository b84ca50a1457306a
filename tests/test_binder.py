"""In what repo2docker makes of binder/: nothing is left to fetch, and a lab runs, or a recording says why not."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import traces
from tests.binder_image import FIRST, Image, built, run
from tests.users import needs_root

pytestmark = [pytest.mark.cluster, pytest.mark.user, needs_root]

MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")

#: Run the notebook's code up to a cell, and print what each shows as text.
RUN_UNTIL = """
import sys
import nbclient, nbformat

notebook = nbformat.read(sys.argv[1], as_version=4)
last = next(place for place, cell in enumerate(notebook.cells) if cell.source.startswith(sys.argv[2]))
del notebook.cells[last + 1 :]
nbclient.NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
for cell in notebook.cells:
    for output in cell.get("outputs", []):
        print(output.get("text") or output.get("data", {}).get("text/plain", ""))
"""


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with built() as made:
        yield made


@contextmanager
def limited(memory: int) -> Iterator[Path]:
    """Make a control group whose processes have so many bytes of memory together (cgroups(7), version 1)."""
    group = MEMORY_GROUPS / f"labkit-binder-{os.getpid()}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(memory))
        yield group
    finally:
        traces.eventually(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


def inside(group: Path, command: Sequence[str | Path]) -> list[str | Path]:
    """Return a command line whose process, and all that it starts, is in a control group."""
    return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', group / "cgroup.procs", *command]


def _figures(file: Path) -> Mapping[str, int]:
    return {name: int(value) for name, value in (line.split() for line in file.read_text().splitlines())}


@contextmanager
def jupyterlab(image: Image, group: Path) -> Iterator[str]:
    """Start JupyterLab as Binder does, in a control group; yield its address, and end it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex()
    options = [f"--port={port}", "--ServerApp.port_retries=0", "--no-browser", f"--IdentityProvider.token={token}"]
    command = image.command("binder/start", "python", "-m", "jupyterlab", *options)
    server = subprocess.Popen(inside(group, command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        traces.eventually(lambda: _answers(f"{address}/api"), 60)
        yield f"{address}/?token={token}"
    finally:
        server.terminate()
        server.wait(20)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address):  # noqa: S310 - loopback
            return True
    except OSError:
        return False


def test_after_the_build_nothing_is_left_to_fetch(image: Image) -> None:
    look = "from labkit import components as c; print(c.__file__, *{row.source for row in c.list_components()})"
    assert image.run("python", "-P", "-c", look).split() == [f"{image.home}/labkit/components/__init__.py", "cache"]


def test_where_namespaces_are_forbidden_notebook_00_says_why_and_is_answered_from_its_session(image: Image) -> None:
    container = ("python", "-m", "tests.seccomp", "binder/start")
    shown = image.run(*container, "python", "-c", RUN_UNTIL, FIRST, "import re")
    assert "No lab can run on this machine" in shown
    assert "a seccomp filter is on" in shown
    assert "Recorded: notebook 00_start_here as it ran on" in shown
    assert "Served by pod tomcat-" in shown


@pytest.mark.skipif(not (MEMORY_GROUPS / "cgroup.procs").exists(), reason="no memory control groups of version 1")
@pytest.mark.parametrize(("memory", "small"), [(2_000_000_000, False), (1_000_000_000, True)])
def test_jupyterlab_on_notebook_00_and_its_lab_fit_into_what_binder_gives(
    image: Image, memory: int, small: bool
) -> None:
    with limited(memory) as group, jupyterlab(image, group) as address:
        with urllib.request.urlopen(address) as answer:  # noqa: S310 - loopback
            assert answer.url.partition("?")[0].endswith(f"/lab/tree/{FIRST}")
        try:
            if small:  # notebooks find the lab that there is
                run(inside(group, image.command("labkit", "up", "--small")))
            shown = run(inside(group, image.command("python", "-c", RUN_UNTIL, FIRST, "import re")))
            assert "MiB left below the control group's limit" in shown
            assert "Recorded" not in shown
            assert "Served by pod tomcat-" in shown
            used = _figures(group / "memory.stat")
            print(f"in use, without what the kernel may drop (MB): {used['total_rss'] / 1e6:.0f}")
            assert _figures(group / "memory.oom_control")["oom_kill"] == 0
        finally:
            image.run("labkit", "down")
