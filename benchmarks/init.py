"""`kubeadm init` in figures: how long each phase takes, whole and one by one; reset, and the network add-on."""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict

import labkit
from labkit import components
from labkit.lab import Lab
from labkit.lab.installation.phases import InitRun
from labkit.progress import Progress


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="how often each is measured (default 3)")
    options = parser.parse_args()
    components.ensure()
    figures: dict[str, list[float]] = defaultdict(list)
    with labkit.up("bench-init", workers=0, init=False, progress=Progress()) as lab:
        for _ in range(options.runs):
            _one_cluster(lab, figures)
    for name, values in figures.items():
        print(f"{name:56} {statistics.median(values):8.2f}   ({min(values):.2f} to {max(values):.2f})")


def _one_cluster(lab: Lab, figures: dict[str, list[float]]) -> None:
    started = time.monotonic()
    run = lab.init(progress=Progress())
    whole = time.monotonic() - started
    _phases(figures, "kubeadm init", run, whole)
    started = time.monotonic()
    lab.network.install(progress=Progress())
    figures["network add-on, until all of the system is Ready (s)"].append(time.monotonic() - started)
    started = time.monotonic()
    lab.reset(progress=Progress())
    figures["reset (s)"].append(time.monotonic() - started)
    started = time.monotonic()
    run = lab.init_steps().rest(Progress())
    _phases(figures, "phase by phase", run, time.monotonic() - started)
    lab.reset(progress=Progress())


def _phases(figures: dict[str, list[float]], what: str, run: InitRun, whole: float) -> None:
    for phase in run.phases:
        figures[f"{what}: {phase.name} (s)"].append(phase.seconds)
    figures[f"{what}: the whole, by the clock of who called it (s)"].append(whole)
    figures[f"{what}: its phases together, of the whole (%)"].append(100 * sum(p.seconds for p in run.phases) / whole)


if __name__ == "__main__":
    main()
