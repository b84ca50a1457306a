"""What the nodes panel shows and drives: a lab's nodes, and the components on each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from labkit.cluster import parts, readiness
from labkit.cluster.freeze import EVERYWHERE
from labkit.cluster.freeze import Component as Freezable
from labkit.cluster.kubeadm import STATIC_PODS
from labkit.errors import LabkitError
from labkit.lab import sockets
from labkit.lab.components import RUNTIME, name_of
from labkit.language import gettext, gettext_noop
from labkit.views.components_by_node import ComponentSeen, NodeSeen
from labkit.widgets.nodes import NodesState

if TYPE_CHECKING:
    from labkit.cluster.freeze import Freeze
    from labkit.cluster.parts import Missing
    from labkit.lab.lab import Lab
    from labkit.lab.sockets import Process
    from labkit.progress import Progress

_WORKER = ("kubelet", RUNTIME, "kube-proxy")
_ANSWERS = ("kube-apiserver", "etcd")  # who has to go on so that the API server answers
_CANNOT_TELL = gettext_noop("nobody tells whether nodes are Ready")


class LiveNodes:
    """The nodes of a lab, for the panel.

    What runs is read from the nodes' processes, so that it is known without the API server, too.

    Parameters
    ----------
    lab : Lab
        Whose.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.title = gettext("lab {name!r}").format(name=lab.name)
        self._freezes: dict[str, Freeze] = {}

    def look(self) -> NodesState:
        """Return how they are now; what cannot be seen is said, and no error."""
        names = self._lab.spec.node_names
        with ThreadPoolExecutor() as pool:
            processes = dict(zip(names, pool.map(self._processes, names), strict=True))
        told, waiting, missing, trouble = self._asked(self._components(processes, {})[names[0]])
        found = self._components(processes, waiting)
        nodes = [
            NodeSeen(
                name=name,
                role=gettext("control plane") if name == names[0] else gettext("worker"),
                running=processes[name] is not None,
                ready=told.get(name),
                components=found[name],
            )
            for name in names
        ]
        return NodesState(tuple(nodes), trouble, tuple(map(str, missing)))

    def freezable(self, component: str) -> bool:
        """Whether a component can be held still."""
        return component in STATIC_PODS or component in EVERYWHERE

    def stop(self, node: str) -> str:
        """Switch a node off."""
        self._lab.nodes[node].stop()
        return gettext("{node} is off: all its processes have ended, as if its plug was pulled.").format(node=node)

    def start(self, node: str) -> str:
        """Switch a node on."""
        self._lab.nodes[node].start()
        return gettext("{node} is on: its kubelet starts what belongs there, and rejoins by itself.").format(node=node)

    def freeze(self, node: str, component: str) -> str:
        """Hold a component still, for at most ten minutes."""
        name = str(Freezable(component, node))
        held = self._freezes[name] = self._lab.freeze(name)
        return gettext(
            "{component} on {node} is frozen: it has its memory and its connections, and does nothing.\nIt goes on by "
            "itself in {minutes} minutes, or when this notebook's kernel ends."
        ).format(component=component, node=node, minutes=_minutes(held.limit))

    def thaw(self, node: str, component: str) -> str:
        """Let a component go on, whoever held it."""
        name = str(Freezable(component, node))
        self._lab.thaw(name)
        if name in self._freezes:
            self._freezes.pop(name).thaw()
        return gettext("{component} on {node} goes on, and has to catch up with what it missed.").format(
            component=component, node=node
        )

    def release(self) -> None:
        """Let go on what was frozen here."""
        while self._freezes:
            self._freezes.popitem()[1].thaw()

    def repair(self, progress: Progress) -> str:
        """Bring back what is missing."""
        repaired = self._lab.repair(progress=progress)
        done = (f"{name}: {what}; {done}." for name, what, done in repaired.rows())
        return "\n".join((f"{repaired.caption()}.", *done))

    def _processes(self, name: str) -> list[Process] | None:
        """Return a node's processes; None where it is off."""
        node = self._lab.nodes[name]
        try:
            return list(sockets.parse(node.exec(sockets.SCRIPT) + "\n").values()) if node.running else None
        except (LabkitError, OSError):  # it has been switched off right now
            return None

    def _components(
        self, processes: Mapping[str, list[Process] | None], waiting: Mapping[tuple[str, str], str]
    ) -> dict[str, tuple[ComponentSeen, ...]]:
        control_plane = self._lab.spec.node_names[0]
        found = {}
        for node, those in processes.items():
            names = (*_WORKER, *(STATIC_PODS if node == control_plane else ()))
            by_name = {name_of(process.command): process for process in reversed(those or ())}
            found[node] = tuple(
                ComponentSeen(name, "off")
                if those is None
                else self._component(node, name, by_name.get(name), waiting.get((node, name), ""))
                for name in names
            )
        return found

    def _component(self, node: str, name: str, process: Process | None, waiting: str) -> ComponentSeen:
        if process is None:
            return ComponentSeen(name, "awaited", note=waiting)
        listens = tuple(sorted(process.listens))
        if not process.state.startswith("T"):
            return ComponentSeen(name, "runs", process.pid, listens)
        held = self._freezes.get(str(Freezable(name, node)))
        note = gettext("{minutes} min left").format(minutes=_minutes(held.left)) if held and held.active else ""
        return ComponentSeen(name, "frozen", process.pid, listens, note)

    def _asked(
        self, control_plane: Sequence[ComponentSeen]
    ) -> tuple[dict[str, bool], dict[tuple[str, str], str], tuple[Missing, ...], str]:
        """Return which nodes are Ready, why containers wait, and what is missing, as far as the API server tells.

        Last comes why it does not tell.
        """
        cluster = self._lab.cluster
        silent = [each for each in control_plane if each.name in _ANSWERS and each.state != "runs"]
        if silent and cluster.running:
            who = ", ".join(f"{each.name}: {each.told}" for each in silent)
            return {}, {}, parts.missing(cluster, None), f"{who}; {gettext(_CANNOT_TELL)}."
        try:
            with self._lab.api_server() as api:
                nodes, pods = api.get("/api/v1/nodes"), api.get("/api/v1/namespaces/kube-system/pods")
                missing = parts.missing(cluster, api if nodes and pods else None)
        except (LabkitError, OSError) as error:  # also of a lab that is removed right now
            return {}, {}, (), str(error)
        if nodes is None or pods is None:
            return (
                {},
                {},
                missing,
                gettext("The API server does not answer; {unknown}.").format(unknown=gettext(_CANNOT_TELL)),
            )
        waiting = {key: reason for pod in pods["items"] for key, reason in _waiting(pod)}
        return {node["metadata"]["name"]: readiness.node_ready(node) for node in nodes["items"]}, waiting, missing, ""


def _waiting(pod: Mapping[str, Any]) -> list[tuple[tuple[str, str], str]]:
    """Return why containers of a pod do not run, by node and name."""
    node = pod["spec"].get("nodeName", "")
    states = pod["status"].get("containerStatuses") or ()
    return [
        ((node, each["name"]), str(each["state"]["waiting"]["reason"]))
        for each in states
        if each["state"].get("waiting")
    ]


def _minutes(seconds: float) -> int:
    return math.ceil(seconds / 60)
