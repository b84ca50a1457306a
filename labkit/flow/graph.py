"""A flow as a graph: components are nodes, hops are numbered edges."""

from __future__ import annotations

import dataclasses

import networkx

from labkit.flow.model import Flow


def to_graph(flow: Flow) -> networkx.MultiDiGraph:
    """Return the flow as a directed graph with parallel edges.

    Parameters
    ----------
    flow : Flow
        What to turn into a graph.

    Returns
    -------
    networkx.MultiDiGraph
        Each node is an `Actor.id` with the actor's other attributes (kind, name, node). Each edge has the hop's
        number as its key and the hop itself as the attribute ``hop``. The graph's attribute ``subject`` is what the
        flow is about.
    """
    graph = networkx.MultiDiGraph(subject=flow.subject)
    for hop in flow.hops:
        for actor in (hop.source, hop.target):
            attributes = dataclasses.asdict(actor)
            graph.add_node(attributes.pop("id"), **attributes)
        graph.add_edge(hop.source.id, hop.target.id, key=hop.number, hop=hop)
    return graph
