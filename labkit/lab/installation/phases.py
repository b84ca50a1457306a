"""`kubeadm init`'s phases: what each is for, and what one run of them did.

Their names and order are those of ``kubeadm init --help`` of Kubernetes 1.34.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from textwrap import shorten
from typing import TYPE_CHECKING
from uuid import uuid4

from labkit.cluster.kubeadm import CONFIG
from labkit.errors import UsageError
from labkit.lab.installation.written import FileChange, ObjectChange
from labkit.language import gettext, gettext_noop

if TYPE_CHECKING:
    from labkit.views.phases import Bar

_STYLE = "div.labkit-phases svg{max-width:100%;height:auto;display:block}"
_HEADINGS = (
    gettext_noop("what"),
    gettext_noop("change"),
    gettext_noop("who"),
    gettext_noop("after s"),
    gettext_noop("bytes"),
)
_WIDTH = 100  # characters of what a phase wrote, in text
_NAMED = 3  # files or objects are named up to so many, and counted from there on


@dataclass(frozen=True, slots=True)
class PhaseKind:
    """A phase of `kubeadm init`.

    Attributes
    ----------
    name : str
        As `kubeadm init --skip-phases` takes it.
    command : tuple of str
        What follows ``kubeadm init phase`` to run it by itself; empty for the one that takes no ``--config`` there.
    about : str
        What it is for, in a line.
    """

    name: str
    command: tuple[str, ...]
    about: str

    @property
    def arguments(self) -> tuple[str, ...]:
        """What kubeadm is given to run it by itself."""
        if self.command:
            return ("init", "phase", *self.command, "--config", CONFIG)
        others = [kind.name for kind in PHASES if kind != self]
        return ("init", "--config", CONFIG, "--skip-phases", ",".join([*others, "show-join-command"]))


#: The phases that do something here, in their order.
PHASES = (
    PhaseKind("preflight", ("preflight",), gettext_noop("look whether this machine can do it, and pull the images")),
    PhaseKind(
        "certs", ("certs", "all"), gettext_noop("make the certificate authorities, and the certificates that they sign")
    ),
    PhaseKind(
        "kubeconfig",
        ("kubeconfig", "all"),
        gettext_noop("write down for each client where the API server is and who it is"),
    ),
    PhaseKind("etcd", ("etcd", "local"), gettext_noop("write the manifest of etcd's static pod")),
    PhaseKind(
        "control-plane", ("control-plane", "all"), gettext_noop("write the manifests of the other three static pods")
    ),
    PhaseKind(
        "kubelet-start", ("kubelet-start",), gettext_noop("write the kubelet's configuration, with which it starts")
    ),
    PhaseKind("wait-control-plane", (), gettext_noop("wait while the kubelet starts what the manifests say")),
    PhaseKind(
        "upload-config",
        ("upload-config", "all"),
        gettext_noop("keep the configuration in the cluster, for nodes that join"),
    ),
    PhaseKind(
        "mark-control-plane",
        ("mark-control-plane",),
        gettext_noop("label and taint this node, so that other pods stay off"),
    ),
    PhaseKind(
        "bootstrap-token",
        ("bootstrap-token",),
        gettext_noop("make the token with which nodes join, and allow what it needs"),
    ),
    PhaseKind(
        "kubelet-finalize",
        ("kubelet-finalize", "all"),
        gettext_noop("let the kubelet use the certificate that it renews"),
    ),
    PhaseKind("addon", ("addon", "all"), gettext_noop("apply CoreDNS and kube-proxy")),
)


@dataclass(frozen=True, slots=True)
class InitPhase:
    """A phase as it went.

    Attributes
    ----------
    name : str
        Which.
    start, seconds : float
        When it began, from the beginning of the run, and how long it took, both in seconds.
    lines : tuple of str
        What kubeadm printed, without secrets.
    files : tuple of FileChange
        What changed on the node meanwhile, whoever changed it.
    objects : tuple of ObjectChange
        What was written to the API meanwhile.
    """

    name: str
    start: float
    seconds: float
    lines: tuple[str, ...] = ()
    files: tuple[FileChange, ...] = ()
    objects: tuple[ObjectChange, ...] = ()

    @property
    def written(self) -> tuple[FileChange | ObjectChange, ...]:
        """Everything that was written meanwhile: files, then objects."""
        return (*self.files, *self.objects)

    @property
    def wrote(self) -> str:
        """What kubeadm wrote, in a line; what others wrote meanwhile is counted behind it."""
        own = [*_own_files(self.files), *_own_objects(self.objects)]
        others = Counter(each.who for each in self.written if each.who != "kubeadm")
        counted = ", ".join(f"{who} {count}" for who, count in others.most_common(_NAMED))
        return "; ".join([*own, *([gettext("meanwhile others: {counted}").format(counted=counted)] if counted else [])])


@dataclass(frozen=True, slots=True, repr=False)
class InitRun:
    """A run of `kubeadm init`, or of some of its phases; a notebook shows it as a picture and a table.

    Attributes
    ----------
    phases : tuple of InitPhase
        In their order.
    seconds : float
        From the start of kubeadm to its end.
    trouble : str
        kubeadm's own error; empty where it had none.
    """

    phases: tuple[InitPhase, ...]
    seconds: float
    trouble: str = ""
    began: float = field(default=0.0)

    def __getitem__(self, name: str) -> InitPhase:
        """Return the phase of a name."""
        for phase in self.phases:
            if phase.name == name:
                return phase
        names = ", ".join(phase.name for phase in self.phases)
        raise UsageError(
            gettext("This run has no phase {name!r}").format(name=name),
            why=gettext("it has {names}").format(names=names),
            fix=gettext("choose one of them"),
        )

    def written(self, name: str) -> Written:
        """Return everything that was written during a phase."""
        phase = self[name]
        return Written(
            gettext("What was written during {phase}").format(phase=name), phase.written, self.began + phase.start
        )

    @property
    def caption(self) -> str:
        """What it shows, in a line."""
        if self.trouble:
            return gettext("kubeadm init, phase by phase: it failed after {seconds:.1f} s").format(seconds=self.seconds)
        return gettext("kubeadm init, phase by phase: it took {seconds:.1f} s").format(seconds=self.seconds)

    def bars(self) -> list[Bar]:
        """Return the phases as the picture shows them."""
        from labkit.views.phases import Bar  # noqa: PLC0415 - most commands need no pictures

        last = self.phases[-1] if self.phases else None
        return [
            Bar(each.name, each.start, each.seconds, each.wrote, "kubeadm", failed=bool(self.trouble) and each is last)
            for each in self.phases
        ]

    def __repr__(self) -> str:
        """Return the run as text."""
        from labkit.views import grid, phases  # noqa: PLC0415 - as above

        rows = [(*row[:-1], shorten(row[-1], _WIDTH, placeholder=" …")) for row in phases.rows(self.bars())]
        table = grid.text(phases.HEADINGS, rows, right=phases.RIGHT)
        return "\n".join([self.caption, table, *([self.trouble] if self.trouble else [])])

    def to_svg(self) -> str:
        """Return the run as a picture."""
        from labkit.views import phases  # noqa: PLC0415 - as above

        return phases.to_svg(self.bars(), self.caption, prefix=f"labkit-phases-{uuid4().hex[:8]}")

    def _repr_html_(self) -> str:
        from labkit.views import grid, phases  # noqa: PLC0415 - as above

        table = grid.table(phases.HEADINGS, phases.rows(self.bars()), caption=self.caption, right=phases.RIGHT)
        trouble = "".join(f"<p><code>{grid.escape(line)}</code></p>" for line in self.trouble.splitlines())
        picture = f'<div class="labkit-phases"><style>{_STYLE}</style>{self.to_svg()}</div>'
        heading = gettext("The same as a table")
        return f"{picture}{trouble}<details><summary>{heading}</summary>{table}</details>"


@dataclass(frozen=True, slots=True, repr=False)
class Written:
    """Files and objects that were written; a notebook shows them as a table.

    Attributes
    ----------
    caption : str
        When.
    changes : tuple of FileChange or ObjectChange
        What.
    since : float
        What times are counted from, seconds since the epoch.
    """

    caption: str
    changes: tuple[FileChange | ObjectChange, ...]
    since: float

    def rows(self) -> list[tuple[str, ...]]:
        """Return a row for each, in order of time: what, change, who, when, and a file's size."""
        rows: list[tuple[str, ...]] = []
        for each in sorted(self.changes, key=lambda each: each.time):
            what, size = (each.path, str(each.size)) if isinstance(each, FileChange) else (str(each), "")
            rows.append((what, gettext(each.change), each.who, f"{each.time - self.since:.3f}", size))
        return rows

    def __repr__(self) -> str:
        """Return them as a table of text."""
        from labkit.views import grid  # noqa: PLC0415 - most commands need no pictures

        return grid.text(_HEADINGS, self.rows(), right=frozenset({"after s", "bytes"}))

    def _repr_html_(self) -> str:
        from labkit.views import grid  # noqa: PLC0415 - as above

        return grid.table(_HEADINGS, self.rows(), caption=self.caption, right=frozenset({"after s", "bytes"}))


def _own_files(files: Iterable[FileChange]) -> Iterator[str]:
    """Return kubeadm's files, by folder where there are many."""
    folders: dict[str, dict[str, None]] = {}
    for each in files:
        if each.who == "kubeadm" and each.change != "removed":
            folder, _, name = each.path.rpartition("/")
            folders.setdefault(folder, {})[name] = None
    for folder, names in folders.items():
        many = gettext("{count} files").format(count=len(names))
        yield f"{folder}: {', '.join(names) if len(names) <= _NAMED else many}"


def _own_objects(objects: Iterable[ObjectChange]) -> Iterator[str]:
    """Return kubeadm's objects, by resource."""
    resources: dict[str, dict[str, None]] = {}
    for each in objects:
        if each.who == "kubeadm":
            resources.setdefault(each.resource, {})[each.name] = None
    for resource, names in resources.items():
        yield f"{resource} {', '.join(names)}" if len(names) <= _NAMED else f"{len(names)} {resource}"
