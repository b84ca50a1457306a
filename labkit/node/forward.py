"""The way from the host into a lab: a listening socket outside, connections inside."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from labkit.errors import UsageError
from labkit.language import gettext
from labkit.node.outer import OuterSandbox
from labkit.node.process import ProcessIdentity, detach


def listen(port: int = 0) -> socket.socket:
    """Return a socket that listens on 127.0.0.1.

    Parameters
    ----------
    port : int
        0 takes any free one.

    Raises
    ------
    UsageError
        The port is taken, or not this user's to take.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise UsageError(
            gettext("Port {port} of 127.0.0.1 cannot be used").format(port=port),
            why=str(error),
            fix=gettext("name another port, or 0 for any free one"),
        ) from error
    listener.listen(128)
    return listener


def start(
    outer: OuterSandbox | None, listener: socket.socket, *, address: str, port: int, namespace: str | None, log: Path
) -> ProcessIdentity:
    """Serve a listening socket from inside the lab until the lab ends.

    Parameters
    ----------
    outer : OuterSandbox or None
        The lab; None where each connection goes on from the host.
    listener : socket.socket
        Made by `listen`; the caller may close its own copy afterwards.
    address, port : str, int
        Where inside the lab each connection goes.
    namespace : str or None
        The network namespace, a file, from which it goes; None for the lab's own.
    log : Path
        The forwarder's own messages.
    """
    argv = [
        sys.executable,
        "-I",
        "-m",
        "labkit.node.forwarder",
        str(listener.fileno()),
        address,
        str(port),
        namespace or "",
    ]
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv if outer is None else outer.command(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(listener.fileno(),),
            start_new_session=True,
        )
    return detach(process)
