"""The streaming server: single-use URLs for the kubelet, and what happens when it comes.

The kubelet's server passes the API server's upgrade request on to the URL byte for byte (kubelet/server/server.go,
proxyStream), so a client's protocol reaches us as it is: SPDY/3.1 for kubectl (the API server translates WebSocket
`v5.channel.k8s.io` and unwraps port-forward's tunnel: apiserver/pkg/util/proxy/streamtranslator.go, streamtunnel.go),
WebSocket `v4.channel.k8s.io` for the official Python client.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from labkit.cri.streaming import over_spdy
from labkit.cri.streaming.calls import Attach, Calls, Exec, PortForward
from labkit.cri.streaming.streams import CREATION_TIMEOUT, cancel
from labkit.cri.streaming.upgrade import SPDY, WEBSOCKET, read_request, refusal
from labkit.errors import ClusterError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labkit.cri.backend import StreamingBackend

_log = logging.getLogger(__name__)

MAX_PORTS = 127
"""Ports of one WebSocket: each takes two of the channels 0 to 254."""

_FLUSH_TIMEOUT = 5.0
"""Seconds a client has to read the last bytes, a refusal for instance, before its connection is cut."""


class StreamingServer:
    """Serves exec, attach and port-forward on a port of 127.0.0.1.

    Parameters
    ----------
    backend : StreamingBackend
        Starts processes, joins containers and connects to ports.
    """

    def __init__(self, backend: StreamingBackend) -> None:
        self._backend = backend
        self._calls = Calls()
        self._server: asyncio.Server | None = None
        self._base = ""
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on a free port of 127.0.0.1.

        Raises
        ------
        OSError
            There is none.
        """
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self._base = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Stop listening and end all connections, and with them their sessions."""
        if self._server is not None:
            self._server.close()
        await cancel(list(self._connections))
        if self._server is not None:
            await self._server.wait_closed()

    def exec_url(
        self, container_id: str, command: Sequence[str], *, tty: bool, stdin: bool, stdout: bool, stderr: bool
    ) -> str:
        """Return the URL at which a process in a container can be started, once, within a minute.

        Parameters
        ----------
        container_id : str
        command : Sequence[str]
        tty : bool
            Whether the process gets a terminal; then it has no stderr of its own.
        stdin, stdout, stderr : bool
            Which of its streams the client wants.

        Raises
        ------
        UsageError
            The request makes no sense.
        ClusterError
            Too many URLs wait to be used.
        """
        _check("exec", container_id, stdin=stdin, stdout=stdout, stderr=stderr, tty=tty)
        if not command:
            raise UsageError("An exec request has no command.", fix="Name the program to run.")
        return self._base + self._calls.add(Exec(container_id, list(command), tty, stdin, stdout, stderr))

    def attach_url(self, container_id: str, *, tty: bool, stdin: bool, stdout: bool, stderr: bool) -> str:
        """Return the URL at which a container's main process can be joined, once, within a minute.

        Parameters and errors are those of `exec_url`.
        """
        _check("attach", container_id, stdin=stdin, stdout=stdout, stderr=stderr, tty=tty)
        return self._base + self._calls.add(Attach(container_id, tty, stdin, stdout, stderr))

    def port_forward_url(self, sandbox_id: str, ports: Sequence[int] = ()) -> str:
        """Return the URL at which ports of a pod can be reached, once, within a minute.

        Parameters
        ----------
        sandbox_id : str
        ports : Sequence[int], optional
            CRI's PortForwardRequest.port: given for a WebSocket client, where they make the channels. A SPDY client
            names the port of each connection itself.

        Raises
        ------
        UsageError
            The request makes no sense.
        ClusterError
            Too many URLs wait to be used.
        """
        if not sandbox_id or len(ports) > MAX_PORTS or not all(0 < port < 65536 for port in ports):
            why = f"sandbox {sandbox_id!r}, ports {list(ports)}"
            raise UsageError(
                "A port-forward request is incomplete.", why=why, fix="Name a sandbox and ports from 1 on."
            )
        return self._base + self._calls.add(PortForward(sandbox_id, list(ports)))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; whatever a client does, no more than its own connection ends."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - we are in one
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        except (OSError, TimeoutError) as error:
            _log.info("A streaming client went away: %r", error)
        except Exception:
            _log.exception("A streaming connection failed")
        finally:
            self._connections.discard(task)
            await _dispose(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(CREATION_TIMEOUT):
                request = await read_request(reader)
        except ClusterError as error:
            writer.write(refusal(400, str(error)))
            return
        call = self._calls.take(request.path)
        if call is None:
            writer.write(refusal(404, "This URL was never given out, was used before, or has expired."))
        elif request.upgrade == SPDY:
            await over_spdy.serve(self._backend, call, request, reader, writer)
        elif request.upgrade == WEBSOCKET:
            # Not at the top: with the websockets library it costs every node 5 MB, and kubectl never comes this way.
            from labkit.cri.streaming import over_websocket  # noqa: PLC0415

            await over_websocket.serve(self._backend, call, request, reader, writer)
        else:
            writer.write(refusal(400, "This URL is for an upgrade to SPDY/3.1 or WebSocket."))


def _check(what: str, container_id: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> None:
    """Refuse what kubelet/pkg/cri/streaming/server.go refuses."""
    if not container_id:
        raise UsageError(f"An {what} request names no container.", fix="Set container_id.")
    if not (stdin or stdout or stderr):
        raise UsageError(f"An {what} request asks for no stream.", fix="Ask for stdin, stdout or stderr.")
    if tty and stderr:
        raise UsageError(
            f"An {what} request asks for a terminal and for stderr.",
            why="a terminal shows both outputs as one",
            fix="Leave out one of them.",
        )


async def _dispose(writer: asyncio.StreamWriter) -> None:
    """Close a connection: in good order if the client reads what is left, at once if it does not."""
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_FLUSH_TIMEOUT):
            await writer.wait_closed()
            return
    writer.transport.abort()
