"""What every panel with buttons does: look, act, paint, and leave a still for when no kernel runs.

A panel shows the same twice: as a still (plain HTML), which stays in the notebook's file and shows with no kernel, and
live, which hides the still while it is there. What a button asks for is done by a thread of its own, so that the
notebook can be used meanwhile and an interrupt of the kernel does not end it; one other thread paints.
"""

from __future__ import annotations

import logging
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any
from uuid import uuid4

import anywidget
import traitlets

from labkit.errors import LabkitError
from labkit.language import gettext
from labkit.views import player
from labkit.widgets._painter import Painter

_log = logging.getLogger(__name__)
_CALM = 2.0  # seconds between two looks while nothing happens
_BUSY = 0.3  # seconds between two looks while something does


def page(name: str) -> str:
    """Return the script of a panel's page: what all pages are built of, what panels have in common, and its own."""
    folder = resources.files("labkit.widgets").joinpath("static")
    return player.static("dom.js") + "".join(folder.joinpath(each).read_text("utf-8") for each in ("panel.js", name))


def style(*names: str) -> str:
    """Return the style sheet of a panel's page: what panels have in common, and its own."""
    folder = resources.files("labkit.widgets").joinpath("static")
    return "".join(folder.joinpath(each).read_text("utf-8") for each in ("panel.css", *names))


class Panel(anywidget.AnyWidget):
    """A panel with buttons; a class of it says what is to be seen, and what a message of the page asks for.

    Attributes
    ----------
    state : dict
        What the page shows: ``working``; ``said``, the last result or error; ``failed``, whether that is an error; and
        all that `shown` returns. With ``trouble`` in it, why not all is known, the still is left as it was.
    still : str
        By what the page finds the still that it hides.
    words : dict
        The page's texts in the learner's language, by their English.
    """

    state = traitlets.Dict().tag(sync=True)
    still = traitlets.Unicode().tag(sync=True)
    words = traitlets.Dict().tag(sync=True)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._working = False
        self._said, self._failed = "", False
        self._stale = True  # something has happened since it was looked
        self._looked = 0.0  # when it was looked last
        self._pages, self._watched = 0, True  # nobody looks on behalf of a page that was closed
        self._output: Any = None  # IPython's handle of the still
        super().__init__(still=uuid4().hex[:12], words=player.translations(self._esm))
        self.state = self._composed()
        self._painter = Painter(self.paint, self._settle, fail=self._stopped, end=lambda: None)
        self.on_msg(self._asked)
        self.observe(self._closed, names="comm")

    @abstractmethod
    def look(self) -> None:
        """Take note of what is to be seen now; what cannot be seen is no error. Never called by two threads at once."""

    @abstractmethod
    def shown(self) -> dict[str, Any]:
        """Return what the page is to show of it, under the lock."""

    @abstractmethod
    def job(self, message: Mapping[str, Any]) -> tuple[str, Callable[[], str]] | None:
        """Return what is said while something that the page asks for is done, and what does it; None for nothing."""

    @abstractmethod
    def still_html(self) -> str:
        """Return what stays in the notebook's file: HTML without scripts."""

    @abstractmethod
    def still_text(self) -> str:
        """Return the same as text."""

    @property
    def busy(self) -> bool:
        """Whether what is seen is about to change."""
        return self._working

    def press(self, message: Mapping[str, Any]) -> None:
        """Do what the page's message asks for; nothing while another is being done."""
        job = self.job(message)
        if job is None:
            return
        with self._lock:
            if self._working:
                return
            self._working = True
            self._said, self._failed = job[0], False
            self.begun(message)
        # At once, not when it is next painted: somebody waits for an answer to a click.
        self.state = {**self.state, "working": True, "said": job[0], "failed": False}
        threading.Thread(target=self._work, args=(job[1],), name="labkit-panel", daemon=True).start()

    def start(self) -> None:
        """Show what changes from now on, until the panel is closed or `stop` is called."""
        self._painter.start()

    def stop(self) -> None:
        """Look once more and no longer; the panel stays."""
        self._painter.stop()

    def paint(self) -> bool:
        """Look if it is time to, show what is new, and return whether anything was."""
        if not self._watched and not self._working:
            return False
        if time.monotonic() - self._looked >= (_BUSY if self.busy else _CALM):
            self._stale = True
        state = self._composed()
        if state == self.state:
            return False
        self.state = state
        return True

    def _work(self, do: Callable[[], str]) -> None:
        failed = True
        try:
            said = do()
            failed = False
        except LabkitError as error:
            said = str(error)
        except Exception as error:
            _log.warning("a panel's button failed", exc_info=True)
            said = f"{type(error).__name__}: {error}"
        self.done()
        with self._lock:
            self._said, self._failed, self._working = said, failed, False
            self._stale = True

    def begun(self, message: Mapping[str, Any]) -> None:
        """Take note that what a message asks for begins, under the lock."""

    def done(self) -> None:
        """Take note that what a button asked for is over, before that is shown."""

    def _composed(self) -> dict[str, Any]:
        """Look if need be, and return what the page is to show: never a button's end with what was seen before it."""
        while True:
            with self._lock:
                if not self._stale:
                    return {"working": self._working, "said": self._said, "failed": self._failed, **self.shown()}
                self._stale = False
            self.look()
            self._looked = time.monotonic()

    def _asked(self, _widget: object, message: Mapping[str, Any], _buffers: object) -> None:
        """Answer the page; it may say anything.

        JupyterLab drops what comes between the message that makes a widget and the widget's being made, so a page asks
        to be told (``{"look": true}``) when it begins, and it is answered though nothing is new; it also says when it
        ends.
        """
        if isinstance(message.get("look"), bool):
            with self._lock:
                self._pages += 1 if message["look"] else -1
                self._watched = self._pages > 0
            if message["look"]:
                self.send_state(["state"])
        else:
            self.press(message)

    def display_still(self) -> None:
        """Show what stays in the notebook's file, for when no kernel runs; the panel hides it while it is there."""
        from IPython.display import display  # noqa: PLC0415 - only a notebook has it at hand

        self._output = display(_Still(self), display_id=True)  # type: ignore[no-untyped-call]

    def _ipython_display_(self) -> None:
        from IPython.display import publish_display_data  # noqa: PLC0415 - only a notebook has it at hand

        self.display_still()
        data, metadata = super()._repr_mimebundle_() or ({}, {})
        data["text/plain"] = gettext("The same as a live panel: it shows where a kernel runs.")
        publish_display_data(data, metadata)  # type: ignore[no-untyped-call]
        self.start()

    def _settle(self) -> None:
        """Bring the still, which stays in the notebook, up to date; of a lab that is gone it keeps what was seen."""
        if self._output is not None and not self.state.get("trouble"):
            self._output.update(_Still(self))

    def _stopped(self, error: Exception) -> None:
        """Say in the panel that, and why, it does not look any longer."""
        self.state = {
            **self.state,
            "trouble": gettext("This panel looks no longer: {error}\nShow it again.").format(error=error),
        }

    def _closed(self, change: Mapping[str, Any]) -> None:
        if change["new"] is None:
            self.stop()


class _Still:
    """What stays of a panel in a notebook's file."""

    def __init__(self, panel: Panel) -> None:
        self._name = panel.still
        self._html, self._text = panel.still_html(), panel.still_text()

    def _repr_mimebundle_(self, **_options: object) -> dict[str, str]:
        return {"text/plain": self._text, "text/html": f'<div id="labkit-still-{self._name}">{self._html}</div>'}
