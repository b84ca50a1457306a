"""Command lines: bubblewrap's sandbox for a container or a pod, nsenter's way into it, setpriv's privileges.

Sources: bwrap(1) 0.8, nsenter(1), setpriv(1), capabilities(7); the default capabilities are those of containerd
(``pkg/oci/spec.go``), which are Docker's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from labkit.cri.errors import ArgumentError

BWRAP = "/usr/bin/bwrap"
NSENTER = "/usr/bin/nsenter"

ALL_CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"),
    *("LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER"),
    *("SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE"),
    *("SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP"),
    *("MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF"),
    "CHECKPOINT_RESTORE",
)
DEFAULT_CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP"),
    *("NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"),
)


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or folder of the node that appears in a container."""

    source: str
    target: str
    readonly: bool = True
    device: bool = False

    def arguments(self) -> list[str]:
        """Return bubblewrap's option for it."""
        kind = "--dev-bind" if self.device else "--ro-bind" if self.readonly else "--bind"
        return [kind, self.source, self.target]


@dataclass(frozen=True, slots=True)
class User:
    """Who runs in a container."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()

    @property
    def is_root(self) -> bool:
        """Tell whether nothing has to be changed."""
        return not (self.uid or self.gid or self.groups)


def capabilities(add: Iterable[str], drop: Iterable[str], *, privileged: bool) -> tuple[str, ...]:
    """Return the capabilities of a container: the default ones without `drop`, then with `add`.

    Raises
    ------
    ArgumentError
        If a name is no capability.
    """
    if privileged:
        return ALL_CAPABILITIES
    plus, minus = _names(add), _names(drop)
    kept = set(ALL_CAPABILITIES if "ALL" in plus else DEFAULT_CAPABILITIES)
    kept = (set() if "ALL" in minus else kept - minus) | (plus - {"ALL"})
    return tuple(name for name in ALL_CAPABILITIES if name in kept)


def _names(names: Iterable[str]) -> set[str]:
    found = {name.upper().removeprefix("CAP_") for name in names}
    if unknown := found - set(ALL_CAPABILITIES) - {"ALL"}:
        raise ArgumentError(
            f"There is no capability {', '.join(sorted(unknown))}",
            why="The container's securityContext names it.",
            fix="Use names of capabilities(7), without CAP_.",
        )
    return found


@dataclass(frozen=True, slots=True)
class Container:
    """What a container's sandbox is made of.

    Attributes
    ----------
    root : str
        Its own root folder.
    readonly_root : bool
        Whether it may write there.
    binds : tuple of Bind
        What appears in it, in this order.
    privileged : bool
        Whether /proc/sys may be written.
    own_pids : bool
        Whether it has its own pid namespace, with bubblewrap's init as process 1.
    pid_namespace_fd : int or None
        Descriptor of another pid namespace that it joins.
    capabilities : tuple of str
        What it may do, without ``CAP_``.
    workdir : str
        Working directory.
    status_fd : int
        Where bubblewrap writes the child's pid and its exit code, as JSON.
    new_proc : bool
        Whether a /proc of its own can be mounted here; else it sees the node's.
    keep_fd : int or None
        A descriptor that bubblewrap's init holds as long as the container lives.
    """

    root: str
    readonly_root: bool
    binds: tuple[Bind, ...]
    privileged: bool
    own_pids: bool
    pid_namespace_fd: int | None
    capabilities: tuple[str, ...]
    workdir: str
    status_fd: int
    new_proc: bool
    keep_fd: int | None

    def arguments(self) -> list[str]:
        """Return bubblewrap's options."""
        argv = ["--bind", self.root, "/"]
        if self.own_pids:
            argv += ["--unshare-pid"]
        if self.pid_namespace_fd is not None:
            argv += ["--pidns", str(self.pid_namespace_fd)]
        argv += ["--proc", "/proc"] if self.new_proc else ["--bind", "/proc", "/proc"]
        argv += ["--dev", "/dev", "--ro-bind", "/sys", "/sys"]
        if self.privileged and self.new_proc:
            argv += ["--bind", "/proc/sys", "/proc/sys"]
        for bind in self.binds:
            argv += bind.arguments()
        argv += ["--dir", self.workdir]  # made where it is missing, as other runtimes do
        if self.readonly_root:
            argv += ["--remount-ro", "/"]
        argv += ["--cap-drop", "ALL"]
        for name in self.capabilities:
            argv += ["--cap-add", f"CAP_{name}"]
        argv += ["--chdir", self.workdir, "--json-status-fd", str(self.status_fd)]
        if self.keep_fd is not None:
            argv += ["--sync-fd", str(self.keep_fd)]
        return argv


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What holds a pod's namespaces: a process that sleeps.

    Attributes
    ----------
    network, ipc, pids : bool
        Whether the pod has its own namespace of that kind rather than the node's. With its own network it has its
        own host name too.
    hostname : str
        The pod's host name.
    status_fd : int
        Where bubblewrap writes the child's pid, as JSON.
    """

    network: bool
    ipc: bool
    pids: bool
    hostname: str
    status_fd: int

    def arguments(self) -> list[str]:
        """Return bubblewrap's options."""
        argv = ["--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"]
        if self.network:
            argv += ["--unshare-net", "--unshare-uts", "--hostname", self.hostname]
        argv += ["--unshare-ipc"] * self.ipc + ["--unshare-pid"] * self.pids
        return [*argv, "--cap-drop", "ALL", "--json-status-fd", str(self.status_fd)]


def enter_pod(pid: int, *, network: bool, ipc: bool) -> list[str]:
    """Return the command that enters a pod's namespaces and becomes the program that follows."""
    own = ["net", "uts"] * network + ["ipc"] * ipc
    return [NSENTER, *(f"--{kind}=/proc/{pid}/ns/{kind}" for kind in own), "--"] if own else []


def enter_container(pid: int, kinds: Iterable[str], workdir: str) -> list[str]:
    """Return the command that enters namespaces, named as in /proc, of a container's process and runs what follows."""
    options = [f"--{kind.replace('mnt', 'mount')}" for kind in kinds]
    return [NSENTER, f"--target={pid}", *options, f"--wd=/proc/{pid}/root{workdir}", "--"]


def set_user(tool: list[str], user: User) -> list[str]:
    """Return the command, in a container, that becomes a user without capabilities and then what follows."""
    groups = f"--groups={','.join(map(str, user.groups))}" if user.groups else "--clear-groups"
    caps = [] if user.uid == 0 else ["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"]
    return [*tool, f"--reuid={user.uid}", f"--regid={user.gid}", groups, *caps]


def limit(tool: list[str], kept: Iterable[str], *, privileged: bool) -> list[str]:
    """Return the command, in a container, that drops all capabilities but some for what follows."""
    bounding = "+all" if privileged else ",".join(["-all", *(f"+{name.lower()}" for name in kept)])
    return [*tool, "--no-new-privs", "--inh-caps=-all", f"--bounding-set={bounding}"]
