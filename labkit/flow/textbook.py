"""What the textbook says: the steps of each kind of action, and which hops they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from labkit.flow.actions import ActionKind
from labkit.language import gettext_noop

_WATCH = gettext_noop("Every kubelet, the scheduler and the controller-manager watch the API server")


@dataclass(frozen=True, slots=True)
class Page:
    """One step of a textbook.

    Attributes
    ----------
    title : str
        ``{thing}`` stands for what the action is about, ``{nodes}`` for the nodes that pods were bound to.
    labels : tuple of str
        Patterns of the labels of its hops, see `labkit.flow.labels`.
    note : str
        How reality differs, where it always does.
    more : str
        What else to look up for its note: ``"asked"``, ``"placed"``, ``"filtered"``, ``"began"``, or nothing.
    """

    title: str
    labels: tuple[str, ...] = ()
    note: str = ""
    more: Literal["", "asked", "placed", "filtered", "began"] = ""


@dataclass(frozen=True, slots=True)
class Textbook:
    """The steps of one kind of action.

    Attributes
    ----------
    pages : tuple of Page
        From step 0 on.
    stops : mapping of str to int
        The step at which a flow stands still, by what is missing: ``"controller"``, ``"pod"``, ``"scheduler"``,
        ``"kubelet"``, ``"container"``.
    """

    pages: tuple[Page, ...]
    stops: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class More:
    """Hops that no textbook has: a title, the patterns of their labels, and why Kubernetes does so."""

    title: str
    labels: tuple[str, ...]
    why: str


MORE = (
    More(
        gettext_noop("Events"),
        ("event",),
        gettext_noop("Components note what they do for people to read; nothing waits for an Event."),
    ),
    More(
        gettext_noop("The replica set"),
        ("rs", "rs.stored", "rs.stored.*"),
        gettext_noop(
            "A deployment keeps each version of its pods as a replica set, so that it can go forward and back."
        ),
    ),
    More(
        gettext_noop("Endpoint slices"),
        ("slices", "slices.*", "*.told.kube-proxy", "address", "address.*"),
        gettext_noop("A Service's endpoints follow its pods: kube-proxy on every node is told of each change."),
    ),
    More(
        gettext_noop("A token for the pod"),
        ("token",),
        gettext_noop(
            "The kubelet asks for a token of the pod's service account and puts it into the pod's file system."
        ),
    ),
    More(
        gettext_noop("Pods that go"),
        ("pod.delete", "pod.delete.*", "gone", "gone.*", "halt", "rs.delete", "rs.delete.*"),
        gettext_noop("A pod is first marked as dying; its kubelet stops it, and only then is it removed."),
    ),
    More(
        gettext_noop("Status reports"),
        ("status", "status.*", "report", "report.*", "unplaced", "unplaced.*", "*.told.controller"),
        gettext_noop(
            "Controllers count what is there and write it into the status of what they look after; an update that "
            "rests on "
            "an old version is refused and done again."
        ),
    ),
    More(gettext_noop("More"), ("*",), gettext_noop("What else was written about these objects.")),
)

_CREATE = Textbook(
    (
        Page(_WATCH),
        Page(gettext_noop("A person does it: {action}"), more="asked"),
        Page(
            gettext_noop("The person's program sends it to the API server, which stores it in etcd"),
            ("ask", "ask.stored"),
        ),
        Page(gettext_noop("etcd tells the API server of the new {kind}"), ("ask.stored.heard",)),
        Page(gettext_noop("The controller-manager hears of it"), ("ask.stored.told.controller",)),
        Page(
            gettext_noop("It works out the pods (through a replica set)"),
            ("rs",),
            gettext_noop(
                "Reality has two controllers here: the deployment controller makes a replica set, and the replica set "
                "controller, which hears of it, the pods. Other workloads' controllers make their pods themselves."
            ),
        ),
        Page(gettext_noop("It hands the pods to the API server, which stores them in etcd"), ("pod", "pod.stored")),
        Page(gettext_noop("etcd tells the API server of the pods"), ("pod.stored.heard",)),
        Page(
            gettext_noop("The scheduler hears of them and computes the best node"),
            ("pod.stored.told.scheduler", "ask.stored.told.scheduler"),
            more="placed",
        ),
        Page(
            gettext_noop("It hands the binding ({nodes}) to the API server, which stores it in etcd"),
            ("bind", "bind.stored"),
        ),
        Page(gettext_noop("etcd tells the API server of the binding"), ("bind.stored.heard",)),
        Page(
            gettext_noop("All kubelets hear of it"),
            ("bind.stored.told.kubelet", "ask.stored.told.kubelet"),
            more="filtered",
        ),
        Page(gettext_noop("Each kubelet judges whether the pod is its own"), more="began"),
        Page(
            gettext_noop(
                "The kubelet of {nodes} has its runtime start the pod and reports its state to the API server"
            ),
            ("run", "report", "report.stored"),
        ),
    ),
    {"controller": 4, "pod": 6, "scheduler": 8, "kubelet": 12, "container": 13},
)

_SCALE = Textbook(
    (
        Page(_WATCH),
        Page(
            gettext_noop("A person asks for another number of pods; the API server stores it in etcd"),
            ("ask", "ask.stored"),
        ),
        Page(
            gettext_noop("etcd tells the API server, and the controller-manager hears of it"),
            ("ask.stored.heard", "ask.stored.told.controller"),
        ),
        Page(
            gettext_noop("Its deployment controller writes the number into the replica set"),
            ("rs.scale", "rs.scale.stored"),
        ),
        Page(
            gettext_noop("Its replica set controller hears of that"),
            ("rs.scale.stored.heard", "rs.scale.stored.told.controller"),
        ),
        Page(
            gettext_noop("It makes the pods that are missing, or deletes those that are too many"),
            ("pod", "pod.stored", "pod.delete", "pod.delete.stored"),
        ),
        Page(
            gettext_noop("The scheduler hears of new pods and computes the best nodes"),
            ("pod.stored.heard", "pod.stored.told.scheduler"),
            more="placed",
        ),
        Page(
            gettext_noop("It hands the bindings ({nodes}) to the API server, which stores them in etcd"),
            ("bind", "bind.stored"),
        ),
        Page(
            gettext_noop("The kubelets of these nodes hear of it"),
            (
                "bind.stored.heard",
                "bind.stored.told.kubelet",
                "pod.delete.stored.heard",
                "pod.delete.stored.told.kubelet",
            ),
        ),
        Page(gettext_noop("They have their runtimes start new pods, or stop those that go"), ("run", "halt")),
        Page(
            gettext_noop("They report the pods' state to the API server"),
            ("report", "report.stored", "gone", "gone.stored"),
        ),
    ),
    {"controller": 3, "pod": 5, "scheduler": 6, "kubelet": 8, "container": 9},
)

_UPDATE = Textbook(
    (
        Page(_WATCH),
        Page(
            gettext_noop("A person changes what the pods are made of; the API server stores it in etcd"),
            ("ask", "ask.stored"),
        ),
        Page(
            gettext_noop("etcd tells the API server, and the controller-manager hears of it"),
            ("ask.stored.heard", "ask.stored.told.controller"),
        ),
        Page(
            gettext_noop("Its deployment controller makes a replica set for the new version"),
            ("rs", "rs.stored", "rs.stored.heard", "rs.stored.told.controller"),
        ),
        Page(
            gettext_noop("It lets the new replica set grow and the old one shrink, a few pods at a time"),
            ("rs.scale", "rs.scale.stored", "rs.scale.stored.heard", "rs.scale.stored.told.controller"),
        ),
        Page(gettext_noop("Its replica set controller makes new pods"), ("pod", "pod.stored")),
        Page(
            gettext_noop("The scheduler hears of them and chooses nodes ({nodes})"),
            ("pod.stored.heard", "pod.stored.told.scheduler", "bind", "bind.stored"),
            more="placed",
        ),
        Page(gettext_noop("The nodes' kubelets hear of it"), ("bind.stored.heard", "bind.stored.told.kubelet")),
        Page(gettext_noop("They have their runtimes start the new pods"), ("run",)),
        Page(
            gettext_noop("They report: a new pod has to be ready before an old one goes"), ("report", "report.stored")
        ),
        Page(
            gettext_noop("The replica set controller deletes old pods: they are marked"),
            ("pod.delete", "pod.delete.stored"),
        ),
        Page(
            gettext_noop("Their kubelets hear of it and have the runtimes stop them"),
            ("pod.delete.stored.heard", "pod.delete.stored.told.kubelet", "halt"),
        ),
        Page(
            gettext_noop("They tell the API server that the pods are gone; etcd removes them"), ("gone", "gone.stored")
        ),
    ),
    {"controller": 3, "pod": 5, "scheduler": 6, "kubelet": 7, "container": 8},
)

_DELETE = Textbook(
    (
        Page(_WATCH),
        Page(gettext_noop("A person deletes it; the API server removes it from etcd"), ("ask", "ask.stored")),
        Page(
            gettext_noop("etcd tells the API server, and the garbage collector hears of it"),
            ("ask.stored.heard", "ask.stored.told.controller"),
        ),
        Page(gettext_noop("It deletes the replica sets, whose owner is gone"), ("rs.delete", "rs.delete.stored")),
        Page(
            gettext_noop("It hears that they are gone and deletes their pods: these are marked"),
            ("rs.delete.stored.heard", "rs.delete.stored.told.controller", "pod.delete", "pod.delete.stored"),
        ),
        Page(
            gettext_noop("The kubelets of {nodes} hear of it"),
            ("pod.delete.stored.heard", "pod.delete.stored.told.kubelet", "ask.stored.told.kubelet"),
        ),
        Page(gettext_noop("They have their runtimes stop the pods"), ("halt",)),
        Page(
            gettext_noop("They tell the API server that the pods are gone; etcd removes them"),
            ("report", "report.stored", "gone", "gone.stored"),
        ),
    ),
)

_REPLACE = Textbook(
    (
        Page(_WATCH),
        Page(gettext_noop("A person deletes the pod; the API server marks it in etcd"), ("ask", "ask.stored")),
        Page(
            gettext_noop("etcd tells the API server, and the pod's kubelet and the controller-manager hear of it"),
            ("ask.stored.heard", "ask.stored.told.*"),
        ),
        Page(gettext_noop("The kubelet has its runtime stop the pod"), ("halt",)),
        Page(gettext_noop("Its controller finds that a pod is missing, and makes another"), ("pod", "pod.stored")),
        Page(
            gettext_noop("The scheduler hears of it and chooses a node"),
            ("pod.stored.heard", "pod.stored.told.scheduler", "bind", "bind.stored"),
            more="placed",
        ),
        Page(gettext_noop("That node's kubelet hears of it"), ("bind.stored.heard", "bind.stored.told.kubelet")),
        Page(gettext_noop("It has its runtime start the pod"), ("run",)),
        Page(
            gettext_noop("The kubelets report: one pod is gone, the other runs"),
            ("report", "report.stored", "gone", "gone.stored"),
        ),
    ),
)

_EXPOSE = Textbook(
    (
        Page(gettext_noop("The controller-manager and every kube-proxy watch the API server")),
        Page(gettext_noop("A person asks for a Service; the API server stores it in etcd"), ("ask", "ask.stored")),
        Page(
            gettext_noop("The API server takes an address for it out of the Services' range"),
            ("address", "address.stored"),
        ),
        Page(
            gettext_noop("etcd tells the API server, and the controller-manager hears of it"),
            ("ask.stored.heard", "ask.stored.told.controller"),
        ),
        Page(
            gettext_noop("Its endpoint controllers write down the addresses of the pods that the Service selects"),
            ("slices", "slices.stored"),
        ),
        Page(
            gettext_noop("kube-proxy on every node hears of the Service and its endpoint slices"),
            ("ask.stored.told.kube-proxy", "slices.stored.heard", "slices.stored.told.kube-proxy"),
        ),
        Page(
            gettext_noop("kube-proxy writes the node's packet rules"),
            note=gettext_noop(
                "kube-proxy asks the API server for nothing more, so none of these sources shows it: "
                "the node's own rules do."
            ),
        ),
    ),
)

_CHANGE = Textbook(
    (
        Page(_WATCH),
        Page(gettext_noop("A person changes it; the API server stores it in etcd"), ("ask", "ask.stored")),
        Page(
            gettext_noop("etcd tells the API server, and those who watch it hear of it"),
            ("ask.stored.heard", "ask.stored.told.*"),
        ),
        Page(gettext_noop("They write what follows from it"), ("rs*", "pod*", "bind*", "more*", "slices*")),
        Page(
            gettext_noop("Kubelets have their runtimes work, and report"),
            ("run", "halt", "report", "report.stored", "gone*"),
        ),
    ),
)

_BOOKS = {"create": _CREATE, "scale": _SCALE, "update": _UPDATE, "delete": _DELETE, "change": _CHANGE}
_WORKLOADS = frozenset({"deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "cronjobs", "pods"})


def textbook(kind: ActionKind, resource: str) -> Textbook:
    """Return the textbook for an action."""
    if kind == "create" and resource == "services":
        return _EXPOSE
    if kind == "delete" and resource == "pods":
        return _REPLACE
    if resource not in _WORKLOADS and kind != "delete":
        return _CHANGE
    if kind == "update" and resource != "deployments":
        return _CHANGE
    return _BOOKS[kind]


def fits(label: str, patterns: tuple[str, ...]) -> bool:
    """Whether a hop's label is among patterns."""
    return any(fnmatchcase(label, pattern) for pattern in patterns)
