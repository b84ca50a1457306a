"""What the processes of a node listen on and are connected to, as ss(8) and ps(1) print it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_MARK = "=== labkit ==="
#: CoreDNS has its pod's network; all other components have the node's.
SCRIPT = f"""
sockets() {{ ss -Hltnp; echo '{_MARK}'; ss -Htnp state established; echo '{_MARK}'; }}
ps -ww -eo pid=,args=; echo '{_MARK}'
sockets
for pid in $(ps -eo pid=,comm= | awk '$2 == "coredns" {{ print $1 }}'); do
  nsenter --target "$pid" --net sh -c "ss -Hltnp; echo '{_MARK}'; ss -Htnp state established; echo '{_MARK}'"
done
"""
_OWNER = re.compile(r'\("[^"]*",pid=(\d+),')
_V4_AS_V6 = re.compile(r"^\[::ffff:([\d.]+)\]:")


@dataclass(slots=True)
class Process:
    """A process of a node.

    Attributes
    ----------
    pid : int
        As the node numbers it.
    command : tuple of str
        Its command line.
    listens : set of str
        ``"172.30.0.10:2379"``; ``"*:6443"`` for all addresses.
    connections : set of tuple of str
        Its own address, and the one that it called or that called it.
    """

    pid: int
    command: tuple[str, ...]
    listens: set[str] = field(default_factory=set)
    connections: set[tuple[str, str]] = field(default_factory=set)

    def flag(self, name: str) -> str:
        """Return the value of ``--name=value`` in the command line, empty where it is not there."""
        prefix = f"--{name}="
        return next((word.removeprefix(prefix) for word in self.command if word.startswith(prefix)), "")


def parse(text: str) -> dict[int, Process]:
    """Return a node's processes by pid, from what `SCRIPT` prints there.

    An address is written as ss(8) has it, an IPv4 address in an IPv6 socket as IPv4.
    """
    processes, *tables = text.split(f"{_MARK}\n")
    found = {}
    for line in processes.splitlines():
        number, *command = line.split()
        found[int(number)] = Process(int(number), tuple(command))
    for table in tables:
        for line in table.splitlines():
            # Where ss filters by state it leaves the column of the state out.
            listening = line.startswith("LISTEN")
            columns = line.removeprefix("LISTEN").split()
            mine, theirs = (_V4_AS_V6.sub(r"\1:", address) for address in columns[2:4])
            for pid in map(int, _OWNER.findall(line)):
                if pid in found and listening:
                    found[pid].listens.add(mine)
                elif pid in found:
                    found[pid].connections.add((mine, theirs))
    return found
