"""What a Pod is made of: its containers' processes and namespaces, and the process that holds them together.

The numbers are the kernel's: two processes are in the same namespace when ``/proc/PID/ns/KIND`` leads to the same
(namespaces(7)). Nothing is asked of the container runtime.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from labkit.cluster.rest import ApiServer
from labkit.errors import ClusterError, UsageError
from labkit.lab.nodes import LabNodes
from labkit.language import gettext, gettext_noop
from labkit.proxy.switch import Kubectl
from labkit.proxy.table import Table

#: The kinds of namespaces that matter here, and what each separates.
KINDS = {
    "net": gettext_noop("network"),
    "ipc": gettext_noop("shared memory"),
    "uts": gettext_noop("host name"),
    "pid": gettext_noop("processes"),
    "mnt": gettext_noop("files"),
}
PAUSE = "pause"
# What a line of the script has: number, the namespaces' numbers, the command line.
_SCRIPT = f"""
for p in /proc/[0-9]*; do
  echo "${{p#/proc/}} $(cd $p/ns && readlink {" ".join(KINDS)} | tr '\\n' ' ') $(tr '\\0' ' ' < $p/cmdline)"
done 2>/dev/null
"""
_LINK = re.compile(r"(\w+) -> (\S+)")  # of `ls -l`
_WRAPPER = "bwrap"  # the rootless runtime's own first process in each container


@dataclass(frozen=True, slots=True)
class Inhabitant:
    """A container of a Pod, or the process that holds the Pod's namespaces.

    Attributes
    ----------
    name, image : str
        ``"php"``; the holder is called ``"pause"`` and has the image that the node gave it, which is not told.
    processes : tuple of str
        Command lines.
    namespaces : mapping of str to str
        By kind, of `KINDS`: the kernel's number.
    mounts : mapping of str to str
        By volume: where it sees it.
    """

    name: str
    image: str
    processes: tuple[str, ...]
    namespaces: Mapping[str, str]
    mounts: Mapping[str, str]


@dataclass(frozen=True, slots=True, repr=False)
class Anatomy(Table):
    """What a Pod is made of.

    Attributes
    ----------
    pod, node, address : str
        Its name, where it runs, its one address.
    inhabitants : tuple of Inhabitant
        The holder of the namespaces first, where the Pod has its own network; then the containers that run.
    """

    pod: str
    node: str
    address: str
    inhabitants: tuple[Inhabitant, ...]

    TITLES: ClassVar[Sequence[str]] = (
        gettext_noop("container"),
        gettext_noop("runs"),
        *KINDS.values(),
        gettext_noop("volumes"),
    )

    def caption(self) -> str:
        """Return what it is, in a line."""
        return gettext("Pod {pod} on {node}, address {address}").format(
            pod=self.pod, node=self.node, address=self.address or gettext("none")
        )

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per inhabitant."""
        return [
            (
                each.name,
                "; ".join(each.processes),
                *(each.namespaces[kind] for kind in KINDS),
                ", ".join(
                    gettext("{volume} at {path}").format(volume=volume, path=path)
                    for volume, path in each.mounts.items()
                ),
            )
            for each in self.inhabitants
        ]

    def shared(self) -> tuple[str, ...]:
        """Return the kinds of namespaces, of `KINDS`, that all containers of the Pod have in common."""
        own = [each for each in self.inhabitants if each.name != PAUSE]
        return tuple(kind for kind in KINDS if len({each.namespaces[kind] for each in own}) == 1)

    def to_svg(self) -> str:
        """Return a picture: a bar over the containers that share a thing."""
        from labkit.views import anatomy  # noqa: PLC0415 - few look at it

        columns = {each.name: each.processes[0] if each.processes else each.image for each in self.inhabitants}
        rows = []
        for kind, what in KINDS.items():
            more = f" · {self.address}" if kind == "net" and self.address else ""
            holds = {each.name: each.namespaces[kind] for each in self.inhabitants}
            said = {name: (number, f"{number}{more}") for name, number in holds.items()}
            rows.append(anatomy.Row(gettext(what), said))
        for volume in dict.fromkeys(volume for each in self.inhabitants for volume in each.mounts):
            seen = {each.name: each.mounts[volume] for each in self.inhabitants if volume in each.mounts}
            rows.append(
                anatomy.Row(
                    gettext("volume {volume}").format(volume=volume),
                    {name: (volume, path) for name, path in seen.items()},
                )
            )
        return anatomy.to_svg(self.caption(), columns, rows)

    def _repr_html_(self) -> str:
        return f"{self.to_svg()}{Table._repr_html_(self)}"


def read(api: ApiServer, nodes: LabNodes, kubectl: Kubectl, name: str, namespace: str) -> Anatomy:
    """Look at a Pod.

    Raises
    ------
    UsageError
        There is no such Pod, or it has no node yet.
    ClusterError
        A container cannot be looked into: it has no ``ls``, or no container runs.
    """
    pod = api.get(f"/api/v1/namespaces/{namespace}/pods/{name}")
    if pod is None or not pod["spec"].get("nodeName"):
        raise UsageError(
            gettext("There is nothing to see of pod {name!r} in namespace {namespace!r}").format(
                name=name, namespace=namespace
            ),
            why=gettext("it has no node yet")
            if pod
            else gettext("there is no such pod, or the API server does not answer"),
            fix="labkit kubectl -- get pods --all-namespaces",
        )
    running = {each["name"] for each in pod["status"].get("containerStatuses") or () if "running" in each["state"]}
    containers = [each for each in pod["spec"]["containers"] if each["name"] in running]
    if not containers:
        raise ClusterError(
            gettext("No container of pod {name} runs").format(name=name),
            why=gettext("its phase is {phase}").format(phase=pod["status"].get("phase")),
            fix=f"labkit kubectl -- describe pod {name} --namespace {namespace}",
        )
    node = nodes[pod["spec"]["nodeName"]]
    processes = _processes(node.exec(_SCRIPT))
    found = []
    for container in containers:
        # Not readlink: busybox's takes one file.
        listed = kubectl(
            [
                "exec",
                name,
                "--namespace",
                namespace,
                "--container",
                container["name"],
                "--",
                "ls",
                "-l",
                "/proc/self/ns",
            ]
        )
        links = dict(_LINK.findall(listed))
        found.append(_inhabitant(container, {kind: links[kind] for kind in KINDS}, processes))
    if not pod["spec"].get("hostNetwork"):
        found = [*_holder(found, processes), *found]
    return Anatomy(name, node.name, str(pod["status"].get("podIP") or ""), tuple(found))


def _processes(text: str) -> list[tuple[dict[str, str], str]]:
    """Return each process's namespaces and command line, of those that have one."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) > len(KINDS) + 1:
            namespaces = dict(zip(KINDS, words[1 : len(KINDS) + 1], strict=True))
            found.append((namespaces, " ".join(words[len(KINDS) + 1 :])))
    return found


def _inhabitant(
    container: Mapping[str, Any], namespaces: Mapping[str, str], processes: Sequence[tuple[Mapping[str, str], str]]
) -> Inhabitant:
    own = [command for where, command in processes if where["mnt"] == namespaces["mnt"]]
    mounts = {
        each["name"]: each["mountPath"]
        for each in container.get("volumeMounts") or ()
        if not each["name"].startswith("kube-api-access-")  # every pod's token
    }
    return Inhabitant(container["name"], container["image"], _told(own), namespaces, mounts)


def _holder(containers: Sequence[Inhabitant], processes: Sequence[tuple[Mapping[str, str], str]]) -> list[Inhabitant]:
    """Return the process that is in the Pod's network and in no container's files."""
    network = containers[0].namespaces["net"]
    inside = {each.namespaces["mnt"] for each in containers}
    for where, command in processes:
        if where["net"] == network and where["mnt"] not in inside and _told([command]):
            return [Inhabitant(PAUSE, "", _told([command]), where, {})]
    return []


def _told(commands: Sequence[str]) -> tuple[str, ...]:
    return tuple(command for command in commands if command.split()[0].rpartition("/")[2] != _WRAPPER)
