"""Notebooks as learners run them: how long they take, how soon a button answers, how much memory all of it takes.

Each part is a lab of its own, made and removed. A real Chromium, whose memory does not count, presses the buttons.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell
from playwright.sync_api import Page

sys.path.insert(0, str(Path(__file__).parents[1]))

from scripts.build_notebooks import FOLDER, source
from tests.chromium import chromium
from tests.widgets.jupyterlab import jupyterlab, run, write

_FLOW = "03_deploy_tomcat"
_MB = 1e6
#: A measurement in a notebook is not what is measured here.
_SMALL = {"LABKIT_BENCH_SERVICES": "5", "LABKIT_BENCH_REPEATS": "1"}
_CELL = """\
import labkit
lab = labkit.up("bench-notebook")
lab.deploy("tomcat", image="tomcat8")
lab.dashboard("tomcat")"""
# Milliseconds from a click to the frame that shows it, and to the kernel's answer.
_CLICK = """async () => {
  const panel = document.querySelector(".labkit-deploy");
  const shown = () => panel.matches(".asked, [aria-busy=true]");
  const began = performance.now();
  const answer = new Promise((done) => new MutationObserver((_, watch) => {
    if (panel.getAttribute("aria-busy") !== "true") return;
    watch.disconnect();
    done(performance.now() - began);
  }).observe(panel, { attributes: true, attributeFilter: ["aria-busy"] }));
  document.querySelector(".labkit-deploy [data-key=scale]").click();
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  if (!shown()) throw new Error("nothing shows the click");
  return [performance.now() - began, await answer];
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("flow", "all", "panels"), nargs="+", default=("flow", "all", "panels"))
    parser.add_argument("--clicks", type=int, default=10)
    options = parser.parse_args()
    for provider in ("rootless", "replay"):
        if "flow" in options.part:
            print(f"{_FLOW} on {provider}, Run all to the flow: {_until_flow(provider):.1f} s", flush=True)
        if "all" in options.part:
            _all(provider)
    if "panels" in options.part:
        _panels(options.clicks)


def _environment(provider: str, name: str) -> dict[str, str]:
    """Return what a Jupyter Server and a learner would set."""
    return {"LABKIT_PROVIDER": provider, "JPY_SESSION_NAME": str(FOLDER / f"{name}.ipynb"), **_SMALL}


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
    """Run every notebook by nbval, one after the other."""
    whole = 0.0
    for path in sorted(FOLDER.glob("*.ipynb")):
        command = [
            sys.executable,
            "-m",
            "pytest",
            "--nbval-lax",
            "--nbval-cell-timeout=120",
            "-q",
            "-p",
            "no:cacheprovider",
        ]
        started = time.monotonic()
        done = subprocess.run(
            [*command, "-W", "default", str(path)],
            env=os.environ | _environment(provider, path.stem),
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - started
        whole += seconds
        print(f"  {path.stem}: {seconds:.1f} s{'' if done.returncode == 0 else ', FAILED'}", flush=True)
    print(f"all notebooks by nbval on {provider}: {whole:.0f} s", flush=True)


def _panels(clicks: int) -> None:
    with tempfile.TemporaryDirectory() as part, chromium() as browser:
        folder = Path(part)
        os.environ["LABKIT_PROVIDER"] = "rootless"
        write(folder / "panels.ipynb", _CELL)
        with jupyterlab(folder) as server:
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            run(page, server, "panels.ipynb")
            page.locator(".labkit-deploy [data-key=scale]:enabled").wait_for(timeout=120_000)
            try:
                _press(page, clicks)
                print(f"JupyterLab, its kernel, a lab of three nodes, one Tomcat: {_memory():.0f} MB PSS", flush=True)
            finally:
                subprocess.run([sys.executable, "-m", "labkit", "down", "--name", "bench-notebook"], check=False)


def _press(page: Page, clicks: int) -> None:
    seen, answered = [], []
    for _ in range(clicks):
        page.locator(".labkit-deploy [data-key=scale]:enabled").wait_for(timeout=60_000)
        time.sleep(0.7)
        shown, answer = page.evaluate(_CLICK)
        seen.append(shown)
        answered.append(answer)
    print(f"a click until it is shown: median {statistics.median(seen):.0f} ms, longest {max(seen):.0f} ms")
    kernel = f"median {statistics.median(answered):.0f} ms, longest {max(answered):.0f} ms"
    print(f"a click until the kernel's answer: {kernel}")


def _memory() -> float:
    """Return the proportional set size of JupyterLab, its kernel and all that serves the lab; browsers do not count."""
    total = 0.0
    for process in psutil.process_iter():
        try:
            lines = [argument for link in (process, *process.parents()) for argument in link.cmdline()]
            if any("jupyterlab" in each or "/labs/bench-notebook" in each for each in lines):
                total += process.memory_full_info().pss / _MB
        except psutil.Error:
            continue
    return total


if __name__ == "__main__":
    main()
