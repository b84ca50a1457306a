"""The context provider: a cluster of somebody else's, as a kubeconfig reaches it. Nothing is installed into it.

What happens there is seen by a watcher on this machine (`labkit.cluster.watcher`). Nodes are not labkit's to enter.
"""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NoReturn

import yaml

from labkit.cluster.rest import ApiServer
from labkit.cluster.spec import KUBERNETES_VERSION, ContextSpec, LabSpec
from labkit.cluster.state import LabFolder
from labkit.cluster.watcher import LOG, SERVES
from labkit.components import Components
from labkit.cri.images import Catalogue
from labkit.cri.references import Reference
from labkit.errors import ClusterError, LabkitError, UsageError
from labkit.language import gettext
from labkit.node.process import ProcessIdentity, detach
from labkit.progress import Progress

#: The components that this provider needs.
NEEDED = ("kubernetes",)

_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
_WATCHER_SECONDS = 60.0
_KUBECTL_SECONDS = 30.0
_IDENTITY = "process"


class ContextCluster:
    """A cluster behind a context; `labkit.cluster.protocol.Cluster` says what each method does.

    Parameters
    ----------
    folder : LabFolder
        Of a lab that exists.
    programs : Components
        With kubectl.
    """

    provider = "context"
    reaches_nodes = False

    def __init__(self, folder: LabFolder, programs: Components) -> None:
        self.folder = folder
        self.programs = programs
        self.spec: LabSpec = folder.load_spec()

    @classmethod
    def up(
        cls, folder: LabFolder, spec: ContextSpec, programs: Components, progress: Progress, *, kubeconfig: Path | None
    ) -> ContextCluster:
        """Remember a context, and begin to watch its cluster.

        The caller holds the lab's lock, and has made sure that there is none of that name.

        Parameters
        ----------
        folder : LabFolder
            Where it is to be remembered.
        spec : ContextSpec
            With the context's name, or "" for the kubeconfig's current one.
        programs : Components
            With kubectl.
        progress : Progress
            Shows the phases.
        kubeconfig : Path or None
            By default kubectl's own: what ``KUBECONFIG`` names, or ``~/.kube/config``.

        Raises
        ------
        UsageError
            There is no such file or context.
        ClusterError
            The API server cannot be reached, or refuses; nothing is left.
        """
        with progress.phase("kubeconfig"):
            chosen, text = _flattened(programs.program("kubectl"), kubeconfig, spec.context)
        with progress.phase(gettext("API server")), tempfile.TemporaryDirectory() as private:
            draft = Path(private, "kubeconfig")
            draft.touch(mode=0o600)
            draft.write_text(text)
            found = _look(draft, replace(spec, context=chosen, namespace=_namespace(text)))
        folder.create(found)
        folder.kubeconfig.touch(mode=0o600)
        folder.kubeconfig.write_text(text)
        cluster = cls(folder, programs)
        try:
            cluster._watch(progress)
        except BaseException:
            cluster.down()
            raise
        folder.ready_file.touch()
        return cluster

    @property
    def initialised(self) -> bool:
        """True: it is somebody's cluster already."""
        return True

    @property
    def manifests(self) -> None:
        """They lie on a node."""
        return None

    @property
    def kubeconfig(self) -> Path:
        """The user's kubeconfig, of this context alone."""
        return self.folder.kubeconfig

    @property
    def running(self) -> bool:
        """Whether its watcher runs; the cluster does as it likes."""
        watcher = _watcher(self.folder)
        return watcher is not None and watcher.alive

    @property
    def audit_log(self) -> Path | None:
        """The audit log that `up` was told of."""
        audit = getattr(self.spec, "audit", None)
        return Path(audit) if audit else None

    @property
    def span_folder(self) -> None:
        """None: its components send their spans elsewhere, if at all."""
        return

    @property
    def change_log(self) -> Path:
        """What the watcher was told."""
        return self.folder.watch / LOG

    @property
    def proxy_folder(self) -> Path:
        """Nothing is ever seen of its kube-proxies' rules."""
        return self.folder.proxy

    def start(self, progress: Progress) -> None:
        """Look at the cluster's nodes anew, and watch again."""
        spec = self.spec
        assert isinstance(spec, ContextSpec)  # noqa: S101 - `up` wrote it
        with progress.phase(gettext("API server")):
            self.spec = _look(self.kubeconfig, spec)
            self.spec.save(self.folder.spec_file)
        self._watch(progress)

    def stop(self) -> None:
        """Watch no longer."""
        _end(self.folder)

    def down(self) -> None:
        """Forget the context; the cluster stays as it is."""
        remove(self.folder)

    def node_address(self, node: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        """Return a node's own address, as Kubernetes tells it; 0.0.0.0 where it tells none."""
        addresses = dict(zip(self.spec.node_names, getattr(self.spec, "addresses", ()), strict=True))
        return ipaddress.ip_address(addresses.get(node) or "0.0.0.0")  # noqa: S104 - nothing listens there

    def node_running(self, node: str) -> bool:
        """Whether there is such a node: whether it is Ready is for Kubernetes to tell."""
        return node in self.spec.node_names

    def image_port(self, image: str) -> int | None:
        """Return the port of an image that labkit's own catalogue knows: those are named after public ones."""
        try:
            found = Catalogue(KUBERNETES_VERSION, None).find(Reference.parse(image))
        except LabkitError:
            return None
        return found.ports[0] if found.ports else None

    def node_command(self, node: str, argv: Sequence[str]) -> list[str]:  # noqa: ARG002 - the protocol's
        """Refuse: the nodes are somebody else's."""
        self._refuse(
            gettext("Commands cannot be run on its nodes"), f"labkit kubectl -- debug node/{node} -it --image=busybox"
        )

    def runtime_log(self, node: str) -> Path | None:  # noqa: ARG002 - as above
        """Return None: it lies on a node."""
        return None

    def pod_logs(self, node: str) -> Path:  # noqa: ARG002 - as above
        """Refuse: they lie on a node."""
        self._refuse(gettext("Files of its nodes cannot be read"), "labkit kubectl -- logs POD")

    def node_joined(self, node: str) -> bool:  # noqa: ARG002 - it is one of those that the API server named
        """Return True: a node is known because it has joined."""
        return True

    def node_log(self, node: str, component: str) -> Path:
        """Refuse: it lies on a node."""
        path = f"/api/v1/nodes/{node}/proxy/logs/?query={component}"
        self._refuse(
            gettext("The log of {component} cannot be read").format(component=component),
            gettext("labkit kubectl -- get --raw '{path}', where allowed").format(path=path),
        )

    def start_node(self, node: str) -> None:
        """Refuse: switching it on is for who runs it."""
        self._refuse(
            gettext("Its nodes cannot be started"),
            gettext("labkit kubectl -- uncordon {node}, if it only takes no pods").format(node=node),
        )

    def stop_node(self, node: str) -> None:
        """Refuse: others may work on it."""
        self._refuse(
            gettext("Its nodes cannot be stopped"),
            gettext("labkit kubectl -- drain {node}, if you may empty it").format(node=node),
        )

    def add_node(self, name: str, progress: Progress) -> None:  # noqa: ARG002 - as above
        """Refuse: it has its own way."""
        self._refuse(
            gettext("Nodes cannot be added to it"),
            gettext("kubeadm token create --print-join-command, on its control plane"),
        )

    def forward(self, address: str, port: int, *, local_port: int = 0) -> int:
        """Refuse: kubectl does that."""
        self._refuse(
            gettext("{address} cannot be made reachable").format(address=address),
            f"labkit kubectl -- port-forward svc/NAME {local_port or port}:{port}",
        )

    @property
    def _only(self) -> str:
        """The one namespace that is watched; empty for all."""
        spec = self.spec
        return spec.namespace if isinstance(spec, ContextSpec) and spec.only_namespace else ""

    def _refuse(self, what: str, instead: str) -> NoReturn:
        raise not_here(self.spec, what, instead)

    def _watch(self, progress: Progress) -> None:
        """Start the watcher, and wait until it has listed everything."""
        folder = self.folder.watch
        folder.mkdir(exist_ok=True, mode=0o700)
        (folder / SERVES).unlink(missing_ok=True)
        with progress.phase(gettext("watches")), (self.folder.logs / "watcher.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-I", "-m", "labkit.cluster.watcher", str(self.kubeconfig), str(folder), self._only],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            watcher = detach(process)
            (folder / _IDENTITY).write_text(json.dumps(asdict(watcher)))
            deadline = time.monotonic() + _WATCHER_SECONDS
            while not (folder / SERVES).exists():
                if not watcher.alive or time.monotonic() > deadline:
                    watcher.kill()
                    raise ClusterError(
                        gettext("The cluster of context {name!r} cannot be watched").format(name=self.spec.name),
                        why=Path(log.name).read_text(errors="replace").strip()[-500:]
                        or gettext("it took too long to list it"),
                        fix=gettext("see whether it answers: labkit kubectl -- get pods --all-namespaces"),
                    )
                time.sleep(0.02)


def not_here(spec: LabSpec, what: str, instead: str) -> ClusterError:
    """Return the error of what cannot be done to a cluster of somebody else's."""
    return ClusterError(
        what,
        why=gettext(
            "the cluster behind context {context!r} is not labkit's own: it is asked through its API server alone"
        ).format(context=getattr(spec, "context", spec.name)),
        fix=gettext("{instead}; or in a lab of your own: labkit up --name own").format(instead=instead),
    )


def remove(folder: LabFolder) -> None:
    """End the watcher and forget the context."""
    _end(folder)
    if folder.path.exists():
        shutil.rmtree(folder.path)


def _end(folder: LabFolder) -> None:
    watcher = _watcher(folder)
    if watcher is not None:
        watcher.kill()


def _watcher(folder: LabFolder) -> ProcessIdentity | None:
    try:
        return ProcessIdentity(**json.loads((folder.watch / _IDENTITY).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _flattened(kubectl: Path, kubeconfig: Path | None, context: str) -> tuple[str, str]:
    """Return the context's name, and a kubeconfig of it alone with its certificates inside."""
    if kubeconfig is not None and not kubeconfig.is_file():
        raise UsageError(
            gettext("There is no kubeconfig {kubeconfig}").format(kubeconfig=kubeconfig),
            fix=gettext("name a file that exists: --kubeconfig FILE"),
        )
    environment = {**os.environ, **({"KUBECONFIG": str(kubeconfig)} if kubeconfig else {})}

    def config(*arguments: str) -> str:
        done = subprocess.run(
            [kubectl, "config", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=_KUBECTL_SECONDS,
        )
        if done.returncode != 0:
            raise UsageError(
                gettext("The kubeconfig cannot be used"),
                why=done.stderr.strip(),
                fix=gettext("kubectl config get-contexts shows it"),
            )
        return done.stdout

    names = config("get-contexts", "--output=name").split()
    where = str(kubeconfig or environment.get("KUBECONFIG") or "~/.kube/config")
    if not names:
        raise UsageError(
            gettext("There is no context in {where}").format(where=where),
            fix=gettext("name the kubeconfig: --kubeconfig FILE"),
        )
    if context and context not in names:
        raise UsageError(
            gettext("There is no context {context!r} in {where}").format(context=context, where=where),
            why=gettext("there is {names}").format(names=", ".join(names)),
            fix=gettext("choose one of them, for example --context {name}").format(name=names[0]),
        )
    chosen = context or config("current-context").strip()
    return chosen, config("view", "--raw", "--flatten", "--minify", f"--context={chosen}")


def _namespace(kubeconfig: str) -> str:
    """Return the namespace that a kubeconfig's one context names, as kubectl does."""
    (context,) = yaml.safe_load(kubeconfig)["contexts"]
    return str(context["context"].get("namespace") or "default")


def _look(kubeconfig: Path, spec: ContextSpec) -> ContextSpec:
    """Ask the cluster for its version and its nodes, and which pods may be watched: all, or those of one namespace."""
    with closing(ApiServer.from_kubeconfig(kubeconfig)) as api:
        version = api.ask("/version")["gitVersion"]
        only = api.get("/api/v1/pods?limit=1") is None
        if only:
            api.ask(f"/api/v1/namespaces/{spec.namespace}/pods?limit=1")
        nodes = (api.get("/api/v1/nodes") or {"items": []})["items"]
    nodes.sort(key=lambda node: (_CONTROL_PLANE not in node["metadata"].get("labels", {}), node["metadata"]["name"]))
    return replace(
        spec,
        only_namespace=only,
        kubernetes_version=version,
        node_names=tuple(node["metadata"]["name"] for node in nodes) or ("control-plane",),
        addresses=tuple(map(_address, nodes)) or ("",),
    )


def _address(node: dict[str, Any]) -> str:
    addresses = node["status"].get("addresses", [])
    return next((str(each["address"]) for each in addresses if each["type"] == "InternalIP"), "")
