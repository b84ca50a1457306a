"""A flow while it happens: every poll explains all that is known by then."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from labkit.cluster.protocol import Cluster
from labkit.cluster.readiness import require_running
from labkit.errors import ClusterError, EvidenceError
from labkit.evidence.collect import gathered
from labkit.evidence.live import LiveEvidence
from labkit.evidence.model import Evidence
from labkit.flow import Action, Flow, Hop, ObjectName, Story, actions, tell, trace
from labkit.flow.names import selector
from labkit.flow.watched import understood
from labkit.lab.happenings import Explanation, full_name
from labkit.widgets.flow import LiveFlow

_READ_SECONDS = 0.1  # of a long past, at a time
_PAUSE_SECONDS = 0.005
_ASK_SECONDS = 2.0  # between two questions whether the lab runs: of a lab of containers, Docker has to be asked


class Follower:
    """Explains what is done to one object from now on.

    Parameters
    ----------
    cluster : Cluster
        Where.
    subject : str
        ``"deployment/tomcat"``; a name alone is a deployment's. It need not exist yet.
    namespace : str
        The object's.
    """

    def __init__(self, cluster: Cluster, subject: str, namespace: str = "default") -> None:
        self.name: ObjectName = selector(full_name(subject), namespace)
        self._cluster = cluster
        self._live = LiveEvidence.from_now(cluster)
        self._parts: list[Evidence] = []
        self._unexplained = False  # whether there are parts that the flow does not show yet
        self._explained: Explanation | None = None
        self._trouble, self._asked = "", time.monotonic()

    def poll(self) -> tuple[Flow, Story] | None:
        """Return the flow of the latest action and its story; None if there is nothing new."""
        self._read()
        if not (self._unexplained and self._live.at_end):
            return None
        self._unexplained = False
        gathered_now = gathered(self._live.facts, self._parts)
        self._parts = [gathered_now]
        evidence = understood(gathered_now)
        if not any(self._concerns(action) for action in actions(evidence.audit)):
            return None
        try:
            flow = trace(evidence, self.name)
        except EvidenceError:
            return None
        if self._explained is not None and flow == self._explained.flow:
            return None
        self._explained = Explanation(flow, tell(flow, evidence), evidence)
        return flow, self._explained.story

    def _read(self) -> None:
        """Take what is new; of a long past only a part."""
        until = time.monotonic() + _READ_SECONDS
        while True:
            part = self._live.poll()
            if _tells(part):
                self._parts.append(part)
                self._unexplained = True
            if self._live.at_end or time.monotonic() >= until:
                break
            time.sleep(_PAUSE_SECONDS)

    def trouble(self) -> str:
        """Return why there will be no news: the lab does not run; empty where there may be some."""
        if time.monotonic() - self._asked >= _ASK_SECONDS:
            try:
                require_running(self._cluster)
                self._trouble = ""
            except ClusterError as error:
                self._trouble = str(error)
            self._asked = time.monotonic()
        return self._trouble

    def _concerns(self, action: Action) -> bool:
        about = action.object
        return (about.resource, about.namespace, about.name) == (
            self.name.resource,
            self.name.namespace,
            self.name.name,
        )

    def detail(self, hop: Hop) -> Sequence[dict[str, Any]]:
        """Return the evidence of a hop of the flow that was polled last."""
        return self._explained.detail(hop) if self._explained else ()

    def behind(self) -> bool:
        """Whether there is more than was read: of a long past, or what came since."""
        return not self._live.at_end

    def close(self) -> None:
        """Follow no longer."""
        self._live.close()


def _tells(part: Evidence) -> bool:
    """Whether there is anything in what a poll gave."""
    return any((part.audit, part.spans, part.revisions, part.scheduler, part.runtime, part.changes, part.losses))


def follow(cluster: Cluster, subject: str, namespace: str = "default") -> LiveFlow:
    """Return a panel that shows what is done to an object, as it happens."""
    follower = Follower(cluster, subject, namespace)
    nothing = Flow(follower.name, (), nodes=cluster.spec.node_names, control_plane=cluster.spec.node_names[0])
    return LiveFlow(
        follower.poll,
        nothing,
        follower.detail,
        trouble=follower.trouble,
        behind=follower.behind,
        close=follower.close,
    )
