"""Running a program that installs a cluster, kubeadm or kind: its steps are shown as it names them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from labkit.errors import ClusterError
from labkit.language import gettext
from labkit.progress import Phase

_SHOWN_LINES = 15


def run(
    command: Sequence[str],
    *,
    what: str,
    log: Path,
    phase: Phase,
    step: Callable[[str], str],
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run it to its end.

    Parameters
    ----------
    command : sequence of str
        The whole command.
    what : str
        ``"kubeadm init"``, for the error.
    log : Path
        Gets all of the output.
    phase : Phase
        Is advanced.
    step : callable
        Returns the step that a line of the output names, empty where it names none.
    environment : mapping of str to str
        Variables beside this process's own.

    Raises
    ------
    ClusterError
        It failed; the message has the end of its output.
    """
    with (
        log.open("w") as record,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **(environment or {})},
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                record.write(line)
                record.flush()
                if named := step(line):
                    phase.advance(named)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").strip().splitlines()[-_SHOWN_LINES:])
        raise ClusterError(
            gettext("{what} failed").format(what=what),
            why=tail,
            fix=gettext("the whole output is in {log}").format(log=log),
        )
