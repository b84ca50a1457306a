"""The rootless provider: a real kubeadm cluster whose nodes are sandboxed processes of this user."""

from __future__ import annotations

import ipaddress
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from labkit.cluster import addons, bootstrap, kubeadm, network_addon, readiness, turns
from labkit.cluster.documents import dump
from labkit.cluster.forwards import Forwards, Target
from labkit.cluster.own_nodes import OwnNodes
from labkit.cluster.spec import LabSpec
from labkit.cluster.state import LabFolder
from labkit.components import Components
from labkit.errors import ClusterError, UsageError
from labkit.language import gettext
from labkit.node import network, outer, receive
from labkit.node.node import Node
from labkit.node.outer import OuterSandbox
from labkit.node.process import run
from labkit.progress import Progress

_API = "api"
_ADMIN = "etc/kubernetes/admin.conf"
_SUPER = "/etc/kubernetes/super-admin.conf"
_KUBELET = "etc/kubernetes/kubelet.conf"


class RootlessCluster(OwnNodes):
    """A cluster of sandboxed processes; `labkit.cluster.protocol.Cluster` says what each method does.

    Parameters
    ----------
    folder : LabFolder
        Of a lab that exists.
    programs : Components
        The Kubernetes programs.
    """

    provider = "rootless"

    def __init__(self, folder: LabFolder, programs: Components) -> None:
        super().__init__(folder, programs)
        self._sandbox = outer.find(folder.path)
        self._forwards = Forwards(folder.forwards, folder.logs)

    @classmethod
    def up(
        cls,
        folder: LabFolder,
        spec: LabSpec,
        programs: Components,
        progress: Progress,
        *,
        api_port: int = 0,
        init: bool = True,
    ) -> RootlessCluster:
        """Make a cluster and wait until it serves; or prepare its nodes only.

        The caller holds the lab's lock, and has made sure that there is none of that name.

        Parameters
        ----------
        folder : LabFolder
            Where it is to live.
        spec : LabSpec
            What it is to be like.
        programs : Components
            The Kubernetes programs.
        progress : Progress
            Shows the phases.
        api_port : int
            Of 127.0.0.1, for the API server; 0 takes a free one.
        init : bool
            Whether `kubeadm init` and `kubeadm join` are run; without, the nodes wait for them.

        Raises
        ------
        LabkitError
            It did not come up; no process of it is left, its logs are.
        """
        images = Path(spec.catalogue).read_bytes() if spec.catalogue else None
        folder.create(spec)
        if images is not None:
            folder.catalogue.write_bytes(images)
        cluster = cls(folder, programs)
        with cluster._undone_on_failure(), turns.turn(progress):
            with progress.phase(gettext("nodes")):
                cluster._boot(spec.node_names, api_port=api_port)
            if init:
                cluster._bootstrap(progress)
            else:
                cluster.write_init_files(kubeadm.init_documents(spec, bootstrap.new_token(), whole=True))
                for name in spec.node_names:
                    cluster._node(name).wait_for_runtime(cluster._running_sandbox())
        folder.ready_file.touch()
        return cluster

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, for programs on the host; missing until `kubeadm init` has made one.

        It follows the one on the control plane's node, whoever wrote that: a learner may run `kubeadm` by hand.
        """
        admin, copy = self._control_plane.root / _ADMIN, self.folder.kubeconfig
        if not admin.parent.exists():  # a node that has never run
            return copy
        if not admin.exists():
            copy.unlink(missing_ok=True)
        elif admin.stat().st_size and (not copy.exists() or copy.stat().st_mtime_ns < admin.stat().st_mtime_ns):
            self._write_kubeconfig()
        return copy

    @property
    def running(self) -> bool:
        """Whether the lab's sandbox exists: the one that was known, or one that another command has started since."""
        if self._sandbox is None or not self._sandbox.alive:
            self._sandbox = outer.find(self.folder.path)
        return self._sandbox is not None

    @property
    def reaches_nodes(self) -> bool:
        """Whether commands can be run on its nodes: always."""
        return True

    @property
    def change_log(self) -> None:
        """Nobody watches: the audit log tells more."""
        return None

    @property
    def audit_log(self) -> Path:
        """The API server's audit log, as the host sees it."""
        return self._control_plane.root / kubeadm.AUDIT_LOG.lstrip("/")

    @property
    def manifests(self) -> Path:
        """The folder of the control plane's static pods, as the host sees it."""
        return self._control_plane.root / "etc/kubernetes/manifests"

    def runtime_log(self, node: str) -> Path:
        """Return the log of the calls that a node's container runtime answered."""
        return self._node(node).calls_log

    def pod_logs(self, node: str) -> Path:
        """Return a node's ``/var/log/pods``, as the host sees it."""
        return self._node(node).root / "var/log/pods"

    def start(self, progress: Progress) -> None:
        """Boot all nodes again, and wait until the control plane and the nodes have come back by themselves."""
        with self._undone_on_failure(), turns.turn(progress):
            since = time.time()
            with progress.phase(gettext("nodes")):
                self._boot(self.spec.node_names)
            if not self.initialised:
                return
            with progress.phase(gettext("cluster")) as phase:
                readiness.wait_until_ready(self.kubeconfig, self.spec, self._joined, since=since, phase=phase)

    def stop(self) -> None:
        """End every process; etcd's data and the nodes' files stay."""
        if self.running and self._sandbox is not None:
            self._sandbox.kill()

    def down(self) -> None:
        """End every process and remove every file."""
        remove(self.folder)

    def prepare_node(self, name: str, progress: Progress) -> None:
        """Boot a machine that can join: its container runtime serves, and no kubelet runs."""
        self._check_new(name)
        with progress.phase(gettext("node {name}").format(name=name)):
            self.respecify(node_names=(*self.spec.node_names, name))
            self._start_nodes([name])
            self._node(name).wait_for_runtime(self._running_sandbox())

    def add_node(self, name: str, progress: Progress) -> None:
        """Add a worker by `kubeadm join` with a token of its own; wait until it and its system pods are Ready."""
        self._check_new(name)  # before there is a token for nothing
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="token") as pool:
            token = pool.submit(self._make_token)
            self.prepare_node(name, progress)
        self._join_with(token.result(), name, progress)

    def join_node(self, name: str, progress: Progress) -> None:
        """Have a prepared node join by `kubeadm join`, with a token of its own; wait until it is Ready."""
        self._join_with(self._make_token(), name, progress)

    def _join_with(self, token: str, name: str, progress: Progress) -> None:
        since = time.time()
        self._join(name, token, progress)
        self._wait_for_joined(name, progress, since=since)

    def join_document(
        self, node: str, token: str, ca_hash: str, *, name: str = "", server: str = "", seconds: float | None = None
    ) -> str:
        """Return what `kubeadm join` is to read on a node; it may call itself otherwise, and ask another server."""
        registration = kubeadm.registration(self.spec, self._node(node).index) | ({"name": name} if name else {})
        server = server or f"{self.spec.advertise_address}:{kubeadm.API_PORT}"
        return kubeadm.join_document(registration, server, token, ca_hash, seconds=seconds)

    def node_address(self, node: str) -> ipaddress.IPv4Address:
        """Return a node's address on the lab's network."""
        return self._node(node).address

    def node_running(self, node: str) -> bool:
        """Whether a node's sandbox exists."""
        return self._sandbox is not None and self._node(node).running(self._sandbox)

    def node_joined(self, node: str) -> bool:
        """Whether a node's kubelet has the kubeconfig that `kubeadm init` or `kubeadm join` leaves to it."""
        return (self._node(node).root / _KUBELET).exists()

    def node_root(self, node: str) -> Path:
        """Return a node's root folder, as the host sees it."""
        return self._node(node).root

    def node_command(self, node: str, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs `argv` on a node, as its root, from the host."""
        return self._node(node).command(self._running_sandbox(), argv)

    def start_node(self, node: str) -> None:
        """Boot a stopped node; nothing happens to one that runs."""
        if not self.node_running(node):
            self._node(node).start(self._running_sandbox(), self.programs)

    def stop_node(self, node: str) -> None:
        """End every process of a node at once."""
        self._node(node).stop(self._running_sandbox())

    def node_log(self, node: str, component: str) -> Path:
        """Return the log file of a node's ``kubelet`` or ``runtime``, as the host sees it."""
        return self._node(node).log(component)

    def write_init_files(self, documents: str) -> None:
        """Write on the control plane's node what `kubeadm init` is to read, and the files that it names."""
        _write(self._control_plane, {kubeadm.CONFIG: documents} | kubeadm.files(small=self.spec.small))

    def forward(self, address: str, port: int, *, local_port: int = 0) -> int:
        """Make an address of the cluster reachable at 127.0.0.1, as seen from the control plane's node."""
        target = Target(address, port, str(self._control_plane.namespace))
        return self._forwards.open(self._running_sandbox(), f"{address}-{port}", target, local_port=local_port)

    @property
    def _control_plane(self) -> Node:
        return self._node(self.spec.node_names[0])

    def _node(self, name: str) -> Node:
        if name not in self.spec.node_names:
            raise UsageError(
                gettext("There is no node {name!r}").format(name=name),
                why=gettext("the nodes are {nodes}").format(nodes=", ".join(self.spec.node_names)),
                fix="labkit node list",
            )
        index = self.spec.node_names.index(name)
        return Node(name, index, self.folder.nodes / name, outer.namespaces(self.folder.path) / name)

    def _running_sandbox(self) -> OuterSandbox:
        if not self.running or self._sandbox is None:
            raise ClusterError(
                gettext("Lab {name!r} does not run").format(name=self.spec.name),
                why=gettext("its sandbox has ended: it was stopped, or the machine was restarted"),
                fix=f"labkit start --name {self.spec.name}",
            )
        return self._sandbox

    def _boot(self, names: Iterable[str], *, api_port: int = 0) -> None:
        """Start the sandbox, the network, the way to the API server, and the nodes."""
        self._sandbox = outer.start(self.folder.path, privileged=self.spec.privileged)
        network.create_bridge(self._sandbox, self.spec.pod_cidr)
        spans, log = self.folder.spans, self.folder.logs / "receiver.log"
        receiver = receive.start(self._sandbox, spans, kubeadm.TRACING_ENDPOINT, log=log)
        api = Target(str(self._control_plane.address), kubeadm.API_PORT, None)
        self._forwards.reopen(self._sandbox)
        self._forwards.open(self._sandbox, _API, api, local_port=api_port)
        self._start_nodes(names)
        receive.wait(receiver, spans, log=log)
        if self.initialised:
            self._write_kubeconfig()

    def _start_nodes(self, names: Iterable[str]) -> None:
        sandbox = self._running_sandbox()
        hosts = {name: self._node(name).address for name in self.spec.node_names}
        for name in names:
            self._node(name).prepare(hosts, self.spec.kubernetes_version, self._catalogue)
        for name in hosts.keys() - set(names):
            self._node(name).write_hosts(hosts)
        with ThreadPoolExecutor() as pool:
            for future in [pool.submit(self._node(name).start, sandbox, self.programs) for name in names]:
                future.result()

    def _bootstrap(self, progress: Progress) -> None:
        """Run `kubeadm init`; join the workers and apply the network as soon as each can be."""
        token = bootstrap.new_token()
        port = self._forwards.port(_API)
        self.write_init_files(kubeadm.init_documents(self.spec, token))
        with ThreadPoolExecutor(thread_name_prefix="bootstrap") as pool:
            try:
                init = pool.submit(self._init, progress)
                manifests = pool.submit(self._add_ons)
                futures: list[Future[Any]] = [init, manifests]
                bootstrap.hold_until_ready(self, port, unless=init.done)
                if not _failed(init):
                    futures.append(pool.submit(self._create_add_ons, manifests, progress))
                bootstrap.wait_for_signed_cluster_info(port, token, unless=init.done)
                if not _failed(init):
                    self._write_kubeconfig()
                    futures += [pool.submit(self._join, name, token, progress) for name in self.spec.node_names[1:]]
                for future in futures:
                    future.result()
            except BaseException:
                self.stop()  # what the other threads wait for runs in the sandbox, and ends with it
                raise
        with progress.phase(gettext("system pods")) as phase:
            readiness.wait_until_ready(self.kubeconfig, self.spec, self.spec.node_names, since=0, phase=phase)

    def _init(self, progress: Progress) -> None:
        node = self._control_plane
        node.wait_for_runtime(self._running_sandbox())
        with progress.phase("kubeadm init") as phase:
            command = ["kubeadm", "init", "--config", kubeadm.CONFIG]
            log = self.folder.logs / "kubeadm-init.log"
            bootstrap.kubeadm(self.node_command(node.name, command), what="kubeadm init", log=log, phase=phase)

    def _join(self, name: str, token: str, progress: Progress) -> None:
        node = self._node(name)
        authority = (self._control_plane.root / kubeadm.CA.lstrip("/")).read_bytes()
        _write(node, {kubeadm.JOIN_CONFIG: self.join_document(name, token, bootstrap.ca_hash(authority))})
        with progress.phase(f"kubeadm join {name}") as phase:
            node.wait_for_runtime(self._running_sandbox())
            bootstrap.wait_for_signed_cluster_info(self._forwards.port(_API), token, unless=lambda: not self.running)
            command = self.node_command(name, ["kubeadm", "join", "--config", kubeadm.JOIN_CONFIG])
            log = self.folder.logs / f"kubeadm-join-{name}.log"
            bootstrap.kubeadm(command, what=f"kubeadm join of {name}", log=log, phase=phase)

    def _add_ons(self) -> str:
        """Return the manifests of what runs in each cluster, kube-proxy's first: a node needs its role to join."""
        made_by_kubeadm = (addons.manifest_of(self, add_on) for add_on in (addons.KUBE_PROXY, addons.COREDNS))
        manifests = [addons.rights_of_nodes(), *made_by_kubeadm]
        if self.spec.network:
            manifests.append(network_addon.manifest_for(self))
        return "---\n".join(manifests)

    def _create_add_ons(self, manifests: Future[str], progress: Progress) -> None:
        with progress.phase(gettext("add-ons")):
            # kubeadm gives its administrator the right a moment later. Validation would have the API server describe
            # all its types first.
            create = ["kubectl", "--kubeconfig", _SUPER, "create", "--validate=false", "--filename", "-"]
            command = self.node_command(self._control_plane.name, create)
            run(command, what=gettext("apply the add-ons"), stdin=manifests.result())

    def _write_kubeconfig(self) -> None:
        """Copy the administrator's kubeconfig to the host, with the address that reaches the API server from there."""
        config = yaml.safe_load((self._control_plane.root / _ADMIN).read_text())
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{self._forwards.port(_API)}"
        # A name of its own, and for this user alone: several threads may find it old at the same time.
        with tempfile.NamedTemporaryFile("w", dir=self.folder.path, prefix="kubeconfig-", delete=False) as draft:
            draft.write(dump(config))
        Path(draft.name).rename(self.folder.kubeconfig)

    @contextmanager
    def _undone_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.stop()
            raise


def remove(folder: LabFolder) -> None:
    """End every process of a lab and remove its folder, in whatever state it was left."""
    sandbox = outer.find(folder.path)
    if sandbox is not None:
        sandbox.kill()
    outer.remove_tree(folder.path)


def _failed(future: Future[None]) -> bool:
    return future.done() and future.exception() is not None


def _write(node: Node, files: dict[str, str]) -> None:
    for path, text in files.items():
        file = node.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(text)
