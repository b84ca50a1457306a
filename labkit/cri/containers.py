"""Containers: each a bubblewrap sandbox in its pod's namespaces, from CreateContainer to RemoveContainer."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import secrets
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labkit.cri import api_pb2 as api
from labkit.cri import launch, processes, rootfs, streams
from labkit.cri.bubblewrap import User
from labkit.cri.command import Command, asked_user, plan, user_of
from labkit.cri.config import Config
from labkit.cri.errors import NotFoundError, StateError
from labkit.cri.images import Image
from labkit.cri.logs import LogFile, LogPump
from labkit.cri.processes import Identity, MountNamespace
from labkit.cri.sandboxes import Sandbox
from labkit.cri.state import Folder

_log = logging.getLogger(__name__)

_CANNOT_RUN = 128  # what containerd reports for a program that could not be started
_UNKNOWN = 255  # and for an exit that nobody saw
_COMPLAINT = 4096  # bytes of what bubblewrap may have to say


@dataclass(slots=True)
class ContainerRecord:
    """What is remembered of a container.

    Attributes
    ----------
    monitor, init, main : Identity or None
        Bubblewrap's outer process; the sandbox's first process; the container's own program.
    mounts : str
        Name of its mount namespace, by which its processes are found; it means this one only while it is held.
    keep : int or None
        The descriptor that `init` holds for the runtime.
    """

    id: str
    sandbox_id: str
    image: dict[str, Any]
    reference: str
    created_at: int
    state: api.ContainerState = api.CONTAINER_CREATED
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    log_path: str = ""
    has_init: bool = True
    monitor: Identity | None = None
    init: Identity | None = None
    main: Identity | None = None
    mounts: str = ""
    keep: int | None = None

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> ContainerRecord:
        """Make a record of what `dataclasses.asdict` stored."""
        for name in ("monitor", "init", "main"):
            values[name] = Identity(**values[name]) if values[name] else None
        return cls(**values)


@dataclass(slots=True)
class Container:
    """A container: its record, the configuration kubelet gave, and what belongs to it while it runs."""

    record: ContainerRecord
    config: api.ContainerConfig
    folder: Path
    image: Image
    user: User
    handle: subprocess.Popen[bytes] | None = None
    streams: streams.Streams | None = None
    pump: LogPump | None = None
    mounts: MountNamespace | None = None
    exited: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def id(self) -> str:
        """The CRI's id."""
        return self.record.id

    @property
    def running(self) -> bool:
        """Whether its program runs."""
        return self.record.state == api.CONTAINER_RUNNING

    def program(self) -> Identity:
        """Return the running program.

        Raises
        ------
        StateError
            If the container does not run.
        """
        if not self.running or not self.record.main:
            raise StateError(f"Container {self.config.metadata.name} ({self.id}) is not running")
        return self.record.main


class Containers:
    """All containers of the node.

    Parameters
    ----------
    config : Config
        The runtime's settings.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._folder = Folder(config.state_dir / "containers")
        self._known: dict[str, Container] = {}
        self._reported: set[str] = set()
        self._new_proc: bool | None = None

    def get(self, container_id: str) -> Container:
        """Return a container.

        Raises
        ------
        NotFoundError
            If there is none of that id.
        """
        if container_id not in self._known:
            raise NotFoundError(f"There is no container {container_id}")
        return self._known[container_id]

    def find(self, container_id: str) -> Container | None:
        """Return a container, or None."""
        return self._known.get(container_id)

    def all(self) -> list[Container]:
        """Return all containers."""
        return list(self._known.values())

    def of(self, sandbox: Sandbox) -> list[Container]:
        """Return the containers of a pod."""
        return [container for container in self._known.values() if container.record.sandbox_id == sandbox.id]

    def create(self, sandbox: Sandbox, config: api.ContainerConfig, image: Image, reference: str) -> Container:
        """Make a container that is ready to start.

        Raises
        ------
        ArgumentError
            If its configuration can never be run.
        """
        directory = sandbox.config.log_directory
        record = ContainerRecord(
            secrets.token_hex(32), sandbox.id, dataclasses.asdict(image), reference, time.time_ns()
        )
        record.log_path = str(Path(directory, config.log_path)) if directory and config.log_path else ""
        folder = self._folder.create(record.id, config.SerializeToString())
        container = Container(record, config, folder, image, self._user(config, sandbox.config.metadata.name))
        try:
            rootfs.create(folder / "root", image)
            plan(container.config, image, sandbox, self._config)  # what can never run fails here
        except BaseException:
            self._folder.remove(record.id)
            raise
        self._known[record.id] = container
        self._save(container)
        return container

    async def start(self, container: Container, sandbox: Sandbox) -> None:
        """Run a created container's program.

        Raises
        ------
        StateError
            If the container is not fresh, its pod is not ready or its program cannot be run.
        """
        if self._new_proc is None:
            self._new_proc = await launch.can_mount_proc()
        if container.record.state != api.CONTAINER_CREATED or container.record.monitor:
            raise StateError(f"Container {container.config.metadata.name} ({container.id}) was started before")
        if not sandbox.ready:
            raise StateError(f"The sandbox of pod {sandbox.config.metadata.name} is not ready")
        command = plan(container.config, container.image, sandbox, self._config)
        if command.target_id:
            command = dataclasses.replace(command, pid_holder=self.get(command.target_id).program())
        self._launch(container, sandbox, command)
        await self._settle(container)

    def _launch(self, container: Container, sandbox: Sandbox, command: Command) -> None:
        """Start bubblewrap and remember it at once."""
        config, record = container.config, container.record
        container.streams, child = streams.make(
            container.folder, tty=config.tty, stdin=config.stdin, stdin_once=config.stdin_once
        )
        with contextlib.ExitStack() as opened:
            opened.callback(child.close)
            status = os.open(container.folder / "status", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            opened.callback(os.close, status)
            pids = None
            if command.pid_holder:
                pids = os.open(f"/proc/{command.pid_holder.pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
                opened.callback(os.close, pids)
            box = command.sandbox(
                container.folder / "root",
                new_proc=bool(self._new_proc),
                status_fd=status,
                keep_fd=child.keep,
                pid_namespace_fd=pids,
            )
            record.keep = child.keep
            record.has_init = box.own_pids or child.keep is not None
            record.monitor, container.handle = launch.start(
                box.arguments(),
                command.argv,
                enter=sandbox.entry(),
                env=command.env,
                streams=child.standard,
                inherit=tuple(fd for fd in (status, child.keep, pids) if fd is not None),
            )
        self._save(container)

    async def _settle(self, container: Container) -> None:
        """Wait until the program runs, or say why it does not."""
        record, said = container.record, bytearray()
        assert record.monitor is not None  # noqa: S101 - set by _launch
        pump = self._open_pump(container)
        detach = pump.attach(lambda _stream, data: said.extend(data[: _COMPLAINT - len(said)]))
        main = await launch.program(container.folder, record.monitor, init=record.has_init)
        pump.poll()
        detach()
        why = said.decode(errors="replace").strip()
        if not main and why.startswith(("bwrap:", "nsenter:", "setpriv:", "setsid:")):
            self._watch(container)
            await container.exited.wait()
            record.exit_code, record.reason, record.message = _CANNOT_RUN, "StartError", why
            self._save(container)
            raise StateError(f"Container {container.config.metadata.name} cannot be started", why=why)
        record.state, record.started_at = api.CONTAINER_RUNNING, time.time_ns()
        self._identify(container, main)
        self._save(container)
        self._watch(container)

    def _open_pump(self, container: Container) -> LogPump:
        path = container.record.log_path
        sources = container.streams.sources if container.streams else {}
        container.pump = LogPump(sources, LogFile(Path(path) if path else None))
        container.pump.start()
        return container.pump

    def _watch(self, container: Container) -> None:
        if container.record.monitor:
            processes.on_exit(container.record.monitor, lambda: self._ended(container))

    def _ended(self, container: Container) -> None:
        """End what a container's program has left behind; once all is gone, note how the program ended."""
        left = self._processes(container)
        for process in left:
            process.signal(signal.SIGKILL)
        if left:
            processes.on_exit(left[0], lambda: self._ended(container))
        else:
            self._finish(container)

    def _finish(self, container: Container) -> None:
        """Note how a container ended, and write the rest of its output."""
        record = container.record
        returncode = container.handle.wait() if container.handle else None
        code = launch.status(container.folder / "status").get("exit-code")
        if code is None:
            code = _UNKNOWN if returncode is None else processes.exit_code(returncode)
        if container.pump:
            container.pump.finish()
        self._close_input(container)
        if container.mounts:
            container.mounts.close()
            container.mounts = None
        record.state, record.finished_at, record.exit_code = api.CONTAINER_EXITED, time.time_ns(), code
        record.reason = "Completed" if code == 0 else "Error"
        self._save(container)
        container.exited.set()

    def _close_input(self, container: Container) -> None:
        if container.streams:
            for descriptor in (container.streams.stdin, container.streams.terminal):
                if descriptor is not None:
                    os.close(descriptor)
            container.streams = None

    def _processes(self, container: Container) -> list[Identity]:
        """Return a container's processes, init first: its end ends all in its pid namespace."""
        record = container.record
        found = [record.init] if record.init and record.init.alive() else []
        return found + (container.mounts.members() if container.mounts else [])

    async def stop(self, container: Container, grace: float) -> None:
        """Ask a container's program to end, and end it after `grace` seconds; again is no error."""
        if container.record.state != api.CONTAINER_RUNNING:
            return
        if grace > 0 and container.record.main:
            container.record.main.signal(_stop_signal(container))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await container.exited.wait()
        while not container.exited.is_set():
            for process in self._processes(container):
                process.signal(signal.SIGKILL)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await container.exited.wait()

    async def remove(self, container: Container) -> None:
        """End a container if it runs, and forget it with all its files."""
        await self.stop(container, 0)
        self._folder.remove(container.id)
        self._known.pop(container.id, None)

    def adopt(self) -> None:
        """Take over what an earlier runtime left: what lives goes on, what died is marked so."""
        for values, config in self._folder.load():
            record = ContainerRecord.from_values(values)
            folder, image = self._folder.of(record.id), Image.from_values(record.image, "the container's record")
            parsed = api.ContainerConfig.FromString(config)
            container = Container(record, parsed, folder, image, user_of(parsed, self._config))
            self._known[record.id] = container
            if record.state == api.CONTAINER_EXITED:
                container.exited.set()
            elif record.monitor:
                self._resume(container)

    def _resume(self, container: Container) -> None:
        """Go on with a container that had been started."""
        record, config = container.record, container.config
        alive = record.monitor is not None and record.monitor.alive()
        if not record.init:  # the runtime ended just after it had started bubblewrap
            self._identify(container, None)
        elif record.mounts:
            container.mounts = MountNamespace.named(record.mounts)
        record.state, record.started_at = api.CONTAINER_RUNNING, record.started_at or time.time_ns()
        if alive and record.init:
            with contextlib.suppress(OSError):  # it has just ended
                container.streams = streams.reopen(
                    container.folder, tty=config.tty, stdin=config.stdin, init=record.init, keep=record.keep
                )
                self._open_pump(container)
        _log.info("container %s (%s) adopted", config.metadata.name, record.id)
        self._watch(container)

    def _identify(self, container: Container, main: Identity | None) -> None:
        """Remember a container's processes, also if its program has already ended: it may have left others behind."""
        record = container.record
        record.init = launch.first(container.folder, record.monitor) if record.monitor else None
        if record.init:
            record.main = main or launch.main_of(record.init, init=record.has_init)
            container.mounts = MountNamespace.of(record.init)
            record.mounts = container.mounts.name if container.mounts else ""

    def _user(self, config: api.ContainerConfig, pod: str) -> User:
        """Return who a container runs as; where that is not who it asks for, say so once for a pod."""
        asked, user = asked_user(config), user_of(config, self._config)
        if asked != user and pod not in self._reported:
            self._reported.add(pod)
            _log.warning("pod %s asks for user %d, group %d: only id 0 exists on this node", pod, asked.uid, asked.gid)
        return user

    def _save(self, container: Container) -> None:
        if container.folder.exists():
            self._folder.save(container.id, dataclasses.asdict(container.record))


def _stop_signal(container: Container) -> int:
    """Return the signal that asks a container to end: the pod's, else the image's."""
    chosen = container.config.stop_signal
    name = api.Signal.Name(chosen) if chosen else container.image.stop_signal
    return int(signal.Signals[name])
