"""Processes that join a running container and end: exec probes, lifecycle hooks, crictl's ``exec --sync``.

Sources: the CRI's ``ExecSync``; containerd's ``container_execsync.go`` for the limit of the output.
"""

from __future__ import annotations

import asyncio
import os
import signal

from labkit.cri import bubblewrap, processes, rootfs
from labkit.cri.command import environment, plan
from labkit.cri.config import Config
from labkit.cri.containers import Containers
from labkit.cri.errors import DeadlineError
from labkit.cri.sandboxes import Sandboxes

OUTPUT_LIMIT = 16 * 1024 * 1024
_NAMESPACES = ("mnt", "pid", "net", "ipc", "uts")
_DRAIN = 1.0  # seconds for output that a process's children still hold open


class Execution:
    """Runs processes in containers.

    Parameters
    ----------
    config : Config
        The runtime's settings.
    sandboxes, containers
        What exists on the node.
    """

    def __init__(self, config: Config, sandboxes: Sandboxes, containers: Containers) -> None:
        self._config = config
        self._sandboxes = sandboxes
        self._containers = containers

    async def run(self, container_id: str, command: list[str], timeout: float) -> tuple[int, bytes, bytes]:
        """Run a process to its end.

        Returns
        -------
        tuple of int, bytes, bytes
            Exit code, output, errors; output beyond `OUTPUT_LIMIT` is dropped.

        Raises
        ------
        StateError
            If the container does not run.
        DeadlineError
            If it took longer than `timeout` seconds (0: for ever); it has been ended.
        """
        argv, env = self.command(container_id, command, tty=False)
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *argv, env=env, stdin=null, stdout=pipe, stderr=pipe, start_new_session=True
        )
        outputs = (bytearray(), bytearray())
        readers = [
            asyncio.create_task(_collect(stream, output))
            for stream, output in zip((process.stdout, process.stderr), outputs, strict=True)
            if stream
        ]
        try:
            async with asyncio.timeout(timeout or None):
                code = await processes.wait(process)
            await asyncio.wait(readers, timeout=_DRAIN)
        except TimeoutError as error:
            raise DeadlineError(f"command {command[0]!r} did not end within {timeout:g} s and was ended") from error
        finally:
            if process.returncode is None:
                kill(process.pid)
                await processes.wait(process)
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
            process._transport.close()  # type: ignore[attr-defined] # or its pipes stay open as long as a child of the process has them
        return code, bytes(outputs[0]), bytes(outputs[1])

    def command(self, container_id: str, command: list[str], *, tty: bool) -> tuple[list[str], dict[str, str]]:
        """Return the command that starts a process as the container's own program was, and its environment.

        Raises
        ------
        NotFoundError, StateError
            If there is no such container or it does not run.
        """
        container = self._containers.get(container_id)
        main = container.program()
        sandbox = self._sandboxes.get(container.record.sandbox_id)
        like = plan(container.config, container.image, sandbox, self._config)
        setpriv = rootfs.tool(container.image, "setpriv")
        kinds = [
            kind
            for kind in _NAMESPACES
            if processes.namespace(main.pid, kind) != processes.namespace(os.getpid(), kind)
        ]
        argv = bubblewrap.enter_container(main.pid, kinds, like.workdir)
        if like.user.is_root:
            argv += bubblewrap.limit(setpriv, like.capabilities, privileged=like.privileged)
        else:
            argv += bubblewrap.set_user(setpriv, like.user)
        if tty:
            argv += [*rootfs.tool(container.image, "setsid"), "--ctty"]
        return [*argv, *command], environment(container.config, container.image, sandbox, self._config, like.user)


def kill(pid: int) -> None:
    """End a process with its children and their sessions."""
    for process in processes.descendants(pid):
        process.signal(signal.SIGKILL)


async def _collect(stream: asyncio.StreamReader, output: bytearray) -> None:
    while data := await stream.read(64 * 1024):
        output += data[: max(OUTPUT_LIMIT - len(output), 0)]
