"""A flow as a panel in a notebook: shown at once, or followed while it happens.

The front end is the player of `labkit.views.player`, inside the wheel. A panel shows the same flow twice: as a still
(picture and table, plain HTML), which stays in the notebook's file and shows with no kernel, and as a live panel, which
hides the still while it is there.
"""

from __future__ import annotations

import html
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

import anywidget
import traitlets

from labkit.errors import LabkitError
from labkit.flow import Flow, Hop, Story
from labkit.language import gettext
from labkit.views import player
from labkit.widgets._painter import Painter

_PATIENCE = 10.0  # seconds for what is not read yet when the following ends
Sections = Sequence[dict[str, Any]]
Poll = Callable[[], "tuple[Flow, Story | None] | None"]
Details = Mapping[int, Sections] | Callable[[Hop], Sections]


class FlowPanel(anywidget.AnyWidget):
    """A flow with its steps, its pictures, the evidence of each hop, and a player.

    Parameters
    ----------
    flow : Flow
        What to show.
    story : Story, optional
        The flow told step by step.
    details : mapping or callable, optional
        What to show of a chosen hop: a mapping from its number travels with the panel and needs no kernel; a callable
        is asked when a hop is chosen.

    Attributes
    ----------
    flow : dict
        What the page shows, see `labkit.views.player`, and ``trouble``: why there will be no more.
    """

    _esm = player.script()
    _css = player.style()
    flow = traitlets.Dict().tag(sync=True)
    live = traitlets.Bool(False).tag(sync=True)
    still = traitlets.Unicode().tag(sync=True)
    edition = traitlets.Int(0).tag(sync=True)  # counts what was shown

    def __init__(self, flow: Flow, story: Story | None = None, details: Details | None = None) -> None:
        self._lock = threading.RLock()
        self._shown = flow
        self._ask = details if callable(details) else None
        self._kept = None if details is None or callable(details) else details
        self._output: Any = None  # IPython's handle of the still
        self._trouble = ""
        name = uuid4().hex[:12]
        super().__init__(still=name, live=self._ask is not None, flow=self._payload(flow, story, name))
        self.on_msg(self._asked)

    def show(self, flow: Flow, story: Story | None = None) -> None:
        """Show another flow, or more of the same; the reader stays at the hop that they chose."""
        with self._lock:
            self._shown = flow
            self._publish(self._payload(flow, story, self.still))

    def tell(self, trouble: str) -> None:
        """Say in the panel why there will be no more; empty where there may be more."""
        with self._lock:
            if trouble != self._trouble:
                self._trouble = trouble
                self._publish({**self.flow, "trouble": trouble})

    def settle(self) -> None:
        """Bring the still, which stays in the notebook, up to what the panel shows."""
        if self._output is not None:
            self._output.update(self._still())

    def _payload(self, flow: Flow, story: Story | None, name: str) -> dict[str, Any]:
        shown = player.payload(flow, story, self._kept, pictures=player.pictures(flow, prefix=f"labkit-{name}"))
        return {**shown, "trouble": self._trouble}

    def _publish(self, data: dict[str, Any]) -> None:
        with self.hold_sync():
            self.flow = data
            self.edition += 1

    def _asked(self, _widget: object, message: Mapping[str, Any], _buffers: object) -> None:
        """Answer the page's ``{"ask": NUMBER}`` and ``{"ready": EDITION}``; what the page says may be anything.

        JupyterLab drops what comes between the message that makes a widget and the widget's being made, so a page says
        which edition it began with.
        """
        if message.get("ready", self.edition) != self.edition:
            self.send_state(["flow", "edition"])
        number = message.get("ask")
        with self._lock:
            hops = self._shown.hops
        if self._ask is None or type(number) is not int or not 1 <= number <= len(hops):
            return
        try:
            detail = list(self._ask(hops[number - 1]))
        except LabkitError as error:
            detail = [{"kind": "text", "title": gettext("No details"), "open": True, "text": str(error)}]
        self.send({"hop": number, "detail": detail})

    def display_still(self) -> None:
        """Show what stays in the notebook's file, for when no kernel runs; the panel hides it while it is there."""
        from IPython.display import display  # noqa: PLC0415 - only a notebook has it at hand

        self._output = display(self._still(), display_id=True)  # type: ignore[no-untyped-call]

    def _ipython_display_(self) -> None:
        from IPython.display import publish_display_data  # noqa: PLC0415 - only a notebook has it at hand

        self.display_still()
        data, metadata = anywidget.AnyWidget._repr_mimebundle_(self) or ({}, {})
        data["text/plain"] = gettext("The same flow as a live panel: it shows where a kernel runs.")
        publish_display_data(data, metadata)  # type: ignore[no-untyped-call]

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the panel, and the still for viewers that know no widgets."""
        data, metadata = super()._repr_mimebundle_(**options) or ({}, {})
        return {**data, **self._still()._repr_mimebundle_()}, metadata

    def _still(self) -> _Still:
        with self._lock:
            return _Still(self._shown, f"labkit-still-{self.still}")


class LiveFlow:
    """A panel that follows a flow while it happens: from when it is shown, or started, until it is stopped.

    As a context manager it follows until the end of the block.

    Parameters
    ----------
    poll : callable
        Returns the flow and its story as they are now, or None if nothing is new. Called by one thread only.
    flow : Flow
        What to show first.
    details : callable or mapping, optional
        As for `FlowPanel`.
    trouble : callable, optional
        Returns why there can be no news; empty where there can be. Called after each poll, by the same thread.
    behind : callable, optional
        Returns whether there is more to poll already: whoever stops the following waits for it, 10 s at most.
    hertz : float
        How many times a second to look for news.
    close : callable, optional
        Called once when the following ends, by the thread that polled.

    Attributes
    ----------
    panel : FlowPanel
        What shows it. Closing the panel ends the following.
    """

    def __init__(
        self,
        poll: Poll,
        flow: Flow,
        details: Details | None = None,
        *,
        trouble: Callable[[], str] = str,
        behind: Callable[[], bool] = bool,
        hertz: float = 8.0,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._poll, self._trouble, self._behind = poll, trouble, behind
        self.panel = FlowPanel(flow, details=details)
        self._painter = Painter(self._paint, self.panel.settle, hertz=hertz, fail=self._failed, end=close)
        self.panel.observe(self._closed, names="comm")

    @property
    def running(self) -> bool:
        """Whether the flow is still followed."""
        return self._painter.running

    def start(self) -> LiveFlow:
        """Follow the flow from now on; once stopped, it stays so."""
        self._painter.start()
        return self

    def stop(self) -> None:
        """Show what is new once more and follow no longer; the panel stays."""
        self._painter.stop()

    def __enter__(self) -> LiveFlow:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def _ipython_display_(self) -> None:
        self.panel._ipython_display_()
        self.start()

    def _paint(self) -> bool:
        until = time.monotonic() + _PATIENCE
        news = self._poll()
        while self._painter.ending and self._behind() and time.monotonic() < until:
            news = self._poll() or news
        if news is not None:
            self.panel.show(*news)
        self.panel.tell(self._trouble())
        return news is not None

    def _failed(self, error: Exception) -> None:
        """Say in the panel that, and why, it does not follow any longer."""
        self.panel.tell(gettext("This flow is followed no longer: {error}\nShow it again.").format(error=error))

    def _closed(self, change: Mapping[str, Any]) -> None:
        if change["new"] is None:
            self._painter.stop()


class _Still:
    """What stays of a panel in a notebook's file: HTML without scripts, and text."""

    def __init__(self, flow: Flow, name: str) -> None:
        self._flow, self._name = flow, name

    def _repr_mimebundle_(self, **_options: object) -> dict[str, str]:
        markup = player.still(self._flow, pictures=player.pictures(self._flow, prefix=self._name))
        return {
            "text/plain": f"{self._flow.action or self._flow.subject}: {player.summary(self._flow)}",
            "text/html": f'<div id="{html.escape(self._name)}">{markup}</div>',
        }
