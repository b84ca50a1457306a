"""How long `kubeadm join` takes on a lab, with nothing else going on."""

from __future__ import annotations

import argparse
import statistics

import labkit
from labkit import components
from labkit.progress import Progress

_TARGET = 2.0  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=5, help="how many machines join, one after the other (default 5)")
    options = parser.parse_args()
    components.ensure()
    with labkit.up("bench", workers=0, provider="rootless", progress=Progress()) as lab:
        seconds = [
            lab.join(f"node-{number:02d}", progress=Progress()).seconds for number in range(1, options.nodes + 1)
        ]
    print(f"kubeadm join (s): {statistics.median(seconds):.2f}   ({min(seconds):.2f} to {max(seconds):.2f})")
    print(f"target: at most {_TARGET} s: {'met' if statistics.median(seconds) <= _TARGET else 'missed'}")


if __name__ == "__main__":
    main()
