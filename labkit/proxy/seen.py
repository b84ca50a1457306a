"""What was seen of kube-proxy: kept while a lab runs, and read again from the lab's folder or from a recording.

A body of `labkit.evidence.model.ProxyRecord` is, by kind: ``rules``: the mode, and `labkit.proxy.rules.Tables`;
``switch``: `SeenSwitch` without its time; ``packet``: `labkit.proxy.packet.PacketPath`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import Self

from labkit.cluster.protocol import Cluster
from labkit.errors import LabkitError
from labkit.evidence.model import ProxyKind, ProxyRecord
from labkit.evidence.proxy import keep
from labkit.proxy import rules
from labkit.proxy.model import Mode, NodeRules
from labkit.proxy.packet import PacketPath
from labkit.proxy.rules import Tables
from labkit.proxy.switch import Step, Switch


@dataclass(frozen=True, slots=True)
class SeenRules:
    """A node's tables as they were at a moment.

    Attributes
    ----------
    time : datetime.datetime
        When, UTC.
    mode : {"iptables", "nftables", "ipvs"}
        Whose rules they have.
    tables : Tables
        What the tools printed.
    """

    time: datetime
    mode: Mode
    tables: Tables

    def parse(self) -> NodeRules:
        """Return what they say."""
        return self.tables.parse(self.mode)


@dataclass(frozen=True, slots=True)
class SeenSwitch:
    """A switch of the mode.

    Attributes
    ----------
    time : datetime.datetime
        When it was over, UTC.
    before, after : {"iptables", "nftables", "ipvs"}
        From which mode to which.
    steps : tuple of Step
        Those that were done.
    error : str
        Why it failed, and what to do; empty where it did not.
    """

    time: datetime
    before: Mode
    after: Mode
    steps: tuple[Step, ...]
    error: str

    @classmethod
    def of(cls, record: ProxyRecord) -> Self:
        """Read a record of a switch."""
        steps = tuple(Step(**step) for step in record.body["steps"])
        return cls(record.time, record.body["before"], record.body["after"], steps, record.body["error"])


class Seen:
    """All that was seen of one cluster's kube-proxy.

    Parameters
    ----------
    records : iterable of ProxyRecord
        In order of time.
    """

    def __init__(self, records: Iterable[ProxyRecord]) -> None:
        self._records = tuple(records)

    @cached_property
    def rules(self) -> dict[tuple[Mode, str], SeenRules]:
        """The last tables of each mode and node, in order of time."""
        found: dict[tuple[Mode, str], SeenRules] = {}
        for record in self._of("rules"):
            sight = SeenRules(record.time, record.body["mode"], Tables(**record.body["tables"]))
            found.pop((sight.mode, sight.tables.node), None)
            found[sight.mode, sight.tables.node] = sight
        return found

    @cached_property
    def switches(self) -> tuple[SeenSwitch, ...]:
        """The switches, in order of time."""
        return tuple(map(SeenSwitch.of, self._of("switch")))

    @cached_property
    def packets(self) -> tuple[PacketPath, ...]:
        """The packets that were followed, in order of time."""
        return tuple(PacketPath.from_json(record.body) for record in self._of("packet"))

    def _of(self, kind: ProxyKind) -> Iterator[ProxyRecord]:
        return (record for record in self._records if record.kind == kind)


def look(cluster: Cluster) -> None:
    """Keep the tables of every node that runs and has the rules of one mode."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda node: _look(cluster, node), cluster.spec.node_names))


def read(cluster: Cluster, node: str) -> NodeRules:
    """Return what kube-proxy's rules on a node say, whichever mode wrote them, and keep its tables.

    Raises
    ------
    ClusterError
        The node does not run, or it has the rules of no mode or of two.
    EvidenceError
        They cannot be understood.
    """
    tables = rules.tables(cluster, node)
    keep_tables(cluster, tables)
    return tables.parse(tables.mode)


def keep_tables(cluster: Cluster, tables: Tables) -> None:
    """Keep a node's tables.

    Raises
    ------
    ClusterError
        They have the rules of no mode, or of two.
    """
    body = {"mode": tables.mode, "tables": asdict(tables)}
    keep(cluster.proxy_folder, "rules", body, name=f"{tables.mode}-{tables.node}")


def keep_packet(cluster: Cluster, path: PacketPath) -> None:
    """Keep the path of a packet, and the tables of the node that it passed."""
    keep(cluster.proxy_folder, "packet", asdict(path))
    _look(cluster, path.node)


@contextmanager
def watched(cluster: Cluster, switch: Switch, *, before: Mode, after: Mode) -> Iterator[None]:
    """Keep the rules before the block, its switch, and the rules after it; nothing where there was nothing to do."""
    look(cluster)
    error = ""
    try:
        yield
    except BaseException as raised:
        error = str(raised) or "it was interrupted"
        raise
    finally:
        if switch.steps:
            steps = [asdict(step) for step in switch.steps]
            body = {"before": before, "after": after, "steps": steps, "error": error}
            keep(cluster.proxy_folder, "switch", body)
            look(cluster)


def _look(cluster: Cluster, node: str) -> None:
    with suppress(LabkitError):
        keep_tables(cluster, rules.tables(cluster, node))
