"""The words of a story: a flow read against the textbook's steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from labkit.flow.model import EvidenceId


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the textbook, and the hops that are it.

    Attributes
    ----------
    number : int
        As the textbook counts; creating a deployment begins at 0.
    title : str
        What the textbook says, in one line: ``"The scheduler hears of the pods and chooses a node"``.
    hops : tuple of int
        The numbers of the hops that are this step, in order; empty where there are none.
    seen : {"observed", "inferred", "not seen"}
        Whether evidence shows the step, whether all its hops are inferred, or whether nothing tells of it.
    note : str
        What was really there, or how reality differs from the textbook; may be empty.
    evidence : tuple of EvidenceId
        What the note rests on, beyond the hops' own evidence.
    """

    number: int
    title: str
    hops: tuple[int, ...]
    seen: Literal["observed", "inferred", "not seen"]
    note: str = ""
    evidence: tuple[EvidenceId, ...] = ()


@dataclass(frozen=True, slots=True)
class Extra:
    """Hops that the textbook has not: where reality has more.

    Attributes
    ----------
    title : str
        ``"The replica set"``.
    hops : tuple of int
        Their numbers, in order.
    why : str
        Why Kubernetes does so, in a sentence.
    """

    title: str
    hops: tuple[int, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a flow did not go on.

    Attributes
    ----------
    step : int
        The number of the step that was not done.
    why : str
        The reason, in the components' own words.
    evidence : tuple of EvidenceId
        What shows it; never empty.
    hops : tuple of int
        The hops that tell of it; may be empty.
    """

    step: int
    why: str
    evidence: tuple[EvidenceId, ...]
    hops: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Story:
    """A flow, told step by step.

    Attributes
    ----------
    name : str
        ``"create deployment tomcat"``.
    steps : tuple of Step
        All of the textbook's, in order, whether or not they were seen.
    extra : tuple of Extra
        What reality has more; every hop of the flow is in a step or in an extra.
    stop : Stop or None
        Where and why the flow stopped; None if it came to its end.
    """

    name: str
    steps: tuple[Step, ...]
    extra: tuple[Extra, ...] = ()
    stop: Stop | None = None
