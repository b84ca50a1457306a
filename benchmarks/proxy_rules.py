"""What a node's rules say, with 5,000 Services: from the tools' output to the model, and reading on the node before it.

The output is that of a real kube-proxy on a real node, for Services that are made for it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import labkit
from labkit.lab import Lab
from labkit.progress import Progress
from labkit.proxy import rules
from labkit.proxy.load import NAMESPACE, loaded, require_room
from labkit.proxy.model import Mode, NodeRules

_MODES: tuple[Mode, ...] = ("nftables", "iptables")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=5, help="how often each (default 5)")
    options = parser.parse_args()
    with labkit.up("bench", progress=Progress()) as lab:
        require_room(lab.cluster, options.services)
        with loaded(lab.cluster, lab.kubectl, print) as load:
            load.grow(options.services, lambda _fraction: None)
            for mode in _MODES:
                lab.proxy.switch(mode, timeout=300, progress=Progress())
                _measure(lab, mode, options.services, options.runs)


def _measure(lab: Lab, mode: Mode, services: int, runs: int) -> None:
    deadline = time.monotonic() + 300
    while len(_ours(found := rules.tables(lab.cluster, "node-01").parse(mode))) < services:
        assert time.monotonic() < deadline, f"only {len(found.ports)} Services have rules"
        time.sleep(1)
    tables = rules.tables(lab.cluster, "node-01")
    size = len(tables.nftables if mode == "nftables" else tables.iptables) / 1e6
    parse = _median(lambda: tables.parse(mode), runs)
    read = _median(lambda: rules.read(lab.cluster, "node-01"), runs)
    print(
        f"{mode}: {services} Services, {size:.1f} MB: parsing (s) {parse:.2f}, with reading on the node (s) {read:.2f}"
    )


def _ours(found: NodeRules) -> list[str]:
    return [port.name for port in found.ports if port.service.startswith(f"{NAMESPACE}/") and port.endpoints]


def _median(do: Callable[[], object], runs: int) -> float:
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        do()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


if __name__ == "__main__":
    main()
