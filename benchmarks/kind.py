"""A rootless lab against a kind lab, side by side: until Ready, memory, the first Tomcat, down; and plain kind."""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

import labkit
from labkit import components
from labkit.cluster import nodeimage
from labkit.lab import Lab
from labkit.progress import Progress
from tests import docker_daemon

_MB = 1e6
_UNITS = {"KiB": 1024 / _MB, "MiB": 2**20 / _MB, "GiB": 2**30 / _MB, "B": 1 / _MB, "kB": 1e3 / _MB}
_PLAIN = """
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes: [{role: control-plane}, {role: worker}, {role: worker}]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1, help="whole lives to measure of each (default 1)")
    parser.add_argument("--own-docker", action="store_true", help="start a Docker daemon for it, as the tests do")
    options = parser.parse_args()
    components.ensure()
    figures: dict[str, list[float]] = defaultdict(list)
    with docker_daemon.running() if options.own_docker else contextlib.nullcontext():
        started = time.monotonic()
        built = not nodeimage.is_current()
        nodeimage.build(progress=Progress())
        if built:
            figures["node image: built in (s)"].append(time.monotonic() - started)
        figures["node image: size (MB)"].append(nodeimage.size() / _MB)
        for _ in range(options.runs):
            for provider in ("rootless", "kind"):
                _one_life(figures, provider)
            _plain_kind(figures)
    for name, values in figures.items():
        print(f"{name:60} {statistics.median(values):8.1f}   ({min(values):.1f} to {max(values):.1f})")


def _one_life(figures: dict[str, list[float]], provider: str) -> None:
    made: list[Lab] = []
    _time(
        figures,
        f"{provider}: up, three nodes, all of the system Ready (s)",
        lambda: made.append(labkit.up("bench", provider=provider, progress=Progress())),
    )
    lab = made[0]
    try:
        figures[f"{provider}: memory, PSS of all processes (MB)"].append(_pss(lab))
        if provider == "kind":
            figures["kind: memory, by docker stats (MB)"].append(_docker_stats(lab))
        _time(figures, f"{provider}: deploy tomcat, until Ready and exposed (s)", lambda: lab.deploy("tomcat"))
    finally:
        _time(figures, f"{provider}: down (s)", lab.down)


def _plain_kind(figures: dict[str, list[float]]) -> None:
    """Measure kind as it comes, with the same image: its own end, and until what labkit waits for is Ready, too."""
    program = components.ensure_optional("kind") / "kind"
    kubectl = components.ensure().program("kubectl")
    with tempfile.TemporaryDirectory() as folder:
        config, kubeconfig = Path(folder, "kind.yaml"), Path(folder, "kubeconfig")
        config.write_text(_PLAIN)
        common = ["--name", "plain", "--kubeconfig", str(kubeconfig)]
        create = [str(program), "create", "cluster", *common, "--image", nodeimage.IMAGE, "--config", str(config)]

        def until_ready() -> None:
            _time(figures, "plain kind: create (s)", lambda: _run(create))
            wait = [str(kubectl), "--kubeconfig", str(kubeconfig), "wait", "--for=condition=Ready", "--timeout=120s"]
            _run([*wait, "node", "--all"])
            _run([*wait, "pod", "--all", "--namespace", "kube-system"])

        _time(figures, "plain kind: create, all of the system Ready (s)", until_ready)
        _time(figures, "plain kind: delete (s)", lambda: _run([str(program), "delete", "cluster", *common]))


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _time(figures: dict[str, list[float]], name: str, action: Callable[[], object]) -> None:
    started = time.monotonic()
    action()
    figures[name].append(time.monotonic() - started)
    print(f"{name}: {figures[name][-1]:.1f}", file=sys.stderr)


def _pss(lab: Lab) -> float:
    """Return the proportional set size of all processes of a lab's nodes and of those that serve it."""
    roots = _roots(lab)
    total = 0.0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            chain = {process.pid, *(parent.pid for parent in process.parents())}
            if chain & roots:
                total += process.memory_full_info().pss / _MB
    return total


def _roots(lab: Lab) -> set[int]:
    if lab.cluster.provider == "kind":
        pids = _docker("inspect", "--format", "{{.State.Pid}}", *_containers(lab)).split()
        return {int(pid) for pid in pids} | _naming(lab)
    return _naming(lab)


def _naming(lab: Lab) -> set[int]:
    """Return the processes that have the lab's folder in their command line."""
    found = set()
    inside = f"{lab.cluster.folder.path}/"  # and not of a lab whose name begins as this one's
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and any(inside in f"{word}/" for word in process.cmdline()):
                found.add(process.pid)
    return found


def _docker_stats(lab: Lab) -> float:
    lines = _docker("stats", "--no-stream", "--format", "{{.MemUsage}}", *_containers(lab)).splitlines()
    total = 0.0
    for line in lines:
        used = line.partition(" ")[0]
        unit = next(each for each in _UNITS if used.endswith(each))
        total += float(used.removesuffix(unit)) * _UNITS[unit]
    return total


def _containers(lab: Lab) -> list[str]:
    return _docker("ps", "--filter", f"label=io.x-k8s.kind.cluster={lab.name}", "--format", "{{.Names}}").split()


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
