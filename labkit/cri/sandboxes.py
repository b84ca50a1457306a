"""Pod sandboxes: a sleeping process that holds a pod's namespaces, and the pod's connection to the network."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import secrets
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labkit.cri import api_pb2 as api
from labkit.cri import bubblewrap, cni, launch, processes
from labkit.cri.config import Config
from labkit.cri.errors import ArgumentError, NotFoundError, StateError
from labkit.cri.processes import Identity
from labkit.cri.state import Folder

_log = logging.getLogger(__name__)
_PATIENCE = 10.0


@dataclass(slots=True)
class SandboxRecord:
    """What is remembered of a sandbox; `ready` is false until it is whole and once it is stopped."""

    id: str
    created_at: int
    ready: bool = False
    monitor: Identity | None = None
    holder: Identity | None = None
    addresses: list[str] = field(default_factory=list)
    network: dict[str, Any] | None = None
    result: dict[str, Any] | None = None

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> SandboxRecord:
        """Make a record of what `dataclasses.asdict` stored."""
        for name in ("monitor", "holder"):
            values[name] = Identity(**values[name]) if values[name] else None
        return cls(**values)


@dataclass(slots=True)
class Sandbox:
    """A pod's sandbox: its record, and the configuration kubelet gave."""

    record: SandboxRecord
    config: api.PodSandboxConfig
    folder: Path
    handle: subprocess.Popen[bytes] | None = None

    @property
    def id(self) -> str:
        """The CRI's id."""
        return self.record.id

    @property
    def namespaces(self) -> api.NamespaceOption:
        """Which namespaces are the pod's own."""
        return self.config.linux.security_context.namespace_options

    @property
    def own_network(self) -> bool:
        """Whether the pod has its own network."""
        return self.namespaces.network != api.NODE

    @property
    def own_ipc(self) -> bool:
        """Whether the pod has its own System V IPC."""
        return self.namespaces.ipc != api.NODE

    @property
    def shared_pids(self) -> bool:
        """Whether the pod's containers see each other's processes."""
        return self.namespaces.pid == api.POD

    @property
    def ready(self) -> bool:
        """Whether it is whole and its process lives."""
        return self.record.ready and bool(self.record.holder and self.record.holder.alive())

    def entry(self) -> list[str]:
        """Return the command that enters the pod's namespaces."""
        if not self.record.holder:
            return []
        return bubblewrap.enter_pod(self.record.holder.pid, network=self.own_network, ipc=self.own_ipc)


class Sandboxes:
    """All sandboxes of the node.

    Parameters
    ----------
    config : Config
        The runtime's settings.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._folder = Folder(config.state_dir / "sandboxes")
        self._known: dict[str, Sandbox] = {}

    def adopt(self) -> None:
        """Take over what an earlier runtime left: what lives stays ready, what died is not."""
        for values, config in self._folder.load():
            record = SandboxRecord.from_values(values)
            sandbox = Sandbox(record, api.PodSandboxConfig.FromString(config), self._folder.of(record.id))
            self._known[record.id] = sandbox
            if record.ready and sandbox.ready:
                self._watch(sandbox)
            else:
                record.ready = False
                self._save(sandbox)

    def get(self, sandbox_id: str) -> Sandbox:
        """Return a sandbox.

        Raises
        ------
        NotFoundError
            If there is none of that id.
        """
        if sandbox_id not in self._known:
            raise NotFoundError(f"There is no pod sandbox {sandbox_id}")
        return self._known[sandbox_id]

    def find(self, sandbox_id: str) -> Sandbox | None:
        """Return a sandbox, or None."""
        return self._known.get(sandbox_id)

    def all(self) -> list[Sandbox]:
        """Return all sandboxes."""
        return list(self._known.values())

    def network(self) -> cni.Network:
        """Return the node's pod network.

        Raises
        ------
        StateError
            If none is configured.
        """
        return cni.load(self._config.cni_conf_dir, self._config.cni_bin_dir)

    async def run(self, config: api.PodSandboxConfig) -> Sandbox:
        """Make a pod's sandbox and connect it.

        Raises
        ------
        StateError
            If bubblewrap or the network's plugins fail; nothing is left.
        """
        record = SandboxRecord(secrets.token_hex(32), time.time_ns())
        folder = self._folder.create(record.id, config.SerializeToString())
        sandbox = Sandbox(record, config, folder)
        network = self.network() if sandbox.own_network else None
        self._known[record.id] = sandbox
        try:
            self._write_files(sandbox)
            await self._hold(sandbox)
            await self._tune(sandbox)
            if network:
                await self._connect(sandbox, network)
        except BaseException:
            await self.stop(sandbox)
            self.remove(sandbox)
            raise
        record.ready = True
        self._save(sandbox)
        return sandbox

    async def stop(self, sandbox: Sandbox) -> None:
        """Disconnect a sandbox and end its process; again is no error."""
        record = sandbox.record
        record.ready = False
        if record.network:
            alive = record.holder is not None and record.holder.alive()
            network = cni.parse(record.network, "of the sandbox")
            attachment = self._attachment(sandbox, gone=not alive)
            await cni.delete(network, attachment, self._config.cni_bin_dir, record.result)
            record.network = None
        for process in (record.holder, record.monitor):
            if process and process.signal(9) and process is record.holder:
                await processes.ended(process)
        self._save(sandbox)

    def remove(self, sandbox: Sandbox) -> None:
        """Forget a stopped sandbox."""
        self._folder.remove(sandbox.id)
        self._known.pop(sandbox.id, None)

    async def _hold(self, sandbox: Sandbox) -> None:
        """Start the process that holds the namespaces."""
        status = sandbox.folder / "status"
        descriptor = os.open(status, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        null = os.open(os.devnull, os.O_RDWR)
        errors = os.open(sandbox.folder / "errors", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        command = bubblewrap.Sandbox(
            network=sandbox.own_network,
            ipc=sandbox.own_ipc,
            pids=sandbox.shared_pids,
            hostname=sandbox.config.hostname or sandbox.config.metadata.name,
            status_fd=descriptor,
        )
        try:
            sandbox.record.monitor, sandbox.handle = launch.start(
                command.arguments(),
                ["/usr/bin/sleep", "infinity"],
                enter=[],
                env={},
                streams=(null, null, errors),
                inherit=(descriptor,),
            )
        finally:
            for opened in (descriptor, null, errors):
                os.close(opened)
        self._save(sandbox)
        self._watch(sandbox)
        program = await launch.program(sandbox.folder, sandbox.record.monitor, init=sandbox.shared_pids)
        if not program:
            why = (sandbox.folder / "errors").read_text(errors="replace").strip()
            raise StateError("The pod's sandbox did not start", why=why or "bubblewrap ended without a word")
        sandbox.record.holder = launch.first(sandbox.folder, sandbox.record.monitor)
        self._save(sandbox)

    async def _tune(self, sandbox: Sandbox) -> None:
        """Set what the pod's securityContext.sysctls asks for, in the pod's own namespaces (sysctl(8))."""
        wanted = [f"{name}={value}" for name, value in sandbox.config.linux.sysctls.items()]
        if not wanted:
            return
        if not sandbox.own_network:
            raise ArgumentError("Sysctls need a pod with a network of its own")
        argv = [*sandbox.entry(), "/usr/sbin/sysctl", "-q", "-w", *wanted]
        code, _, errors = await processes.run(argv, env={}, stdin=b"", timeout=_PATIENCE)
        if code:
            raise StateError(f"Sysctls {', '.join(wanted)} cannot be set", why=errors.decode(errors="replace").strip())

    async def _connect(self, sandbox: Sandbox, network: cni.Network) -> None:
        sandbox.record.network = network.values()
        self._save(sandbox)  # before ADD: what a killed runtime began can be undone
        result = await cni.add(network, self._attachment(sandbox), self._config.cni_bin_dir)
        sandbox.record.result = result
        sandbox.record.addresses = cni.addresses(result)

    def _attachment(self, sandbox: Sandbox, *, gone: bool = False) -> cni.Attachment:
        metadata, holder = sandbox.config.metadata, sandbox.record.holder
        ports = tuple(
            {
                "hostPort": port.host_port,
                "containerPort": port.container_port,
                "protocol": api.Protocol.Name(port.protocol).lower(),
                "hostIP": port.host_ip,
            }
            for port in sandbox.config.port_mappings
            if port.host_port
        )
        netns = "" if gone or not holder else f"/proc/{holder.pid}/ns/net"
        return cni.Attachment(sandbox.id, netns, (metadata.namespace, metadata.name, metadata.uid), ports)

    def _write_files(self, sandbox: Sandbox) -> None:
        """Write the pod's resolv.conf (resolv.conf(5)) and host name, which its containers share, and its /dev/shm."""
        dns = sandbox.config.dns_config
        lines = [f"nameserver {_plain(server)}" for server in dns.servers]
        lines += [f"search {' '.join(map(_plain, dns.searches))}"] * bool(dns.searches)
        lines += [f"options {' '.join(map(_plain, dns.options))}"] * bool(dns.options)
        node = Path("/etc/resolv.conf")
        inherited = node.read_text() if not lines and node.exists() else ""
        (sandbox.folder / "resolv.conf").write_text("".join(f"{line}\n" for line in lines) or inherited)
        hostname = sandbox.config.hostname or os.uname().nodename
        (sandbox.folder / "hostname").write_text(hostname + "\n")
        (sandbox.folder / "shm").mkdir()
        (sandbox.folder / "shm").chmod(0o1777)

    def _watch(self, sandbox: Sandbox) -> None:
        """Reap the sandbox's process when it ends, and no longer call the sandbox ready."""

        def ended() -> None:
            if sandbox.handle:
                sandbox.handle.wait()
            if sandbox.record.ready:
                _log.warning("the sandbox of pod %s ended by itself", sandbox.config.metadata.name)
                sandbox.record.ready = False
                self._save(sandbox)

        if sandbox.record.monitor:
            processes.on_exit(sandbox.record.monitor, ended)

    def _save(self, sandbox: Sandbox) -> None:
        if sandbox.id in self._known:
            self._folder.save(sandbox.id, dataclasses.asdict(sandbox.record))


def _plain(word: str) -> str:
    """Return a word for resolv.conf without anything that could start another line."""
    return re.sub(r"\s", "", word)
