"""kube-proxy as a panel: its mode on every node, a button per mode, and the steps of a switch while it happens."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from labkit.language import gettext, gettext_noop
from labkit.progress import PhaseEvent, Progress
from labkit.proxy.model import Mode
from labkit.proxy.state import ProxyState
from labkit.views import proxy_state
from labkit.widgets._panel import Panel, page, style

_WAYS: dict[Mode, str] = {
    "iptables": gettext_noop("a list of rules, read one by one"),
    "nftables": gettext_noop("maps, looked up in one step"),
    "ipvs": gettext_noop("the kernel's load balancer"),
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


class ProxyPanel(Panel):
    """The present mode, a button per mode, every node's state, and the steps of the last switch.

    Parameters
    ----------
    source : ProxySource
        What is shown, and what the buttons drive.

    Attributes
    ----------
    state : dict
        What the page shows, beside what every panel does: ``title``, ``recorded``; ``modes``, each
        ``{name, way, present, unable}``; ``picture``, an SVG; ``headings`` and ``rows`` of the table of nodes;
        ``switch``, the title of the steps; ``steps``, each ``{what, detail, seconds, state}``; ``trouble``.
    """

    _esm = page("proxy.js")
    _css = style("proxy.css")

    def __init__(self, source: ProxySource) -> None:
        self._source = source
        self._steps: list[ShownStep] = []  # of the switch that a button began last
        self._since = 0.0  # when the last of them began
        self._changing = ""
        self._own: ShownSwitch | None = None  # the one that this panel did
        self._last: ShownSwitch | None = source.last_switch()
        super().__init__()

    @property
    def busy(self) -> bool:
        """Whether a mode is being switched, by whomever."""
        return super().busy or not self._seen.settled

    def look(self) -> None:
        """Look at kube-proxy on every node."""
        seen, unable, last = self._source.look(), self._source.unable(), self._source.last_switch()
        with self._lock:
            if last != self._last and not self._working:  # somebody else's
                self._said = ""
            self._seen, self._unable, self._last = seen, unable, last

    def job(self, message: Mapping[str, Any]) -> tuple[str, Callable[[], str]] | None:
        """Return what the button of a mode stands for: ``{"press": MODE, "force": BOOL}``."""
        mode, force = message.get("press"), message.get("force") is True
        if not isinstance(mode, str) or mode not in _WAYS or (mode in self._unable and not force):
            return None

        def switch() -> str:
            return self._source.switch(mode, force=force, progress=Progress(self._advance))

        return gettext("Switching to {mode} …").format(mode=mode), switch

    def begun(self, message: Mapping[str, Any]) -> None:
        """Forget the steps of the switch before."""
        self._changing = f"{self._seen.mode} → {message['press']}"
        self._steps = []

    def done(self) -> None:
        """Remember that the last switch is this panel's own."""
        last = self._source.last_switch()
        with self._lock:
            self._last = self._own = last

    def _advance(self, event: PhaseEvent) -> None:
        """Take note of what happens to a step; they come one after the other, some twice."""
        with self._lock:
            before = None if event.state == "started" else self._steps.pop()
            detail = event.detail or (before.detail if before else "")
            state = "started" if event.state == "advanced" else event.state
            self._steps.append(ShownStep(event.phase, detail, event.seconds, state))
            self._since = time.monotonic() - event.seconds

    def shown(self) -> dict[str, Any]:
        """Return what the page shows."""
        seen, last, said, failed = self._seen, self._last, self._said, self._failed
        steps, title = (list(last.steps), last.title) if last else ([], "")
        kept = self._failed and self._steps and last == self._own  # also what failed, which nobody keeps
        if self._working or kept:
            steps = list(map(self._timed, self._steps))
        if self._working:
            title = self._changing
        if not said and last:
            said, failed = last.said, last.failed
        if not self._working and not seen.settled and not seen.trouble:
            pending = gettext("The ConfigMap says {mode}; not yet so on {nodes} …").format(
                mode=seen.mode, nodes=", ".join(seen.lacking)
            )
            said = f"{pending}\n{said}" if failed else pending
        return {
            "title": self._source.title,
            "recorded": self._source.recorded,
            "modes": [
                {"name": mode, "way": gettext(way), "present": mode == seen.mode, "unable": self._unable.get(mode, "")}
                for mode, way in _WAYS.items()
            ],
            "picture": proxy_state.to_svg(seen, prefix=f"labkit-proxy-{self.still}"),
            "headings": list(map(gettext, proxy_state.HEADINGS)),
            "rows": [list(row) for row in proxy_state.rows(seen)],
            "switch": title,
            "steps": [
                {"what": step.what, "detail": step.detail, "seconds": round(step.seconds, 1), "state": step.state}
                for step in steps
            ],
            "said": said,
            "failed": failed,
            "trouble": seen.trouble,
        }

    def _timed(self, step: ShownStep) -> ShownStep:
        if step.state != "started":
            return step
        return ShownStep(step.what, step.detail, time.monotonic() - self._since, step.state)

    def still_html(self) -> str:
        """Return the picture, the table, what was said and the steps."""
        state = self.state
        said = [state["recorded"], state["trouble"], state["said"], state["switch"]]
        steps = "".join(
            f"<li>{html.escape(step['what'])} ({step['seconds']} s): {html.escape(step['detail'])}</li>"
            for step in state["steps"]
        )
        paragraphs = "".join(f'<p style="white-space:pre-wrap">{html.escape(text)}</p>' for text in said if text)
        picture = state["picture"].replace(f"labkit-proxy-{self.still}", f"labkit-proxy-still-{self.still}")
        table = proxy_state.to_table(state["rows"])
        return f"<p><strong>{html.escape(self._head())}</strong></p>{picture}{table}{paragraphs}<ol>{steps}</ol>"

    def still_text(self) -> str:
        """Return the mode and the table as text."""
        return "\n".join([self._head(), *("  ".join(filter(None, row)) for row in self.state["rows"])])

    def _head(self) -> str:
        present = next((mode["name"] for mode in self.state["modes"] if mode["present"]), gettext("not known"))
        return gettext("kube-proxy of {title}: {present}").format(title=self.state["title"], present=present)
