"""The path of a packet through a node's rules, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

Outcome = Literal["delivered", "rejected", "dropped", "no answer"]
Translation = Literal["", "DNAT", "SNAT", "masquerade"]
Mode = Literal["iptables", "nftables"]


@dataclass(frozen=True, slots=True)
class Address:
    """An IPv4 address and a TCP port."""

    ip: str
    port: int

    def __str__(self) -> str:
        return f"{self.ip}:{self.port}"


@dataclass(frozen=True, slots=True)
class Packet:
    """What a packet carries that rules look at.

    Attributes
    ----------
    source, destination : Address
        Where it comes from and where it goes to.
    mark : int
        What rules wrote on it; kube-proxy's bit 0x4000 means "masquerade this".
    """

    source: Address
    destination: Address
    mark: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One rule that matched, or the policy of a chain that no rule decided.

    Attributes
    ----------
    family, table, chain : str
        Where the rule stands: ``"ip"``, ``"nat"``, ``"KUBE-SERVICES"``.
    rule : str
        Its text; ``"policy"`` where no rule decided.
    verdict : str
        ``"jump CHAIN"``, ``"goto CHAIN"``, ``"continue"``, ``"return"``, ``"accept"``, ``"drop"``, ``"reject"``.
    packet : Packet
        As it came to the rule.
    depth : int
        How many jumps led to the chain; 0 is a chain that the kernel calls itself.
    handle : int or None
        The rule's number in its table; None of a policy.
    translation : {"", "DNAT", "SNAT", "masquerade"}
        Whether the rule rewrote the destination or the source.
    translated_to : Address or None
        What it wrote, as later rules saw it.
    """

    family: str
    table: str
    chain: str
    rule: str
    verdict: str
    packet: Packet
    depth: int = 0
    handle: int | None = None
    translation: Translation = ""
    translated_to: Address | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked of whom.

    Attributes
    ----------
    client : str
        ``"node node-01"`` or ``"pod default/tomcat-…"``.
    service : str
        ``"default/tomcat"``.
    source, destination : Address
        As the client's packet said.
    """

    client: str
    service: str
    source: Address
    destination: Address


@dataclass(frozen=True, slots=True)
class PacketPath:
    """The first packet of a real request, and what became of it.

    Attributes
    ----------
    node : str
        Whose rules it passed.
    mode : {"iptables", "nftables"}
        kube-proxy's there, by the rules that the packet met.
    request : Request
        Who asked whom.
    steps : tuple of Step
        In the order in which the packet passed them.
    outcome : {"delivered", "rejected", "dropped", "no answer"}
        What became of the packet.
    endpoint : Address or None
        Where it went in the end; None where a rule stopped it.
    endpoint_name : str
        ``"pod/tomcat-…"``, empty where the API knows none at that address.
    status : int or None
        Of the HTTP answer; None where there was none.
    error : str
        What the client was told instead: ``"connection refused"``.
    """

    node: str
    mode: Mode
    request: Request
    steps: tuple[Step, ...]
    outcome: Outcome
    endpoint: Address | None
    endpoint_name: str
    status: int | None
    error: str

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Return a path that `dataclasses.asdict` and JSON turned into plain objects."""
        asked = raw["request"]
        request = Request(
            asked["client"], asked["service"], Address(**asked["source"]), Address(**asked["destination"])
        )
        steps, endpoint = tuple(map(_step, raw["steps"])), _address(raw["endpoint"])
        return cls(**{**raw, "request": request, "steps": steps, "endpoint": endpoint})

    @property
    def result(self) -> str:
        """What became of the packet: ``"delivered to 192.168.1.2:8080"``."""
        return f"delivered to {self.endpoint}" if self.outcome == "delivered" else self.outcome

    @property
    def answer(self) -> str:
        """What the client saw: ``"HTTP 200"``, ``"connection refused"``."""
        return self.error or ("connected, but no HTTP answer" if self.status is None else f"HTTP {self.status}")


def _address(raw: Mapping[str, Any] | None) -> Address | None:
    return Address(**raw) if raw else None


def _step(raw: Mapping[str, Any]) -> Step:
    packet = raw["packet"]
    seen = Packet(Address(**packet["source"]), Address(**packet["destination"]), packet["mark"])
    return Step(**{**raw, "packet": seen, "translated_to": _address(raw["translated_to"])})


def outcome(steps: tuple[Step, ...], error: str) -> Outcome:
    """Return what became of a packet, by the last verdict on it and by what its client saw.

    Parameters
    ----------
    steps : tuple of Step
        Its path.
    error : str
        The client's, empty where it got a connection.
    """
    verdicts = [step.verdict for step in steps]
    if "reject" in verdicts:
        return "rejected"
    if "drop" in verdicts:
        return "dropped"
    # A refusal is an answer too: the packet came to somebody who does not listen on that port.
    return "no answer" if error and error != "connection refused" else "delivered"
