"""From an audit event to the panel: how long after the API server answered does a followed flow's panel have the hop.

The browser comes after that: `player.py` measures from a new flow to what JupyterLab shows.
"""

from __future__ import annotations

import argparse
import statistics
import time
from datetime import UTC, datetime

import labkit
from labkit.lab import Lab
from labkit.progress import Progress

_QUIET = 10.0  # seconds: the cluster's own first business is over


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deployments", type=int, default=8, help="how many to follow (default 8)")
    options = parser.parse_args()
    delays: list[float] = []
    with labkit.up("bench", provider="rootless", progress=Progress()) as lab:
        time.sleep(_QUIET)
        for number in range(options.deployments):
            delays += _follow(lab, f"bench-{number}")
    delays.sort()
    print(f"hops followed {len(delays):53}")
    print(f"audit event to panel, median (ms) {1000 * statistics.median(delays):33.0f}")
    print(f"audit event to panel, 95th percentile (ms) {1000 * delays[int(0.95 * len(delays))]:24.0f}")


def _follow(lab: Lab, name: str) -> list[float]:
    """Return for each audited request of a deployment the seconds from its end to the panel's update."""
    delays: list[float] = []
    known: set[str] = set()
    with lab.watch(name) as live:

        def painted(_change: object) -> None:
            now = datetime.now(UTC)
            for hop in live.panel._shown.hops:
                identity = str(hop.evidence[0])
                if hop.kind in {"request", "record"} and identity not in known:
                    known.add(identity)
                    delays.append((now - hop.end).total_seconds())

        live.panel.observe(painted, names="edition")
        time.sleep(1)
        lab.kubectl(f"create deployment {name} --image=labkit/standin")
        lab.kubectl(f"rollout status deployment/{name} --timeout=60s")
        time.sleep(2)
    live.panel.close()
    lab.kubectl(f"delete deployment {name}")
    return delays


if __name__ == "__main__":
    main()
