"""Who shares a place in a picture: what runs on many nodes is drawn as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labkit.flow import Actor, Flow
from labkit.language import gettext

NODES_SHOWN = 4  # with more workers, the last place is for the rest of them
PODS_SHOWN = 3  # with more pods at one place, the last line is for the rest of them


@dataclass(frozen=True, slots=True)
class Place:
    """A node, or what is left over of many, or where pods are that have no node yet.

    Attributes
    ----------
    label : str
        ``"node-01"``, ``"47 more nodes"``, ``"no node yet"``.
    nodes : tuple of str
        Their names.
    pods : tuple of str
        The names of the pods there.
    """

    label: str
    nodes: tuple[str, ...]
    pods: tuple[str, ...]


def places(flow: Flow) -> list[Place]:
    """Return the control plane's node, then the workers: if there are too many, those with pods first."""
    known = {actor.node for actor in actors(flow).values()} | set(flow.pods.values()) | set(flow.nodes)
    workers = sorted(known - {"", flow.control_plane})
    shown = workers
    if len(workers) > NODES_SHOWN:
        busy = set(flow.pods.values())
        workers.sort(key=lambda node: (node not in busy, node))
        shown = workers[: NODES_SHOWN - 1]
    rest = tuple(workers[len(shown) :])
    found = [Place(node, (node,), _pods_on(flow, (node,))) for node in (flow.control_plane, *shown)]
    if rest:
        found.append(Place(gettext("{count} more nodes").format(count=len(rest)), rest, _pods_on(flow, rest)))
    if "" in flow.pods.values():
        found.append(Place(gettext("no node yet"), (), _pods_on(flow, ("",))))
    return found


def actors(flow: Flow) -> dict[str, Actor]:
    """Return everybody that a flow names, by id, in the order of appearance."""
    return {actor.id: actor for hop in flow.hops for actor in (hop.source, hop.target)}


def seats(found: Sequence[Place], everybody: Mapping[str, Actor]) -> dict[str, str]:
    """Return the seat of every actor: its own id, or one that it shares with those of its kind at its place."""
    crowd = {node: place for place in found if len(place.nodes) > 1 for node in place.nodes}
    return {
        id_: f"{actor.kind}/{crowd[actor.node].label}" if actor.node in crowd else id_
        for id_, actor in everybody.items()
    }


def _pods_on(flow: Flow, nodes: Sequence[str]) -> tuple[str, ...]:
    return tuple(pod for pod, node in flow.pods.items() if node in nodes)
