"""A node without a cluster: a real runtime in a sandbox of its own, and a client that speaks to it as kubelet does."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

import labkit
from labkit.cri import api_pb2 as api
from labkit.cri import processes

_PROJECT = Path(labkit.__file__).parent.parent
_PATIENCE = 20.0
_DEADLINE = 60.0  # seconds for one call


def cni_plugins() -> Path | None:
    """Return where the CNI plugins are: those the caller names, the cache's, or a build's."""
    from labkit.paths import cache_dir

    named = os.environ.get("LABKIT_CNI_BIN")
    places = [Path(named)] if named else []
    places += [found.parent for found in sorted(cache_dir().rglob("host-local"))]
    places.append(Path(tempfile.gettempdir(), "build/cni"))
    return next((place for place in places if (place / "bridge").is_file()), None)


def tomcat_home() -> Path | None:
    """Return an unpacked Apache Tomcat, if the cache has one."""
    from labkit.paths import cache_dir

    named = os.environ.get("LABKIT_TOMCAT_HOME")
    found = [Path(named)] if named else []
    found += [jar.parent.parent for jar in sorted(cache_dir().rglob("bin/bootstrap.jar"))]
    return next(iter(found), None)


def eventually(condition: Callable[[], Any], patience: float = _PATIENCE) -> Any:
    """Return the first true value of a condition, asked again and again."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, grpc.RpcError):
            if value := condition():
                return value
        time.sleep(0.02)
    raise AssertionError(f"not so within {patience:g} s")


class Client:
    """The CRI's calls by name, as in ``client.RunPodSandbox(config=…)``."""

    def __init__(self, socket: Path) -> None:
        self.channel = grpc.insecure_channel(f"unix:{socket}", options=[("grpc.max_receive_message_length", 2**26)])

    def __getattr__(self, name: str) -> Callable[..., Any]:
        for service in api.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                if method.name == name:
                    call = self.channel.unary_unary(
                        f"/{service.full_name}/{name}",
                        request_serializer=getattr(api, method.input_type.name).SerializeToString,
                        response_deserializer=getattr(api, method.output_type.name).FromString,
                    )
                    request = getattr(api, method.input_type.name)
                    return lambda **fields: call(request(**fields), timeout=_DEADLINE)
        raise AttributeError(name)


class Node:
    """A sandbox like a rootless node's, in which a shell keeps the runtime running."""

    def __init__(self, folder: Path, *, masked_proc: bool = False, **settings: Any) -> None:
        self.masked_proc = masked_proc
        self.root = folder / "root"
        for name in ("etc/labkit", "etc/cni/net.d", "run/labkit", "var/lib/labkit", "var/log", "tmp", "opt/cni/bin"):
            (self.root / name).mkdir(parents=True)
        self.settings: dict[str, Any] = {
            "node_name": "node-01",
            "socket": "/run/labkit/cri.sock",
            "state_dir": "/var/lib/labkit",
            "cni_conf_dir": "/etc/cni/net.d",
            "cni_bin_dir": "/opt/cni/bin",
            "kubernetes_version": "v1.34.3",
            "readonly_binds": list(dict.fromkeys([sys.base_prefix, sys.prefix, str(_PROJECT)])),
            "catalogue": None,
            "id_map": "single",
        } | settings
        for name in ("bin", "sbin", "lib", "lib64"):
            (self.root / name).symlink_to(f"usr/{name}")
        (self.root / "etc/labkit/runtime.json").write_text(json.dumps(self.settings))
        (self.root / "etc/resolv.conf").write_text("nameserver 10.96.0.10\n")
        self.client = Client(self.root / "run/labkit/cri.sock")
        self._sandbox: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the sandbox and wait until the runtime answers."""
        single = self.settings["id_map"] == "single"
        runtime = f"{sys.executable} -m labkit.cri --config /etc/labkit/runtime.json >>/var/log/runtime.log 2>&1"
        loop = f"while :; do {runtime}; sleep 0.05; done"
        inner = ["unshare", "--user", "--map-root-user", "--mount"] if self.masked_proc else []
        outer = ["unshare", "--user", "--map-root-user"] if single else []
        self._sandbox = subprocess.Popen(
            [*outer, "bwrap", *self._options(), "--", *inner, "sh", "-c", loop], stdin=subprocess.DEVNULL
        )
        self.wait()

    def _options(self) -> list[str]:
        etc = ["alternatives", "ssl", "php", "mysql", "nginx", "ld.so.cache", "protocols", "services"]
        etc += [path.name for path in Path("/etc").glob("java*")]
        argv = ["--bind", str(self.root), "/", "--ro-bind", "/usr", "/usr"]
        argv += [word for name in etc for word in ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")]
        argv += ["--proc", "/proc", "--bind", "/proc/sys", "/proc/sys", "--dev", "/dev", "--ro-bind", "/sys", "/sys"]
        argv += ["--tmpfs", "/proc/fs"] * self.masked_proc
        argv += [word for path in self.settings["readonly_binds"] for word in ("--ro-bind", path, path)]
        if plugins := cni_plugins():
            argv += ["--ro-bind", str(plugins), "/opt/cni/bin"]
        if tomcat := tomcat_home():
            argv += ["--ro-bind", str(tomcat), "/opt/labkit/tomcat"]
        argv += ["--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", "node-01"]
        return [*argv, "--cap-add", "ALL", "--die-with-parent", "--chdir", "/", "--setenv", "PYTHONPATH", str(_PROJECT)]

    def wait(self) -> None:
        """Wait until the runtime answers."""
        try:
            eventually(self.client.Version)
        except AssertionError:
            raise AssertionError((self.root / "var/log/runtime.log").read_text()) from None

    def runtime(self) -> processes.Identity:
        """Return the runtime's process."""
        assert self._sandbox
        for process in processes.descendants(self._sandbox.pid):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
                if b"labkit.cri" in words:
                    return process
        raise AssertionError("no runtime")

    @property
    def pid(self) -> int:
        """The sandbox's process on the machine."""
        assert self._sandbox
        return self._sandbox.pid

    def kill_runtime(self) -> None:
        """Kill the runtime as nothing kind would; the node's shell starts another."""
        assert self.runtime().signal(signal.SIGKILL)

    def stop(self) -> None:
        """End the sandbox and all in it."""
        self.client.channel.close()
        if self._sandbox:
            for process in processes.descendants(self._sandbox.pid):
                process.signal(signal.SIGKILL)
            self._sandbox.wait()

    def restart(self) -> None:
        """Start the sandbox again after `stop`, as a node that was off."""
        self.client = Client(self.root / "run/labkit/cri.sock")
        self.start()

    def use_network(self, *more: dict[str, Any]) -> None:
        """Configure a pod network, as a network add-on does."""
        bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False}
        bridge["ipam"] = {"type": "host-local", "ranges": [[{"subnet": "192.168.7.0/24"}]], "dataDir": "/run/cni"}
        values = {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, *more]}
        (self.root / "etc/cni/net.d/10-pods.conflist").write_text(json.dumps(values))

    def enter(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the node, beside the runtime."""
        target = f"--target={self.runtime().pid}"
        argv = ["nsenter", target, "--user", "--preserve-credentials", "--mount", "--net", "--pid"]
        argv += ["env", f"PYTHONPATH={_PROJECT}", *command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=_DEADLINE, check=False)

    def pod(self, name: str | None = None, **fields: Any) -> Pod:
        """Make a pod's sandbox; on the node's network unless ``network=api.POD``."""
        return Pod(self, name or f"pod-{uuid.uuid4().hex[:6]}", **fields)


class Pod:
    """A pod's sandbox with its containers."""

    def __init__(
        self,
        node: Node,
        name: str,
        *,
        network: api.NamespaceMode = api.NODE,
        pid: api.NamespaceMode = api.CONTAINER,
        **fields: Any,
    ) -> None:
        self.node, self.name = node, name
        options = api.NamespaceOption(network=network, pid=pid, ipc=api.POD)
        self.options = options
        security = api.LinuxSandboxSecurityContext(namespace_options=options)
        self.config = api.PodSandboxConfig(
            metadata=api.PodSandboxMetadata(name=name, uid=str(uuid.uuid4()), namespace="default"),
            hostname=name,
            log_directory=f"/var/log/pods/{name}",
            linux=api.LinuxPodSandboxConfig(security_context=security),
            **fields,
        )
        self.id = node.client.RunPodSandbox(config=self.config).pod_sandbox_id

    def status(self) -> api.PodSandboxStatus:
        """Return the sandbox's status."""
        status = self.node.client.PodSandboxStatus(pod_sandbox_id=self.id).status
        assert isinstance(status, api.PodSandboxStatus)
        return status

    def remove(self) -> None:
        """Stop and remove the sandbox."""
        self.node.client.StopPodSandbox(pod_sandbox_id=self.id)
        self.node.client.RemovePodSandbox(pod_sandbox_id=self.id)

    def create(self, image: str = "busybox", *, name: str = "main", **fields: Any) -> Container:
        """Pull an image and make a container of it."""
        reference = self.node.client.PullImage(image=api.ImageSpec(image=image)).image_ref
        security = fields.pop("security", {})
        security.setdefault("namespace_options", self.options)
        config = api.ContainerConfig(
            metadata=api.ContainerMetadata(name=name),
            image=api.ImageSpec(image=reference, user_specified_image=image),
            log_path=f"{name}.log",
            linux=api.LinuxContainerConfig(security_context=api.LinuxContainerSecurityContext(**security)),
            **fields,
        )
        created = self.node.client.CreateContainer(pod_sandbox_id=self.id, config=config, sandbox_config=self.config)
        return Container(self, created.container_id, name)

    def run(self, image: str = "busybox", **fields: Any) -> Container:
        """Make a container and start it."""
        container = self.create(image, **fields)
        container.start()
        return container

    def shell(self, script: str, **fields: Any) -> Container:
        """Run a shell script in a busybox container."""
        return self.run(command=["sh", "-c", script], **fields)


class Container:
    """One container of a pod."""

    @property
    def client(self) -> Client:
        """The node's client."""
        return self.pod.node.client

    def __init__(self, pod: Pod, identifier: str, name: str) -> None:
        self.pod, self.id, self.name = pod, identifier, name

    def start(self) -> None:
        """Start it."""
        self.client.StartContainer(container_id=self.id)

    def status(self) -> api.ContainerStatus:
        """Return its status."""
        status = self.client.ContainerStatus(container_id=self.id).status
        assert isinstance(status, api.ContainerStatus)
        return status

    def stop(self, timeout: int = 0) -> None:
        """Stop it."""
        self.client.StopContainer(container_id=self.id, timeout=timeout)

    def wait(self) -> api.ContainerStatus:
        """Wait until it has ended and return its status."""
        eventually(lambda: self.status().state == api.CONTAINER_EXITED)
        return self.status()

    def exec(self, *command: str, timeout: int = 10) -> Any:
        """Run a command in it."""
        return self.client.ExecSync(container_id=self.id, cmd=command, timeout=timeout)

    def log(self) -> str:
        """Return its log file."""
        return (self.pod.node.root / f"var/log/pods/{self.pod.name}/{self.name}.log").read_text()

    def output(self, stream: str = "stdout") -> str:
        """Return what it wrote, without the log's own words."""
        entries = [line.split(" ", 3) for line in self.log().splitlines()]
        return "".join(text + "\n" * (tag == "F") for _, name, tag, text in entries if name == stream)


@contextlib.contextmanager
def running_node(*, masked_proc: bool = False, files: dict[str, str] | None = None, **settings: Any) -> Iterator[Node]:
    """Run a node; its folder's path is short, because a unix socket's may have 107 characters."""
    folder = Path(tempfile.mkdtemp(prefix="lk-"))
    node = Node(folder, masked_proc=masked_proc, **settings)
    for name, text in (files or {}).items():
        (node.root / name).write_text(text)
    try:
        node.start()
        yield node
    finally:
        node.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    """A node that tests share."""
    with running_node() as running:
        running.use_network()
        yield running


@pytest.fixture
def own_node() -> Iterator[Node]:
    """A node for one test alone, without a pod network."""
    with running_node() as running:
        yield running


@pytest.fixture
def pod(node: Node) -> Iterator[Pod]:
    """A pod on the node's network, gone after the test."""
    made = node.pod()
    yield made
    made.remove()
