"""kube-proxy's modes against the number of Services: `lab.proxy.bench` on a lab of its own.

Thousands of Services need `--privileged`, and so root: the kernel takes only short messages from nodes in a user
namespace, and kube-proxy hands over all rules in one.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import labkit
from labkit.lab import Lab
from labkit.progress import PhaseEvent, Progress

_FEW, _MANY = [5, 15, 45], [10, 100, 1000, 5000]
_QUIET = 10.0  # seconds: the cluster's own first business is over


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, nargs="*", default=[], help="how many, in turn")
    parser.add_argument("--privileged", action="store_true", help="nodes without a user namespace; as root")
    parser.add_argument("--modes", nargs="*", default=[], help="by default all that the kernel has")
    parser.add_argument("--runs", type=int, default=5, help="how often each (default 5)")
    parser.add_argument("--json", type=Path, help="a file for every single value")
    parser.add_argument("--plot", type=Path, help="a file for the plot: .svg, .png or .pdf")
    options = parser.parse_args()
    options.services = options.services or (_MANY if options.privileged else _FEW)
    with labkit.up("bench", privileged=options.privileged, provider="rootless", progress=Progress()) as lab:
        time.sleep(_QUIET)
        _measure(lab, options)


def _measure(lab: Lab, options: argparse.Namespace) -> None:
    found = lab.proxy.bench(options.services, options.modes, repeats=options.runs, progress=Progress(_show))
    print(found)
    if options.json:
        options.json.write_text(json.dumps(found.to_json(), indent=1))
    if options.plot:
        found.figure().savefig(options.plot)


def _show(event: PhaseEvent) -> None:
    if event.state in {"finished", "failed"}:
        print(f"{event.phase}: {event.state} after {event.seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
