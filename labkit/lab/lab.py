"""A lab: a cluster, and everything that one does with it in a notebook or a terminal."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from labkit.cluster import readiness
from labkit.cluster.context import not_here
from labkit.cluster.protocol import Cluster
from labkit.cluster.rest import ApiServer
from labkit.cluster.spec import ContextSpec, LabSpec
from labkit.evidence.audit import AuditLog
from labkit.evidence.collect import collect
from labkit.evidence.model import Evidence
from labkit.flow import Action, ObjectName, actions
from labkit.flow.relevance import may_matter
from labkit.lab import anatomy, deploy, kubectl, owners, repairs, services, status
from labkit.lab.anatomy import Anatomy
from labkit.lab.etcd import LabEtcd
from labkit.lab.happenings import Happenings
from labkit.lab.installation.calls import Installation
from labkit.lab.kubectl import Output
from labkit.lab.nodes import LabNode, LabNodes
from labkit.lab.owners import Owners
from labkit.lab.panels import Panels
from labkit.lab.proxy import LabProxy
from labkit.lab.recorder import Recorder
from labkit.lab.still import Still
from labkit.language import gettext
from labkit.progress import Progress
from labkit.widgets.progress import watch

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

    from labkit.lab.components import Components

_BEFORE = timedelta(seconds=1)  # what an action is based on is older than its request


class Lab(Happenings, Panels, Still, Installation):
    """A lab, running or stopped; `labkit.up` makes one and `labkit.attach` finds it again.

    As a context manager it is taken down at the end, whatever happened.

    Parameters
    ----------
    cluster : Cluster
        Its cluster.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.down()

    def __repr__(self) -> str:
        return f"<Lab {self.name!r}: {'running' if self.cluster.running else 'stopped'}, {len(self.nodes)} nodes>"

    def _repr_html_(self) -> str:
        return self.status()._repr_html_()

    @property
    def name(self) -> str:
        """The lab's name."""
        return self.spec.name

    @property
    def spec(self) -> LabSpec:
        """What it is like."""
        return self.cluster.spec

    @property
    def namespace(self) -> str:
        """In which objects are that are named without one: ``default``, or a context's own."""
        return self.spec.namespace if isinstance(self.spec, ContextSpec) else super().namespace

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, for programs on this machine."""
        return self.cluster.kubeconfig

    @functools.cached_property
    def api(self) -> ApiClient:
        """The official Python client, for example ``kubernetes.client.CoreV1Api(lab.api).list_node()``."""
        from kubernetes import config  # noqa: PLC0415 - takes most of a second to import, and few need it

        return config.new_client_from_config(str(self.kubeconfig))

    @property
    def nodes(self) -> LabNodes:
        """The nodes, the control plane first; also by name: ``lab.nodes["node-01"]``."""
        return LabNodes(LabNode(name, self.cluster) for name in self.spec.node_names)

    @property
    def proxy(self) -> LabProxy:
        """kube-proxy: its mode, the switch to another, and the rules that it gave to each node's kernel."""
        self._require_nodes(
            gettext("The rules of its kube-proxies cannot be read"), "labkit kubectl -- get endpointslices"
        )
        return LabProxy(self)

    @property
    def etcd(self) -> LabEtcd:
        """etcd: its keys, their values and histories, and what is written."""
        self._require_nodes(gettext("Its etcd cannot be read"), "labkit kubectl -- get pods --watch --output yaml")
        return LabEtcd(self)

    def components(self) -> Components:
        """Return the components that run, with what their processes, sockets and certificates tell.

        Where the API server does not answer, who started them is not told.

        Raises
        ------
        ClusterError
            A node's tools fail.
        """
        self._require_nodes(gettext("Its components' processes cannot be seen"), "labkit status")
        from labkit.lab import components  # noqa: PLC0415 - reading certificates takes a library that few need

        with self.api_server() as api:
            pods = (api.get("/api/v1/pods") or {"items": []})["items"]
            known = (api.get("/api/v1/services") or {"items": []})["items"]
        return components.read(self.nodes, pods, known)

    def anatomy(self, pod: str, namespace: str = "default") -> Anatomy:
        """Return what a Pod is made of: its containers' processes, and which namespaces and volumes they share.

        Raises
        ------
        UsageError
            There is no such Pod, or it has no node yet.
        ClusterError
            No container of it runs, or one cannot be looked into.
        """
        self._require_nodes(
            gettext("The processes of pod {pod} cannot be seen").format(pod=pod), f"labkit kubectl -- exec {pod} -- ps"
        )
        with self.api_server() as api:
            return anatomy.read(api, self.nodes, self.kubectl, pod, namespace)

    def owners(self, namespace: str | None = None) -> Owners:
        """Return who owns whom in a namespace: deployments and others, their replica sets, their pods.

        Parameters
        ----------
        namespace : str, optional
            By default the lab's own.

        Raises
        ------
        ClusterError
            The API server does not answer.
        """
        with self.api_server() as api:
            return owners.read(api, namespace or self.namespace)

    def status(self) -> status.LabStatus:
        """Return how the lab is: nodes, and the components on each."""
        return status.read(self.cluster)

    def repair(self, *, progress: Progress | None = None) -> repairs.Repaired:
        """Bring back what `status` says is missing, by kubeadm's own phases; what is held still goes on.

        Raises
        ------
        UsageError
            Another command is changing the lab.
        ClusterError
            The lab or its control plane does not run, or what was made does not run in time.
        """
        with watch(progress) as reporter:
            return repairs.run(self, reporter)

    def kubectl(self, arguments: str | Sequence[str], *, stdin: str = "") -> Output:
        """Run the pinned kubectl and return what it printed.

        Parameters
        ----------
        arguments : str or sequence of str
            ``"get nodes -o wide"``; a leading ``kubectl`` is allowed.
        stdin : str
            What it reads, for ``"apply -f -"``.

        Raises
        ------
        ClusterError
            It failed; the message is its own.
        """
        self._require_running()
        return kubectl.run(self.cluster.programs.program("kubectl"), self.kubeconfig, arguments, stdin=stdin)

    def deploy(
        self,
        name: str,
        *,
        image: str | None = None,
        replicas: int = 1,
        port: int | None = None,
        timeout: float = 120.0,
        progress: Progress | None = None,
    ) -> Output:
        """Deploy an application: `kubectl create deployment`, then `kubectl expose`; wait until its pods are Ready.

        What is there already is left as it is, so that a cell can be run again.

        Parameters
        ----------
        name : str
            Of the deployment and its Service.
        image : str
            By default the name.
        replicas : int
            How many pods.
        port : int
            The application's; by default the image's. Without either there is no Service.
        timeout : float
            Seconds to wait.
        progress : Progress
            Shows the waiting.

        Raises
        ------
        ClusterError
            kubectl refused, a pod cannot start, or it took too long.
        """
        image = image or name
        port = port or self.cluster.image_port(image)
        namespace = self.namespace
        create = ["create", "deployment", name, f"--image={image}", f"--replicas={replicas}"]
        with (
            watch(progress) as reporter,
            reporter.phase(gettext("deployment {name}").format(name=name)) as phase,
            self.api_server() as api,
        ):
            printed = []
            if not deploy.exists(api, namespace, name, image):
                printed.append(self.kubectl([*create, f"--port={port}"] if port else create))
                deploy.note(api, self.cluster.folder.deployed, "deployments", namespace, name)
            if port and api.get(f"/api/v1/namespaces/{namespace}/services/{name}") is None:
                printed.append(self.kubectl(["expose", "deployment", name, f"--port={port}"]))
                deploy.note(api, self.cluster.folder.deployed, "services", namespace, name)
            deploy.wait_until_running(api, namespace, name, phase=phase, timeout=timeout)
        return Output("\n".join(printed))

    def open(self, target: str, *, port: int | None = None, local_port: int = 0) -> str:
        """Make a Service reachable from this machine.

        Parameters
        ----------
        target : str
            ``"svc/tomcat"``, in namespace default.
        port : int
            Which of the Service's ports; by default its first.
        local_port : int
            Of 127.0.0.1; 0 takes a free one.

        Returns
        -------
        str
            ``"http://127.0.0.1:PORT"``; it works until the lab is stopped.

        Raises
        ------
        UsageError
            There is no such Service or port, or the local port is taken.
        """
        with self.api_server() as api:
            address, chosen = services.address_of(api, target, port)
        return f"http://127.0.0.1:{self.cluster.forward(address, chosen, local_port=local_port)}"

    def evidence_about(self, subject: ObjectName) -> Evidence:
        """Return what the components left since somebody first did something about an object.

        A lab that has run for hours holds far more than one flow needs.
        """
        about = (subject.resource, subject.namespace, subject.name)
        if self.cluster.audit_log is None:
            return self.evidence()
        done = actions(AuditLog(self.cluster.audit_log, only=may_matter(subject)))
        times = [each.time for each in done if (each.object.resource, each.object.namespace, each.object.name) == about]
        return self.evidence(min(times, default=datetime.now(UTC)) - _BEFORE)

    def actions(self) -> list[Action]:
        """Return what people did since the API server's log began, in order of time."""
        log = self.cluster.audit_log
        return super().actions() if log is None else actions(AuditLog(log))

    def record(self, path: Path | str, title: str = "") -> Recorder:
        """Keep what the components leave during a `with` block in a file.

        Parameters
        ----------
        path : Path or str
            The file, ``.labtrace``; it holds no secrets.
        title : str
            What it is about.

        Raises
        ------
        EvidenceError
            The file cannot be written.
        """
        self._require_running()
        return Recorder(self.cluster, path, title)

    def evidence(self, since: datetime | None = None) -> Evidence:
        """Return what the components left: audit events, trace spans, revisions, calls and log lines.

        Parameters
        ----------
        since : datetime, optional
            From when on; by default all that is still there.
        """
        return collect(self.cluster, since=since)

    def add_node(self, name: str, *, progress: Progress | None = None) -> LabNode:
        """Add a worker by `kubeadm join` and wait until it is Ready."""
        self._require_running()
        with watch(progress) as reporter, self.cluster.folder.locked():
            self.cluster.add_node(name, reporter)
        return self.nodes[name]

    def load_image(self, source: str, *, progress: Progress | None = None) -> tuple[str, ...]:
        """Put an image into every node of a kind lab, and return its names: see `labkit.cluster.kind_images.load`."""
        from labkit.cluster import kind_images  # noqa: PLC0415 - few need it

        with watch(progress) as reporter, self.cluster.folder.locked():
            return kind_images.load(self.cluster, source, reporter)

    def stop(self) -> None:
        """End all processes of the lab; its data stays."""
        self._forget_api()
        with self.cluster.folder.locked():
            self.cluster.stop()

    def start(self, *, progress: Progress | None = None) -> None:
        """Start a stopped lab; its nodes come back and rejoin by themselves."""
        with watch(progress) as reporter, self.cluster.folder.locked():
            if not self.cluster.running:
                self.cluster.start(reporter)

    def down(self, *, deployed: bool = False) -> None:
        """Remove the lab: its processes and its files; with provider ``context`` forget it, the cluster stays.

        Parameters
        ----------
        deployed : bool
            Whether what `deploy` made there is deleted first, which matters with provider ``context`` alone.
        """
        if deployed:
            with self.api_server() as api:
                deploy.remove(api, self.cluster.folder.deployed, self.kubectl)
        self._forget_api()
        with self.cluster.folder.locked():
            self.cluster.down()

    @contextmanager
    def api_server(self) -> Iterator[ApiServer]:
        """Give a plain connection to the API server; `api` is the full client.

        Raises
        ------
        ClusterError
            The lab does not run.
        """
        self._require_running()
        api = ApiServer.from_kubeconfig(self.kubeconfig)
        try:
            yield api
        finally:
            api.close()

    def _forget_api(self) -> None:
        """Close the official client's connections: the server that they lead to is about to end."""
        client: ApiClient | None = self.__dict__.pop("api", None)
        if client is not None:
            client.rest_client.pool_manager.clear()
            client.close()

    def _require_nodes(self, what: str, instead: str) -> None:
        if not self.cluster.reaches_nodes:
            raise not_here(self.spec, what, instead)

    def _require_running(self) -> None:
        readiness.require_running(self.cluster)
