"""Notebooks as learners run them: from *Run all* to the flow, and all of them by nbval, on a lab and on replay.

And a notebook in a real JupyterLab: from a click in a panel to the kernel's answer, as the browser sees it, and the
memory of JupyterLab, the lab and one Tomcat.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell
from playwright.sync_api import Page

sys.path.insert(0, str(Path(__file__).parents[1]))

import labkit
from labkit.lab import Lab
from labkit.progress import Progress
from scripts.build_notebooks import FOLDER, source
from tests.chromium import chromium
from tests.test_notebooks import NOTEBOOKS, SMALL, by_nbval
from tests.widgets.jupyterlab import jupyterlab, run, write

_FLOW = "03_deploy_tomcat"
_PARTS = ("flow", "all", "click", "memory")
#: In JupyterLab: the dashboard of the lab that runs, and on it one Tomcat.
_DASHBOARD = """\
import labkit
lab = labkit.attach("bench")
lab.dashboard("tomcat")"""
#: Clicks the button that freezes the scheduler, or lets it go on; each time until the kernel says that it works.
_CLICKS = """async (count) => {
  const panel = document.querySelector(".labkit-nodes");
  const delays = [];
  const until = (condition) => new Promise((done) => {
    const look = () => condition() && (observer.disconnect(), done());
    const observer = new MutationObserver(look);
    observer.observe(panel, { attributes: true, childList: true, subtree: true });
    look();
  });
  const button = () => panel.querySelector("[data-key='kube-scheduler/master']:enabled");
  while (delays.length < count) {
    await until(() => panel.getAttribute("aria-busy") === "false" && button());
    await new Promise((done) => setTimeout(done, 100 + 400 * Math.random()));
    const clicked = performance.now();
    button().click();
    await until(() => panel.getAttribute("aria-busy") === "true");
    delays.push(performance.now() - clicked);
  }
  return delays;
}"""
_MB = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=_PARTS, nargs="+", default=_PARTS)
    options = parser.parse_args()
    for provider in ("rootless", "replay"):
        if "flow" in options.part:
            print(f"{_FLOW} on {provider}, Run all to the flow: {_until_flow(provider):.1f} s", flush=True)
        if "all" in options.part:
            _all(provider)
    if {"click", "memory"} & set(options.part):
        _in_jupyterlab(options.part)


def _environment(provider: str, name: str) -> dict[str, str]:
    """Return what a Jupyter Server and a learner would set; a recording has its own numbers of Services."""
    small = SMALL if provider == "rootless" else {}
    return {"LABKIT_PROVIDER": provider, "JPY_SESSION_NAME": str(FOLDER / f"{name}.ipynb"), **small}


def _until_flow(provider: str) -> float:
    """Return the seconds from *Run all*, the kernel's start included, until the flow is shown."""
    notebook = source(_FLOW)
    os.environ |= _environment(provider, _FLOW)
    client = NotebookClient(
        notebook, timeout=300, store_widget_state=False, resources={"metadata": {"path": str(FOLDER)}}
    )
    code = [(number, cell) for number, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    end = next(place for place, (_, cell) in enumerate(code) if "lab.explain(" in cell.source) + 1
    started = time.monotonic()
    with client.setup_kernel():
        for number, cell in code[:end]:
            client.execute_cell(cell, number)
        seconds = time.monotonic() - started
        notebook.cells.append(new_code_cell("lab.down()"))  # type: ignore[no-untyped-call]
        client.execute_cell(notebook.cells[-1], len(notebook.cells) - 1)
    return seconds


def _all(provider: str) -> None:
    """Run every notebook by nbval, as many side by side as there are processors."""
    started = time.monotonic()
    with ThreadPoolExecutor(psutil.cpu_count()) as pool:
        seconds = list(pool.map(lambda path: _by_nbval(path, provider), NOTEBOOKS))
    whole = time.monotonic() - started
    print(
        f"all notebooks by nbval on {provider}, {psutil.cpu_count()} side by side: {whole:.0f} s "
        f"(sum of each one's time {sum(seconds):.0f} s)",
        flush=True,
    )


def _by_nbval(path: Path, provider: str) -> float:
    """Return the seconds that a notebook takes, and print them."""
    with tempfile.TemporaryDirectory(prefix="labkit-") as state:  # each has a lab of the same name
        started = time.monotonic()
        done = by_nbval(path, _environment(provider, path.stem) | {"LABKIT_STATE": state})
        seconds = time.monotonic() - started
    print(f"  {path.stem}: {seconds:.1f} s{'' if done.returncode == 0 else ', FAILED'}", flush=True)
    return seconds


def _in_jupyterlab(parts: list[str]) -> None:
    """Measure clicks, memory or both, with the dashboard open in JupyterLab."""
    with (
        labkit.up("bench", provider="rootless", progress=Progress()) as lab,
        dashboard(lab) as (page, folder),
    ):
        if "click" in parts:
            delays = sorted(page.evaluate(_CLICKS, 40))
            late = delays[int(0.95 * len(delays))]
            print(
                f"click to the kernel's answer (ms): median {statistics.median(delays):.0f}, 95th percentile {late:.0f}"
            )
        if "memory" in parts:
            print_memory(lab, folder)


@contextmanager
def dashboard(lab: Lab) -> Iterator[tuple[Page, str]]:
    """Deploy one Tomcat and open the lab's dashboard in JupyterLab; yield the page, and JupyterLab's folder."""
    with (
        tempfile.TemporaryDirectory(prefix="labkit-bench-") as folder,
        jupyterlab(Path(folder)) as server,
        chromium() as browser,
    ):
        lab.deploy("tomcat", image="tomcat8", progress=Progress())
        write(Path(folder) / "dashboard.ipynb", _DASHBOARD)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        run(page, server, "dashboard.ipynb")
        page.get_by_role("tab", name="Nodes").click()
        page.locator(".labkit-nodes [data-key='kube-scheduler/master']:enabled").wait_for(timeout=60_000)
        yield page, folder


def print_memory(lab: Lab, folder: str) -> None:
    """Print the proportional set size of JupyterLab with its kernel, and of the lab with one Tomcat."""
    sums = {str(lab.cluster.folder.path): 0.0, f"--ServerApp.root_dir={folder}": 0.0}
    for process in psutil.process_iter():
        try:
            words = [word for link in (process, *process.parents()) for word in link.cmdline()]
            for mark in sums:
                if any(mark in word for word in words):
                    sums[mark] += process.memory_full_info().pss / _MB
                    break
        except psutil.Error:
            continue
    of_lab, of_jupyter = sums.values()
    print(
        f"memory, PSS (MB): JupyterLab and its kernel {of_jupyter:.0f}, the lab with one Tomcat {of_lab:.0f}, ", end=""
    )
    print(f"together {of_lab + of_jupyter:.0f}")


if __name__ == "__main__":
    main()
