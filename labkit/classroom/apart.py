"""An account's own network: nobody else's 127.0.0.1 leads to what it serves, nor its own to theirs.

It is a named network namespace (ip-netns(8)). Two ways lead through: the Hub's proxy reaches the account's Jupyter
server, and that one reaches the Hub.
"""

from __future__ import annotations

import pwd
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from labkit.node import forward, netns
from labkit.node.process import ProcessIdentity, run

_NAMES = Path("/run/netns")  # ip-netns(8)
_LOOPBACK = "127.0.0.1"


class OwnNetwork:
    """The network in which all processes of one account are.

    Parameters
    ----------
    account : str
        Whose.
    """

    def __init__(self, account: str) -> None:
        self._name = f"labkit-{account}"
        self._file = _NAMES / self._name

    def make(self) -> None:
        """Make it: a loopback device, and nothing else.

        Raises
        ------
        ClusterError
            The program ip refuses, as it does where one is not root, or the network is there already.
        """
        run(["ip", "netns", "add", self._name], what="make an account's network")
        run(["ip", "-netns", self._name, "link", "set", "lo", "up"], what="bring an account's network up")

    def command(self, account: pwd.struct_passwd, words: Sequence[str]) -> list[str]:
        """Return the command by which root has an account run another in it (nsenter(1), setpriv(1)).

        Parameters
        ----------
        account : pwd.struct_passwd
            Who.
        words : sequence of str
            What.
        """
        identity = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups"]
        return ["nsenter", f"--net={self._file}", "--", "setpriv", *identity, "--", *words]

    def open_ways(self, listener: socket.socket, hub_port: int, *, log: Path) -> list[ProcessIdentity]:
        """Lead from a listening socket to the account's server, and from the account's network to the Hub.

        Parameters
        ----------
        listener : socket.socket
            The Hub's proxy connects to it; the account's server listens on the same port of its own 127.0.0.1.
        hub_port : int
            Of 127.0.0.1, where the Hub listens; it has the same one in the account's network.
        log : Path
            The messages of the processes that this starts.

        Returns
        -------
        list of ProcessIdentity
            What is to be ended with the account's server. They are root's: the account cannot take their sockets.
        """
        with ThreadPoolExecutor(1) as pool:  # a thread that has joined a namespace stays in it
            inside = pool.submit(self._listen, hub_port).result()
        port: int = listener.getsockname()[1]
        with inside:
            return [
                forward.start(None, listener, address=_LOOPBACK, port=port, namespace=str(self._file), log=log),
                forward.start(None, inside, address=_LOOPBACK, port=hub_port, namespace=None, log=log),
            ]

    def remove(self) -> None:
        """Remove it; nothing happens where there is none."""
        if self._file.exists():
            run(["ip", "netns", "delete", self._name], what="remove an account's network")

    def _listen(self, port: int) -> socket.socket:
        netns.join(self._file)
        return forward.listen(port)
