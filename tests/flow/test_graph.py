"""A flow as a graph."""

from __future__ import annotations

from labkit.flow import to_graph, trace
from tests.flow.events import created, event, evidence_of, owned


def test_components_are_nodes_and_hops_are_numbered_edges() -> None:
    again = event(30, "system:serviceaccount:kube-system:deployment-controller", "update", "deployments/tomcat/status")
    flow = trace(evidence_of([created(), *owned(), again]), "deployment/tomcat")
    graph = to_graph(flow)
    assert set(graph) == {"client/kubectl", "deployment-controller", "replicaset-controller", "kube-apiserver", "etcd"}
    assert graph.nodes["deployment-controller"]["kind"] == "controller"
    requests = [
        (source, key) for source, target, key in graph.edges(keys=True) if key in {h.number for h in flow.requests}
    ]
    assert sorted(requests, key=lambda edge: edge[1]) == [(hop.source.id, hop.number) for hop in flow.requests]
    assert [graph.edges[hop.source.id, hop.target.id, hop.number]["hop"] for hop in flow.hops] == list(flow.hops)
    assert graph.graph["subject"] == flow.subject
