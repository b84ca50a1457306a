"""Phases for people: live in a terminal, line by line in a pipe; in both, each leaves a line with its seconds."""

from __future__ import annotations

import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from labkit.cli import console
from labkit.progress import PhaseEvent, Progress

_NAME_WIDTH = 24
_SECONDS_WIDTH = 12  # with its blanks and the sign before the name
_BAR_WIDTH = 20
_ROOMY = 64  # columns from which on there is room for more than names and seconds
_DETAIL_EVERY = 10.0  # seconds between lines about one phase in a pipe
_PER_SECOND = 10


@contextmanager
def progress() -> Iterator[Progress]:
    """Give a `Progress` that is shown on stderr, and at its good end the total."""
    err = console.err()
    shown: _Lines = _LiveLines(err) if console.is_terminal(sys.stderr) else _PipeLines(err)
    started = time.monotonic()
    with shown.live():
        yield Progress(shown.listen)
    shown.show_total(time.monotonic() - started)


class _Lines(ABC):
    """What all ways of showing phases have in common; listeners are called on several threads."""

    def __init__(self, err: Console) -> None:
        self.finished = 0
        self._err = err
        self._name_width = max(1, min(_NAME_WIDTH, err.width - _SECONDS_WIDTH))
        self._lock = threading.Lock()

    def live(self) -> AbstractContextManager[None]:
        """Return what is open while phases run."""
        return nullcontext()

    @abstractmethod
    def listen(self, event: PhaseEvent) -> None:
        """Show an event."""

    def show_total(self, seconds: float) -> None:
        """Print the last line, where there was more than one phase."""
        if self.finished > 1:
            blank = " " * len(console.mark("done", self._err))
            self._err.print(self._line(blank, "total", seconds), soft_wrap=True)

    def _last_line(self, event: PhaseEvent) -> Text:
        """Return the line that stays of a phase."""
        sign = console.mark("done" if event.state == "finished" else "failed", self._err)
        outcome = event.detail if event.state == "finished" else ""
        return self._line(sign, event.phase, event.seconds, outcome)

    def _line(self, sign: str, name: str, seconds: float, outcome: str = "") -> Text:
        return console.text(f"{sign} {name:{self._name_width}} {seconds:6.1f} s  {outcome}".rstrip())


class _PipeLines(_Lines):
    """For logs: a line at a phase's start and end, and now and then one of what goes on."""

    def __init__(self, err: Console) -> None:
        super().__init__(err)
        self._told: dict[str, float] = {}

    def listen(self, event: PhaseEvent) -> None:
        """Show an event."""
        with self._lock:
            line = self._line_about(event)
            if line is not None:
                self._err.print(line, soft_wrap=True)

    def _line_about(self, event: PhaseEvent) -> Text | None:
        if event.state in {"finished", "failed"}:
            self.finished += 1
            return self._last_line(event)
        if event.state == "advanced" and event.seconds - self._told[event.phase] < _DETAIL_EVERY:
            return None
        self._told[event.phase] = event.seconds
        known = "" if event.fraction is None else f"{event.fraction:.0%} "
        sign, more = (console.mark(name, self._err) for name in ("idle", "more"))
        return console.text(f"{sign} {event.phase} {more} {known}{event.detail}".rstrip())


class _LiveLines(_Lines):
    """For people: below the lines of what is done, a spinner, a bar where a fraction is known, and seconds that run.

    One thread alone writes to the terminal: what two write at a time, each moving the cursor, erases the other's lines.
    """

    def __init__(self, err: Console) -> None:
        super().__init__(err)
        self._running: dict[str, tuple[float, PhaseEvent]] = {}
        self._done: list[Text] = []
        self._unicode = err.encoding.lower().startswith("utf")
        self._spinner = Spinner("dots" if self._unicode else "line")

    @contextmanager
    def live(self) -> Iterator[None]:
        """Paint a part of the terminal again and again; it is gone at the end, the lines of what is done stay."""
        ended = threading.Event()
        live = Live(console=self._err, auto_refresh=False, transient=True)

        def paint() -> None:
            while not ended.wait(1 / _PER_SECOND):
                self._paint(live)

        painter = threading.Thread(target=paint, name="progress", daemon=True)
        painter.start()
        try:
            yield
        finally:
            ended.set()
            painter.join()
            self._paint(live)
            live.stop()

    def listen(self, event: PhaseEvent) -> None:
        """Take note of an event."""
        with self._lock:
            if event.state in {"finished", "failed"}:
                self._running.pop(event.phase, None)
                self.finished += 1
                self._done.append(self._last_line(event))
            else:
                started, _ = self._running.get(event.phase, (time.monotonic(), event))
                self._running[event.phase] = (started, event)

    def _paint(self, live: Live) -> None:
        with self._lock:
            done, self._done = self._done, []
            running = list(self._running.values())
        if running or done:
            live.start()
        live.update(self._render(running))
        for line in done:
            self._err.print(line, soft_wrap=True)
        live.refresh()

    def _render(self, running: list[tuple[float, PhaseEvent]]) -> RenderableType:
        now = time.monotonic()
        roomy = self._err.width >= _ROOMY
        grid = Table.grid(padding=(0, 1, 0, 0), expand=True)
        grid.add_column(min_width=1)
        grid.add_column(no_wrap=True, min_width=self._name_width + 9)
        grid.add_column(min_width=_BAR_WIDTH if roomy else None)
        grid.add_column(no_wrap=True, overflow="ellipsis" if self._unicode else "crop", ratio=1)
        for started, event in running:
            name = event.phase if roomy else event.phase[: self._name_width]
            cells: list[RenderableType] = [console.text(f"{name:{self._name_width}} {now - started:6.1f} s")]
            if roomy:
                known = event.fraction is not None
                cells.append(ProgressBar(total=1.0, completed=event.fraction or 0, width=_BAR_WIDTH) if known else "")
                cells.append(console.text(event.detail))
            grid.add_row(self._spinner, *cells)
        return grid
