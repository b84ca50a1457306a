"""From a container's configuration and its image to what is run: program, environment, binds, user.

Sources: the CRI's ``ContainerConfig``; "Define a Command and Arguments for a Container" in the Kubernetes documentation
for how command and args meet the image's entrypoint and command.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from pathlib import Path

from labkit.cri import api_pb2 as api
from labkit.cri import bubblewrap, rootfs
from labkit.cri.bubblewrap import Bind, User
from labkit.cri.config import Config
from labkit.cri.errors import ArgumentError
from labkit.cri.images import Image
from labkit.cri.processes import Identity
from labkit.cri.sandboxes import Sandbox

_log = logging.getLogger(__name__)

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Command:
    """A container's program and what surrounds it.

    Attributes
    ----------
    argv : list of str
        The program with what has to run before it in the sandbox (a change of user, a terminal).
    env : dict of str to str
        Its environment.
    workdir : str
        Its working directory.
    user : User
        Who it runs as.
    capabilities : tuple of str
        What it may do.
    privileged, readonly_root, own_pids : bool
        As in the configuration.
    binds : tuple of Bind
        What appears in its root.
    pid_holder : Identity or None
        Whose pid namespace it joins.
    target_id : str
        The container whose pid namespace it joins, where that was asked for.
    """

    argv: list[str]
    env: dict[str, str]
    workdir: str
    user: User
    capabilities: tuple[str, ...]
    privileged: bool
    readonly_root: bool
    own_pids: bool
    binds: tuple[Bind, ...]
    pid_holder: Identity | None
    target_id: str

    def sandbox(
        self, root: Path, *, new_proc: bool, status_fd: int, keep_fd: int | None, pid_namespace_fd: int | None
    ) -> bubblewrap.Container:
        """Return the sandbox to run it in."""
        return bubblewrap.Container(
            root=str(root),
            readonly_root=self.readonly_root,
            binds=self.binds,
            privileged=self.privileged,
            own_pids=self.own_pids,
            pid_namespace_fd=pid_namespace_fd,
            # A user other than root is taken on in the sandbox, and every capability is dropped then.
            capabilities=self.capabilities if self.user.is_root else bubblewrap.ALL_CAPABILITIES,
            workdir=self.workdir,
            new_proc=new_proc,
            status_fd=status_fd,
            keep_fd=keep_fd,
        )


def plan(config: api.ContainerConfig, image: Image, sandbox: Sandbox, settings: Config) -> Command:
    """Return what a container runs.

    Raises
    ------
    ArgumentError
        If there is no program to run, or a capability or path is none.
    """
    security = config.linux.security_context
    program = _program(config, image)
    user = user_of(config, settings)
    namespace = security.namespace_options.pid
    before = bubblewrap.set_user(rootfs.tool(image, "setpriv"), user) if not user.is_root else []
    if config.tty:
        before += [*rootfs.tool(image, "setsid"), "--ctty"]
    asked = security.capabilities
    return Command(
        argv=[*before, *program],
        env=environment(config, image, sandbox, settings, user),
        workdir=config.working_dir or image.workdir,
        user=user,
        capabilities=bubblewrap.capabilities(
            asked.add_capabilities, asked.drop_capabilities, privileged=security.privileged
        ),
        privileged=security.privileged,
        readonly_root=security.readonly_rootfs,
        own_pids=namespace == api.CONTAINER,
        binds=tuple(_binds(config, image, sandbox, settings)),
        pid_holder=sandbox.record.holder if namespace == api.POD else None,
        target_id=security.namespace_options.target_id if namespace == api.TARGET else "",
    )


def _program(config: api.ContainerConfig, image: Image) -> list[str]:
    """Return the argument list: a given command replaces the image's entrypoint and command, args its command."""
    entrypoint = list(config.command or image.entrypoint)
    command = list(config.args or (() if config.command else image.command))
    if not entrypoint + command:
        raise ArgumentError(
            f"Container {config.metadata.name} has nothing to run",
            why=f"Image {image.name} has no entrypoint and no command.",
            fix="Give the container a command.",
        )
    return entrypoint + command


def environment(
    config: api.ContainerConfig, image: Image, sandbox: Sandbox, settings: Config, user: User
) -> dict[str, str]:
    """Return a container's environment: the image's, then the pod's."""
    facts = {
        "{pod}": sandbox.config.metadata.name,
        "{namespace}": sandbox.config.metadata.namespace,
        "{ip}": next(iter(sandbox.record.addresses), ""),
        "{node}": settings.node_name,
    }
    path = f"{Path(sys.executable).parent}:{_PATH}" if image.python else _PATH
    env = {"PATH": path, "HOME": "/root" if user.uid == 0 else "/"}
    env["HOSTNAME"] = sandbox.config.hostname or settings.node_name
    if config.tty:
        env["TERM"] = "xterm"
    for key, text in image.env.items():
        value = text
        for placeholder, fact in facts.items():
            value = value.replace(placeholder, fact)
        env[key] = value
    return env | {variable.key: variable.value for variable in config.envs}


def user_of(config: api.ContainerConfig, settings: Config) -> User:
    """Return who a container runs as: what it asks for, or root where no other id exists."""
    asked = asked_user(config)
    return asked if settings.full_id_map else User()


def asked_user(config: api.ContainerConfig) -> User:
    """Return who a container asks to run as."""
    security = config.linux.security_context
    return User(security.run_as_user.value, security.run_as_group.value, tuple(security.supplemental_groups))


def _binds(config: api.ContainerConfig, image: Image, sandbox: Sandbox, settings: Config) -> list[Bind]:
    """Return what appears in a container's root: the image's files, the pod's, then kubelet's mounts, outer first."""
    security = config.linux.security_context
    readonly = security.readonly_rootfs
    own = rootfs.binds(image, settings.state_dir / "shared", settings.readonly_binds)
    pod = [Bind(str(sandbox.folder / name), f"/etc/{name}", readonly) for name in ("resolv.conf", "hostname")]
    pod.append(Bind(str(sandbox.folder / "shm"), "/dev/shm", readonly=False))  # noqa: S108 - the container's own
    devices = [Bind(device.host_path, device.container_path, device=True) for device in config.devices]
    mounts = sorted(config.mounts, key=lambda mount: mount.container_path.rstrip("/").count("/"))
    given = [Bind(mount.host_path, mount.container_path, mount.readonly) for mount in mounts]
    if bad := [path for bind in devices + given for path in (bind.source, bind.target) if not path.startswith("/")]:
        raise ArgumentError(f"The mount path {bad[0]!r} is not absolute")
    return own + pod + devices + [bind for bind in given if _made(bind.source)]


def _made(source: str) -> bool:
    """Make a folder where a mount's source is missing, as other runtimes do; tell whether there is something to mount.

    Below /usr, which the node only borrows, nothing can be made, and the mount is left out: kube-proxy asks for
    /lib/modules, which a machine without loadable modules lacks.
    """
    try:
        if not Path(source).exists():
            Path(source).mkdir(parents=True)
    except OSError as error:
        _log.warning("%s is not mounted: %s", source, error)
        return False
    return True
