"""What the processes of a node listen on and are connected to, as ss(8) and ps(1) print it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_MARK = "=== labkit ==="
#: CoreDNS has its pod's network; all other components have the node's.
SCRIPT = f"""
ps -ww -eo pid=,stat=,args=; echo '{_MARK}'
ss -Hltnp; ss -Htnp state established; ss -Hxp state established
for pid in $(ps -eo pid=,comm= | awk '$2 == "coredns" {{ print $1 }}'); do
  nsenter --target "$pid" --net sh -c 'ss -Hltnp; ss -Htnp state established'
done
"""
_OWNER = re.compile(r'\("[^"]*",pid=(\d+),')
_UNIX = "u_str"
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
    state : str
        As ps(1) has it: ``"Sl"``; what begins with ``T`` is held still.
    listens : set of str
        ``"172.30.0.10:2379"``; ``"*:6443"`` for all addresses; ``"/run/labkit/cri.sock"``, where somebody called.
    connections : set of tuple of str
        Its own address, and the one that it called or that called it; of a unix socket that it called ``"*"`` and the
        path.
    """

    pid: int
    command: tuple[str, ...]
    state: str = ""
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
    processes, table = text.split(f"{_MARK}\n")
    found = {}
    for line in processes.splitlines():
        number, state, *command = line.split()
        found[int(number)] = Process(int(number), tuple(command), state)
    lines = table.splitlines()
    _unix([line for line in lines if line.startswith(_UNIX)], found)
    for line in lines:
        if line.startswith(_UNIX):
            continue
        # Where ss filters by state it leaves the column of the state out.
        listening = line.startswith("LISTEN")
        columns = line.removeprefix("LISTEN").split()
        mine, theirs = (_V4_AS_V6.sub(r"\1:", address) for address in columns[2:4])
        for process in _owners(line, found):
            if listening:
                process.listens.add(mine)
            else:
                process.connections.add((mine, theirs))
    return found


def _unix(lines: Sequence[str], found: Mapping[int, Process]) -> None:
    """Note who called whom by a unix socket: the one end has the path, the other the number of the first."""
    path_of = {}
    for line in lines:
        _, _, _, path, inode, *_ = line.split()
        if path != "*":
            path_of[inode] = path
            for process in _owners(line, found):
                process.listens.add(path)
    for line in lines:
        peer = line.split()[6]
        if peer in path_of:
            for process in _owners(line, found):
                process.connections.add(("*", path_of[peer]))


def _owners(line: str, found: Mapping[int, Process]) -> list[Process]:
    return [found[pid] for pid in map(int, _OWNER.findall(line)) if pid in found]
