"""Evidence as it comes: every source followed, with no thread and nothing kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Self

from labkit.cluster.protocol import Cluster
from labkit.evidence.audit_tail import AuditTail
from labkit.evidence.etcd import EtcdWatch
from labkit.evidence.model import ClusterFacts, Evidence
from labkit.evidence.runtime import RuntimeTail
from labkit.evidence.scheduler import SchedulerTail
from labkit.evidence.spans import SpanTail
from labkit.evidence.watch import WatchTail


def facts(cluster: Cluster) -> ClusterFacts:
    """Return what kind of cluster it is."""
    nodes = cluster.spec.node_names
    return ClusterFacts(
        name=cluster.spec.name,
        provider=cluster.provider,
        kubernetes_version=cluster.spec.kubernetes_version,
        control_plane=nodes[0],
        nodes=nodes,
        addresses={str(cluster.node_address(node)): node for node in nodes},
    )


class LiveEvidence:
    """What a cluster's components leave, batch by batch.

    Parameters
    ----------
    cluster : Cluster
        Whose.
    since : datetime or None
        From when on; None for all that is still there.
    """

    def __init__(self, cluster: Cluster, since: datetime | None = None) -> None:
        self._cluster = cluster
        self._since = since
        self.facts = facts(cluster)
        self._audit = None if cluster.audit_log is None else AuditTail(cluster.audit_log, since)
        self._spans = SpanTail(cluster.span_folder, since)
        self._changes = WatchTail(cluster.change_log, since)
        self._scheduler: SchedulerTail | None = None
        self._runtime: RuntimeTail | None = None
        self._etcd: EtcdWatch | None = None
        if cluster.reaches_nodes:
            self._scheduler = SchedulerTail(cluster.pod_logs(self.facts.control_plane), since)
            logs = {node: log for node in self.facts.nodes if (log := cluster.runtime_log(node)) is not None}
            self._runtime = RuntimeTail(logs, since)

    @classmethod
    def from_now(cls, cluster: Cluster) -> Self:
        """Follow what happens from now on."""
        return cls(cluster, datetime.now(UTC))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def at_end(self) -> bool:
        """Whether the last poll came to the end of what there was."""
        etcd_is_due = self._cluster.reaches_nodes and self._etcd is None
        return not etcd_is_due and all(source.at_end for source in self._sources)

    def poll(self) -> Evidence:
        """Return what is new since the last call; it takes milliseconds and never waits.

        Of a long past it gives a part at a time, until `at_end`.
        """
        audit = self._audit.read() if self._audit is not None else []
        if self._cluster.reaches_nodes and self._etcd is None and self._audit is not None and self._audit.at_end:
            self._etcd = EtcdWatch(self._on_control_plane, self._audit.revision_before + 1)
        return Evidence(
            cluster=self.facts,
            audit=audit,
            spans=self._spans.read(),
            revisions=self._etcd.read() if self._etcd is not None else [],
            scheduler=self._scheduler.read() if self._scheduler is not None else [],
            runtime=self._runtime.read() if self._runtime is not None else [],
            changes=self._changes.read(),
            losses=[loss for source in self._sources for loss in source.take_losses()],
        )

    def close(self) -> None:
        """Close every file and end the watch of etcd."""
        for source in self._sources:
            source.close()

    @property
    def _sources(self) -> list[AuditTail | SpanTail | WatchTail | SchedulerTail | RuntimeTail | EtcdWatch]:
        every = (self._audit, self._spans, self._changes, self._scheduler, self._runtime, self._etcd)
        return [source for source in every if source is not None]

    def _on_control_plane(self, argv: Sequence[str]) -> list[str]:
        return self._cluster.node_command(self.facts.control_plane, argv)
