"""Images of the user's own, put into the nodes of a kind lab: from a file, or from this machine's Docker."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from labkit.cluster.kind import KindCluster
from labkit.cluster.protocol import Cluster
from labkit.errors import ClusterError, UsageError
from labkit.language import gettext, gettext_noop
from labkit.node import docker
from labkit.progress import Progress

# containerd, cmd/ctr/commands/images/import.go
_IMPORTED = re.compile(r"^unpacking (\S+) \(", re.MULTILINE)
_SAVE_SECONDS = 600.0
_INSTEAD = {
    "rootless": (
        gettext_noop("its image names stand for programs of this machine (labkit images)"),
        gettext_noop("--images FILE of labkit up names programs of your own; or choose --provider kind"),
    ),
    "context": (
        gettext_noop("its nodes are somebody else's"),
        gettext_noop("push the image to a registry that they reach"),
    ),
}


def load(cluster: Cluster, source: str, progress: Progress) -> tuple[str, ...]:
    """Put an image into the container runtime of every node that runs.

    Parameters
    ----------
    cluster : Cluster
        A kind lab's.
    source : str
        A file as `docker save` writes it, or the name of an image that this machine's Docker has.
    progress : Progress
        Shows each node.

    Returns
    -------
    tuple of str
        The images' whole names, as pods are to name them.

    Raises
    ------
    UsageError
        It is neither a file nor an image of Docker's, or the lab takes none.
    ClusterError
        No node runs, or its runtime cannot read the file.
    """
    if not isinstance(cluster, KindCluster):
        why, fix = _INSTEAD[cluster.provider]
        raise UsageError(
            gettext("Lab {name!r} takes no images").format(name=cluster.spec.name), why=gettext(why), fix=gettext(fix)
        )
    nodes = [node for node in cluster.spec.node_names if cluster.node_running(node)]
    if not nodes:
        raise ClusterError(
            gettext("Lab {name!r} does not run").format(name=cluster.spec.name),
            fix=f"labkit start --name {cluster.spec.name}",
        )
    names: dict[str, None] = {}
    with tempfile.TemporaryDirectory(prefix="image-", dir=cluster.folder.path) as scratch:
        archive = _archive(source, Path(scratch), progress)
        for node in nodes:
            with progress.phase(gettext("image on {node}").format(node=node)):
                names |= dict.fromkeys(_import(cluster, node, archive))
    return tuple(names)


def _archive(source: str, scratch: Path, progress: Progress) -> Path:
    """Return the file with the image."""
    if Path(source).is_file():
        return Path(source)
    if not docker.inspect("image", [source]):
        raise UsageError(
            gettext("There is no image {source!r}").format(source=source),
            why=gettext("it is neither a file nor an image that this machine's Docker has"),
            fix=gettext("docker images lists those; docker save --output FILE NAME makes a file elsewhere"),
        )
    archive = scratch / "image.tar"
    with progress.phase("docker save"):
        docker.docker(
            "save",
            "--output",
            str(archive),
            source,
            what=gettext("save {source}").format(source=source),
            timeout=_SAVE_SECONDS,
        )
    return archive


def _import(cluster: KindCluster, node: str, archive: Path) -> list[str]:
    """Have a node's containerd take in an archive, and return the names of what was in it."""
    command = cluster.node_command(node, ["ctr", "--namespace", "k8s.io", "images", "import", "-"])
    with archive.open("rb") as content:
        done = subprocess.run(command, stdin=content, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(
            gettext("The containerd of {node} cannot take {archive}").format(node=node, archive=archive),
            why=(done.stderr or done.stdout).strip()[-1000:],
            fix=gettext("give a file that `docker save` wrote"),
        )
    return _IMPORTED.findall(done.stdout)
