"""A flow as a graph."""

from __future__ import annotations

from labkit.flow import deployment_flow, to_graph
from tests.flow.events import created, event, owned


def test_components_are_nodes_and_hops_are_numbered_edges() -> None:
    again = event(30, "system:serviceaccount:kube-system:deployment-controller", "update", "deployments/tomcat/status")
    flow = deployment_flow([created(), *owned(), again], "tomcat")
    graph = to_graph(flow)
    assert set(graph) == {"client/kubectl", "deployment-controller", "replicaset-controller", "kube-apiserver"}
    assert graph.nodes["deployment-controller"]["kind"] == "controller"
    assert sorted(graph.edges(keys=True)) == [
        ("client/kubectl", "kube-apiserver", 1),
        ("deployment-controller", "kube-apiserver", 2),
        ("deployment-controller", "kube-apiserver", 4),
        ("replicaset-controller", "kube-apiserver", 3),
    ]
    assert [graph.edges[hop.source.id, hop.target.id, hop.number]["hop"] for hop in flow.hops] == list(flow.hops)
    assert graph.graph["subject"] == flow.subject
