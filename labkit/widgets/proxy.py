"""kube-proxy as a panel: its mode on every node, a button per mode, and the steps of a switch while it happens.

A panel shows the same twice: as a still (picture and table, plain HTML), which stays in the notebook's file and shows
with no kernel, and live, which hides the still while it is there.
"""

from __future__ import annotations

import html
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Protocol
from uuid import uuid4

import anywidget
import traitlets

from labkit.errors import LabkitError
from labkit.progress import PhaseEvent, Progress
from labkit.proxy.model import Mode
from labkit.proxy.state import ProxyState
from labkit.views import player, proxy_state
from labkit.widgets._painter import Painter

_log = logging.getLogger(__name__)
_CALM = 2.0  # seconds between two looks while nothing happens
_BUSY = 0.3  # seconds between two looks while a mode is being switched
_WAYS: dict[Mode, str] = {
    "iptables": "a list of rules, read one by one",
    "nftables": "maps, looked up in one step",
    "ipvs": "the kernel's load balancer",
}


@dataclass(frozen=True, slots=True)
class ShownStep:
    """A step of a switch as the panel shows it.

    Attributes
    ----------
    what, detail : str
        ``"delete the pods"``, and what there was to see.
    seconds : float
        How long it took, or takes already.
    state : {"started", "finished", "failed"}
        How far it is.
    """

    what: str
    detail: str
    seconds: float
    state: str = "finished"


@dataclass(frozen=True, slots=True)
class ShownSwitch:
    """A switch that is over.

    Attributes
    ----------
    title : str
        ``"iptables → nftables at 20:05:03 UTC"``.
    steps : sequence of ShownStep
        In order.
    said : str
        What came of it, or why it failed and what to do.
    failed : bool
        Whether it failed.
    """

    title: str
    steps: Sequence[ShownStep]
    said: str
    failed: bool = False


class ProxySource(Protocol):
    """What the panel shows and drives, see `labkit.lab.proxy_panel`."""

    @property
    def title(self) -> str:
        """Whose kube-proxy: ``"lab 'lab'"``."""

    @property
    def recorded(self) -> str:
        """What is plainly said where it is a recording; empty where it is not."""

    def look(self) -> ProxyState:
        """Return how it is now; never called by two threads at once."""

    def last_switch(self) -> ShownSwitch | None:
        """Return the last switch that is over, whoever did it."""

    def unable(self) -> Mapping[Mode, str]:
        """Return the modes that cannot be had, and why; with force they may be tried."""

    def switch(self, mode: str, *, force: bool, progress: Progress) -> str:
        """Switch, and return what came of it in a line."""


class ProxyPanel(anywidget.AnyWidget):
    """The present mode, a button per mode, every node's state, and the steps of the last switch.

    A switch is done by a thread of its own, so that the notebook can be used meanwhile and an interrupt of the kernel
    does not end it; until it is over, the buttons do nothing. Whatever is shown is painted by one other thread.

    Parameters
    ----------
    source : ProxySource
        What is shown, and what the buttons drive.

    Attributes
    ----------
    state : dict
        What the page shows: ``title``, ``recorded``; ``modes``, each ``{name, way, present, unable}``; ``picture``, an
        SVG; ``headings`` and ``rows`` of the table of nodes; ``switch``, the title of the steps; ``steps``, each
        ``{what, detail, seconds, state}``; ``working``; ``said``, the last result or error; ``failed``, whether that is
        an error; ``trouble``, why not all is known.
    """

    _esm = player.static("dom.js") + resources.files("labkit.widgets").joinpath("static/proxy.js").read_text("utf-8")
    _css = resources.files("labkit.widgets").joinpath("static/proxy.css").read_text("utf-8")
    state = traitlets.Dict().tag(sync=True)
    still = traitlets.Unicode().tag(sync=True)

    def __init__(self, source: ProxySource) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._working = False
        self._steps: list[ShownStep] = []  # of the switch that a button began last
        self._since = 0.0  # when the last of them began
        self._said, self._failed, self._changing = "", False, ""
        self._own: ShownSwitch | None = None  # the one that this panel did
        self._looked = self._ended = 0.0  # when somebody looked last, and when a button's switch was over
        self._pages, self._watched = 0, True  # nobody looks on behalf of a page that was closed
        self._output: Any = None  # IPython's handle of the still
        self._seen = source.look()
        self._unable = source.unable()
        self._last = source.last_switch()
        super().__init__(still=uuid4().hex[:12])
        self.state = self._look()
        self._painter = Painter(self.paint, self._settle, fail=self._stopped, end=lambda: None)
        self.on_msg(self._asked)
        self.observe(self._closed, names="comm")

    def press(self, mode: str, *, force: bool = False) -> None:
        """Do what the button of a mode stands for.

        Parameters
        ----------
        mode : {"iptables", "nftables", "ipvs"}
            Which button.
        force : bool
            Try it even where it cannot be had, to see what happens.
        """
        if mode not in _WAYS or (mode in self._unable and not force):
            return
        with self._lock:
            if self._working:
                return
            self._working, self._changing = True, f"{self._seen.mode} → {mode}"
            self._said, self._failed = f"Switching to {mode} …", False
            self._steps = []
        threading.Thread(target=self._work, args=(mode, force), name="labkit-proxy", daemon=True).start()

    def start(self) -> None:
        """Show what changes from now on, until the panel is closed or `stop` is called."""
        self._painter.start()

    def stop(self) -> None:
        """Look once more and no longer; the panel stays."""
        self._painter.stop()

    def paint(self) -> bool:
        """Look if it is time to, show what is new, and return whether anything was."""
        with self._lock:
            busy = self._working or not self._seen.settled
            if not self._watched and not self._working:
                return False
        if time.monotonic() - self._looked >= (_BUSY if busy else _CALM):
            began = time.monotonic()
            seen, unable, last = self._source.look(), self._source.unable(), self._source.last_switch()
            with self._lock:
                if self._ended > began:  # what was seen may be older than the end of the switch: look again
                    return False
                if last != self._last and not self._working:  # somebody else's
                    self._said = ""
                self._seen, self._unable, self._last = seen, unable, last
                self._looked = time.monotonic()
        state = self._look()
        if state == self.state:
            return False
        self.state = state
        return True

    def _work(self, mode: str, force: bool) -> None:
        failed = True
        try:
            said = self._source.switch(mode, force=force, progress=Progress(self._advance))
            failed = False
        except LabkitError as error:
            said = str(error)
        except Exception as error:
            _log.warning("the switch failed", exc_info=True)
            said = f"{type(error).__name__}: {error}"
        last = self._source.last_switch()
        with self._lock:
            self._said, self._failed, self._last, self._own = said, failed, last, last
            self._working, self._looked, self._ended = False, 0.0, time.monotonic()

    def _advance(self, event: PhaseEvent) -> None:
        """Take note of what happens to a step; they come one after the other, some twice."""
        with self._lock:
            before = None if event.state == "started" else self._steps.pop()
            detail = event.detail or (before.detail if before else "")
            state = "started" if event.state == "advanced" else event.state
            self._steps.append(ShownStep(event.phase, detail, event.seconds, state))
            self._since = time.monotonic() - event.seconds

    def _look(self) -> dict[str, Any]:
        with self._lock:
            seen, last, working = self._seen, self._last, self._working
            steps, title = (list(last.steps), last.title) if last else ([], "")
            if working or (self._failed and self._steps and last == self._own):  # also what failed, which nobody keeps
                steps = list(map(self._timed, self._steps))
            if working:
                title = self._changing
            said, failed = self._said, self._failed
        if not said and last:
            said, failed = last.said, last.failed
        if not working and not seen.settled and not seen.trouble:
            pending = f"The ConfigMap says {seen.mode}; not yet so on {', '.join(seen.lacking)} …"
            said = f"{pending}\n{said}" if failed else pending
        return {
            "title": self._source.title,
            "recorded": self._source.recorded,
            "modes": [
                {"name": mode, "way": way, "present": mode == seen.mode, "unable": self._unable.get(mode, "")}
                for mode, way in _WAYS.items()
            ],
            "picture": proxy_state.to_svg(seen, prefix=f"labkit-proxy-{self.still}"),
            "headings": list(proxy_state.HEADINGS),
            "rows": [list(row) for row in proxy_state.rows(seen)],
            "switch": title,
            "steps": [
                {"what": step.what, "detail": step.detail, "seconds": round(step.seconds, 1), "state": step.state}
                for step in steps
            ],
            "working": working,
            "said": said,
            "failed": failed,
            "trouble": seen.trouble,
        }

    def _timed(self, step: ShownStep) -> ShownStep:
        if step.state != "started":
            return step
        return ShownStep(step.what, step.detail, time.monotonic() - self._since, step.state)

    def _asked(self, _widget: object, message: Mapping[str, Any], _buffers: object) -> None:
        """Answer the page's ``{"press": MODE, "force": BOOL}``, ``{"look": BOOL}``; it may say anything.

        JupyterLab drops what comes between the message that makes a widget and the widget's being made, so a page asks
        to look when it begins, and it is answered though nothing is new. When it ends it says so.
        """
        if isinstance(message.get("press"), str):
            self.press(message["press"], force=message.get("force") is True)
        elif isinstance(message.get("look"), bool):
            with self._lock:
                self._pages += 1 if message["look"] else -1
                self._watched = self._pages > 0
            if message["look"]:
                self.send_state(["state"])

    def _ipython_display_(self) -> None:
        from IPython.display import display, publish_display_data  # noqa: PLC0415 - only a notebook has it at hand

        self._output = display(_Still(self.state, self.still), display_id=True)  # type: ignore[no-untyped-call]
        data, metadata = super()._repr_mimebundle_() or ({}, {})
        data["text/plain"] = "The same as a live panel with a button per mode: it shows where a kernel runs."
        publish_display_data(data, metadata)  # type: ignore[no-untyped-call]
        self.start()

    def _settle(self) -> None:
        """Bring the still, which stays in the notebook, up to date; of a lab that is gone it keeps what was seen."""
        if self._output is not None and not self.state["trouble"]:
            self._output.update(_Still(self.state, self.still))

    def _stopped(self, error: Exception) -> None:
        """Say in the panel that, and why, it does not look any longer."""
        self.state = {**self.state, "trouble": f"This panel looks no longer: {error}\nShow it again: lab.proxy"}

    def _closed(self, change: Mapping[str, Any]) -> None:
        if change["new"] is None:
            self._painter.stop()


class _Still:
    """What stays of a panel in a notebook's file: HTML without scripts, and text."""

    def __init__(self, state: Mapping[str, Any], name: str) -> None:
        self._state, self._name = state, name

    def _repr_mimebundle_(self, **_options: object) -> dict[str, str]:
        state = self._state
        present = next((mode["name"] for mode in state["modes"] if mode["present"]), "not known")
        head = f"kube-proxy of {state['title']}: {present}"
        said = [state["recorded"], state["trouble"], state["said"], state["switch"]]
        steps = "".join(
            f"<li>{html.escape(step['what'])} ({step['seconds']} s): {html.escape(step['detail'])}</li>"
            for step in state["steps"]
        )
        paragraphs = "".join(f'<p style="white-space:pre-wrap">{html.escape(text)}</p>' for text in said if text)
        picture = state["picture"].replace(f"labkit-proxy-{self._name}", f"labkit-proxy-still-{self._name}")
        return {
            "text/plain": "\n".join([head, *("  ".join(filter(None, row)) for row in state["rows"])]),
            "text/html": f'<div id="labkit-still-{self._name}"><p><strong>{html.escape(head)}</strong></p>{picture}'
            f"{proxy_state.to_table(state['rows'])}{paragraphs}<ol>{steps}</ol></div>",
        }
