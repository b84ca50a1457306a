"""Watch the rules of a lab's nodes while they change: the kernel's own word of it, and kube-proxy's own figures."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from labkit.cluster.protocol import Cluster
from labkit.errors import ClusterError, PreflightError
from labkit.language import gettext
from labkit.node.process import run
from labkit.node.rule_monitor import LISTENING, NO_NFT
from labkit.proxy import rule_changes
from labkit.proxy.attached import attached
from labkit.proxy.nft_trace import Rule

_READY_SECONDS = 10.0
_MARK = "=== labkit ==="
_LIST = f"nft --handle list ruleset ip; echo '{_MARK}'; iptables-save"
#: Where kube-proxy tells its figures (cmd/kube-proxy, --metrics-bind-address); pkg/proxy/metrics/metrics.go names them.
_METRICS = ["curl", "--silent", "--max-time", "2", "http://127.0.0.1:10249/metrics"]
_METRIC = re.compile(
    r'^kubeproxy_(?P<name>\w+_seconds)_(?P<part>sum|count)\{ip_family="IPv4"\} (?P<value>\S+)$', re.MULTILINE
)
PROGRAMMING = "network_programming_duration_seconds"
SYNCING = "sync_proxy_rules_duration_seconds"
FULL_SYNC = "sync_full_proxy_rules_duration_seconds"


@dataclass(frozen=True, slots=True)
class Figures:
    """kube-proxy's own figures on a node: by name, how often it measured and the sum in seconds."""

    sums: dict[str, tuple[int, float]]

    def mean_since(self, before: Figures, name: str) -> float | None:
        """Return the mean of what was measured since, in seconds; None where nothing was."""
        count, total = self.sums.get(name, (0, 0.0))
        count_before, total_before = before.sums.get(name, (0, 0.0))
        return (total - total_before) / (count - count_before) if count > count_before else None


def figures(cluster: Cluster, node: str) -> Figures:
    """Read kube-proxy's figures on a node; none where it does not answer.

    Source: ``kubeproxy_network_programming_duration_seconds`` is the time from the endpoints' change to the rules, by
    the annotation endpoints.kubernetes.io/last-change-trigger-time, which has whole seconds where a pod's readiness
    triggered it; ``kubeproxy_sync_proxy_rules_duration_seconds`` is how long kube-proxy needs to write rules.
    """
    done = subprocess.run(cluster.node_command(node, _METRICS), capture_output=True, text=True, check=False)
    found: dict[str, dict[str, float]] = {}
    for match in _METRIC.finditer(done.stdout):
        found.setdefault(match["name"], {})[match["part"]] = float(match["value"])
    return Figures({name: (int(parts["count"]), parts["sum"]) for name, parts in found.items() if len(parts) == 2})


class NodeWatch:
    """The rules of one node, watched.

    Parameters
    ----------
    cluster : Cluster
        Whose node.
    node : str
        Its name.
    process : subprocess.Popen
        What watches there.
    log : Path
        What it printed so far.
    """

    def __init__(self, cluster: Cluster, node: str, process: subprocess.Popen[str], log: Path) -> None:
        self.node = node
        self._cluster, self._process, self._log = cluster, process, log
        self._wait_until_listening()
        self._listing, self._saved = self._list()
        self._figures = figures(cluster, node)

    def changes(self) -> tuple[rule_changes.Commit, ...]:
        """Return the transactions so far.

        Raises
        ------
        ClusterError
            The node was switched off, or nft ended.
        EvidenceError
            Some were lost.
        """
        if self._process.poll() is not None:
            why = (
                gettext("it was switched off")
                if not self._cluster.node_running(self.node)
                else gettext("nft monitor ended")
            )
            raise ClusterError(
                gettext("The rules of {node} can be followed no longer").format(node=self.node),
                why=why,
                fix=gettext("labkit node start {node}, then try again").format(node=self.node),
            )
        before: dict[Rule, str] = rule_changes.listed(self._listing)
        return rule_changes.parse(self._log.read_text(errors="replace"), before)

    def texts(self) -> dict[str, str]:
        """Return iptables' own text of the rules, before and now, by nft's."""
        listing, saved = self._list()
        before = rule_changes.iptables_texts(self._listing, self._saved)
        return {**before, **rule_changes.iptables_texts(listing, saved)}

    def means(self) -> tuple[float | None, float | None]:
        """Return kube-proxy's own means since the beginning, in seconds: network programming, and writing rules."""
        now = figures(self._cluster, self.node)
        return now.mean_since(self._figures, PROGRAMMING), now.mean_since(self._figures, SYNCING)

    def _wait_until_listening(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not self._log.read_text().startswith(LISTENING):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise self._not_watched()
            time.sleep(0.01)

    def _not_watched(self) -> Exception:
        what = gettext("The rules of {node} cannot be followed").format(node=self.node)
        if self._process.poll() == NO_NFT:
            return PreflightError(
                what, why=gettext("it has no nft, by which the kernel tells"), fix="apt-get install nftables"
            )
        if self._process.poll() is None:
            return ClusterError(
                what,
                why=gettext("nft did not listen within {seconds:.0f} s").format(seconds=_READY_SECONDS),
                fix=gettext("try again"),
            )
        assert self._process.stderr is not None  # noqa: S101 - PIPE was asked for
        return ClusterError(what, why=self._process.stderr.read().strip(), fix="labkit status")

    def _list(self) -> tuple[str, str]:
        command = self._cluster.node_command(self.node, ["sh", "-c", _LIST])
        listing, _, saved = run(command, what=gettext("read the rules of {node}").format(node=self.node)).partition(
            f"{_MARK}\n"
        )
        return listing, saved


@contextmanager
def watch(cluster: Cluster) -> Iterator[tuple[NodeWatch, ...]]:
    """Watch the rules of every node during the block; nothing of it is left on a node, whatever happens.

    Raises
    ------
    PreflightError
        A node has no nft.
    ClusterError
        A node does not run.
    """
    nodes = cluster.spec.node_names
    for node in nodes:
        if not cluster.node_running(node):
            raise ClusterError(
                gettext("Not every node's rules can be followed"),
                why=gettext("{node} is switched off").format(node=node),
                fix=f"labkit node start {node}",
            )
    command = [sys.executable, "-I", "-m", "labkit.node.rule_monitor"]
    with ExitStack() as stack:
        started = []
        for node in nodes:
            output = stack.enter_context(tempfile.NamedTemporaryFile("w"))
            process = stack.enter_context(attached(cluster.node_command(node, command), stdout=output))
            started.append((node, process, Path(output.name)))
        with ThreadPoolExecutor() as pool:
            watches = tuple(pool.map(lambda each: NodeWatch(cluster, *each), started))
        yield watches
