"""A packet's way where ipvs decides: no rule of it can be traced, but the kernel counts, and remembers the connection.

Before and after one request: the counters of ``ipvsadm --list --numeric --stats --exact`` (ipvsadm(8)); and afterwards
conntrack's entry, which has both the addresses that the client used and those of the answer (conntrack(8)).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from labkit.proxy.packet import Address, Packet, Step

#: Prints a node's counters; and what conntrack knows of a connection from a port to an address and port.
COUNTERS = ("ipvsadm", "--list", "--numeric", "--stats", "--exact")
CONNECTION = (
    *("conntrack", "--dump", "--family", "ipv4", "--proto", "tcp", "--orig-port-src", "{source_port}"),
    *("--orig-dst", "{ip}", "--orig-port-dst", "{port}"),
)
#: Seconds after which at the latest the kernel has brought the counters up to date (net/netfilter/ipvs/ip_vs_est.c).
LATE = 2.5
_SERVER = re.compile(r"(?P<kind>TCP|->)\s+(?P<ip>[0-9.]+):(?P<port>\d+)\s+(?P<connections>\d+)\s+(?P<packets>\d+)\s")
_TUPLE = re.compile(r"src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)")


@dataclass(frozen=True, slots=True)
class Count:
    """How much a virtual server, or a real server of it, was used since it was made.

    Attributes
    ----------
    connections, packets : int
        Those that came in.
    """

    connections: int
    packets: int

    def to(self, later: Count) -> str:
        """Return how it grew: ``"connections 3 → 4, packets in 15 → 20"``."""
        return f"connections {self.connections} → {later.connections}, packets in {self.packets} → {later.packets}"


#: By the virtual server's address; None for itself, or a real server's address.
Counts = dict[tuple[Address, Address | None], Count]


def counts(text: str) -> Counts:
    """Read what `COUNTERS` prints, of TCP."""
    found: Counts = {}
    server: Address | None = None
    for line in text.splitlines():
        match = _SERVER.match(line.strip())
        if match is None:
            server = None if line.startswith(("UDP", "SCTP", "FWM")) else server
            continue
        address = Address(match["ip"], int(match["port"]))
        count = Count(int(match["connections"]), int(match["packets"]))
        if match["kind"] == "TCP":
            server = address
            found[server, None] = count
        elif server is not None:
            found[server, address] = count
    return found


def steps(before: Counts, after: Counts, connection: str, source: Address, server: Address) -> tuple[Step, ...]:
    """Return what can be told of a request's first packet; none where the kernel has no such virtual server.

    Parameters
    ----------
    before, after : dict
        The counters around the request; others' connections are in them, too.
    connection : str
        What `CONNECTION` printed afterwards: empty where nobody took the packet.
    source, server : Address
        The request's, as the client sent it.
    """
    if (server, None) not in after:
        return ()
    packet = Packet(source, server)
    growth = _growth(before, after, (server, None))
    answer = _answer(connection)
    if answer is None:
        return (
            Step("ip", "ipvs", "virtual server", f"{server}: {growth}; no real server was chosen", "reject", packet),
        )
    endpoint, client = answer
    scheduled = Step("ip", "ipvs", "virtual server", f"{server}: {growth}", "continue", packet)
    rule = f"{endpoint}: {_growth(before, after, (server, endpoint))}"
    chosen = Step("ip", "ipvs", "real server", rule, "accept", packet, 1, None, "DNAT", endpoint)
    sent = Packet(source, endpoint)
    remembered = Step("ip", "conntrack", "connections", connection.strip(), "accept", sent)
    if client != source:
        remembered = replace(remembered, translation="masquerade", translated_to=client)
    return scheduled, chosen, remembered


def grown(before: Counts, after: Counts, server: Address) -> bool:
    """Whether a virtual server has counted something."""
    return before.get((server, None)) != after.get((server, None))


def source(connection: str) -> str:
    """Return the address from which a connection came, empty where conntrack knows none."""
    match = _TUPLE.search(connection)
    return match[1] if match else ""


def _growth(before: Counts, after: Counts, key: tuple[Address, Address | None]) -> str:
    none = Count(0, 0)
    return before.get(key, none).to(after.get(key, none))


def _answer(connection: str) -> tuple[Address, Address] | None:
    """Return from where and to where the answer to a connection goes, out of its entry."""
    tuples = _TUPLE.findall(connection)
    if len(tuples) != 2:
        return None
    source, destination, source_port, port = tuples[1]
    return Address(source, int(source_port)), Address(destination, int(port))
