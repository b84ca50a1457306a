"""A lab's life in figures: up, add a node, deploy, memory, stop, start, down."""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import psutil

import labkit
from labkit import components
from labkit.cluster.rest import ApiServer
from labkit.lab import Lab
from labkit.progress import PhaseEvent, Progress

_MB = 1e6
_DEPLOYMENTS = 5  # of the stand-in, one after the other


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="whole lives to measure (default 3)")
    options = parser.parse_args()
    components.ensure()
    figures: dict[str, list[float]] = defaultdict(list)
    for _ in range(options.runs):
        _one_life(figures)
    for name, values in figures.items():
        print(f"{name:44} {statistics.median(values):8.2f}   ({min(values):.2f} to {max(values):.2f})")


def _one_life(figures: dict[str, list[float]]) -> None:
    def record(event: PhaseEvent) -> None:
        if event.state == "finished":
            figures[f"up: phase {event.phase} (s)"].append(event.seconds)

    lab: Lab | None = None

    def up() -> None:
        nonlocal lab
        lab = labkit.up("bench", provider="rootless", progress=Progress(record))

    _time(figures, "up: three nodes, all of the system Ready (s)", up)
    assert lab is not None
    try:
        figures["create deployment to Running, stand-in (s)"] += [_until_running(lab) for _ in range(_DEPLOYMENTS)]
        _time(figures, "deploy tomcat: until Ready and exposed (s)", lambda: lab.deploy("tomcat"))
        for name, value in memory(lab).items():
            figures[f"memory: {name} (MB PSS)"].append(value)
        _add_node(figures, lab)
        _time(figures, "stop (s)", lab.stop)
        _time(figures, "start, until all of the system Ready (s)", lambda: lab.start(progress=Progress()))
    finally:
        _time(figures, "down (s)", lab.down)


def _time(figures: dict[str, list[float]], name: str, action: Callable[[], object]) -> None:
    started = time.monotonic()
    action()
    figures[name].append(time.monotonic() - started)


def _add_node(figures: dict[str, list[float]], lab: Lab) -> None:
    steps = {
        "kubeadm join node-03": "add a node, until it has joined (s)",
        "node-03 Ready": "add a node, until Ready (s)",
        "system pods of node-03": "add a node, until the system's pods run on it (s)",
    }
    started = time.monotonic()

    def record(event: PhaseEvent) -> None:
        if event.state == "finished" and event.phase in steps:
            figures[steps[event.phase]].append(time.monotonic() - started)

    lab.add_node("node-03", progress=Progress(record))


def _until_running(lab: Lab) -> float:
    """Return the seconds from `kubectl create deployment` to a container's state Running, as the API server has it.

    The kubelet looks once a second what its containers do; so the moment of the start is left to chance.
    """
    time.sleep(random.uniform(0, 1))  # noqa: S311 - no secret
    api = ApiServer.from_kubeconfig(lab.kubeconfig)
    started = time.monotonic()
    lab.kubectl(["create", "deployment", "quick", "--image=labkit/standin"])
    while True:
        pods = api.get("/api/v1/namespaces/default/pods?labelSelector=app%3Dquick") or {"items": []}
        if [pod for pod in pods["items"] if pod["status"]["phase"] == "Running"]:
            break
        time.sleep(0.01)
    seconds = time.monotonic() - started
    api.close()
    lab.kubectl("delete deployment quick")
    lab.kubectl("wait --for=delete pod --selector=app=quick")
    return seconds


def memory(lab: Lab) -> dict[str, float]:
    """Return the proportional set size of all processes of a lab, in all and by program."""
    sums: dict[str, float] = defaultdict(float)
    for process in psutil.process_iter(["name", "cmdline"]):
        try:
            if not _belongs(process, lab.cluster.folder.path):
                continue
            pss = process.memory_full_info().pss / _MB
        except psutil.Error:
            continue
        sums["all processes, one Tomcat"] += pss
        sums[_kind(process)] += pss
    sums["container runtime, each node"] = sums.pop("labkit.cri", 0.0) / len(lab.nodes)
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


def _belongs(process: psutil.Process, folder: Path) -> bool:
    """Whether a process lives in the lab's PID namespace or serves it from outside."""
    chain = [process, *process.parents()]
    return any(str(folder) in argument for link in chain for argument in link.cmdline())


def _kind(process: psutil.Process) -> str:
    line = " ".join(process.cmdline())
    for part in ("labkit.cri", "network_agent", "forwarder"):
        if part in line:
            return part
    return process.name()


if __name__ == "__main__":
    main()
