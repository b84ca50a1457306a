"""A small lab against an ordinary one, in one run: seconds to be up, memory with one Tomcat and with JupyterLab."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import labkit
from benchmarks import notebooks
from benchmarks.lifecycle import memory
from labkit import components
from labkit.progress import Progress

_SORTS = {"ordinary": False, "small": True}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="labs of each sort, in turn (default 3)")
    parser.add_argument("--no-jupyterlab", action="store_true", help="leave JupyterLab out")
    options = parser.parse_args()
    components.ensure()
    figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(options.runs):
        for sort, small in _SORTS.items():
            _one_lab(figures, sort, small=small)
    for name, of_sorts in figures.items():
        medians = {sort: statistics.median(values) for sort, values in of_sorts.items()}
        ratio = medians.get("small", 0.0) / medians["ordinary"] if "ordinary" in medians else float("nan")
        shown = "  ".join(f"{sort} {value:7.1f}" for sort, value in medians.items())
        print(f"{name:40} {shown}  ratio {ratio:.2f}")
    if not options.no_jupyterlab:
        with (
            labkit.up("bench", small=True, provider="rootless", progress=Progress()) as lab,
            notebooks.dashboard(lab) as (_, folder),
        ):
            notebooks.print_memory(lab, folder)


def _one_lab(figures: dict[str, dict[str, list[float]]], sort: str, *, small: bool) -> None:
    started = time.monotonic()
    with labkit.up("bench", small=small, provider="rootless", progress=Progress()) as lab:
        figures["up, all of the system Ready (s)"][sort].append(time.monotonic() - started)
        lab.deploy("tomcat", progress=Progress())
        for name, value in memory(lab).items():
            figures[f"memory: {name} (MB PSS)"][sort].append(value)


if __name__ == "__main__":
    main()
