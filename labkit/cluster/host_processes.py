"""What runs on the host itself for a lab that has no sandbox: the receiver of spans, and ports that lead into it."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit.cluster.state import LabFolder
from labkit.errors import UsageError
from labkit.node import forward
from labkit.node.process import ProcessIdentity, detach


class HostProcesses:
    """A lab's processes on the host, each the leader of a session of its own, remembered so that they can be ended.

    Parameters
    ----------
    folder : LabFolder
        The lab's.
    """

    def __init__(self, folder: LabFolder) -> None:
        self._folder = folder.forwards
        self._log = folder.logs / "forward.log"
        #: Where the receiver listens, which stays the same when the lab is started again.
        self.endpoint: Path = folder.path / "endpoint"

    def remember(self, name: str, process: ProcessIdentity, *, port: int = 0, connect: Sequence[str] = ()) -> None:
        """Keep a process that was started."""
        record = {"port": port, "connect": list(connect), "process": dataclasses.asdict(process)}
        (self._folder / f"{name}.json").write_text(json.dumps(record))

    def forward(self, name: str, connect: Sequence[str], local_port: int) -> int:
        """Return the port of 127.0.0.1 each of whose connections is given to a command, opened now unless it is.

        Parameters
        ----------
        name : str
            The forward's.
        connect : sequence of str
            The command, which copies its input and output.
        local_port : int
            Of 127.0.0.1; 0 takes any.

        Raises
        ------
        UsageError
            The local port is taken.
        """
        known = self._read(self._folder / f"{name}.json")
        if known is not None and known.process.alive and local_port in {0, known.port}:
            return known.port
        if known is not None:
            _end(known.process)
        with forward.listen(local_port) as listener, self._log.open("ab") as output:
            port: int = listener.getsockname()[1]
            process = subprocess.Popen(
                [sys.executable, "-I", "-m", "labkit.node.piper", str(listener.fileno()), *connect],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(listener.fileno(),),
                start_new_session=True,
            )
        self.remember(name, detach(process), port=port, connect=connect)
        return port

    def reopen(self) -> None:
        """Open again what was open before the lab was stopped, at the same ports where they are still free."""
        for path in self._folder.glob("*.json"):
            known = self._read(path)
            if known is None or not known.connect:
                continue
            try:
                self.forward(path.stem, known.connect, known.port)
            except UsageError:
                self.forward(path.stem, known.connect, 0)

    def end_all(self) -> None:
        """End every one, with its children; which ports were open is still known."""
        for path in self._folder.glob("*.json"):
            known = self._read(path)
            if known is not None:
                _end(known.process)

    @staticmethod
    def _read(path: Path) -> _Known | None:
        try:
            record = json.loads(path.read_text())
            return _Known(record["port"], record["connect"], ProcessIdentity(**record["process"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class _Known:
    """A process that was started: the port that it serves, and by which command, if it is a forward."""

    port: int
    connect: list[str]
    process: ProcessIdentity


def _end(process: ProcessIdentity) -> None:
    if process.alive:
        os.killpg(process.pid, signal.SIGKILL)
        process.kill()  # waits until it is gone
