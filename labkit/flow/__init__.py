"""Flow: the hops that one action caused, worked out from evidence by pure functions."""

from labkit.flow.actions import Action, actions
from labkit.flow.actors import API_SERVER, ETCD, Actor, actor
from labkit.flow.graph import to_graph
from labkit.flow.model import EvidenceId, Flow, Hop, ObjectName
from labkit.flow.story import Extra, Step, Stop, Story
from labkit.flow.telling import tell
from labkit.flow.trace import trace

__all__ = [
    "API_SERVER",
    "ETCD",
    "Action",
    "Actor",
    "EvidenceId",
    "Extra",
    "Flow",
    "Hop",
    "ObjectName",
    "Step",
    "Stop",
    "Story",
    "actions",
    "actor",
    "tell",
    "to_graph",
    "trace",
]
