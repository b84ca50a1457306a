"""Exec and attach: a process's streams to the client's, and its exit status at the end.

The protocol is `v4.channel.k8s.io`: streams for stdin, stdout, stderr, the terminal's size, and one, called error, on
which a metav1.Status in JSON says how the process ended (apimachinery/pkg/util/remotecommand/constants.go).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.cri.streaming.calls import Exec
from labkit.cri.streaming.streams import CHUNK, ByteStream, cancel
from labkit.errors import LabkitError

if TYPE_CHECKING:
    from labkit.cri.backend import ExecSession, StreamingBackend
    from labkit.cri.streaming.calls import Attach

_log = logging.getLogger(__name__)

ORPHAN_PATIENCE = 1.0
"""Seconds without output after which a process that has ended is done, even if a child of it holds its output open."""

_MAX_SIZE_TEXT = 256


class RemoteStreams(NamedTuple):
    """The client's streams; those it did not ask for are None."""

    error: ByteStream
    stdin: ByteStream | None = None
    stdout: ByteStream | None = None
    stderr: ByteStream | None = None
    resize: ByteStream | None = None


async def run(backend: StreamingBackend, call: Exec | Attach, streams: RemoteStreams) -> None:
    """Connect a client to a process until it has ended, then send its exit status.

    Parameters
    ----------
    backend : StreamingBackend
    call : Exec or Attach
        Which process.
    streams : RemoteStreams
        The client's.
    """
    for stream in (streams.error, streams.stdout, streams.stderr):
        if stream is not None:
            stream.ignore_input()
    task = "executing command in container" if isinstance(call, Exec) else "attaching to container"
    try:
        session = await _open(backend, call)
        try:
            status = exit_status(await _attend(session, streams))
        finally:
            await session.close()
    except (LabkitError, OSError) as error:
        _log.info("error %s: %s", task, error)
        status = internal_error(f"error {task}: {error}")
    except Exception as error:
        _log.exception("error %s", task)
        status = internal_error(f"error {task}: {error!r}")
    with contextlib.suppress(ConnectionResetError):
        await streams.error.write(json.dumps(status).encode())
    for stream in streams:
        if stream is not None:
            stream.close()


def exit_status(code: int) -> dict[str, Any]:
    """Return the Status of a process that ended with this exit code."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def internal_error(message: str) -> dict[str, Any]:
    """Return the Status of a process that could not be started or followed."""
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {message}",
        "reason": "InternalError",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    }


async def _open(backend: StreamingBackend, call: Exec | Attach) -> ExecSession:
    """Get the process; if the client goes away meanwhile, end it once it has started, so that none is left over."""
    if isinstance(call, Exec):
        opening = backend.open_exec(call.container_id, call.command, tty=call.tty, stdin=call.stdin)
    else:
        opening = backend.open_attach(call.container_id, tty=call.tty, stdin=call.stdin)
    task = asyncio.ensure_future(opening)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with contextlib.suppress(LabkitError, OSError):
            await (await task).close()
        raise


async def _attend(session: ExecSession, streams: RemoteStreams) -> int:
    """Carry bytes both ways until the process has ended and its output is sent; return its exit code."""
    outputs = [
        _Output(source, target)
        for source, target in ((session.stdout, streams.stdout), (session.stderr, streams.stderr))
        if source is not None
    ]
    tasks = [asyncio.create_task(output.run()) for output in outputs]
    draining = set(tasks)
    if streams.stdin is not None:
        tasks.append(asyncio.create_task(_input(streams.stdin, session.stdin)))
    if streams.resize is not None:
        tasks.append(asyncio.create_task(_sizes(streams.resize, session)))
    try:
        code = await session.wait()
        while draining:
            moved = [output.moved for output in outputs]
            _, draining = await asyncio.wait(draining, timeout=ORPHAN_PATIENCE)
            if not any(output.sending for output in outputs) and moved == [output.moved for output in outputs]:
                break
        for task in tasks:
            if task.done():
                task.result()
        return code
    finally:
        await cancel(tasks)


class _Output:
    """One of a process's outputs on its way to the client; without a client it is read and dropped."""

    def __init__(self, source: asyncio.StreamReader, target: ByteStream | None) -> None:
        self._source = source
        self._target = target
        self.moved = 0
        self.sending = False

    async def run(self) -> None:
        while data := await self._read():
            self.moved += len(data)
            if self._target is None:
                continue
            self.sending = True
            try:
                await self._target.write(data)
            except ConnectionResetError:
                self._target = None
            self.sending = False
        if self._target is not None:
            self._target.close()

    async def _read(self) -> bytes:
        try:
            return await self._source.read(CHUNK)
        except OSError:  # a terminal whose last process has ended: EIO is its end of file
            return b""


async def _input(source: ByteStream, target: asyncio.StreamWriter | None) -> None:
    """Carry the client's input to the process; once it reads no more, drop the rest so that other streams go on."""
    wanted = target
    with contextlib.suppress(ConnectionResetError):  # the client gave up its input: the same as its end
        while data := await source.read():
            if wanted is not None:
                try:
                    wanted.write(data)
                    await wanted.drain()
                except OSError:
                    wanted = None
    if target is not None:
        target.close()


async def _sizes(source: ByteStream, session: ExecSession) -> None:
    """Set the terminal's size whenever the client sends one: JSON objects one after the other."""
    text = ""
    with contextlib.suppress(OSError):  # the client gave up this stream, or the terminal has gone
        while data := await source.read():
            text += data.decode("latin-1")
            text = _apply(text, session)
            if len(text) > _MAX_SIZE_TEXT:
                _log.info("the client sends no terminal sizes but %r", text[:80])
                text = ""


def _apply(text: str, session: ExecSession) -> str:
    """Use the sizes at the text's start; return what is left, that may be the start of another."""
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        try:
            size, end = decoder.raw_decode(text)
        except (ValueError, RecursionError):
            break
        text = text[end:]
        _resize(session, size)
    return text


def _resize(session: ExecSession, size: object) -> None:
    match size:
        case {"Width": int(columns), "Height": int(rows)} if 0 < columns < 65536 and 0 < rows < 65536:
            session.resize(columns, rows)
        case _:
            _log.info("the client sent %.80r as its terminal's size", size)
