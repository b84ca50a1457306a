"""A switch of kube-proxy's mode on three nodes: from the call to every node serving, and requests that fail meanwhile.

Requests are asked by HTTP from a node, 20 times a second, of Service kubernetes by its cluster IP.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict

import labkit
from labkit.lab import Lab
from labkit.progress import Progress
from labkit.proxy import connections

_QUIET = 10.0  # seconds: the cluster's own first business is over
_PAUSE = 2.0  # seconds between two switches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="there and back, so many times (default 5)")
    options = parser.parse_args()
    seconds: dict[str, list[float]] = defaultdict(list)
    counts: dict[str, list[connections.Counts]] = defaultdict(list)
    with labkit.up("bench", provider="rootless", progress=Progress()) as lab:
        time.sleep(_QUIET)
        for _ in range(options.runs):
            for mode in ("nftables", "iptables"):
                name = f"{lab.proxy.mode} to {mode}"
                took, found = _switch(lab, mode)
                seconds[name].append(took)
                counts[name].append(found)
                time.sleep(_PAUSE)
    for name, values in seconds.items():
        print(f"{name}: until every node serves (s) {statistics.median(values):14.2f}   (max {max(values):.2f})")
    for name, every in counts.items():
        failed = [each.failed for each in every]
        longest = max(each.longest for each in every)
        print(
            f"{name}: requests that failed, of {sum(each.asked for each in every)} {sum(failed):11}   "
            f"({min(failed)} to {max(failed)} a switch, for up to {longest:.2f} s)"
        )


def _switch(lab: Lab, mode: str) -> tuple[float, connections.Counts]:
    with connections.asking(lab.cluster, "node-01", *_service(lab)) as counts:
        began = time.monotonic()
        lab.proxy.switch(mode, progress=Progress())
        took = time.monotonic() - began
    return took, counts


def _service(lab: Lab) -> tuple[str, int]:
    with lab.api_server() as api:
        found = api.get("/api/v1/namespaces/default/services/kubernetes")
    assert found is not None
    return found["spec"]["clusterIP"], found["spec"]["ports"][0]["port"]


if __name__ == "__main__":
    main()
