"""A cluster whose nodes lack programs that they have."""

from __future__ import annotations

from collections.abc import Sequence

from labkit.lab import Lab


class WithoutPrograms:
    """The lab's cluster; each command on a node sees a mount of its own in which some programs are hidden.

    Parameters
    ----------
    lab : Lab
        Whose.
    programs : str
        Which.
    """

    def __init__(self, lab: Lab, *programs: str) -> None:
        self._cluster = lab.cluster
        self._programs = programs

    def __getattr__(self, name: str) -> object:
        return getattr(self._cluster, name)

    def node_command(self, node: str, argv: Sequence[str]) -> list[str]:
        hide = " && ".join(f'mount --bind /dev/null "$(realpath "$(command -v {each})")"' for each in self._programs)
        return self._cluster.node_command(node, ["unshare", "--mount", "sh", "-c", f'{hide} && exec "$@"', "sh", *argv])
