"""What the scheduler's panel shows: what a lab's scheduler decided of late, read from its log as it grows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from labkit.errors import EvidenceError, LabkitError
from labkit.evidence.live import facts
from labkit.evidence.model import Evidence, SchedulerLine
from labkit.evidence.scheduler import SchedulerTail
from labkit.flow.attempts import SchedulingDecision
from labkit.flow.scheduling import why
from labkit.language import gettext
from labkit.widgets.why import Decisions

if TYPE_CHECKING:
    from labkit.lab.lab import Lab

_PODS = 8  # of late; what is older is forgotten
_SECONDS = 1.0  # for a look; the rest of a long log is for the next one


class LiveDecisions:
    """What the scheduler of a lab decided of late, for the panel.

    Parameters
    ----------
    lab : Lab
        Whose.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.title = gettext("lab {name!r}").format(name=lab.name)
        self._facts = facts(lab.cluster)
        self._tail = SchedulerTail(lab.cluster.pod_logs(self._facts.control_plane), since=None)
        self._lines: dict[str, list[SchedulerLine]] = {}  # by pod; the one that was tried last is the last
        self._made: dict[str, SchedulingDecision] = {}
        self._lost: list[str] = []

    def look(self) -> Decisions:
        """Return the latest decisions, the newest first."""
        changed = self._read()
        self._made = {pod: made for pod, made in self._made.items() if pod in self._lines}
        for pod in changed & self._lines.keys():
            evidence = Evidence(self._facts, audit=(), scheduler=self._lines[pod])
            try:
                self._made[pod] = why(evidence, pod)
            except EvidenceError:  # its lines begin within an attempt
                continue
        self._lost += [f"{loss.what}: {loss.why}" for loss in self._tail.take_losses()]
        made = [self._made[pod] for pod in reversed(self._lines) if pod in self._made]
        return Decisions(made, "\n".join([*self._lost, *self._silence()]))

    def close(self) -> None:
        """Read no longer."""
        self._tail.close()

    def _silence(self) -> list[str]:
        """Return why there will be no news, if so."""
        try:
            with self._lab.api_server():
                return []
        except LabkitError as error:
            return [str(error)]

    def _read(self) -> set[str]:
        """Read on, and return the pods of which there is news."""
        changed = set()
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            for line in self._tail.read():
                pod = line.fields.get("pod")
                if pod is not None:
                    own = self._lines.pop(pod, [])
                    own.append(line)
                    self._lines[pod] = own
                    changed.add(pod)
            if self._tail.at_end:
                break
        while len(self._lines) > _PODS:
            del self._lines[next(iter(self._lines))]
        return changed
