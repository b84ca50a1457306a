"""What every provider's cluster can do: the rest of labkit knows only this."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from labkit.cluster.spec import LabSpec
from labkit.cluster.state import LabFolder
from labkit.components import Components
from labkit.progress import Progress


class Cluster(Protocol):
    """A cluster and the nodes that it runs on."""

    @property
    def folder(self) -> LabFolder:
        """What labkit keeps of it."""

    @property
    def programs(self) -> Components:
        """The Kubernetes programs, for the host."""

    @property
    def spec(self) -> LabSpec:
        """What it is like."""

    @property
    def provider(self) -> str:
        """Where its nodes run: ``"rootless"``, ``"kind"`` or ``"context"``."""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, for programs on the host; missing until `kubeadm init` has made one."""

    @property
    def initialised(self) -> bool:
        """Whether `kubeadm init` has come at least as far as the administrator's kubeconfig."""

    @property
    def running(self) -> bool:
        """Whether its nodes exist (which says nothing of their health)."""

    @property
    def reaches_nodes(self) -> bool:
        """Whether commands can be run on its nodes and their files be read: not in a cluster of somebody else's."""

    @property
    def audit_log(self) -> Path | None:
        """The API server's audit log, as the host sees it; None where there is none to read."""

    @property
    def manifests(self) -> Path | None:
        """The folder of the control plane's static pods, as the host sees it; None where it cannot."""

    @property
    def span_folder(self) -> Path | None:
        """Where trace spans are kept as received (labkit.node.receiver); None where none are."""

    @property
    def change_log(self) -> Path | None:
        """Where the changes that watches tell are kept (labkit.cluster.watcher); None where nobody watches."""

    @property
    def proxy_folder(self) -> Path:
        """Where labkit keeps what it saw of kube-proxy (labkit.evidence.proxy)."""

    def runtime_log(self, node: str) -> Path | None:
        """Return the log of the calls that a node's container runtime answered (labkit.cri.calls).

        None where the runtime keeps none: then the kubelets' spans tell of them.
        """

    def pod_logs(self, node: str) -> Path:
        """Return a node's ``/var/log/pods``, as the host sees it."""

    def start(self, progress: Progress) -> None:
        """Bring a stopped cluster back with its data; wait until it serves."""

    def stop(self) -> None:
        """End all its processes and keep its data."""

    def down(self) -> None:
        """End all its processes and remove all its data."""

    def add_node(self, name: str, progress: Progress) -> None:
        """Add a worker; wait until it is Ready."""

    def node_address(self, node: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        """Return a node's address on the cluster's network."""

    def node_running(self, node: str) -> bool:
        """Whether a node runs."""

    def node_joined(self, node: str) -> bool:
        """Whether a node's kubelet has the kubeconfig that `kubeadm init` or `kubeadm join` leaves to it."""

    def node_command(self, node: str, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs `argv` on a node, as its root, from the host."""

    def start_node(self, node: str) -> None:
        """Boot a stopped node."""

    def stop_node(self, node: str) -> None:
        """Stop a node at once, as pulling its plug would."""

    def node_log(self, node: str, component: str) -> Path:
        """Return the log file of a node's ``kubelet`` or ``runtime``, as the host sees it."""

    def image_port(self, image: str) -> int | None:
        """Return the port on which the program of an image listens, None where that is not known."""

    def forward(self, address: str, port: int, *, local_port: int = 0) -> int:
        """Make an address inside the cluster reachable at 127.0.0.1; return the local port."""
