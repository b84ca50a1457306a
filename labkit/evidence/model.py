"""What each component left, as plain values: sources make them, recordings keep them, flows are computed from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from labkit.evidence.audit import AuditEvent

Json = Mapping[str, Any]
SourceName = Literal["audit", "span", "etcd", "scheduler", "runtime", "watch"]
ChangeKind = Literal["LISTED", "ADDED", "MODIFIED", "DELETED"]
ProxyKind = Literal["rules", "switch", "packet"]


#: The span of a transaction: at the API server that sends it (the client's) and, as its child, at etcd.
TRANSACTION = "etcdserverpb.KV/Txn"


@dataclass(frozen=True, slots=True)
class Span:
    """One span of a trace (opentelemetry.io/docs/specs/otel/trace/api, "Span").

    Attributes
    ----------
    trace_id, span_id, parent_id : str
        Lower-case hexadecimal; ``parent_id`` is empty for a root.
    service : str
        Who made it: ``"apiserver"``, ``"etcd"``, ``"kubelet"``.
    node : str
        The kubelet's node; empty where the component does not say.
    name : str
        ``"Create etcd3"``, ``"etcdserverpb.KV/Txn"``, ``"syncPod"``.
    start, end : int
        Nanoseconds since the epoch, by the clock of the component's machine.
    attributes : mapping
        ``"audit-id"`` among them, on the API server's.
    events : tuple of (int, str)
        Moments within it: nanoseconds since the epoch, and what happened.
    error : str
        What went wrong; empty if nothing did.
    """

    trace_id: str
    span_id: str
    parent_id: str
    service: str
    node: str
    name: str
    start: int
    end: int
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    events: tuple[tuple[int, str], ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Revision:
    """One key as one etcd revision left it (etcd.io/docs/v3.6/learning/api, "Key-value pair").

    Attributes
    ----------
    revision : int
        The store's revision that changed the key: Kubernetes' ``resourceVersion`` of the object.
    key : str
        ``"/registry/pods/default/tomcat-5c8-x7k2p"``.
    value : mapping or None
        The object as stored; None where the revision removed the key, or where the value is no JSON.
    removed : bool
        Whether the revision removed the key.
    created : int
        The revision that made the key; 0 where it was removed.
    previous : mapping or None
        The object before, where etcd still had it.
    """

    revision: int
    key: str
    value: Json | None
    removed: bool = False
    created: int = 0
    previous: Json | None = None

    @property
    def what(self) -> Literal["created", "changed", "removed"]:
        """What it did to the key."""
        if self.removed:
            return "removed"
        return "created" if self.created == self.revision else "changed"


@dataclass(frozen=True, slots=True)
class SchedulerLine:
    """One structured line of the scheduler's log (klog's text format, KEP-1602).

    Attributes
    ----------
    number : int
        Its place in the log, from 1, over all its files.
    time : datetime.datetime
        UTC, microseconds.
    message : str
        ``"Plugin scored node for pod"``.
    fields : mapping of str to str
        ``{"pod": "default/tomcat-5c8-x7k2p", "plugin": "NodeResourcesFit", "node": "node-01", "score": "91"}``.
    """

    number: int
    time: datetime
    message: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RuntimeCall:
    """One call of the CRI that changed something, as the container runtime of a node logged it.

    Attributes
    ----------
    number : int
        Its place in that node's log, from 1.
    node : str
        Whose runtime.
    time : datetime.datetime
        Its start, UTC, microseconds.
    seconds : float
        How long it took.
    call : str
        CRI's name: ``"RunPodSandbox"``.
    namespace, pod, uid : str
        The pod it was about; empty where it was about none, as RemoveImage is.
    container, image : str
        Empty where the call has none.
    error : str
        Why it failed; empty if it did not.
    fields : mapping
        The whole line.
    """

    number: int
    node: str
    time: datetime
    seconds: float
    call: str
    namespace: str = ""
    pod: str = ""
    uid: str = ""
    container: str = ""
    image: str = ""
    error: str = ""
    fields: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of an object, as a watch of the API server told it (labkit.cluster.watcher).

    Attributes
    ----------
    number : int
        Its place in the watcher's log, from 1.
    time : datetime.datetime
        When the watcher was told, UTC, by its machine's clock: the change was stored before.
    kind : {"LISTED", "ADDED", "MODIFIED", "DELETED"}
        ``LISTED``: it was there already.
    resource : str
        ``"pods"``.
    object : mapping
        As it is after the change, or was last.
    """

    number: int
    time: datetime
    kind: ChangeKind
    resource: str
    object: Json


@dataclass(frozen=True, slots=True)
class ProxyRecord:
    """What labkit saw of kube-proxy at a moment (labkit.evidence.proxy).

    Attributes
    ----------
    kind : {"rules", "switch", "packet"}
        A node's tables, a switch of the mode, or a packet that was followed.
    time : datetime.datetime
        When, UTC.
    body : mapping
        As `labkit.proxy.seen` writes and reads it.
    """

    kind: ProxyKind
    time: datetime
    body: Json


@dataclass(frozen=True, slots=True)
class Loss:
    """What a source could not give: a gap that a reader must know of.

    Attributes
    ----------
    source : {"audit", "span", "etcd", "scheduler", "runtime", "watch"}
        Which.
    what, why : str
        ``"2 lines are no events"``, ``"the log was rotated away while nobody read it"``.
    """

    source: SourceName
    what: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What kind of cluster the evidence comes from.

    Attributes
    ----------
    name, provider, kubernetes_version : str
        ``"lab"``, ``"rootless"``, ``"v1.34.3"``.
    control_plane : str
        The node of the control plane.
    nodes : tuple of str
        All nodes, the control plane first.
    addresses : mapping of str to str
        Node by address: a request's source address tells which kube-proxy it came from.
    """

    name: str
    provider: str
    kubernetes_version: str
    control_plane: str
    nodes: tuple[str, ...]
    addresses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the components of one cluster left in a stretch of time; every sequence is in order of time.

    A source that the cluster does not have is an empty sequence, and a `Loss` says so.
    """

    cluster: ClusterFacts
    audit: Sequence[AuditEvent]
    spans: Sequence[Span] = ()
    revisions: Sequence[Revision] = ()
    scheduler: Sequence[SchedulerLine] = ()
    runtime: Sequence[RuntimeCall] = ()
    proxy: Sequence[ProxyRecord] = ()
    changes: Sequence[Change] = ()
    losses: Sequence[Loss] = ()
