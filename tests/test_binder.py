"""What repo2docker makes of binder/, followed step by step by an ordinary user who can gain no privileges.

The steps are those of repo2docker/buildpacks/base.py: the repository lies in the user's own home; apt.txt's packages
are installed by root (here they are there already), postBuild runs once, and start before the server, each time.
conda's environment is the one step that cannot be followed where conda-forge is out of reach: the project's own Python
packages stand for it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import site
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from labkit import components, paths
from tests import traces
from tests.users import as_user, link, needs_root, ordinary_user

pytestmark = [pytest.mark.cluster, pytest.mark.user, needs_root]

ROOT = Path(__file__).parents[1]
FIRST = "notebooks/00_start_here.ipynb"
USER = "labkit-binder"
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


@dataclass(frozen=True)
class Image:
    """What repo2docker would have built.

    Attributes
    ----------
    home : Path
        The user's home, which is the repository.
    venv : Path
        The Python environment that labkit is installed into.
    """

    home: Path
    venv: Path

    def command(self, *words: str | Path) -> list[str | Path]:
        """Return the command line that runs a program in a container of the image."""
        variables = {
            "HOME": self.home,
            "REPO_DIR": self.home,
            "USER": USER,
            "LANG": "C.UTF-8",
            "PATH": f"{self.venv}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "JPY_SESSION_NAME": self.home / FIRST,  # as Jupyter Server tells a notebook's kernel
        }
        environment = [f"{name}={value}" for name, value in variables.items()]
        user = as_user(USER, no_new_privileges=True)
        return [*user, "env", "--ignore-environment", f"--chdir={self.home}", *environment, *words]

    def run(self, *words: str | Path) -> str:
        """Run a program in a container of the image, and return what it printed; fail if it fails."""
        return _run(self.command(*words))


def _run(command: Sequence[str | Path]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The image, built; its user and its files are gone in the end."""
    folder = Path(tempfile.mkdtemp(prefix="labkit-binder-"))
    folder.chmod(0o755)
    made = Image(folder / "home", folder / "venv")
    try:
        with ordinary_user(USER, made.home):
            _copy_repository(made.home)
            _copy_environment(made.venv)
            made.run("binder/postBuild")
            yield made
            traces.eventually(lambda: not traces.processes(made.home))
    finally:
        shutil.rmtree(folder)


def _copy_repository(home: Path) -> None:
    """Lay the repository where repo2docker does, and the programs into the user's cache, so that none is fetched."""
    home.mkdir()
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")[:-1]
    subprocess.run(["cp", "--archive", "--parents", *names, home], cwd=ROOT, check=True)
    for pin in components.pins().values():
        link(paths.cache_dir() / "components" / pin.folder_name, home / ".cache/labkit/components" / pin.folder_name)
    _give(home)


def _copy_environment(venv: Path) -> None:
    """Make an environment with pip and with the Python packages of this one, without labkit."""
    subprocess.run([sys.executable, "-m", "venv", venv], check=True, capture_output=True)
    packages = venv / Path(site.getsitepackages()[0]).relative_to(sys.prefix)
    for path in Path(site.getsitepackages()[0]).iterdir():
        if not path.name.startswith(("labkit", "_labkit", "__editable__")) and not (packages / path.name).exists():
            link(path, packages / path.name)
    link(Path(sys.prefix) / "share", venv / "share")  # JupyterLab's pages, kernels
    _give(venv)


def _give(folder: Path) -> None:
    """Make the folders the user's; the files in them may be shared with others, so they stay as they are."""
    subprocess.run(["find", folder, "-type", "d", "-exec", "chown", f"{USER}:", "{}", "+"], check=True)


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
                _run(inside(group, image.command("labkit", "up", "--small")))
            shown = _run(inside(group, image.command("python", "-c", RUN_UNTIL, FIRST, "import re")))
            assert "MiB left below the control group's limit" in shown
            assert "Recorded" not in shown
            assert "Served by pod tomcat-" in shown
            used = _figures(group / "memory.stat")
            print(f"in use, without what the kernel may drop (MB): {used['total_rss'] / 1e6:.0f}")
            assert _figures(group / "memory.oom_control")["oom_kill"] == 0
        finally:
            image.run("labkit", "down")
