"""Flow: the hops that one action caused, worked out from evidence by pure functions."""

from labkit.flow.actors import API_SERVER, Actor, actor
from labkit.flow.deployment import deployment_flow
from labkit.flow.graph import to_graph
from labkit.flow.model import Flow, Hop, ObjectName

__all__ = ["API_SERVER", "Actor", "Flow", "Hop", "ObjectName", "actor", "deployment_flow", "to_graph"]
