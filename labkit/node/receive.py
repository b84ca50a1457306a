"""Starting the receiver of trace spans inside a lab."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from labkit.errors import ClusterError
from labkit.language import gettext
from labkit.node.outer import OuterSandbox
from labkit.node.process import ProcessIdentity, detach
from labkit.node.receiver import SERVES, TAKEN

_TIMEOUT = 20.0
# The receiver is started again whenever it ends; exporters meanwhile keep their spans and try again.
_SUPERVISOR = f"""
while :; do
    "$@"
    status=$?
    [ "$status" = {TAKEN} ] && exit "$status"
    echo "labkit: the receiver ended with status $status; starting it again"
    sleep 0.2
done
"""


def start(outer: OuterSandbox | None, folder: Path, address: str, *, log: Path) -> ProcessIdentity:
    """Receive trace spans until the lab ends; return at once, and let `wait` tell when it does.

    Parameters
    ----------
    outer : OuterSandbox or None
        The lab; None where it has no sandbox and the receiver is a process of the host.
    folder : Path
        Where the spans are kept; made if missing, for this user alone.
    address : str
        Where components send them: ``"172.30.0.1:4317"``.
    log : Path
        The receiver's own messages.
    """
    folder.mkdir(exist_ok=True, mode=0o700)
    (folder / SERVES).unlink(missing_ok=True)
    supervised = ["sh", "-c", _SUPERVISOR, "sh"]
    supervised += [sys.executable, "-I", "-m", "labkit.node.receiver", str(folder), address]
    with log.open("ab") as output:
        process = subprocess.Popen(
            supervised if outer is None else outer.command(supervised),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return detach(process)


def wait(process: ProcessIdentity, folder: Path, *, log: Path) -> None:
    """Wait until the receiver that `start` started listens.

    Raises
    ------
    ClusterError
        It does not: the port is taken, or the message has the end of its log.
    """
    deadline = time.monotonic() + _TIMEOUT
    while not (folder / SERVES).exists():
        if not process.alive or time.monotonic() > deadline:
            tail = log.read_text(errors="replace").strip().splitlines()[-3:]
            raise ClusterError(
                gettext("The receiver of trace spans does not start"),
                why="\n".join(tail) or gettext("it left no message"),
                fix=gettext("end what else listens there inside the lab, or labkit stop and labkit start"),
            )
        time.sleep(0.01)
