"""A packet followed, in each mode: from the call to the picture."""

from __future__ import annotations

import argparse
import statistics
import time

import labkit
from labkit.lab import Lab
from labkit.progress import Progress

_QUIET = 10.0  # seconds: the cluster's own first business is over


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="packets in each mode (default 20)")
    options = parser.parse_args()
    with labkit.up("bench", provider="rootless", progress=Progress()) as lab:
        lab.deploy("web", image="nginx", replicas=2, progress=Progress())
        time.sleep(_QUIET)
        for mode in ("iptables", "nftables"):
            lab.proxy.switch(mode, progress=Progress())
            _trace(lab)  # Python imports what it needs
            times = sorted(_trace(lab) for _ in range(options.runs))
            print(f"{mode}: trace, call to picture, median (s) {statistics.median(times):8.2f}   (max {times[-1]:.2f})")


def _trace(lab: Lab) -> float:
    began = time.perf_counter()
    traced = lab.proxy.trace("svc/web")
    assert "<svg" in traced.to_svg()
    assert traced.path.outcome == "delivered"
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
