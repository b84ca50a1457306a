"""From what somebody did to the changed rule on each node: the links of that chain, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from labkit.language import gettext, gettext_noop
from labkit.proxy.model import Mode
from labkit.proxy.table import Table

LinkKind = Literal["request", "notify", "rules"]


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the chain.

    Attributes
    ----------
    number : int
        Its place, from 1.
    kind : {"request", "notify", "rules"}
        An actor asks the API server; the API server tells kube-proxy; kube-proxy changes a node's rules.
    source, target : str
        From whom to whom: ``"endpointslice-controller"``, ``"kube-proxy on node-01"``, ``"rules of node-01"``.
    what : str
        What happened, for people.
    start, end : datetime.datetime
        When, UTC; of an inferred link the bounds between which it must have been.
    observed : bool
        Whether evidence shows it.
    evidence : str
        What it rests on: ``"audit:8ce1…"``, ``"nft monitor"``, or the rule that inferred it.
    node : str
        Whose kube-proxy or rules, else empty.
    after : int or None
        The number of the link that it follows from; None where none is known.
    came, went : tuple of str
        The rules that came and went.
    rewritten : int
        How many rules the same transaction wrote anew without a change.
    """

    number: int
    kind: LinkKind
    source: str
    target: str
    what: str
    start: datetime
    end: datetime
    observed: bool
    evidence: str
    node: str = ""
    after: int | None = None
    came: tuple[str, ...] = ()
    went: tuple[str, ...] = ()
    rewritten: int = 0


@dataclass(frozen=True, slots=True)
class NodeFollowed:
    """How the rules of a node followed.

    Attributes
    ----------
    node : str
        Its name.
    first, last : float or None
        When its first and its last rule changed, ms since the first link; None where none did.
    delay : float or None
        From the API server's answer to the write that the last change follows from, to that change, ms.
    programming, syncing : float or None
        kube-proxy's own means meanwhile, s: from the endpoints' change to the rules
        (``kubeproxy_network_programming_duration_seconds``, whose beginning has whole seconds), and for writing them
        (``kubeproxy_sync_proxy_rules_duration_seconds``); None where it measured nothing.
    came, went : int
        How many rules came and went.
    """

    node: str
    first: float | None
    last: float | None
    delay: float | None
    programming: float | None
    syncing: float | None
    came: int
    went: int


@dataclass(frozen=True, slots=True, repr=False)
class Chain(Table):
    """What followed for a Service's rules from what somebody did.

    Attributes
    ----------
    service : str
        ``"default/web"``.
    mode : {"iptables", "nftables", "ipvs"}
        kube-proxy's.
    links : tuple of Link
        By time; the first is what somebody did.
    nodes : tuple of NodeFollowed
        In the lab's order.
    """

    service: str
    mode: Mode
    links: tuple[Link, ...]
    nodes: tuple[NodeFollowed, ...]

    TITLES: ClassVar[Sequence[str]] = (
        "#",
        "+ms",
        gettext_noop("who"),
        gettext_noop("to"),
        gettext_noop("what"),
        gettext_noop("known"),
        gettext_noop("after"),
    )

    def caption(self) -> str:
        """Return when the last node had followed, in a line."""
        first = self.links[0]
        late = [each.node for each in self.nodes if each.last is None]
        times = [each.last for each in self.nodes if each.last is not None]
        followed = gettext("no rule changed")
        if times:
            followed = gettext("the rules of {service} had followed after {times:.0f} ms").format(
                service=self.service, times=max(times)
            )
        if times and late:
            followed = gettext("{followed}; those of {late} did not change").format(
                followed=followed, late=", ".join(late)
            )
        return gettext("{source} {what}: {followed} ({mode} mode)").format(
            source=first.source, what=first.what, followed=followed, mode=self.mode
        )

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per link."""
        return [
            (
                str(link.number),
                f"{self.milliseconds(link):.1f}",
                link.source,
                link.target,
                link.what,
                "observed" if link.observed else "inferred",
                "" if link.after is None else str(link.after),
            )
            for link in self.links
        ]

    def to_json(self) -> dict[str, Any]:
        """Return plain objects for `json.dumps`; times as ISO 8601."""
        found = asdict(self)
        for link in found["links"]:
            link.update(start=link["start"].isoformat(), end=link["end"].isoformat())
        return found

    def milliseconds(self, link: Link) -> float:
        """Return how long after the first link one began, in ms."""
        return (link.start - self.links[0].start).total_seconds() * 1000


@dataclass(frozen=True, slots=True, repr=False)
class NodesTable(Table):
    """How each node's rules followed, as a table."""

    chain: Chain

    TITLES: ClassVar[Sequence[str]] = (
        gettext_noop("node"),
        gettext_noop("first rule +ms"),
        gettext_noop("last rule +ms"),
        gettext_noop("after the API +ms"),
        gettext_noop("writing took ms"),
        gettext_noop("programming s"),
        gettext_noop("came"),
        gettext_noop("went"),
    )

    def caption(self) -> str:
        """Return what the columns count from."""
        return gettext(
            "How long until each node's rules followed: since the first link, and since the write that they follow "
            "from. kube-proxy waits up to 1 s between two rounds (minSyncPeriod). The last two times are its own means."
        )

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per node."""
        return [
            (
                each.node,
                _number(each.first),
                _number(each.last),
                _number(each.delay),
                _number(None if each.syncing is None else 1000 * each.syncing),
                "-" if each.programming is None else f"{each.programming:.2f}",
                str(each.came),
                str(each.went),
            )
            for each in self.chain.nodes
        ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
