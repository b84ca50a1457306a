"""Which images a cluster needs, and what stands for each here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from labkit.cluster.spec import LabSpec
from labkit.components import Components, Row
from labkit.cri.images import Catalogue
from labkit.cri.references import Reference
from labkit.errors import LabkitError
from labkit.language import gettext
from labkit.node.process import run


@dataclass(frozen=True, slots=True)
class NeededImage:
    """An image that a kubeadm cluster needs.

    Attributes
    ----------
    reference : str
        ``"registry.k8s.io/kube-apiserver:v1.34.3"``.
    about : str
        What stands for it on a rootless node, or that nothing does.
    programs : tuple of str
        The files that it is.
    source : str
        Where the programs come from: a component's version and folder, or a package of the machine.
    """

    reference: str
    about: str
    programs: tuple[str, ...]
    source: str


def needed(programs: Components, rows: list[Row], spec: LabSpec) -> list[NeededImage]:
    """Return the images of `kubeadm config images list`, each with what it is on a rootless node.

    Parameters
    ----------
    programs : Components
        With kubeadm.
    rows : list of Row
        Where the components are (`labkit.components.list_components`).
    spec : LabSpec
        Of which Kubernetes, and from which repository.

    Raises
    ------
    ClusterError
        kubeadm fails.
    """
    command: list[str | Path] = [
        programs.program("kubeadm"),
        "config",
        "images",
        "list",
        f"--kubernetes-version={spec.kubernetes_version}",
        f"--image-repository={spec.image_repository}",
    ]
    catalogue = Catalogue(spec.kubernetes_version, None)
    sources = {name: f"{row.name} {row.version}, {row.source}" for row in rows for name in _names(row.name, programs)}
    return [_found(line, catalogue, sources) for line in run(command, what=gettext("list kubeadm's images")).split()]


def _names(component: str, programs: Components) -> list[str]:
    folder = programs.folders.get(component)
    return [name for name, path in programs.programs.items() if path.parent == folder]


def _found(line: str, catalogue: Catalogue, sources: dict[str, str]) -> NeededImage:
    try:
        image = catalogue.find(Reference.parse(line))
    except LabkitError as error:
        return NeededImage(line, gettext("nothing stands for it here"), (), error.what)
    own = [sources[name] for name in (path.rpartition("/")[2] for path in image.programs) if name in sources]
    return NeededImage(line, image.about, image.programs, own[0] if own else image.package)
