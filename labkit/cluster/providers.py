"""Which class is a lab's cluster, by the provider that its folder names."""

from __future__ import annotations

from labkit import components
from labkit.cluster import context, kind_host, rootless
from labkit.cluster.context import ContextCluster
from labkit.cluster.kind import KindCluster
from labkit.cluster.rootless import RootlessCluster
from labkit.cluster.spec import LabSpec
from labkit.cluster.state import LabFolder
from labkit.components import Components
from labkit.errors import LabkitError
from labkit.progress import Progress

Provided = RootlessCluster | KindCluster | ContextCluster
_CLASSES: dict[str, type[Provided]] = {
    "rootless": RootlessCluster,
    "kind": KindCluster,
    "context": ContextCluster,
}


def programs(spec: LabSpec, progress: Progress | None = None) -> Components:
    """Find the programs that a lab needs; fetch or build what is missing.

    Raises
    ------
    ComponentError
        One can be neither found, fetched nor built.
    """
    return components.ensure(progress, only=context.NEEDED if spec.provider == "context" else None)


def load(folder: LabFolder, progress: Progress | None = None) -> Provided:
    """Return the cluster of a lab that exists.

    Raises
    ------
    UsageError
        There is no such lab.
    ComponentError
        A program that it needs can be neither found, fetched nor built.
    """
    spec = folder.load_spec()
    return _CLASSES[spec.provider](folder, programs(spec, progress))


def remove(folder: LabFolder) -> None:
    """End every process of a lab and remove its folder, in whatever state it was left.

    Raises
    ------
    PreflightError
        It is a lab of containers, and Docker cannot be used.
    """
    provider = _provider(folder)
    if provider == "context":
        context.remove(folder)
    elif provider == "kind":
        kind_host.remove(folder)
    else:
        rootless.remove(folder)


def _provider(folder: LabFolder) -> str:
    try:
        return folder.load_spec().provider
    except LabkitError:  # there is none, or what is left of it cannot be read
        return "rootless"
