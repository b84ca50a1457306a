"""Long work as named phases: whoever works reports, whoever watches decides how it looks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

State = Literal["started", "advanced", "finished", "failed"]


@dataclass(frozen=True, slots=True)
class PhaseEvent:
    """One thing that happened to a phase.

    Attributes
    ----------
    phase : str
        The phase's name, unique among those under way.
    state : {"started", "advanced", "finished", "failed"}
        What happened.
    seconds : float
        Since the phase started.
    detail : str
        What is going on now, for people; of one that finished, what came of it, where that is worth a word.
    fraction : float or None
        How far it is, 0 to 1, where that is known.
    """

    phase: str
    state: State
    seconds: float
    detail: str = ""
    fraction: float | None = None


Listener = Callable[[PhaseEvent], None]


class Phase:
    """A phase under way."""

    def __init__(self, name: str, listener: Listener) -> None:
        self.name = name
        self._listener = listener
        self._started = time.monotonic()
        self._outcome = ""

    def conclude(self, outcome: str) -> None:
        """Say what came of it, which is told once the phase has finished."""
        self._outcome = outcome

    def advance(self, detail: str = "", fraction: float | None = None) -> None:
        """Say what is going on now and, where known, how far it is (0 to 1)."""
        self._report("advanced", detail, fraction)

    def _report(self, state: State, detail: str = "", fraction: float | None = None) -> None:
        self._listener(PhaseEvent(self.name, state, time.monotonic() - self._started, detail, fraction))


class Progress:
    """Where work reports its phases.

    Phases may be nested and may run side by side on several threads; the listener then has to be thread-safe.

    Parameters
    ----------
    listener : callable, optional
        Receives every `PhaseEvent`; without one, nobody watches.
    """

    def __init__(self, listener: Listener = lambda _event: None) -> None:
        self._listener = listener

    @contextmanager
    def phase(self, name: str) -> Iterator[Phase]:
        """Report the body of the `with` as one phase, as finished or as failed.

        Parameters
        ----------
        name : str
            Short, for people: ``"kubeadm init"``.
        """
        phase = Phase(name, self._listener)
        phase._report("started")
        try:
            yield phase
        except BaseException as error:
            phase._report("failed", str(error).partition("\n")[0])
            raise
        phase._report("finished", phase._outcome)
