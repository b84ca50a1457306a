"""A deployment in slow motion as a panel: who is held still, whose turn it is, and the flow as it comes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any, Protocol

import anywidget
import traitlets

from labkit.errors import LabkitError
from labkit.views import player
from labkit.widgets.flow import LiveFlow

_log = logging.getLogger(__name__)


class Part(Protocol):
    """What one component does before the next one can, see `labkit.lab.slow_motion.Part`."""

    @property
    def actor(self) -> str:
        """Who acts."""

    @property
    def steps(self) -> str:
        """The textbook's steps that it is."""

    @property
    def title(self) -> str:
        """What it does."""


class Steps(Protocol):
    """What the panel shows and drives, see `labkit.lab.slow_motion.SlowMotion`."""

    @property
    def name(self) -> str:
        """The deployment's name."""

    @property
    def parts(self) -> Sequence[Part]:
        """All parts, in order."""

    @property
    def done(self) -> Sequence[Part]:
        """The parts that are over."""

    @property
    def upcoming(self) -> Part | None:
        """The part that `next` lets happen; None once everything goes on."""

    @property
    def left(self) -> Mapping[str, float]:
        """Who is held still, with the seconds until they go on by themselves."""

    def next(self) -> Part:
        """Let the next part happen and return it."""

    def close(self) -> None:
        """Let everything go on."""


def _static(name: str) -> str:
    return resources.files("labkit.widgets").joinpath("static", name).read_text(encoding="utf-8")


class SlowMotionPanel(anywidget.AnyWidget):
    """The parts of a deployment, who is held still and for how long yet, and two buttons; below it the flow.

    What a button asks for is done by a thread of its own, so that the notebook can be used meanwhile; until it is done,
    the buttons do nothing.

    Parameters
    ----------
    steps : Steps
        What the buttons drive.
    live : LiveFlow
        Follows what happens.

    Attributes
    ----------
    state : dict
        What the page shows: ``name``; ``parts``, each ``{steps, actor, title, state}`` with a state of ``"done"``,
        ``"next"`` or ``"later"``; ``held``, each ``{name, left}`` with the seconds until it goes on by itself;
        ``working``; ``said``, the last result or error; ``failed``, whether that is an error.
    """

    _esm = player.static("dom.js") + resources.files("labkit.widgets").joinpath("static/slow_motion.js").read_text(
        "utf-8"
    )
    _css = resources.files("labkit.widgets").joinpath("static/slow_motion.css").read_text("utf-8")
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, steps: Steps, live: LiveFlow) -> None:
        self.live = live
        self._steps = steps
        self._lock = threading.Lock()
        self._working = False
        self._said, self._failed = "Nothing has happened yet.", False
        super().__init__(state=self._look())
        self.on_msg(self._asked)

    def press(self, button: str) -> None:
        """Do what a button stands for.

        Parameters
        ----------
        button : {"next", "all"}
            Let the next component go on until its part is done, or everything for good.
        """
        upcoming = self._steps.upcoming
        if button == "next" and upcoming is not None:
            self._begin(self._next, f"{upcoming.actor} goes on until its part is done …")
        elif button == "all":
            self._begin(self._all, "Everything is let go on …")

    def refresh(self) -> None:
        """Show who is held still by now."""
        self.state = self._look()

    def _begin(self, work: Callable[[], str], said: str) -> None:
        with self._lock:
            if self._working:
                return
            self._working = True
            self._said, self._failed = said, False
        self.refresh()
        threading.Thread(target=self._work, args=(work,), name="labkit-slow-motion", daemon=True).start()

    def _work(self, work: Callable[[], str]) -> None:
        try:
            self._said = work()
        except LabkitError as error:
            self._said, self._failed = str(error), True
        except Exception as error:
            _log.warning("slow motion failed", exc_info=True)
            self._said, self._failed = f"{type(error).__name__}: {error}", True
        finally:
            self._working = False
            self.refresh()

    def _next(self) -> str:
        part = self._steps.next()
        return f"Done: {part.actor} {part.title}."

    def _all(self) -> str:
        self._steps.close()
        return "Everything goes on."

    def _look(self) -> dict[str, Any]:
        done, upcoming = self._steps.done, self._steps.upcoming
        states = ["done" if part in done else "next" if part == upcoming else "later" for part in self._steps.parts]
        return {
            "name": self._steps.name,
            "parts": [
                {"steps": part.steps, "actor": part.actor, "title": part.title, "state": state}
                for part, state in zip(self._steps.parts, states, strict=True)
            ],
            "held": [{"name": name, "left": left} for name, left in self._steps.left.items()],
            "working": self._working,
            "said": self._said,
            "failed": self._failed,
        }

    def _asked(self, _widget: object, message: Mapping[str, Any], _buffers: object) -> None:
        """Answer the page's ``{"press": BUTTON}`` and ``{"look": true}``; what the page says may be anything.

        JupyterLab drops what comes between the message that makes a widget and the widget's being made, so a page asks
        when it begins, and it is answered though nothing is new.
        """
        if "press" in message:
            self.press(message["press"])
        elif "look" in message:
            self.refresh()
            self.send_state(["state"])

    def _ipython_display_(self) -> None:
        from IPython.display import publish_display_data  # noqa: PLC0415 - only a notebook has it at hand

        data, metadata = self._repr_mimebundle_() or ({}, {})
        data["text/plain"] = f"Deployment {self._steps.name} in slow motion: buttons that show where a kernel runs."
        publish_display_data(data, metadata)  # type: ignore[no-untyped-call]
        self.live._ipython_display_()
