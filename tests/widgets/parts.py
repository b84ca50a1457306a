"""Something that goes on part by part, as `labkit.lab.slow_motion.SlowMotion` does: one acts, the rest is held."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from labkit.errors import ClusterError
from labkit.flow import Flow, Story
from labkit.lab.slow_motion import PARTS, Part
from labkit.widgets.flow import LiveFlow
from labkit.widgets.slow_motion import SlowMotionPanel
from tests.views import played


@dataclass
class Relay:
    """Each part is over when `gate` is open; it fails if `broken`."""

    name: str = "tomcat"
    parts: tuple[Part, ...] = PARTS
    done: tuple[Part, ...] = ()
    seconds: float = 600.0
    broken: Exception | None = None
    gate: threading.Event = field(default_factory=threading.Event)
    over: bool = False
    since: float = field(default_factory=time.monotonic)

    @property
    def upcoming(self) -> Part | None:
        return None if self.over else self.parts[len(self.done)]

    @property
    def left(self) -> dict[str, float]:
        seconds = self.seconds - (time.monotonic() - self.since)
        return {"kube-scheduler": seconds} if self.done and not self.over and seconds > 0 else {}

    def next(self) -> Part:
        part = self.upcoming
        assert part is not None
        self.gate.wait(10)
        if self.broken:
            self.close()
            raise self.broken
        self.done = (*self.done, part)
        self.over = len(self.done) == len(self.parts)
        return part

    def close(self) -> None:
        self.over = True


def refusal() -> ClusterError:
    return ClusterError("Nobody has bound the pods in 60 s", why="<b>no scheduler</b>", fix="labkit status")


def panel(relay: Relay) -> SlowMotionPanel:
    """Return a panel whose flow grows with the parts that are over."""
    whole = played.tomcat()
    shown = [0]

    def poll() -> tuple[Flow, Story | None] | None:
        count = len(whole.hops) * len(relay.done) // len(relay.parts)
        if count == shown[0]:
            return None
        shown[0] = count
        return type(whole)(whole.subject, whole.hops[:count]), None

    return SlowMotionPanel(relay, LiveFlow(poll, type(whole)(whole.subject, ())))
