"""The output of `nft monitor trace` as the steps of one packet.

The kernel tells, for each packet whose ``nftrace`` is set, with which content it came to a base chain ("packet"), which
rules matched it ("rule") and which chain's policy decided ("policy"); nft(8), "MONITOR", shows that as text. Rules of
iptables mode are shown as nft reads them, which leaves out comments; `iptables_rules` brings the text that
iptables-save(8) has for the same rule. The chains are those of pkg/proxy/iptables/proxier.go and KEP-3866.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Literal

from labkit.proxy import nft_listing
from labkit.proxy.packet import Address, Mode, Packet, Step, Translation

#: The table with which labkit has a packet traced; its rules are no part of a path.
TABLE = "labkit_trace"

Rule = tuple[str, str, int]  # table, chain, handle

_LINE = re.compile(r"trace id (?P<id>\w+) (?P<where>\S+ \S+ \S+) (?P<kind>packet:|rule|policy) (?P<text>.*)")
_POLICY = re.compile(r"(accept|drop).*")
_RULE = re.compile(r"(?P<text>.*?)(?: # handle (?P<handle>\d+))? \(verdict (?P<verdict>.*)\)")
_PACKET = re.compile(
    r"ip saddr (?P<saddr>\S+) ip daddr (?P<daddr>\S+) .*ip id (?P<id>\d+) "
    r".*tcp sport (?P<sport>\d+) tcp dport (?P<dport>\d+)"
)
_MARK = re.compile(r"meta mark set (?:meta )?mark (?P<operator>or|xor|\||\^) (?P<bits>0x[0-9a-f]+)")
_END = re.compile(rf" {TABLE} (?:input|postrouting) policy |\(verdict drop\)| policy drop\b")
_COUNTER = re.compile(r"\bcounter packets \d+ bytes \d+\b")
_TRANSLATIONS: tuple[tuple[str, Translation], ...] = (("dnat", "DNAT"), ("snat", "SNAT"), ("masquerade", "masquerade"))


def parse(text: str, rules: Mapping[Rule, str] | None = None) -> tuple[Step, ...]:
    """Return the steps of the first packet of which a trace tells.

    The same packet may be seen twice, when it leaves by the loopback device and comes in again; a packet that was sent
    again is another one.

    Parameters
    ----------
    text : str
        What ``nft --handle monitor trace`` printed.
    rules : mapping, optional
        Texts to show instead of nft's own, by table, chain and handle.
    """
    reader = _Reader(rules or {})
    for line in text.splitlines():
        match = _LINE.fullmatch(line.rstrip())
        if match is not None:
            reader.read(match["id"], match["where"], match["kind"], match["text"])
    return tuple(reader.steps)


def complete(text: str) -> bool:
    """Return whether a trace tells of the packet's end on the node: the last hooks, or a rule that stopped it."""
    return _END.search(text) is not None


def mode(steps: Iterable[Step]) -> Mode | None:
    """Return kube-proxy's mode by the rules that a packet met, None where it met none of kube-proxy's.

    In nftables mode they are in a table of their own; in iptables mode every new connection comes to KUBE-SERVICES.
    """
    found: Mode | None = None
    for step in steps:
        if step.table == "kube-proxy":
            return "nftables"
        if "KUBE-SERVICES" in (step.chain, step.verdict.removeprefix("jump ")):
            found = "iptables"
    return found


def iptables_rules(listing: str, saved: str) -> dict[Rule, str]:
    """Return iptables' own text of the rules that nft lists, with kube-proxy's comments.

    Both programs list a chain's rules in the same order, so the n-th of one is the n-th of the other. A chain with a
    different number of rules, because kube-proxy has just changed it, is left out.

    Parameters
    ----------
    listing : str
        What ``nft --handle list ruleset ip`` printed.
    saved : str
        What ``iptables-save`` printed.
    """
    handles, texts = _handles(listing), _saved(saved)
    return {
        (*where, handle): text
        for where, numbers in handles.items()
        if len(numbers) == len(texts.get(where, ()))
        for handle, text in zip(numbers, texts.get(where, ()), strict=True)
    }


class _Reader:
    """Takes the lines of a trace one by one."""

    def __init__(self, rules: Mapping[Rule, str]) -> None:
        self.steps: list[Step] = []
        self._rules = rules
        self._first = ""  # the IP id of the packet that the path is of
        self._current: dict[str, str] = {}  # by trace id, which the kernel uses again: the IP id of its last packet
        self._packet: Packet | None = None
        self._chains: list[str] = []  # from the base chain to the present one

    def read(self, trace_id: str, where: str, kind: str, text: str) -> None:
        family, table, chain = where.split()
        if kind == "packet:":
            self._see(trace_id, text, chain)
        elif self._packet is not None and self._current.get(trace_id) == self._first and table != TABLE:
            self._match(family, table, chain, _POLICY.sub(r"policy (verdict \1)", text) if kind == "policy" else text)

    def _see(self, trace_id: str, text: str, chain: str) -> None:
        match = _PACKET.search(text)
        if match is None:
            return
        self._current[trace_id] = match["id"]
        self._first = self._first or match["id"]
        if match["id"] != self._first:
            return
        source = Address(match["saddr"], int(match["sport"]))
        destination = Address(match["daddr"], int(match["dport"]))
        if self._packet is not None:
            self._translate("DNAT", self._packet.destination, destination)
            self._translate("source", self._packet.source, source)
        self._packet = Packet(source, destination, self._packet.mark if self._packet else 0)
        self._chains = [chain]

    def _translate(self, side: Literal["DNAT", "source"], before: Address, after: Address) -> None:
        """Tell the last rule that translates that side what it wrote."""
        if before == after:
            return
        for index in reversed(range(len(self.steps))):
            step = self.steps[index]
            if step.translation and (step.translation == "DNAT") == (side == "DNAT"):
                self.steps[index] = dataclasses.replace(step, translated_to=after)
                return

    def _match(self, family: str, table: str, chain: str, text: str) -> None:
        match = _RULE.fullmatch(text)
        if match is None or self._packet is None:
            return
        if chain in self._chains:  # a chain that decided nothing ends without a line of its own
            del self._chains[self._chains.index(chain) + 1 :]
        rule = " ".join(_COUNTER.sub("", match["text"]).split())
        handle = int(match["handle"]) if match["handle"] else None
        step = Step(
            family=family,
            table=table,
            chain=chain,
            rule=rule if handle is None else self._rules.get((table, chain, handle), rule),
            verdict="reject" if _has(rule, "reject") else match["verdict"],
            packet=self._packet,
            depth=len(self._chains) - 1,
            handle=handle,
            translation=next((name for word, name in _TRANSLATIONS if _has(rule, word)), ""),
        )
        self.steps.append(step)
        self._packet = dataclasses.replace(self._packet, mark=_marked(self._packet.mark, rule))
        verb, _, target = step.verdict.partition(" ")
        if verb == "goto":
            self._chains.pop()
        if target:
            self._chains.append(target)


def _has(rule: str, statement: str) -> bool:
    return re.search(rf"(?<!\S){statement}(?!\S)", rule) is not None


def _marked(mark: int, rule: str) -> int:
    """Return a packet's mark after a rule."""
    match = _MARK.search(rule)
    if match is None:
        return mark
    bits = int(match["bits"], 16)
    return mark | bits if match["operator"] in {"or", "|"} else mark ^ bits


def _handles(listing: str) -> dict[tuple[str, str], list[int]]:
    """Return the handles of each chain's rules, in order, from nft's listing."""
    found: dict[tuple[str, str], list[int]] = {}
    for table, chain, handle, _ in nft_listing.rules(listing):
        found.setdefault((table, chain), []).append(handle)
    return found


def _saved(text: str) -> dict[tuple[str, str], list[str]]:
    """Return the texts of each chain's rules, in order, from iptables-save's."""
    found: dict[tuple[str, str], list[str]] = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith("-A "):
            _, chain, rule = line.split(" ", 2)
            found.setdefault((table, chain), []).append(rule)
    return found
