"""The ports of 127.0.0.1 that lead into a lab, remembered so that they stay the same when the lab is started again."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from labkit.errors import ClusterError, UsageError
from labkit.language import gettext
from labkit.node import forward
from labkit.node.outer import OuterSandbox
from labkit.node.process import ProcessIdentity


@dataclass(frozen=True, slots=True)
class Target:
    """Where a port leads.

    Attributes
    ----------
    address, port : str, int
        Inside the lab.
    namespace : str or None
        The network namespace (a file) from which it is reached; None for the lab's own.
    """

    address: str
    port: int
    namespace: str | None


class Forwards:
    """The forwards of one lab.

    Parameters
    ----------
    folder : Path
        One JSON file per forward.
    logs : Path
        Where forwarders write what went wrong.
    """

    def __init__(self, folder: Path, logs: Path) -> None:
        self._folder = folder
        self._log = logs / "forward.log"

    def open(self, sandbox: OuterSandbox, name: str, target: Target, *, local_port: int = 0) -> int:
        """Return the local port of a forward, made now unless it is open already.

        Parameters
        ----------
        sandbox : OuterSandbox
            The lab's.
        name : str
            The forward's.
        target : Target
            Where it leads.
        local_port : int
            Of 127.0.0.1; 0 takes any.

        Raises
        ------
        UsageError
            The local port is taken.
        """
        known = self._read(name)
        if known is not None and known[0] == target and known[2].alive and local_port in (0, known[1]):
            return known[1]
        if known is not None:
            known[2].kill()
        with forward.listen(local_port) as listener:
            port: int = listener.getsockname()[1]
            process = forward.start(sandbox, listener, **dataclasses.asdict(target), log=self._log)
        record = {"target": dataclasses.asdict(target), "port": port, "process": dataclasses.asdict(process)}
        (self._folder / f"{name}.json").write_text(json.dumps(record))
        return port

    def reopen(self, sandbox: OuterSandbox) -> None:
        """Open again what was open before the lab was stopped, at the same local ports where they are still free."""
        for path in self._folder.glob("*.json"):
            known = self._read(path.stem)
            if known is None:
                continue
            try:
                self.open(sandbox, path.stem, known[0], local_port=known[1])
            except UsageError:
                self.open(sandbox, path.stem, known[0])

    def port(self, name: str) -> int:
        """Return the local port of a forward that was opened.

        Raises
        ------
        ClusterError
            There is none of that name.
        """
        known = self._read(name)
        if known is None:
            raise ClusterError(
                gettext("The lab has no open port {name!r}").format(name=name),
                why=gettext("{folder} has no record of it").format(folder=self._folder),
            )
        return known[1]

    def _read(self, name: str) -> tuple[Target, int, ProcessIdentity] | None:
        try:
            record = json.loads((self._folder / f"{name}.json").read_text())
            return Target(**record["target"]), record["port"], ProcessIdentity(**record["process"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
