"""What a kind lab needs of the machine, the run of kind itself, and the removal of whatever is left of a lab."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from labkit.cluster import installer, kind_nodes, nodeimage
from labkit.cluster.host_processes import HostProcesses
from labkit.cluster.spec import LabSpec
from labkit.cluster.state import LabFolder
from labkit.components import find_optional
from labkit.errors import ClusterError, LabkitError, PreflightError, UsageError
from labkit.language import gettext, gettext_noop
from labkit.node import docker
from labkit.progress import Phase

# What kind says of a node whose systemd is not there within 30 s (pkg/cluster/internal/providers/common/cgroups.go).
_NOT_BOOTED = "could not find a log line"
_INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
_BUILD = gettext_noop(
    "labkit image build-node makes it of Debian's packages, with no registry; it takes a minute or two"
)
_FETCH = gettext_noop(
    "on a Linux machine of the same processor, a virtual one too: labkit image build-node, then "
    "docker save --output node.tar IMAGE; here: docker load --input node.tar"
)


def node_image(spec: LabSpec) -> str:
    """Return the name of the image that the nodes of a kind lab are of."""
    return spec.node_image or nodeimage.IMAGE


def require(spec: LabSpec) -> None:
    """Make sure that a kind lab can be made here, before anything is.

    Raises
    ------
    PreflightError
        This is Windows; or Docker cannot be used, has no node image, or one of somebody else's.
    UsageError
        There is a cluster of that name that labkit did not make, or what is asked is the rootless provider's alone.
    """
    if spec.catalogue or spec.privileged:
        what = gettext("An image catalogue of one's own") if spec.catalogue else "--privileged"
        raise UsageError(
            gettext("{what} is for rootless labs").format(what=what),
            why=gettext("a kind lab's nodes are containers of the machine's root, with real images"),
            fix=gettext("leave it out, or choose --provider rootless"),
        )
    refuse_windows()
    docker.require()
    refuse_others_cluster(spec.name)
    image = node_image(spec)
    found = docker.inspect("image", [image])
    if not found:
        ours = gettext(_BUILD) if sys.platform == "linux" else gettext(_FETCH)
        raise PreflightError(
            gettext("Docker has no node image {image}").format(image=image),
            why=gettext("every node of a kind lab is a container of it"),
            fix=gettext("docker pull {image}, or docker load --input FILE").format(image=image)
            if spec.node_image
            else ours,
        )
    if nodeimage.RECIPE not in (found[0]["Config"].get("Labels") or {}):
        raise PreflightError(
            gettext("{image} is no node image of labkit's").format(image=image),
            why=gettext(
                "a lab needs of its nodes what labkit image build-node puts into them, as logs that the host can read"
            ),
            fix=gettext("leave --node-image out, or name an image that labkit image build-node made"),
        )


def refuse_windows() -> None:
    """Refuse a system that cannot do what labkit's processes on the host do.

    Raises
    ------
    PreflightError
        It is Windows.
    """
    if sys.platform == "win32":
        raise PreflightError(
            gettext("Labs are not made on Windows itself"),
            why=gettext(
                "a lab's ports are sockets that one process opens and another inherits, and commands go through sh: "
                "Python has no pass_fds there (docs.python.org/3/library/subprocess), and Windows no sh"
            ),
            fix=gettext(
                "install WSL 2 (wsl --install) and labkit in it: rootless labs need no Docker there. "
                "Recordings work here: labkit replay, and notebooks with LABKIT_PROVIDER=replay"
            ),
        )


def require_builder() -> None:
    """Make sure that a node image can be built on this system at all.

    Raises
    ------
    PreflightError
        It is not Linux.
    """
    if sys.platform != "linux":
        raise PreflightError(
            gettext("A node image is built on Linux"),
            why=gettext("mmdebstrap runs there alone, and so do the Kubernetes programs that go into the image"),
            fix=gettext(_FETCH),
        )


def refuse_others_cluster(name: str) -> None:
    """Refuse to touch a cluster that labkit did not make.

    Raises
    ------
    UsageError
        Docker has a kind cluster of that name, and labkit has no lab of it.
    """
    try:
        others = docker.containers(f"{kind_nodes.CLUSTER_LABEL}={name}")
    except ClusterError:  # without Docker there is no such cluster
        return
    if others:
        raise UsageError(
            gettext("There is a kind cluster {name!r} that is none of this user's labs").format(name=name),
            why=gettext("it was made by kind itself, or with another LABKIT_STATE"),
            fix=gettext("choose another --name; whoever made it removes it: kind delete cluster --name {name}").format(
                name=name
            ),
        )


def unavailable(spec: LabSpec) -> str:
    """Return why such a lab cannot be one of containers here; empty where it can. Nothing is fetched or started."""
    try:
        require(spec)
    except (PreflightError, UsageError) as error:
        return error.what
    return "" if find_optional("kind") is not None else gettext("kind is not installed")


def create(program: Path, config: Path, kubeconfig: Path, spec: LabSpec, *, log: Path, phase: Phase) -> None:
    """Run `kind create cluster` to its end; what it says it does is shown as it comes.

    Parameters
    ----------
    program : Path
        kind.
    config : Path
        Its configuration (`labkit.cluster.kind_config`).
    kubeconfig : Path
        The file that it writes.
    spec : LabSpec
        The lab, whose nodes have a Docker network of their own (kind.sigs.k8s.io/docs/user/known-issues,
        KIND_EXPERIMENTAL_DOCKER_NETWORK).
    log : Path
        Gets all of the output.
    phase : Phase
        Is advanced.

    Raises
    ------
    ClusterError
        It failed; the message has the end of its output.
    """
    command: Sequence[str] = [
        *(str(program), "create", "cluster", "--config", str(config)),
        *("--image", node_image(spec), "--kubeconfig", str(kubeconfig)),
    ]
    network = kind_nodes.network_name(spec.name)
    environment = {"KIND_EXPERIMENTAL_DOCKER_NETWORK": network, "KIND_EXPERIMENTAL_PROVIDER": "docker"}
    try:
        installer.run(command, what="kind create cluster", log=log, phase=phase, step=_step, environment=environment)
    except ClusterError as error:
        if _NOT_BOOTED not in error.why:
            raise
        # Docker Desktop's nodes have the limits of its virtual machine, which are not to be read here.
        allowed = ""
        if _INOTIFY.exists():
            most = _INOTIFY.read_text().strip()
            allowed = gettext(", of which this user may have {most}").format(most=most)
        raise ClusterError(
            gettext("A node's systemd does not come up"),
            why=gettext("{why}\nIt needs inotify instances{allowed}; or the machine is too busy").format(
                why=error.why, allowed=allowed
            ),
            fix=gettext("as root, where Docker runs: sysctl -w fs.inotify.max_user_instances=512; then again"),
        ) from error


def _step(line: str) -> str:
    return line.removeprefix(" • ").strip(" .\n") if line.startswith(" • ") else ""


def remove(folder: LabFolder) -> None:
    """Remove a kind lab in whatever state it was left: processes, containers, network, files.

    Raises
    ------
    PreflightError
        Docker cannot be used, and would keep the rest.
    """
    docker.require()
    remove_parts(folder)
    try:
        image = node_image(folder.load_spec())
    except LabkitError:  # there is none, or what is left of it cannot be read
        image = nodeimage.IMAGE
    remove_tree(folder.path, image)


def remove_parts(folder: LabFolder) -> None:
    """Remove everything of a lab but its files."""
    name = folder.path.name
    HostProcesses(folder).end_all()
    kind_nodes.remove(docker.containers(f"{kind_nodes.CLUSTER_LABEL}={name}"))
    kind_nodes.remove_network(name)


def remove_tree(path: Path, image: str) -> None:
    """Remove a folder of a lab; what nodes wrote there is root's, and then a container of an image removes it."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except PermissionError:
        inside = ["--volume", f"{path}:/lab", "--entrypoint", "find", image, "/lab", "-mindepth", "1"]
        docker.docker("run", "--rm", "--network", "none", *inside, "-delete", what=gettext("remove the nodes' logs"))
        shutil.rmtree(path)
