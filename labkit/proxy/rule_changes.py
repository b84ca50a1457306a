"""What `nft monitor` tells of a node's rules while they change, and which of it is about one Service.

The kernel tells of a transaction's changes one by one and then that it is done, by which process (nft(8), "MONITOR").
Of a rule that goes it tells only the handle, so that the rules before must be known. kube-proxy's iptables mode writes
the rules that it needs for every Service anew each time: the same text goes and comes, which is no change. The chains
are those of Kubernetes 1.34, pkg/proxy/iptables/proxier.go, and of KEP-3866.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from labkit.errors import EvidenceError
from labkit.language import gettext
from labkit.proxy import nft_listing
from labkit.proxy.nft_trace import Rule, iptables_rules

_LINE = re.compile(r"(?P<at>\d+\.\d+) (?P<text>.*)")
_ADDED = re.compile(r"add rule ip (?P<table>\S+) (?P<chain>\S+) (?:handle \d+ )?(?P<text>.*) # handle (?P<handle>\d+)")
_DELETED = re.compile(r"delete rule ip (?P<table>\S+) (?P<chain>\S+) handle (?P<handle>\d+)")
_ELEMENT = re.compile(r"(?P<verb>add|delete) element ip (?P<table>\S+) (?P<set>\S+) \{ (?P<text>.*) \}")
_DONE = re.compile(r"# new generation \d+ by process (?P<pid>\d+) \((?P<program>.*)\)")
_LOST = re.compile(r"# ERROR|netlink.*(overrun|lost)", re.IGNORECASE)
_COUNTER = re.compile(r"\bcounter packets \d+ bytes \d+\b")
_JUMP = re.compile(r"(?:jump|goto) (\S+)")
_TO_ENDPOINT = re.compile(r"KUBE-SEP-|\bendpoint-[0-9A-Z]{8}-")
_DNAT = re.compile(r"(?:dnat to|--to-destination) ([0-9.]+):")
_OF_SERVICE = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-")


@dataclass(frozen=True, slots=True)
class Change:
    """A rule, or an element of a set or map, that came or went.

    Attributes
    ----------
    came : bool
        Whether it came.
    table, chain : str
        Where; of an element ``chain`` is its set or map.
    text : str
        In nft's words.
    handle : int or None
        The rule's number in its table.
    """

    came: bool
    table: str
    chain: str
    text: str
    handle: int | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """A transaction on a node's rules.

    Attributes
    ----------
    at : float
        When the kernel told of its end, seconds since the epoch.
    pid : int
        Whose it was.
    program : str
        The first 15 letters of that process's name: ``"nft"``, ``"iptables-restor"``.
    changes : tuple of Change
        In order.
    """

    at: float
    pid: int
    program: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What one round of kube-proxy changed about one Service, as texts of rules.

    Attributes
    ----------
    at : float
        When its last transaction was done, seconds since the epoch.
    came, went : tuple of str
        ``"nat KUBE-SERVICES: …"``.
    rewritten : int
        How many rules it wrote anew without a change, of whatever Service.
    """

    at: float
    came: tuple[str, ...]
    went: tuple[str, ...]
    rewritten: int

    @property
    def of_endpoints(self) -> bool:
        """Whether a rule that leads to an endpoint is among them."""
        return any(_TO_ENDPOINT.search(rule) for rule in (*self.came, *self.went))

    def endpoints(self, before: frozenset[str]) -> frozenset[str]:
        """Return the addresses to which the rules lead after the change, where they led to others before."""
        came, went = ({ip for rule in rules for ip in _DNAT.findall(rule)} for rules in (self.came, self.went))
        return (before - went) | came


def listed(listing: str) -> dict[Rule, str]:
    """Return the rules of ``nft --handle list ruleset ip``, by table, chain and handle."""
    return {(table, chain, handle): _plain(text) for table, chain, handle, text in nft_listing.rules(listing)}


def parse(text: str, before: Mapping[Rule, str]) -> tuple[Commit, ...]:
    """Return the transactions of which a monitor told.

    Parameters
    ----------
    text : str
        What `labkit.node.rule_monitor` printed.
    before : mapping
        The rules as they were when it began, see `listed`.

    Raises
    ------
    EvidenceError
        The kernel told more than nft could read in time.
    """
    rules, commits, changes = dict(before), [], list[Change]()
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        said = match["text"]
        if _LOST.search(said):
            raise EvidenceError(
                gettext("Some changes of rules were lost"), why=said, fix=gettext("change less at once")
            )
        if done := _DONE.fullmatch(said):
            commits.append(Commit(float(match["at"]), int(done["pid"]), done["program"], tuple(changes)))
            changes = []
        elif change := _change(said, rules):
            changes.append(change)
    return tuple(commits)


def _change(said: str, rules: dict[Rule, str]) -> Change | None:
    if match := _ADDED.fullmatch(said):
        handle = int(match["handle"])
        text = rules[match["table"], match["chain"], handle] = _plain(match["text"])
        return Change(True, match["table"], match["chain"], text, handle)
    if match := _DELETED.fullmatch(said):
        handle = int(match["handle"])
        text = rules.pop((match["table"], match["chain"], handle), "")
        return Change(False, match["table"], match["chain"], text, handle)
    if match := _ELEMENT.fullmatch(said):
        return Change(match["verb"] == "add", match["table"], match["set"], match["text"])
    return None


def _plain(text: str) -> str:
    return " ".join(_COUNTER.sub("", text).split())


class ServiceRules:
    """Tells which rules are about a Service.

    Parameters
    ----------
    name : str
        ``"default/web"``.
    versions : iterable of dict
        The Service object, in every version that counts: one that is made later has none at first.
    """

    def __init__(self, name: str, versions: Iterable[Mapping[str, Any]]) -> None:
        specs = [found["spec"] for found in versions]
        ports = [port for spec in specs for port in spec.get("ports") or []]
        self._addresses = {
            ip for spec in specs for kind in ("clusterIPs", "externalIPs") for ip in spec.get(kind) or []
        }
        self._node_ports = {str(port["nodePort"]) for port in ports if "nodePort" in port}
        self._chains = {chain for port in ports for chain in _chains(name, port)}
        quoted = re.escape(name)
        # A chain's name has it after a hash of eight letters; the elements of no-endpoint-… in their comment.
        self._named = re.compile(rf'-[0-9A-Z]{{8}}-{quoted}/|comment "{quoted}[:"]')

    def learn(self, changes: Iterable[Change]) -> None:
        """Take note of the endpoints' chains, to which those of the Service lead."""
        for change in changes:
            if change.chain in self._chains:
                self._chains.update(_JUMP.findall(change.text))
        self._chains.discard("KUBE-MARK-MASQ")

    def concern(self, change: Change) -> bool:
        """Whether a change is about the Service."""
        if change.table == "kube-proxy":
            if change.chain == "cluster-ips":
                return change.text in self._addresses
            return self._named.search(f"{change.chain} {change.text} ") is not None
        if change.chain in self._chains or self._chains.intersection(_JUMP.findall(change.text)):
            return True
        return change.chain.startswith("KUBE-") and change.table == "filter" and self._refuses(change.text)

    def _refuses(self, text: str) -> bool:
        words = text.split()
        pairs = set(itertools.pairwise(words))
        return any(("daddr", address) in pairs for address in self._addresses) or any(
            ("dport", port) in pairs and "type" in words for port in self._node_ports
        )


def _chains(name: str, port: Mapping[str, Any]) -> Iterator[str]:
    """Return the names of a port's chains in iptables mode (pkg/proxy/iptables/proxier.go, portProtoHash)."""
    full = f"{name}:{port['name']}" if port.get("name") else name
    digest = hashlib.sha256(f"{full}{port.get('protocol', 'TCP').lower()}".encode()).digest()
    for prefix in _OF_SERVICE:
        yield prefix + base64.b32encode(digest).decode()[:16]


def differences(commits: Sequence[Commit], about: ServiceRules, texts: Mapping[str, str]) -> tuple[Difference, ...]:
    """Return what changed about a Service, round by round of kube-proxy; those that changed nothing are left out.

    Parameters
    ----------
    commits : sequence of Commit
        In order.
    about : ServiceRules
        Of the Service.
    texts : mapping
        Texts to show instead of nft's own, see `iptables_texts`.
    """
    for _ in range(2):  # a chain that goes may be told of before what led to it
        for commit in commits:
            about.learn(commit.changes)
    found = []
    for commit in _rounds(commits):
        balance: Counter[tuple[str, bool]] = Counter()
        for change in commit.changes:
            where = f"{change.table} {change.chain}: {change.text}"
            key = (texts.get(where, where), about.concern(change))
            balance[key] += 1 if change.came else -1
        came, went = (
            tuple(text for (text, ours), count in balance.items() if ours and count * sign > 0) for sign in (1, -1)
        )
        if came or went:
            rewritten = sum(count == 0 for count in balance.values())
            found.append(Difference(commit.at, came, went, rewritten))
    return tuple(found)


def _rounds(commits: Iterable[Commit]) -> Iterator[Commit]:
    """Join the transactions of one process: iptables-restore has one for each table."""
    for _, group in itertools.groupby(commits, lambda commit: commit.pid):
        of_one = list(group)
        yield replace(of_one[-1], changes=tuple(change for commit in of_one for change in commit.changes))


def iptables_texts(listing: str, saved: str) -> dict[str, str]:
    """Return iptables' own text of rules, with kube-proxy's comments, by nft's.

    Parameters
    ----------
    listing : str
        What ``nft --handle list ruleset ip`` printed.
    saved : str
        What ``iptables-save`` printed.
    """
    theirs = iptables_rules(listing, saved)
    found = {}
    for rule, text in listed(listing).items():
        table, chain, _ = rule
        if rule in theirs:
            found[f"{table} {chain}: {text}"] = f"{table} {chain}: {theirs[rule]}"
    return found
