"""What happened in a cluster, explained from its evidence: a lab and a recording have it in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from labkit.evidence.model import Evidence
from labkit.flow import Action, Flow, Hop, ObjectName, Story, actions, tell, trace
from labkit.flow.actions import ActionKind
from labkit.flow.attempts import SchedulingDecision
from labkit.flow.export import to_json
from labkit.flow.names import selector
from labkit.flow.rollout import rollout
from labkit.flow.scheduling import why
from labkit.flow.watched import understood
from labkit.lab.rollout import PodsOverTime

if TYPE_CHECKING:
    from labkit.views.sections import Sections
    from labkit.widgets.flow import FlowPanel


@dataclass(frozen=True)
class Explanation:
    """One action of a person: what it caused, told step by step, and the evidence of each hop.

    In a notebook it shows itself as a panel.

    Attributes
    ----------
    flow : Flow
        The hops.
    story : Story
        The same as the textbook tells it.
    evidence : Evidence
        What both were computed from.
    recorded : datetime.datetime or None
        When, if it is a recording: pictures, pages and panels then say so in their title.
    """

    flow: Flow
    story: Story
    evidence: Evidence
    recorded: datetime | None = None

    def to_text(self) -> str:
        """Return the story and the table of hops."""
        from labkit.views import story, table  # noqa: PLC0415 - who wants JSON needs no views

        return f"{story.to_text(self.story)}\n\n{table.to_text(self.flow)}"

    def to_svg(self) -> str:
        """Return the architecture's picture."""
        from labkit.views import architecture  # noqa: PLC0415 - as above

        return architecture.to_svg(self._titled)

    def to_html(self) -> str:
        """Return one page that plays the flow with no kernel and no network."""
        from labkit.views import player  # noqa: PLC0415 - as above

        flow = self._titled
        details = {hop.number: self.detail(hop) for hop in flow.hops}
        return player.to_html(flow, self.story, details, pictures=player.pictures(flow))

    def to_json(self) -> str:
        """Return flow and story as JSON; the same evidence gives the same bytes."""
        return to_json(self.flow, self.story)

    def panel(self) -> FlowPanel:
        """Return the panel that a notebook shows."""
        from labkit.widgets.flow import FlowPanel  # noqa: PLC0415 - as above

        return FlowPanel(self._titled, self.story, self.detail)

    def detail(self, hop: Hop) -> Sequence[dict[str, Any]]:
        """Return the evidence of a hop, as sections for people."""
        return self._sections.of(hop)

    def _ipython_display_(self) -> None:
        self.panel()._ipython_display_()

    @property
    def _titled(self) -> Flow:
        if self.recorded is None:
            return self.flow
        return replace(self.flow, action=f"{self.flow.action} (recorded on {self.recorded:%Y-%m-%d})")

    @cached_property
    def _sections(self) -> Sections:
        from labkit.views.sections import Sections  # noqa: PLC0415 - as above

        return Sections(self.evidence)


def full_name(subject: str) -> str:
    """Return ``"deployment/tomcat"`` for ``"tomcat"``; a name with its kind is left as it is."""
    return subject if "/" in subject else f"deployment/{subject}"


class Happenings(ABC):
    """What a cluster's evidence can be asked.

    Attributes
    ----------
    recorded : datetime.datetime or None
        When, if it is a recording.
    """

    recorded: datetime | None = None

    @property
    def namespace(self) -> str:
        """In which objects are that are named without one."""
        return "default"

    @abstractmethod
    def evidence(self) -> Evidence:
        """Return what the components left."""

    def evidence_about(self, subject: ObjectName) -> Evidence:  # noqa: ARG002 - a lab reads only what it needs
        """Return what the components left since somebody first did something about an object."""
        return self.evidence()

    def actions(self) -> list[Action]:
        """Return what people did, in order of time."""
        return actions(understood(self.evidence()).audit)

    def explain(self, subject: str, namespace: str | None = None, *, action: int | ActionKind = -1) -> Explanation:
        """Explain what one action about an object caused.

        Parameters
        ----------
        subject : str
            ``"deployment/tomcat"``; a name alone is a deployment's.
        namespace : str, optional
            The object's; by default `namespace`.
        action : int or {"create", "scale", "update", "delete", "change"}
            Which of the actions about it: by index, or the last of a kind; by default the last that was not refused.

        Raises
        ------
        EvidenceError
            Nobody did anything to it while it was recorded.
        """
        name = selector(full_name(subject), namespace or self.namespace)
        evidence = understood(self.evidence_about(name))
        flow = trace(evidence, name, action=action)
        return Explanation(flow, tell(flow, evidence), evidence, self.recorded)

    def flow(self, subject: str, namespace: str | None = None, *, action: int | ActionKind = -1) -> Flow:
        """Return what one action about an object caused; the parameters are those of `explain`."""
        return self.explain(subject, namespace, action=action).flow

    def rollout(self, deployment: str, namespace: str | None = None, *, action: int | ActionKind = -1) -> PodsOverTime:
        """Return what became of a deployment's pods while an action about it was carried out.

        Parameters
        ----------
        deployment : str
            Its name.
        namespace : str, optional
            Its own; by default `namespace`.
        action : int or {"create", "scale", "update", "delete", "change"}
            As `explain` takes it.

        Raises
        ------
        EvidenceError
            Nobody did anything to it while it was recorded, or nothing is known of its pods.
        """
        explained = self.explain(deployment, namespace, action=action)
        return PodsOverTime(rollout(explained.flow, explained.evidence))

    def why(self, pod: str) -> SchedulingDecision:
        """Tell why the scheduler placed a pod where it did, or nowhere.

        Parameters
        ----------
        pod : str
            ``"default/tomcat-5c8-x7k2p"``; without a namespace it is in `namespace`.

        Raises
        ------
        EvidenceError
            The scheduler has left no word of it.
        """
        return why(self.evidence(), pod if "/" in pod else f"{self.namespace}/{pod}")
