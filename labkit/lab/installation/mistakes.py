"""The options of `kubeadm init` that the textbook gives, and what really happens when one of them is wrong.

Each wrong value is tried on the lab's own control plane, before it is initialised; then `kubeadm reset` brings the node
back for the next try. kubeadm reads its options from a file here (``--config``), where each has a field of its own
(kubeadm.k8s.io/v1beta4); it refuses to take both.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from labkit.cluster import kubeadm
from labkit.cluster.documents import dump_all
from labkit.cluster.rest import ApiServer
from labkit.cluster.rootless import RootlessCluster
from labkit.errors import UsageError
from labkit.lab.installation import init
from labkit.lab.installation.phases import InitRun
from labkit.lab.installation.reset import reset
from labkit.language import filled, gettext, gettext_noop
from labkit.progress import Progress

if TYPE_CHECKING:
    from labkit.cluster.spec import LabSpec

TWICE = "init-twice"
_HEADINGS = (
    gettext_noop("option"),
    gettext_noop("field of the file"),
    gettext_noop("here"),
    gettext_noop("what it says"),
    gettext_noop("when it is wrong"),
)
_LINES = 3  # of kubeadm's error
_TRY_SECONDS = 90.0  # at most, for a try


@dataclass(frozen=True, slots=True)
class Option:
    """An option of `kubeadm init`.

    Attributes
    ----------
    option : str
        As on the command line.
    field : str
        As in the file: kind and path.
    value : callable
        Its value of a lab.
    about : str
        What it says.
    wrong : str
        What happens when it is wrong.
    """

    option: str
    field: str
    value: Callable[[LabSpec], str]
    about: str
    wrong: str


OPTIONS = (
    Option(
        "--apiserver-advertise-address",
        "InitConfiguration localAPIEndpoint.advertiseAddress",
        lambda spec: spec.advertise_address,
        gettext_noop("at which of this node's addresses the API server and etcd listen for the other nodes"),
        gettext_noop(
            "an address that the node has not cannot be listened at: etcd ends, and the control plane never answers"
        ),
    ),
    Option(
        "--image-repository",
        "ClusterConfiguration imageRepository",
        lambda spec: spec.image_repository,
        gettext_noop("the registry from which the control plane's images come"),
        gettext_noop("no image, no container: kubeadm pulls first of all, and stops before it has written anything"),
    ),
    Option(
        "--kubernetes-version",
        "ClusterConfiguration kubernetesVersion",
        lambda spec: spec.kubernetes_version,
        gettext_noop("the version of the control plane, which is the tag of its images"),
        gettext_noop(
            "kubeadm refuses what is older than the minor version before its own; what is newer, it finds no images of"
        ),
    ),
    Option(
        "--service-cidr",
        "ClusterConfiguration networking.serviceSubnet",
        lambda spec: spec.service_cidr,
        gettext_noop("the addresses of Services, which no machine has"),
        gettext_noop(
            "where it overlaps the pods' range, these addresses are taken from the pods: the nodes may get none"
        ),
    ),
    Option(
        "--pod-network-cidr",
        "ClusterConfiguration networking.podSubnet",
        lambda spec: spec.pod_cidr,
        gettext_noop("the addresses of pods: each node gets a part"),
        gettext_noop("where it overlaps the Services' range or the nodes' own, a packet goes to the wrong place"),
    ),
)


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong option to try.

    Attributes
    ----------
    name : str
        What it is called here.
    said : str
        As one would say it on the command line.
    changes : mapping
        Kind of document → field → wrong value.
    cause, cure : str
        Our one line of each.
    patience : str
        How long kubeadm waits for the control plane, in place of four minutes.
    """

    name: str
    said: str
    changes: Mapping[str, Mapping[str, Any]]
    cause: str
    cure: str
    patience: str = "60s"


MISTAKES = {
    each.name: each
    for each in (
        Mistake(
            "advertise-address",
            "--apiserver-advertise-address=192.0.2.10",  # RFC 5737: no machine has it
            {
                "InitConfiguration": {
                    "localAPIEndpoint": {"advertiseAddress": "192.0.2.10", "bindPort": kubeadm.API_PORT}
                }
            },
            gettext_noop(
                "no interface of the node has the address, so that etcd and the API server cannot listen at it"
            ),
            gettext_noop("give an address that `ip address` shows on this node, or leave the option out"),
            patience="10s",
        ),
        Mistake(
            "image-repository",
            "--image-repository=registry.invalid",  # RFC 6761, 6.4: no such host exists
            {"ClusterConfiguration": {"imageRepository": "registry.invalid"}},
            gettext_noop("nobody answers at that registry, and without images the kubelet has nothing to start"),
            gettext_noop(
                "give a registry that this node reaches; `kubeadm config images list` names what it must have"
            ),
        ),
        Mistake(
            "kubernetes-version",
            "--kubernetes-version=v1.30.0",
            {"ClusterConfiguration": {"kubernetesVersion": "v1.30.0"}},
            gettext_noop(
                "kubeadm knows how to install its own minor version and the one before it, none that is older"
            ),
            gettext_noop(
                "give the version that `kubeadm version` prints, or take the kubeadm of the version that you want"
            ),
        ),
        Mistake(
            "overlapping-ranges",
            "--service-cidr=10.96.0.0/16 --pod-network-cidr=10.96.0.0/16",
            {"ClusterConfiguration": {"networking": {"serviceSubnet": "10.96.0.0/16", "podSubnet": "10.96.0.0/16"}}},
            gettext_noop(
                "kubeadm does not compare the ranges; the controller-manager keeps the Services' addresses out of the "
                "pods' range, and nothing is left for the node"
            ),
            gettext_noop(
                "give ranges that share no address, for example 10.96.0.0/16 and 192.168.0.0/16, and begin anew"
            ),
        ),
        Mistake(
            TWICE,
            "kubeadm init, a second time",
            {},
            gettext_noop("this node has a control plane: its files are there, and its ports are taken"),
            gettext_noop("nothing is to be done, it runs; to begin anew: kubeadm reset, then kubeadm init"),
        ),
    )
}


@dataclass(frozen=True, slots=True, repr=False)
class Attempt:
    """What came of a wrong option.

    Attributes
    ----------
    name, said : str
        Of the mistake.
    run : InitRun
        How far `kubeadm init` came, and its own error.
    noticed : str
        Who noticed it.
    evidence : tuple of str
        What else the components left about it, in their own words.
    cause, cure : str
        Our one line of each.
    """

    name: str
    said: str
    run: InitRun
    noticed: str
    evidence: tuple[str, ...]
    cause: str
    cure: str

    def rows(self) -> list[tuple[str, str]]:
        """Return it as a table of two columns."""
        ended = self.run.trouble.splitlines() or [
            gettext("kubeadm itself was content, after {seconds:.1f} s").format(seconds=self.run.seconds)
        ]
        if len(ended) > _LINES:  # an image that is missing is seldom alone
            ended = [ended[0], gettext("… and {count} more like it").format(count=len(ended) - 2), ended[-1]]
        last = self.run.phases[-1].name if self.run.phases else gettext("nothing")
        lines = [(gettext("tried"), self.said), (gettext("came as far as"), last)]
        lines += [("kubeadm" if at == 0 else "", line) for at, line in enumerate(ended)]
        lines += [(gettext("evidence") if at == 0 else "", line) for at, line in enumerate(self.evidence)]
        return [*lines, (gettext("cause"), gettext(self.cause)), (gettext("cure"), gettext(self.cure))]

    def __repr__(self) -> str:
        """Return it as text."""
        return "\n".join(f"{filled(head, 15)} {line}" for head, line in self.rows())

    def _repr_html_(self) -> str:
        from labkit.views import grid  # noqa: PLC0415 - most commands need no pictures

        return grid.table(
            ("", gettext_noop("what was seen")),
            self.rows(),
            caption=gettext("{name}: a real run").format(name=self.name),
        )


@dataclass(frozen=True, slots=True, repr=False)
class Options:
    """The textbook's options with this lab's values; a notebook shows them as a table.

    Attributes
    ----------
    lines : tuple of tuple of str
        Under the headings option, field of the file, here, what it says, when it is wrong.
    """

    lines: tuple[tuple[str, ...], ...]

    def __repr__(self) -> str:
        """Return them as text."""
        return "\n".join(
            gettext("{option}={here}\n    {about}; wrong: {wrong}").format(
                option=option, here=here, about=about, wrong=wrong
            )
            for option, _, here, about, wrong in self.lines
        )

    def _repr_html_(self) -> str:
        from labkit.views import grid  # noqa: PLC0415 - most commands need no pictures

        return grid.table(
            _HEADINGS, self.lines, caption=gettext("What kubeadm init is told, and where it reads it here")
        )


def options(spec: LabSpec) -> Options:
    """Return the textbook's options with a lab's values."""
    return Options(
        tuple((each.option, each.field, each.value(spec), gettext(each.about), gettext(each.wrong)) for each in OPTIONS)
    )


def attempt(cluster: RootlessCluster, name: str, progress: Progress) -> Attempt:
    """Run `kubeadm init` with a wrong option, look what came of it, and take the node back to where it was.

    Parameters
    ----------
    cluster : RootlessCluster
        A lab's: for ``"init-twice"`` one that is initialised, else one that is not.
    name : str
        A key of `MISTAKES`.
    progress : Progress
        Shows what is done.

    Raises
    ------
    UsageError
        There is no such mistake, or the lab is not in the state that it needs.
    """
    mistake = _find(cluster, name)
    if name == TWICE:
        return _attempt(cluster, mistake, init.init(cluster, progress, time_limit=_TRY_SECONDS))
    node = cluster.spec.node_names[0]
    right = (cluster.node_root(node) / kubeadm.CONFIG.lstrip("/")).read_text()
    try:
        cluster.write_init_files(changed(right, mistake))
        run = init.init(cluster, progress, time_limit=_TRY_SECONDS)
        return _attempt(cluster, mistake, run)
    finally:
        reset(cluster, node, progress)
        cluster.write_init_files(right)


def changed(documents: str, mistake: Mistake) -> str:
    """Return documents for kubeadm with a mistake's values, and with its patience for a control plane.

    Parameters
    ----------
    documents : str
        YAML, as `labkit.cluster.kubeadm.init_documents` returns it.
    mistake : Mistake
        Which.
    """
    patience = {"InitConfiguration": {"timeouts": {"controlPlaneComponentHealthCheck": mistake.patience}}}
    found = []
    for document in yaml.safe_load_all(documents):
        kind = document["kind"]
        found.append(document | patience.get(kind, {}) | mistake.changes.get(kind, {}))
    return dump_all(found)


def _find(cluster: RootlessCluster, name: str) -> Mistake:
    if name not in MISTAKES:
        raise UsageError(
            gettext("There is no mistake {name!r}").format(name=name),
            why=gettext("there is {names}").format(names=", ".join(MISTAKES)),
            fix=gettext("choose one of them"),
        )
    if name == TWICE and not cluster.initialised:
        raise UsageError(
            gettext("{name} needs a lab that is").format(name=name),
            why=gettext("lab {lab!r} is not initialised").format(lab=cluster.spec.name),
            fix="lab.init()",
        )
    if name != TWICE and cluster.initialised:
        raise UsageError(
            gettext("{name} needs a lab that is not").format(name=name),
            why=gettext("lab {lab!r} is initialised").format(lab=cluster.spec.name),
            fix=gettext("lab.reset(), which ends this cluster"),
        )
    return MISTAKES[name]


def _attempt(cluster: RootlessCluster, mistake: Mistake, run: InitRun) -> Attempt:
    noticed, evidence = {"advertise-address": _etcd, "overlapping-ranges": _controller_manager}.get(
        mistake.name, _kubeadm
    )(cluster, run)
    return Attempt(mistake.name, mistake.said, run, noticed, evidence, mistake.cause, mistake.cure)


def _kubeadm(_cluster: RootlessCluster, run: InitRun) -> tuple[str, tuple[str, ...]]:
    """Return who noticed it before anything was started: kubeadm, or the runtime that it asked by gRPC."""
    return ("container runtime" if "rpc error" in run.trouble else "kubeadm"), ()


def _etcd(cluster: RootlessCluster, _run: InitRun) -> tuple[str, tuple[str, ...]]:
    """Return etcd's last words."""
    logs = cluster.pod_logs(cluster.spec.node_names[0]).glob("kube-system_etcd-*/etcd/*.log")
    lines = [line.partition("{") for log in sorted(logs) for line in log.read_text(errors="replace").splitlines()]
    fatal = [json.loads(brace + rest) for _, brace, rest in lines if '"level":"fatal"' in rest]
    return "etcd", tuple(f"etcd's log: {each['msg']}: {each.get('error', '')}" for each in fatal[-1:])


def _controller_manager(cluster: RootlessCluster, _run: InitRun) -> tuple[str, tuple[str, ...]]:
    """Return what the controller-manager says of the node, as soon as it says something."""
    api = ApiServer.from_kubeconfig(cluster.kubeconfig)
    deadline = time.monotonic() + 20.0
    found: list[str] = []
    while not found and time.monotonic() < deadline:
        events = (api.get("/api/v1/events") or {"items": []})["items"]
        found = [f"event {each['reason']}: {each['message']}" for each in events if each["reason"].startswith("CIDR")]
        time.sleep(0.2)
    nodes = (api.get("/api/v1/nodes") or {"items": []})["items"]
    api.close()
    ranges = [f"node {each['metadata']['name']}: podCIDR {each['spec'].get('podCIDR', 'none')}" for each in nodes]
    return "kube-controller-manager", (*found[:1], *ranges)
