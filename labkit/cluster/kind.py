"""The kind provider: the same cluster on Docker containers, made by kind (kind.sigs.k8s.io)."""

from __future__ import annotations

import ipaddress
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from labkit.cluster import (
    addons,
    bootstrap,
    host_address,
    kind_config,
    kind_host,
    kind_nodes,
    kubeadm,
    network_addon,
    node_files,
    readiness,
)
from labkit.cluster.host_processes import HostProcesses
from labkit.cluster.kind_config import SharedFolders
from labkit.cluster.mirrors import Mirror
from labkit.cluster.own_nodes import OwnNodes
from labkit.cluster.rest import ApiServer
from labkit.cluster.spec import LabSpec
from labkit.cluster.state import LabFolder
from labkit.components import Components, ensure_optional
from labkit.errors import ClusterError, UsageError
from labkit.language import gettext
from labkit.node import receive
from labkit.node.process import run
from labkit.progress import Phase, Progress

_log = logging.getLogger(__name__)

#: Connects its input and output with an address. Who answers not yet, as a Service whose rules are still to be written,
#: is asked again for as long as labkit.node.forwarder asks; what was said to nobody is still to be read then.
_CONNECT = """\
exec 3>&1
for try in $(seq 100); do
    said=$(busybox nc "$0" "$1" 2>&1 >&3) && exit
    case $said in *"can't connect"*) sleep 0.1 ;; *) break ;; esac
done
echo "$said" >&2
exit 1
"""


class KindCluster(OwnNodes):
    """A cluster of Docker containers; `labkit.cluster.protocol.Cluster` says what each method does.

    Parameters
    ----------
    folder : LabFolder
        Of a lab that exists.
    programs : Components
        The Kubernetes programs.
    """

    provider = "kind"
    reaches_nodes = True
    #: Nobody watches: the audit log tells more.
    change_log = None

    def __init__(self, folder: LabFolder, programs: Components) -> None:
        super().__init__(folder, programs)
        self._shared = SharedFolders(folder.path, folder.nodes)
        self._processes = HostProcesses(folder)

    @classmethod
    def up(
        cls,
        folder: LabFolder,
        spec: LabSpec,
        programs: Components,
        progress: Progress,
        *,
        api_port: int = 0,
        mirrors: Sequence[Mirror] = (),
    ) -> KindCluster:
        """Make a cluster and wait until it serves.

        The caller holds the lab's lock, and has made sure that there is none of that name.

        Parameters
        ----------
        folder : LabFolder
            Where labkit's own files of it are to live.
        spec : LabSpec
            What it is to be like.
        programs : Components
            The Kubernetes programs.
        progress : Progress
            Shows the phases.
        api_port : int
            Of 127.0.0.1, for the API server; 0 takes a free one.
        mirrors : sequence of Mirror
            Where the nodes pull images from.

        Raises
        ------
        LabkitError
            It did not come up; no container of it is left, its logs are.
        """
        folder.create(spec)
        cluster = cls(folder, programs)
        try:
            cluster._create(progress, api_port, mirrors)
        except BaseException:
            kind_host.remove_parts(folder)
            raise
        folder.ready_file.touch()
        return cluster

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, for programs on the host."""
        return self.folder.kubeconfig

    @property
    def running(self) -> bool:
        """Whether a node of it runs."""
        return bool(kind_nodes.running(self._containers.values()))

    @property
    def audit_log(self) -> Path:
        """The API server's audit log, which the control plane's node shares with the host."""
        return self._shared.audit

    @property
    def manifests(self) -> Path:
        """The folder of the control plane's static pods, which its node shares with the host."""
        return self._shared.manifests

    def runtime_log(self, node: str) -> None:
        """Tell of no log: containerd keeps none of its calls, of which the kubelets' spans tell."""
        self._container(node)

    def pod_logs(self, node: str) -> Path:
        """Return a node's ``/var/log/pods``, as the host sees it."""
        return self._shared.pod_logs(node)

    def start(self, progress: Progress) -> None:
        """Start the containers again, and wait until the control plane and the nodes have come back by themselves."""
        since = time.time()
        try:
            with progress.phase(gettext("nodes")):
                self._receive()
                self._start_containers(self.spec.node_names)
                self._processes.reopen()
            with progress.phase(gettext("cluster")) as phase:
                readiness.wait_until_ready(self.kubeconfig, self.spec, self._joined, since=since, phase=phase)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the containers' processes at once; their files stay, and so do their addresses."""
        self._processes.end_all()
        kind_nodes.kill(self._containers.values())

    def down(self) -> None:
        """Remove the containers, their network, and every file."""
        kind_host.remove(self.folder)

    def prepare_node(self, name: str, progress: Progress) -> None:
        """Start the container of a machine that can join: its container runtime serves, and no kubelet runs."""
        self._check_new(name)
        self.respecify(node_names=(*self.spec.node_names, name))
        with self._removed_on_failure(name):
            self._run_worker(name, progress)

    def add_node(self, name: str, progress: Progress) -> None:
        """Add a worker by `kubeadm join` with a token of its own; wait until it and its system pods are Ready."""
        self.prepare_node(name, progress)
        with self._removed_on_failure(name):
            self._join(name, progress)
        self._wait_for_joined(name, progress, since=0)

    def join_node(self, name: str, progress: Progress) -> None:
        """Have a prepared node join by `kubeadm join`, with a token of its own; wait until it is Ready."""
        since = time.time()
        self._join(name, progress)
        self._wait_for_joined(name, progress, since=since)

    def join_document(
        self, node: str, token: str, ca_hash: str, *, name: str = "", server: str = "", seconds: float | None = None
    ) -> str:
        """Return what `kubeadm join` is to read on a node; it may call itself otherwise, and ask another server."""
        self._container(node)
        # kubeadm finds containerd by itself.
        registration = {"name": name or node, "ignorePreflightErrors": kubeadm.IGNORED_PREFLIGHT_ERRORS}
        server = server or f"{self.node_address(self.spec.node_names[0])}:{kubeadm.API_PORT}"
        return kubeadm.join_document(registration, server, token, ca_hash, seconds=seconds)

    def node_address(self, node: str) -> ipaddress.IPv4Address:
        """Return a node's address on the lab's network."""
        self._container(node)
        if node not in self._addresses:
            raise ClusterError(
                gettext("Node {node!r} has no address").format(node=node),
                why=gettext("its container was never made: bringing the lab up was cut off"),
                fix=f"labkit down --name {self.spec.name}",
            )
        return ipaddress.IPv4Address(self._addresses[node])

    def node_running(self, node: str) -> bool:
        """Whether a node's container runs."""
        return bool(kind_nodes.running([self._container(node)]))

    def node_command(self, node: str, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs `argv` on a node, as its root, from the host.

        For this Python there stands Debian's, which has what labkit runs on nodes (labkit.cluster.nodeimage).
        """
        if argv[0] == sys.executable:
            argv = ["python3", *argv[1:]]
        return kind_nodes.exec_command(self._container(node), argv)

    def start_node(self, node: str) -> None:
        """Start a stopped node's container; nothing happens to one that runs."""
        self._container(node)
        self._start_containers([node])

    def stop_node(self, node: str) -> None:
        """End every process of a node at once."""
        kind_nodes.kill([self._container(node)])

    def node_joined(self, node: str) -> bool:
        """Whether a node's kubelet has the kubeconfig that `kubeadm init` or `kubeadm join` leaves to it."""
        self._container(node)
        if node == self.spec.node_names[0]:
            return self.initialised
        return (self._shared.configuration(node) / "kubelet.conf").exists()

    def node_log(self, node: str, component: str) -> Path:
        """Return the log file of a node's ``kubelet`` or ``runtime``, as the host sees it."""
        self._container(node)
        return self._shared.logs(node) / f"{component}.log"

    def forward(self, address: str, port: int, *, local_port: int = 0) -> int:
        """Make an address of the cluster reachable at 127.0.0.1, as seen from the control plane's node."""
        connect = self.node_command(self.spec.node_names[0], ["sh", "-c", _CONNECT, address, str(port)])
        return self._processes.forward(f"{address}-{port}", connect, local_port)

    @property
    def _containers(self) -> dict[str, str]:
        """Node → container."""
        return {name: kind_nodes.container(self.spec.name, index) for index, name in enumerate(self.spec.node_names)}

    @property
    def _addresses(self) -> dict[str, str]:
        return kind_nodes.load_addresses(self.folder.path / "addresses.json")

    def _save_addresses(self) -> None:
        found = kind_nodes.addresses(self._containers, kind_nodes.network_name(self.spec.name))
        kind_nodes.save_addresses(self.folder.path / "addresses.json", found)

    def _container(self, node: str) -> str:
        try:
            return self._containers[node]
        except KeyError:
            raise UsageError(
                gettext("There is no node {node!r}").format(node=node),
                why=gettext("the nodes are {nodes}").format(nodes=", ".join(self.spec.node_names)),
                fix="labkit node list",
            ) from None

    @contextmanager
    def _removed_on_failure(self, name: str) -> Iterator[None]:
        """Take a worker that is new out of the lab again if something fails."""
        try:
            yield
        except BaseException:
            kind_nodes.remove([self._containers[name]])
            kind_host.remove_tree(self._shared.configuration(name), kind_host.node_image(self.spec))
            self.respecify(node_names=tuple(each for each in self.spec.node_names if each != name))
            raise

    def _run_worker(self, name: str, progress: Progress) -> None:
        with progress.phase(gettext("node {name}").format(name=name)):
            self._shared.make(name)
            mounts, image = self._shared.mounts(self.spec, name), kind_host.node_image(self.spec)
            kind_nodes.run_worker(self.spec.name, self.spec.node_names.index(name), image, mounts)
            self._save_addresses()
            serves = ["sh", "-c", "until ctr version >/dev/null 2>&1; do sleep 0.1; done"]
            run(self.node_command(name, serves), what=gettext("start containerd on {name}").format(name=name))

    def _join(self, name: str, progress: Progress) -> None:
        first = self.spec.node_names[0]
        with progress.phase(f"kubeadm join {name}") as phase:
            token = self._make_token()
            authority = node_files.read(self, first, kubeadm.CA).encode()
            document = self.join_document(name, token, bootstrap.ca_hash(authority))
            node_files.write(self, name, kubeadm.JOIN_CONFIG, document)
            port = urlsplit(ApiServer.url(self.kubeconfig)).port or 0
            bootstrap.wait_for_signed_cluster_info(port, token, unless=lambda: not self.node_running(first))
            command = self.node_command(name, ["kubeadm", "join", "--config", kubeadm.JOIN_CONFIG])
            log = self.folder.logs / f"kubeadm-join-{name}.log"
            bootstrap.kubeadm(command, what=f"kubeadm join of {name}", log=log, phase=phase)

    def _start_containers(self, nodes: Sequence[str]) -> None:
        addresses = self._addresses
        containers = {self._containers[node]: addresses[node] for node in nodes}
        kind_nodes.start(containers, kind_nodes.network_name(self.spec.name))

    def _create(self, progress: Progress, api_port: int, mirrors: Sequence[Mirror]) -> None:
        program = ensure_optional("kind", progress) / "kind"
        with progress.phase(gettext("network")) as phase:
            subnet = kind_nodes.create_network(self.spec)
            host = host_address.find(subnet[1])
            self._shared.write(self.spec, str(subnet), host.endpoint, mirrors)
            self._processes.endpoint.write_text(host.listen)
            self._receive()
            if host.named:
                self._try_name(host.endpoint, phase)
        config = self.folder.path / "kind.yaml"
        config.write_text(kind_config.document(self.spec, self._shared, endpoint=host.endpoint, api_port=api_port))
        with progress.phase("kind create cluster") as phase:
            log = self.folder.logs / "kind-create.log"
            kind_host.create(program, config, self.kubeconfig, self.spec, log=log, phase=phase)
        self._save_addresses()
        self._apply_add_ons(progress)
        with progress.phase(gettext("system pods")) as phase:
            readiness.wait_until_ready(self.kubeconfig, self.spec, self.spec.node_names, since=0, phase=phase)

    def _apply_add_ons(self, progress: Progress) -> None:
        with progress.phase(gettext("add-ons")):
            first = self.spec.node_names[0]
            copy = ["cp", kind_config.KUBEADM_CONFIG, kubeadm.CONFIG]  # where `labkit repair` looks for it, too
            run(self.node_command(first, copy), what=gettext("copy kubeadm's configuration"))
            manifests = [addons.manifest_of(self, addons.COREDNS)]
            if self.spec.network:
                manifests.append(network_addon.manifest_for(self))
            # Validation would have the API server describe all its types first.
            apply = ["kubectl", "apply", "--validate=false", "--filename", "-"]
            run(self.node_command(first, apply), what=gettext("apply the add-ons"), stdin="---\n".join(manifests))

    def _try_name(self, endpoint: str, phase: Phase) -> None:
        """Tell of it where nodes do not reach the receiver: a lab is worth having without trace spans, too."""
        phase.advance(gettext("trying {endpoint} from a container").format(endpoint=endpoint))
        network = kind_nodes.network_name(self.spec.name)
        if why := host_address.unreachable(endpoint, network, kind_host.node_image(self.spec)):
            told = gettext(
                "containers do not reach {endpoint}: no trace spans will come, and fewer hops be observed"
            ).format(endpoint=endpoint)
            _log.warning("Lab %s: %s (%s)", self.spec.name, told, " ".join(why.split()))
            phase.advance(told)

    def _receive(self) -> None:
        """Start the receiver of trace spans where `host_address` has found that the nodes reach this machine."""
        log = self.folder.logs / "receiver.log"
        address = self._processes.endpoint.read_text()
        process = receive.start(None, self.folder.spans, address, log=log)
        self._processes.remember("receiver", process)
        receive.wait(process, self.folder.spans, log=log)
