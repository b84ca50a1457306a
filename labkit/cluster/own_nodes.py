"""What the providers have in common whose nodes are labkit's to enter: the lab's description, and workers that join."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labkit.cluster import bootstrap, readiness
from labkit.cluster.spec import MAX_WORKERS, LabSpec, check_name
from labkit.cluster.state import LabFolder
from labkit.components import Components
from labkit.cri.images import Catalogue
from labkit.cri.references import Reference
from labkit.errors import LabkitError, UsageError
from labkit.language import gettext
from labkit.node.process import run
from labkit.progress import Progress

_TOKEN_SECONDS = 30.0


class OwnNodes(ABC):
    """A cluster of nodes that labkit has made; `labkit.cluster.protocol.Cluster` says what each method does.

    Parameters
    ----------
    folder : LabFolder
        Of a lab that exists.
    programs : Components
        The Kubernetes programs.
    """

    def __init__(self, folder: LabFolder, programs: Components) -> None:
        self.folder = folder
        self.spec = folder.load_spec()
        self.programs = programs

    @property
    @abstractmethod
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, for programs on the host."""

    @abstractmethod
    def node_joined(self, node: str) -> bool:
        """Whether a node's kubelet has the kubeconfig that `kubeadm init` or `kubeadm join` leaves to it."""

    @abstractmethod
    def node_command(self, node: str, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs `argv` on a node, as its root, from the host."""

    @property
    def initialised(self) -> bool:
        """Whether `kubeadm init` has come at least as far as the administrator's kubeconfig."""
        return self.kubeconfig.exists()

    @property
    def span_folder(self) -> Path | None:
        """Where the lab's receiver keeps trace spans."""
        return self.folder.spans

    @property
    def proxy_folder(self) -> Path:
        """Where labkit keeps what it saw of kube-proxy."""
        return self.folder.proxy

    def image_port(self, image: str) -> int | None:
        """Return the port on which the program of an image listens, None where that is not known."""
        try:
            found = Catalogue(self.spec.kubernetes_version, self._catalogue).find(Reference.parse(image))
        except LabkitError:
            return None
        return found.ports[0] if found.ports else None

    def respecify(self, **changes: Any) -> LabSpec:
        """Change what the lab is to be like, and return that."""
        spec = dataclasses.replace(self.spec, **changes)
        spec.save(self.folder.spec_file)
        self.spec = spec
        return spec

    @property
    def _catalogue(self) -> Path | None:
        return self.folder.catalogue if self.folder.catalogue.exists() else None

    @property
    def _joined(self) -> list[str]:
        return [name for name in self.spec.node_names if self.node_joined(name)]

    def _check_new(self, name: str) -> None:
        """Refuse a name that no further node can have."""
        check_name(name)
        if name in self.spec.node_names:
            raise UsageError(gettext("There is a node {name!r} already").format(name=name), fix="labkit node list")
        if len(self.spec.node_names) > MAX_WORKERS:
            raise UsageError(
                gettext("A lab has at most {most} workers").format(most=MAX_WORKERS), fix=gettext("choose another lab")
            )

    def _make_token(self) -> str:
        """Return a bootstrap token that the cluster knows from now on, for ten minutes."""
        token = bootstrap.new_token()
        create = ["kubeadm", "token", "create", token, "--ttl", "10m"]
        run(
            self.node_command(self.spec.node_names[0], create),
            what=gettext("make a bootstrap token"),
            timeout=_TOKEN_SECONDS,
        )
        return token

    def _wait_for_joined(self, name: str, progress: Progress, *, since: float) -> None:
        """Wait until a node that has joined after a time, in seconds of the epoch, and its system pods, are Ready."""
        if self.spec.network:
            with progress.phase(gettext("{name} Ready").format(name=name)) as phase:
                readiness.wait_for_node(self.kubeconfig, name, since=since, phase=phase)
        with progress.phase(gettext("system pods of {name}").format(name=name)) as phase:
            readiness.wait_until_ready(self.kubeconfig, self.spec, self._joined, since=0, phase=phase)
