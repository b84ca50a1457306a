"""Notebooks as learners run them: from *Run all* to the flow, and all of them by nbval, on a lab and on replay."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

sys.path.insert(0, str(Path(__file__).parents[1]))

from scripts.build_notebooks import FOLDER, source

_FLOW = "03_deploy_tomcat"
#: A measurement in a notebook is not what is measured here.
_SMALL = {"LABKIT_BENCH_SERVICES": "5", "LABKIT_BENCH_REPEATS": "1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("flow", "all"), nargs="+", default=("flow", "all"))
    options = parser.parse_args()
    for provider in ("rootless", "replay"):
        if "flow" in options.part:
            print(f"{_FLOW} on {provider}, Run all to the flow: {_until_flow(provider):.1f} s", flush=True)
        if "all" in options.part:
            _all(provider)


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


if __name__ == "__main__":
    main()
