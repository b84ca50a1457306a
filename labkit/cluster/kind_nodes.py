"""A kind lab's nodes as Docker knows them: containers on a network of their own, whose addresses stay the same."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from labkit.cluster.spec import LabSpec
from labkit.errors import ClusterError
from labkit.language import gettext
from labkit.node import docker

#: How kind marks its containers (pkg/cluster/internal/providers/docker/constants.go at v0.33.0).
CLUSTER_LABEL = "io.x-k8s.kind.cluster"
_ROLE_LABEL = "io.x-k8s.kind.role"
#: Ranges for the labs' networks, of which each takes a /24: private, and not the lab's own ones.
_POOL = ipaddress.IPv4Network("172.30.0.0/16")
_OVERLAPS = "overlap"


def container(cluster: str, index: int) -> str:
    """Return the name that kind gives the container of a node (pkg/cluster/internal/providers/common/namer.go).

    Parameters
    ----------
    cluster : str
        The cluster's name.
    index : int
        The node's; the control plane is 0.
    """
    role = "control-plane" if index == 0 else "worker"
    return f"{cluster}-{role}{index if index > 1 else ''}"


def network_name(cluster: str) -> str:
    """Return the name of a lab's network."""
    return f"labkit-{cluster}"


def create_network(spec: LabSpec) -> ipaddress.IPv4Network:
    """Make a lab's network, of addresses that nobody has; return them.

    Docker keeps a container's address only in a network whose range was chosen (docker network connect --ip).

    Raises
    ------
    ClusterError
        There is no free range.
    """
    name = network_name(spec.name)
    taken = [ipaddress.IPv4Network(spec.pod_cidr), ipaddress.IPv4Network(spec.service_cidr)]
    for subnet in _POOL.subnets(new_prefix=24):
        if any(subnet.overlaps(other) for other in taken):
            continue
        try:
            docker.docker(
                "network",
                "create",
                "--subnet",
                str(subnet),
                name,
                what=gettext("make network {name}").format(name=name),
            )
        except ClusterError as error:
            if _OVERLAPS not in error.why:
                raise
        else:
            return subnet
    raise ClusterError(
        gettext("There is no free range for network {name}").format(name=name),
        why=gettext("every /24 of {pool} is some network's").format(pool=_POOL),
        fix=gettext("docker network prune removes those that nobody uses"),
    )


def remove_network(cluster: str) -> None:
    """Remove a lab's network, if there is one."""
    if docker.inspect("network", [network_name(cluster)]):
        docker.docker("network", "rm", network_name(cluster), what=gettext("remove the lab's network"))


def addresses(containers: Mapping[str, str], network: str) -> dict[str, str]:
    """Return the nodes' addresses.

    Parameters
    ----------
    containers : mapping of str to str
        Node → container.
    network : str
        The network's name.
    """
    nodes = {name: node for node, name in containers.items()}
    return {
        nodes[found["Name"].lstrip("/")]: found["NetworkSettings"]["Networks"][network]["IPAddress"]
        for found in docker.inspect("container", list(containers.values()))
    }


def running(containers: Iterable[str]) -> set[str]:
    """Return those of the containers that run."""
    found = docker.inspect("container", list(containers))
    return {each["Name"].lstrip("/") for each in found if each["State"]["Running"]}


def kill(containers: Iterable[str]) -> None:
    """End all processes of containers at once; nothing happens to those that do not run."""
    living = running(containers)
    if living:
        docker.docker("kill", *living, what=gettext("stop {names}").format(names=", ".join(sorted(living))))


def start(containers: Mapping[str, str], network: str) -> None:
    """Start containers, each with the address that it had; nothing happens to those that run.

    Docker gives a container that starts again any free address of its network, unless it was connected with one.

    Parameters
    ----------
    containers : mapping of str to str
        Container → its address.
    network : str
        The network's name.
    """
    stopped = containers.keys() - running(containers)
    for found in docker.inspect("container", sorted(stopped)):
        name = found["Name"].lstrip("/")
        settings = found["NetworkSettings"]["Networks"].get(network)
        if ((settings or {}).get("IPAMConfig") or {}).get("IPv4Address") == containers[name]:
            continue
        if settings is not None:
            docker.docker("network", "disconnect", network, name, what=gettext("disconnect {name}").format(name=name))
        docker.docker(
            "network",
            "connect",
            "--ip",
            containers[name],
            network,
            name,
            what=gettext("connect {name}").format(name=name),
        )
    if stopped:
        docker.docker("start", *sorted(stopped), what=gettext("start the nodes"))


def remove(containers: Iterable[str]) -> None:
    """Remove containers with their volumes, whether they run or not."""
    names = list(containers)
    if names:
        docker.docker("rm", "--force", "--volumes", *names, what=gettext("remove the nodes"), timeout=120)


def run_worker(cluster: str, index: int, image: str, mounts: Mapping[Path, str]) -> None:
    """Start the container of one more worker, as kind does it (docker/provision.go at v0.33.0).

    Parameters
    ----------
    cluster : str
        The cluster's name.
    index : int
        The node's.
    image : str
        The node image.
    mounts : mapping of Path to str
        Path on the host → path on the node.
    """
    name = container(cluster, index)
    options = ["--detach", "--tty", "--privileged", "--init=false", "--cgroupns=private", "--restart=on-failure:1"]
    options += ["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"]
    options += ["--hostname", name, "--name", name, "--net", network_name(cluster)]
    options += ["--label", f"{CLUSTER_LABEL}={cluster}", "--label", f"{_ROLE_LABEL}=worker"]
    options += ["--tmpfs", "/tmp", "--tmpfs", "/run", "--volume", "/var", "--volume", "/lib/modules:/lib/modules:ro"]  # noqa: S108 - on the node
    options += [f"--volume={path}:{place}" for path, place in mounts.items()]
    docker.docker("run", *options, image, what=gettext("start {name}").format(name=name), timeout=120)


def save_addresses(path: Path, found: Mapping[str, str]) -> None:
    """Remember the nodes' addresses, which do not change any more."""
    path.write_text(json.dumps(dict(found)))


def load_addresses(path: Path) -> dict[str, str]:
    """Return what `save_addresses` remembered; empty where the cluster is not complete."""
    try:
        known: dict[str, str] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return known


def exec_command(name: str, argv: Sequence[str]) -> list[str]:
    """Return the command line that runs a program in a container, from the host; on a terminal, if it is run on one."""
    terminal = 'test -t 0 && test -t 1 && set -- --tty "$@"; exec docker exec --interactive "$@"'
    return ["sh", "-c", terminal, "sh", name, *argv]
