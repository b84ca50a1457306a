"""How long a node that was switched off takes to be Ready again: a worker, and the control plane.

The time is from switching on to the kubelet's first status that says Ready, as the API server's audit log has it.
Meanwhile a Service is asked each 100 ms from another node.
"""

from __future__ import annotations

import argparse
import statistics
import time

import labkit
from labkit.lab.installation.restart import Restart
from labkit.progress import Progress

_QUIET = 10.0  # seconds: the cluster's own first business is over


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3, help="restarts of each (default 3)")
    options = parser.parse_args()
    with labkit.up("bench", provider="rootless", progress=Progress()) as lab:
        lab.deploy("web", image="labkit/standin", replicas=2, progress=Progress())
        time.sleep(_QUIET)
        for title, node in (("worker", "node-01"), ("master", "master")):
            seen: list[Restart] = [lab.restart(node, away=3, service="web") for _ in range(options.times)]
            print(f"{title} restart to Ready, median (s) {statistics.median(each.ready for each in seen):36.1f}")
            print(f"{title} restart to Ready, longest (s) {max(each.ready for each in seen):35.1f}")
            failed, asked = sum(each.failed for each in seen), sum(len(each.answers) for each in seen)
            print(f"{title} away: requests failed of {asked:5} {failed:35}")


if __name__ == "__main__":
    main()
