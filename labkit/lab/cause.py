"""Follow what somebody does to a Service, from the API to the changed rule on each node: ``lab.proxy.follow``."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from labkit.errors import ClusterError, UsageError
from labkit.evidence.audit import AuditEvent
from labkit.evidence.audit_tail import AuditTail
from labkit.lab.cause_links import ServiceWrites, links
from labkit.language import gettext
from labkit.proxy import mode as modes
from labkit.proxy.cause import Chain, NodeFollowed, NodesTable
from labkit.proxy.model import Mode
from labkit.proxy.rule_changes import Difference, ServiceRules, differences
from labkit.proxy.rule_watch import NodeWatch, watch

if TYPE_CHECKING:
    import networkx

    from labkit.lab.lab import Lab

#: Seconds in which something must change.
TIMEOUT = 20.0
_QUIET = 2.5  # seconds without a change: kube-proxy waits 1 s between two rounds (minSyncPeriod's default)
_QUIET_ELSEWHERE = 5.0  # the same, while some node has not changed at all
_POLL_SECONDS = 0.2


class Follow:
    """A Service's rules, followed during a `with` block.

    Parameters
    ----------
    lab : Lab
        Where.
    service : str
        ``"default/web"``, or ``"web"`` in namespace default; it need not exist yet.
    timeout : float
        Seconds in which something must change.
    """

    def __init__(self, lab: Lab, service: str, *, timeout: float = TIMEOUT) -> None:
        self.service = _full_name(service)
        self._lab = lab
        self._timeout = timeout
        self._stack = ExitStack()
        self._chain: Chain | None = None

    def __enter__(self) -> Self:
        self._mode = _mode(self._lab)
        self._before = self._get()
        self._watches = self._stack.enter_context(watch(self._lab.cluster))
        self._since = datetime.now(UTC)
        audit = self._lab.cluster.audit_log
        assert audit is not None  # noqa: S101 - a lab with nodes to look into has its own
        self._audit = AuditTail(audit, self._since)
        self._stack.callback(self._audit.close)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._stack:
            if kind is None:
                self._chain = self._wait()

    def __repr__(self) -> str:
        if self._chain is None:
            return f"<the rules of {self.service}, not followed to an end yet>"
        return f"{self._chain!r}\n\n{self.by_node!r}"

    def _repr_html_(self) -> str:
        from labkit.views import cause  # noqa: PLC0415 - most commands need no pictures

        svg = cause.to_svg(self.chain, prefix=f"labkit-cause-{uuid4().hex[:8]}")  # a page may have several
        return f"{svg}{self.by_node._repr_html_()}{self.chain._repr_html_()}"

    @property
    def chain(self) -> Chain:
        """What followed.

        Raises
        ------
        UsageError
            The block has not ended yet, or it failed.
        """
        if self._chain is None:
            raise UsageError(
                gettext("What follows for {service} is not known yet").format(service=self.service),
                why=gettext("it is when the `with` block has ended"),
                fix="with lab.proxy.follow(...) as cause: lab.kubectl(...)",
            )
        return self._chain

    @property
    def by_node(self) -> NodesTable:
        """How long each node's rules took."""
        return NodesTable(self.chain)

    def to_svg(self) -> str:
        """Return the chain as swim lanes over time."""
        from labkit.views import cause  # noqa: PLC0415 - most commands need no pictures

        return cause.to_svg(self.chain)

    def to_graph(self) -> networkx.MultiDiGraph:
        """Return the chain as a graph, as `labkit.views.cause.to_graph` tells."""
        from labkit.views import cause  # noqa: PLC0415 - most commands need no pictures

        return cause.to_graph(self.chain)

    def _get(self) -> list[dict[str, Any]]:
        """Return the Service and its EndpointSlices, as far as there are any."""
        namespace, _, name = self.service.partition("/")
        slices = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        with self._lab.api_server() as api:
            service = api.get(f"/api/v1/namespaces/{namespace}/services/{name}")
            found = api.get(f"{slices}?labelSelector=kubernetes.io%2Fservice-name%3D{name}") or {"items": []}
        return [*([service] if service else []), *(each for each in found["items"] if each["addressType"] == "IPv4")]

    def _audited(self) -> list[AuditEvent]:
        """Return what is new in the audit log, up to its end: of an old lab it is long, and comes in parts."""
        found = self._audit.read()
        while not self._audit.at_end:
            found += self._audit.read()
        return found

    def _wait(self) -> Chain:
        """Wait until what was done has come to the nodes' rules, and return it."""
        events: list[AuditEvent] = []
        started, ended = time.monotonic(), time.time()
        while True:
            events += self._audited()
            writes = ServiceWrites(self.service, self._before, events)
            changed = self._changed(writes)
            waited = time.monotonic() - started
            last = max([each.at for found in changed.values() for each in found], default=0.0)
            # From the block's end at the earliest: what was done in it is in the audit log a moment later.
            quiet = time.time() - max([last, ended, *(event.staged.timestamp() for event in writes.writes)])
            enough = _QUIET if all(changed.values()) else _QUIET_ELSEWHERE
            if last and ((quiet >= enough and not self._awaited(writes)) or waited > self._timeout):
                break
            if waited > self._timeout:
                raise _nothing_changed(self.service, self._timeout, writes)
            time.sleep(_POLL_SECONDS)
        return self._result(writes, self._changed(writes, texts=True))

    def _changed(self, writes: ServiceWrites, *, texts: bool = False) -> dict[str, tuple[Difference, ...]]:
        return {
            each.node: differences(
                each.changes(), ServiceRules(self.service, writes.versions), each.texts() if texts else {}
            )
            for each in self._watches
        }

    def _awaited(self, writes: ServiceWrites) -> bool:
        """Whether a pod of the Service is on its way to be ready, which will change the rules again."""
        namespace = self.service.partition("/")[0]
        with self._lab.api_server() as api:
            found = api.get(f"/api/v1/namespaces/{namespace}/pods") or {"items": []}
        return any(
            writes.selects(pod["metadata"].get("labels"))
            and "deletionTimestamp" not in pod["metadata"]
            and pod["status"].get("phase") in {"Pending", "Running"}
            and not _is_ready(pod)
            for pod in found["items"]
        )

    def _result(self, writes: ServiceWrites, changed: dict[str, tuple[Difference, ...]]) -> Chain:
        chain = Chain(self.service, self._mode, links(writes, changed), ())
        nodes = tuple(_followed(chain, each) for each in self._watches)
        return Chain(self.service, self._mode, chain.links, nodes)


def _full_name(service: str) -> str:
    plain = service.removeprefix("svc/").removeprefix("service/")
    namespace, _, name = plain.rpartition("/")
    if not name or "/" in namespace:
        raise UsageError(
            gettext("{service!r} names no Service").format(service=service),
            fix=gettext("for example svc/web, or shop/web"),
        )
    return f"{namespace or 'default'}/{name}"


def _mode(lab: Lab) -> Mode:
    with lab.api_server() as api:
        mode = modes.read(api).mode
    if mode == "ipvs":
        raise ClusterError(
            gettext("Rules cannot be followed while kube-proxy is in ipvs mode"),
            why=gettext("ipvs has virtual servers in place of rules, and the kernel does not tell of their changes"),
            fix="labkit proxy mode nftables",
        )
    return mode


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _nothing_changed(service: str, timeout: float, writes: ServiceWrites) -> ClusterError:
    seen = ""
    if writes.writes:
        seen = gettext("; the API server took {count} writes about it").format(count=len(writes.writes))
    return ClusterError(
        gettext("No node's rules of Service {service} changed within {seconds:.0f} s").format(
            service=service, seconds=timeout
        ),
        why=gettext("nothing that was done changes where it leads, or kube-proxy does not run{seen}").format(seen=seen),
        fix=f"labkit proxy rules {service}",
    )


def _followed(chain: Chain, watched: NodeWatch) -> NodeFollowed:
    mine = [link for link in chain.links if link.kind == "rules" and link.node == watched.node]
    programming, syncing = watched.means()
    told = next((link for link in chain.links if mine and link.number == mine[-1].after), None)
    return NodeFollowed(
        node=watched.node,
        first=chain.milliseconds(mine[0]) if mine else None,
        last=chain.milliseconds(mine[-1]) if mine else None,
        delay=(mine[-1].start - told.start).total_seconds() * 1000 if told else None,
        programming=programming,
        syncing=syncing,
        came=sum(len(link.came) for link in mine),
        went=sum(len(link.went) for link in mine),
    )
