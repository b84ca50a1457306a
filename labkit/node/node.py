"""One rootless node: a sandbox with a root folder of its own that keeps a kubelet and a container runtime running."""

from __future__ import annotations

import ipaddress
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit.components import Components
from labkit.errors import ClusterError
from labkit.language import gettext
from labkit.node import hostfs, network, privileged
from labkit.node.outer import OuterSandbox, id_map, read_child_pid
from labkit.node.process import run

CRI_SOCKET = "/run/labkit/cri.sock"

_CATALOGUE = "/etc/labkit/images.toml"
_INIT = Path(__file__).with_name("init.sh")
_FOLDERS = (
    *("etc/labkit", "etc/cni/net.d", "etc/kubernetes", "home", "mnt", "opt/cni/bin", "opt/labkit/bin", "root", "srv"),
    *("tmp", "var/lib/labkit", "var/log/labkit", "var/tmp"),
)
_SETTLE_TIMEOUT = 10.0
_RUNTIME_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Node:
    """A rootless node, running or not.

    Attributes
    ----------
    name : str
        Its name, which is its host name.
    index : int
        Decides its address; the control plane is 0.
    folder : Path
        Its files on the host: ``root`` is its root folder, ``sandbox.log`` what its sandbox said.
    namespace : Path
        Where the outer sandbox finds its network namespace.
    """

    name: str
    index: int
    folder: Path
    namespace: Path

    @property
    def address(self) -> ipaddress.IPv4Address:
        """Its address on the lab's network."""
        return network.node_address(self.index)

    @property
    def root(self) -> Path:
        """Its root folder, as the host sees it."""
        return self.folder / "root"

    def log(self, component: str) -> Path:
        """Return the log file of ``kubelet`` or ``runtime``, as the host sees it."""
        return self.root / "var/log/labkit" / f"{component}.log"

    @property
    def calls_log(self) -> Path:
        """The container runtime's log of the calls that changed something, as the host sees it."""
        return self.root / "var/log/labkit/cri.jsonl"

    def prepare(
        self, hosts: Mapping[str, ipaddress.IPv4Address], kubernetes_version: str, catalogue: Path | None
    ) -> None:
        """Write the files that a fresh machine would have.

        Parameters
        ----------
        hosts : mapping
            Names and addresses of all nodes, for /etc/hosts.
        kubernetes_version : str
            ``"v1.34.3"``: the tag of the control plane's images.
        catalogue : Path or None
            The user's own image catalogue, on the host.
        """
        for folder in _FOLDERS:
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        etc = self.root / "etc"
        self.write_hosts(hosts)
        (etc / "hostname").write_text(f"{self.name}\n")
        # Nobody answers there: a lab has no way out. A node's own address at least refuses at once.
        (etc / "resolv.conf").write_text(f"nameserver {self.address}\n")
        (etc / "machine-id").write_text(f"{self.index:032x}\n")
        (etc / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n")
        (etc / "group").write_text("root:x:0:\nnogroup:x:65534:\n")
        (etc / "os-release").write_text(Path("/etc/os-release").read_text())
        if catalogue is not None:
            (self.root / _CATALOGUE.lstrip("/")).write_bytes(catalogue.read_bytes())
        config = _runtime_config(self.name, kubernetes_version, _CATALOGUE if catalogue else None)
        (etc / "labkit/runtime.json").write_text(json.dumps(config, indent=2))
        hostfs.link_top_level(self.root)
        var_run = self.root / "var/run"
        if not var_run.is_symlink():
            var_run.symlink_to("../run")

    def write_hosts(self, hosts: Mapping[str, ipaddress.IPv4Address]) -> None:
        """Write /etc/hosts with the names and addresses of all nodes."""
        lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in hosts.items())]
        (self.root / "etc/hosts").write_text("\n".join(lines) + "\n")

    def start(self, outer: OuterSandbox, components: Components) -> None:
        """Boot the node: link, sandbox, supervisor.

        Raises
        ------
        ClusterError
            It did not start; the message has the tail of its log.
        """
        hostfs.copy_files(self.root)
        network.connect_node(outer, self.namespace, self.index)
        status = self.folder / "sandbox.json"
        started_file = self.root / "var/log/labkit/started"
        for stale in (status, started_file):
            stale.unlink(missing_ok=True)
        script = (
            'status=$1 log=$2; shift 2; exec 9>"$status"; setsid nsenter --net="$0" -- "$@" </dev/null >>"$log" 2>&1 &'
        )
        log = self.folder / "sandbox.log"
        command = outer.command(
            [
                *("sh", "-c", script),
                self.namespace,
                status,
                log,
                *self._sandbox(outer, components),
                _INIT,
                sys.executable,
            ]
        )
        run(command, what=gettext("start node {name}").format(name=self.name), environment=_environment())
        deadline = time.monotonic() + _SETTLE_TIMEOUT
        while not started_file.exists():
            if time.monotonic() > deadline:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
                raise ClusterError(
                    gettext("Node {name} did not start").format(name=self.name),
                    why=tail or gettext("its sandbox left no message"),
                )
            time.sleep(0.005)
        pid = read_child_pid(status) or 0
        self._process.write_text(f"{pid} {_start_time(outer, pid)}")

    def wait_for_runtime(self, outer: OuterSandbox) -> None:
        """Wait until the node's container runtime serves.

        Raises
        ------
        ClusterError
            It does not; the message has the tail of its log.
        """
        mark = self.root / "var/log/labkit/runtime-serves"
        deadline = time.monotonic() + _RUNTIME_TIMEOUT
        while not mark.exists():
            if time.monotonic() > deadline or not outer.alive:
                log = self.log("runtime")
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:]) if log.exists() else ""
                raise ClusterError(
                    gettext("The container runtime of {name} does not start").format(name=self.name),
                    why=tail or gettext("it left no log"),
                )
            time.sleep(0.01)

    def stop(self, outer: OuterSandbox) -> None:
        """End every process of the node at once, as pulling its plug would."""
        pid = self._init_pid(outer)
        if pid is None:
            return
        subprocess.run(outer.command(["kill", f"-{signal.SIGKILL.value}", str(pid)]), check=False, capture_output=True)
        deadline = time.monotonic() + _SETTLE_TIMEOUT
        while self.running(outer):
            if time.monotonic() > deadline:
                raise ClusterError(
                    gettext("Node {name} did not stop").format(name=self.name),
                    why=gettext("process {pid} of the lab ignores SIGKILL").format(pid=pid),
                )
            time.sleep(0.005)

    def running(self, outer: OuterSandbox) -> bool:
        """Whether the node's sandbox exists."""
        return self._init_pid(outer) is not None

    def command(self, outer: OuterSandbox, argv: Sequence[str | Path]) -> list[str]:
        """Return the command that runs `argv` on the node, as its root.

        Raises
        ------
        ClusterError
            The node does not run.
        """
        pid = self._init_pid(outer)
        if pid is None:
            raise ClusterError(
                gettext("Node {name} does not run").format(name=self.name),
                why=gettext("its sandbox has ended"),
                fix=f"labkit node start {self.name}",
            )
        enter = ["nsenter", "--target", str(pid), "--mount", "--net", "--pid", "--uts", "--ipc", "--root"]
        path = "PATH=/opt/labkit/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        environment = ["env", "--chdir=/root", "-i", path, "HOME=/root", f"TERM={os.environ.get('TERM', 'dumb')}"]
        kubeconfig = "KUBECONFIG=/etc/kubernetes/admin.conf"
        return outer.command([*enter, "--", *environment, kubeconfig, *argv])

    def _sandbox(self, outer: OuterSandbox, components: Components) -> list[str]:
        programs: list[str] = []
        for name, path in components.programs.items():
            programs += ["--ro-bind", str(path), f"/opt/labkit/bin/{name}"]
        return [
            *("bwrap", "--unshare-pid", "--unshare-uts", "--unshare-ipc", "--hostname", self.name),
            *("--cap-add", "ALL", "--json-status-fd", "9", "--bind", str(self.root), "/"),
            *hostfs.bubblewrap_arguments(),
            *programs,
            *("--ro-bind", str(components.cni_dir), "/opt/cni/bin"),
            *("--ro-bind", str(components.tomcat), "/opt/labkit/tomcat"),
            *("--proc", "/proc", "--dev", "/dev", "--ro-bind", "/sys", "/sys"),
            *(privileged.shield(self.folder / "kernel") if outer.privileged else ()),
            *("--tmpfs", "/run", "--dir", "/run/labkit", "--chdir", "/", "--", "sh"),
        ]

    @property
    def _process(self) -> Path:
        """The file with the pid and the start time of the node's first process, as the outer sandbox numbers it."""
        return self.folder / "process"

    def _init_pid(self, outer: OuterSandbox) -> int | None:
        """Return the pid of the node's first process as the outer sandbox numbers it, None where it is gone."""
        if not outer.alive:
            return None
        if self._process.exists():
            pid, _, started = self._process.read_text().partition(" ")
            if pid and _start_time(outer, int(pid)) == started:
                return int(pid)
        return self._not_noted(outer)

    def _not_noted(self, outer: OuterSandbox) -> int | None:
        """Return the first process of a node whose `start` was killed before it had taken its note, or in between.

        A number alone may long be another process's: it must see this node's files.
        """
        pid = read_child_pid(self.folder / "sandbox.json")
        identity = self.root / "etc/machine-id"
        if pid is None or not identity.exists() or not _start_time(outer, pid):
            return None
        command = outer.command(["cat", f"/proc/{pid}/root/etc/machine-id"])
        seen = subprocess.run(command, check=False, capture_output=True, text=True).stdout
        return pid if seen == identity.read_text() else None


def _start_time(outer: OuterSandbox, pid: int) -> str:
    """Return when a process of the lab started, in clock ticks (proc(5): field 22), empty where there is none."""
    done = subprocess.run(outer.command(["cat", f"/proc/{pid}/stat"]), check=False, capture_output=True, text=True)
    fields = done.stdout.rpartition(")")[2].split()
    return fields[19] if fields and fields[0] != "Z" else ""


def _runtime_config(node_name: str, kubernetes_version: str, catalogue: str | None) -> dict[str, object]:
    """Return the configuration of a node's container runtime; paths are the node's."""
    return {
        "node_name": node_name,
        "socket": CRI_SOCKET,
        "state_dir": "/var/lib/labkit",
        "cni_conf_dir": "/etc/cni/net.d",
        "cni_bin_dir": "/opt/cni/bin",
        "kubernetes_version": kubernetes_version,
        "readonly_binds": [str(path) for path in hostfs.python_paths()],
        "catalogue": catalogue,
        "id_map": id_map(),
    }


def _environment() -> dict[str, str]:
    """Return a clean environment: nothing of the user's shell or notebook reaches a node."""
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root"}
