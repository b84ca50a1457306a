"""Connect to Services from a node, and see when, whether and how fast they answer: `labkit.node.connector` does it."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from labkit.cluster.protocol import Cluster
from labkit.errors import ClusterError
from labkit.language import gettext
from labkit.node.process import run
from labkit.proxy.attached import attached

#: Requests a second while a switch is watched.
RATE = 20.0


@dataclass(slots=True)
class Counts:
    """Requests at a steady rate; the counts are there when the block has ended.

    Attributes
    ----------
    asked, failed : int
        How many, and how many of them were not answered within a second.
    longest : float
        The longest stretch in which none was answered, s.
    answers : list of (float, bool)
        When each was asked, seconds since the epoch, and whether it was answered.
    """

    asked: int = 0
    failed: int = 0
    longest: float = 0.0
    answers: list[tuple[float, bool]] = field(default_factory=list, repr=False, compare=False)


@contextmanager
def asking(cluster: Cluster, node: str, address: str, port: int, rate: float = RATE) -> Iterator[Counts]:
    """Ask an address from a node by HTTP, at a steady rate during the block.

    Parameters
    ----------
    cluster, node : Cluster, str
        Who asks.
    address, port : str, int
        Whom.
    rate : float
        Requests a second.

    Raises
    ------
    ClusterError
        The node could not ask.
    """
    counts = Counts()
    with attached(_command(cluster, node, "steady", address, port, rate), stdout=subprocess.PIPE) as process:
        yield counts
        printed, said = process.communicate()
    if not printed:
        raise ClusterError(
            gettext("{node} could not ask {address}:{port}").format(node=node, address=address, port=port),
            why=said.strip(),
        )
    found = json.loads(printed)
    counts.asked, counts.failed, counts.longest = found["asked"], found["failed"], found["longest"]
    counts.answers = [(at, answered) for at, answered in found["answers"]]


@contextmanager
def awaiting(cluster: Cluster, node: str, port: int, seconds: float) -> Iterator[Callable[[str], float]]:
    """Give a function that waits until an address answers on a node, and returns when that was.

    What it waits with has been started by then, so that it loses no time.

    Raises
    ------
    ClusterError
        By the function: the address did not answer in so many seconds.
    """
    with attached(_command(cluster, node, "until", "-", port, seconds), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for
        process.stdout.readline()

        def answered(address: str) -> float:
            printed, said = process.communicate(f"{address}\n")
            found = json.loads(printed or "null")
            if found is None:
                why = said.strip() or gettext("no connection in {seconds:.0f} s").format(seconds=seconds)
                raise ClusterError(
                    gettext("{address}:{port} does not answer on {node}").format(address=address, port=port, node=node),
                    why=why,
                    fix="labkit proxy rules",
                )
            return float(found)

        yield answered


def medians(cluster: Cluster, node: str, addresses: Sequence[str], port: int, count: int) -> list[float]:
    """Return for each address the median of so many connections from a node, in seconds.

    They take turns, so that whatever else the machine does is in all of them alike.

    Raises
    ------
    ClusterError
        One failed.
    """
    command = _command(cluster, node, "time", ",".join(addresses), port, count)
    return [
        statistics.median(times)
        for times in json.loads(run(command, what=gettext("connect to Services from {node}").format(node=node)))
    ]


def _command(cluster: Cluster, node: str, *arguments: object) -> list[str]:
    return cluster.node_command(node, [sys.executable, "-I", "-m", "labkit.node.connector", *map(str, arguments)])
