"""Evidence as it comes: every source followed, with no thread and nothing kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Self

from labkit.cluster.protocol import Cluster
from labkit.evidence.audit_tail import AuditTail
from labkit.evidence.etcd import EtcdWatch
from labkit.evidence.model import ClusterFacts, Evidence, Loss
from labkit.evidence.runtime import RuntimeTail
from labkit.evidence.scheduler import SchedulerTail
from labkit.evidence.spans import SpanTail


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
        self._audit = AuditTail(cluster.audit_log, since)
        self._spans = SpanTail(cluster.span_folder, since)
        self._scheduler = SchedulerTail(cluster.pod_logs(self.facts.control_plane), since)
        self._runtime = RuntimeTail({node: cluster.runtime_log(node) for node in self.facts.nodes}, since)
        self._etcd: EtcdWatch | None = None

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
        sources = (self._audit, self._spans, self._scheduler, self._runtime, self._etcd)
        return all(source is not None and source.at_end for source in sources)

    def poll(self) -> Evidence:
        """Return what is new since the last call; it takes milliseconds and never waits.

        Of a long past it gives a part at a time, until `at_end`.
        """
        audit = self._audit.read()
        if self._etcd is None and self._audit.at_end:
            self._etcd = EtcdWatch(self._on_control_plane, self._audit.revision_before + 1)
        revisions = self._etcd.read() if self._etcd is not None else []
        return Evidence(
            cluster=self.facts,
            audit=audit,
            spans=self._spans.read(),
            revisions=revisions,
            scheduler=self._scheduler.read(),
            runtime=self._runtime.read(),
            losses=self._take_losses(),
        )

    def close(self) -> None:
        """Close every file and end the watch of etcd."""
        for source in (self._audit, self._spans, self._scheduler, self._runtime, self._etcd):
            if source is not None:
                source.close()

    def _on_control_plane(self, argv: Sequence[str]) -> list[str]:
        return self._cluster.node_command(self.facts.control_plane, argv)

    def _take_losses(self) -> list[Loss]:
        sources = (self._audit, self._spans, self._scheduler, self._runtime, self._etcd)
        return [loss for source in sources if source is not None for loss in source.take_losses()]
