"""Phases that go by when they are told to, as `labkit.lab.installation.init.InitSteps` does."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from labkit.errors import ClusterError
from labkit.lab.installation.phases import PHASES, InitPhase, InitRun, PhaseKind
from labkit.lab.installation.written import ObjectChange


@dataclass
class Phases:
    """The first phase has been run; each further one waits for `gate`, and fails if `broken`.

    What the phases wrote has the name that is given.
    """

    wrote: str
    broken: bool = False
    gate: threading.Event = field(default_factory=threading.Event)
    done: int = 1
    kinds: tuple[PhaseKind, ...] = PHASES

    @property
    def upcoming(self) -> PhaseKind | None:
        return PHASES[self.done] if self.done < len(PHASES) else None

    @property
    def run(self) -> InitRun:
        made = ObjectChange("configmaps", "kube-system", self.wrote, "created", 0.0, "kubeadm")
        phases = [InitPhase(kind.name, at / 2, 0.5, objects=(made,)) for at, kind in enumerate(PHASES[: self.done])]
        return InitRun(tuple(phases), self.done / 2)

    def next(self) -> None:
        self.gate.wait(10)
        if self.broken:
            raise ClusterError("kubeadm init phase certs failed", why="<b>error: no room</b>")
        self.done += 1
