"""The notebooks, run from top to bottom on a real cluster, and with none; cells that promise an output are held to it.

That is nbval's work.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbval.plugin import get_sanitize_patterns  # type: ignore[import-untyped]

from labkit.cluster.small_lab import SECOND_WORKER
from labkit.lab.lessons import sessions

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
#: The Chinese one in which most code differs: what its panels ask (tests/test_translations.py holds the others).
CHINESE = FOLDER / "zh" / "10_exam.ipynb"
#: What nbval hides before it compares.
SANITIZE = Path(__file__).with_name("sanitize.cfg")
WIDGET = "application/vnd.jupyter.widget-view+json"


def test_there_is_a_source_of_every_notebook() -> None:
    assert [path.stem for path in NOTEBOOKS] == sorted(path.stem for path in (FOLDER / "src").glob("*.py"))


#: Of a measurement in a notebook: one number of Services, once.
SMALL = {"LABKIT_BENCH_SERVICES": "5", "LABKIT_BENCH_REPEATS": "1"}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_what_its_source_says(notebook: Path) -> None:
    stored = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    source = jupytext.read(FOLDER / "src" / f"{notebook.stem}.py")
    assert _cells(stored) == _cells(source), f"build it anew: make notebooks NAME={notebook.stem}"


def _cells(notebook: nbformat.NotebookNode) -> list[tuple[str, str, list[str]]]:
    return [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_says_what_it_is_for_and_asks_before_it_shows(notebook: Path) -> None:
    source = jupytext.read(FOLDER / "src" / f"{notebook.stem}.py")
    begin, *between, end = [cell.source for cell in source.cells if cell.cell_type == "markdown"]
    assert re.match(r"# .*\*\*Goals\.\*\*.*\*\*Time\.\*\* [1-4][05] minutes.*\*\*Needs\.\*\*", begin, re.DOTALL), begin
    assert any(re.search(r"\bpredict", text, re.IGNORECASE) for text in between)
    assert end.startswith("## Summary\n")
    belittling = re.compile(r"\b(simply|just|obviously|easy|easily)\b", re.IGNORECASE)  # what is hard for the reader
    assert not [text for text in (begin, *between, end) if belittling.search(text)]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_that_uses_the_node_which_a_small_lab_has_not_says_so_first(notebook: Path) -> None:
    begin, *cells = jupytext.read(FOLDER / "src" / f"{notebook.stem}.py").cells
    used = any(SECOND_WORKER in cell.source for cell in cells if cell.cell_type == "code")
    assert (f"labkit node add {SECOND_WORKER}" in begin.source) == used


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_that_are_compared_exist_and_hold_output(notebook: Path) -> None:
    stored = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    cells = [cell for cell in stored.cells if cell.cell_type == "code"]
    compared = [cell for cell in cells if "nbval-check-output" in cell.metadata.get("tags", [])]
    assert all(cell.outputs for cell in compared)
    shown = " ".join(_sanitized(_text(cell)) for cell in compared)
    words = set(re.findall(r"[a-z]{3,}", re.sub(r"[A-Z-]{3,}|True|False", "", shown)))
    assert len(words) >= 3, f"nothing of the cluster is compared: {shown!r}"
    assert all(cell.execution_count for cell in cells), "it is stored without having been run"
    assert not [out for cell in cells for out in cell.outputs if out.output_type == "error"]


def _text(cell: nbformat.NotebookNode) -> str:
    """Return what a cell printed, and its value as text."""
    return "".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)


def _sanitized(text: str) -> str:
    """Return what nbval compares of a text."""
    for pattern, replacement in get_sanitize_patterns(SANITIZE.read_text()):
        text = re.sub(pattern, replacement, text)
    return text


def test_what_differs_each_time_is_hidden_from_the_comparison_and_nothing_else() -> None:
    table = """\
NAME                    READY   STATUS         RESTARTS      AGE     IP            NODE
shop-7fb9557c94-hxfrh   0/1     ErrImagePull   1 (54s ago)   4m31s   192.168.2.2   node-01"""
    pods = "shop-7fb9557c94-LOT|0/1|NO-IMAGE|1 (AGE ago)|AGE|192.168.2.2|node-01"
    assert _sanitized(table).splitlines() == ["NAME|READY|STATUS|RESTARTS|AGE|IP|NODE", pods]
    for word in ("kube-controller-manager-master", "v1.34.3", "0/3 nodes are available", "node-role", "2.31 s"):
        assert _sanitized(word) == word


def test_all_that_is_hidden_is_in_a_cell_that_is_compared() -> None:
    notebooks = [nbformat.read(path, as_version=4) for path in NOTEBOOKS]  # type: ignore[no-untyped-call]
    cells = [cell for notebook in notebooks for cell in notebook.cells]
    shown = [_text(cell) for cell in cells if "nbval-check-output" in cell.metadata.get("tags", [])]
    patterns = [pattern for pattern, _ in get_sanitize_patterns(SANITIZE.read_text())]
    assert len(patterns) == SANITIZE.read_text().count("regex: ")
    assert [each for each in patterns if not any(re.search(each, text) for text in shown)] == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_opened_without_a_kernel_every_panel_has_a_still(notebook: Path) -> None:
    """What a reader sees whom no kernel serves: HTML that needs no script and fetches nothing."""
    stored = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    for cell in (cell for cell in stored.cells if cell.cell_type == "code"):
        shown = [output.get("data", {}) for output in cell.outputs]
        stills = [data["text/html"] for data in shown if "text/html" in data]
        if any(WIDGET in data for data in shown):
            # An exercise has words alone, and so has kubeadm's panel before its first phase.
            asks = [still for still in stills if "No answer yet." in still or "Phase 1 of " in still]
            drawn = [still for still in stills if re.search("<svg|src=.data:image", still) and "<table" in still]
            assert asks or drawn, cell.source
        for still in stills:
            assert "<script" not in still
            assert not re.search(r"""(src|href)=["']?(https?:)?//""", still)


@pytest.mark.cluster
@pytest.mark.notebook
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(notebook: Path) -> None:
    done = by_nbval(notebook, SMALL)
    assert done.returncode == 0, done.stdout[-4000:]


#: Runs in the kernel before the notebook: whoever starts a process or connects to anything from now on, fails.
ALONE = """
import sys

FORBIDDEN = {"subprocess.Popen", "os.fork", "os.posix_spawn", "os.exec", "os.system", "socket.connect", "socket.bind"}

def refuse(event, arguments):
    if event in FORBIDDEN:
        frame = sys._getframe()
        while frame:  # labkit.doctor() looks at this machine, whatever the lab is
            if frame.f_globals.get("__name__", "").startswith("labkit.cluster.preflight"):
                return
            frame = frame.f_back
        raise RuntimeError(f"not alone: {event} {arguments}")

sys.addaudithook(refuse)
"""


@pytest.mark.notebook
@pytest.mark.parametrize("notebook", [*NOTEBOOKS, CHINESE], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_notebook_runs_with_no_cluster_no_process_and_no_network(notebook: Path, tmp_path: Path) -> None:
    assert notebook.stem in sessions(), f"record it: make sessions NAME={notebook.stem}"
    startup = tmp_path / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-alone.py").write_text(ALONE)
    # Jupyter Server tells a kernel in this way which notebook it is of.
    own = {"LABKIT_PROVIDER": "replay", "JPY_SESSION_NAME": str(notebook), "IPYTHONDIR": str(tmp_path)}
    done = by_nbval(notebook, own)
    assert done.returncode == 0, done.stdout[-4000:]


FIRST_CELLS = """
import nbclient, nbformat.v4 as v4

cell = v4.new_code_cell("import labkit; lab = labkit.up(); print(lab.kubectl('get nodes'))")
nbclient.NotebookClient(v4.new_notebook(cells=[cell]), kernel_name="python3").execute()
print(*(output.get("text", "") for output in cell.outputs))
"""


def test_where_no_cluster_can_run_a_notebook_is_answered_from_its_session_and_says_why() -> None:
    forbidden = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" -c "$1"'
    flags = ("--user", "--map-root-user", "--mount-proc", "--pid", "--fork", "--mount")
    command = ["unshare", *flags, "sh", "-c", forbidden, sys.executable, FIRST_CELLS]
    environment = {**os.environ, "JUPYTER_PLATFORM_DIRS": "1", "JPY_SESSION_NAME": "/home/00_start_here.ipynb"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=100)
    assert "No lab can run on this machine" in done.stdout
    assert "user.max_user_namespaces is 0" in done.stdout
    assert "Recorded: notebook 00_start_here as it ran on" in done.stdout
    assert "node-02" in done.stdout


def by_nbval(notebook: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a notebook by nbval, its cells compared as they are stored; the benchmark does so, too."""
    options = ["--nbval-lax", f"--nbval-sanitize-with={SANITIZE}", "--nbval-cell-timeout=120"]
    options += ["-p", "no:cacheprovider", "-W", "default"]
    command = [sys.executable, "-m", "pytest", *options, str(notebook)]
    environment = {**os.environ, "JUPYTER_PLATFORM_DIRS": "1", **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=280)


@pytest.mark.parametrize("name", sessions())
def test_a_session_is_small_and_for_everybody(name: str) -> None:
    path = sessions()[name]
    assert path.stat().st_size < 500_000
    assert path.stat().st_mode & 0o777 == 0o644
    assert name in [notebook.stem for notebook in NOTEBOOKS], "it is of no notebook"
