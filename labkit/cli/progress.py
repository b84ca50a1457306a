"""Phases for people: live in a terminal, line by line in a pipe; in both, each leaves a line with its seconds."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table

from labkit.cli import console
from labkit.progress import PhaseEvent, Progress

_NAME_WIDTH = 24
_BAR_WIDTH = 20
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
    if shown.finished > 1:
        shown.line(" " * len(console.mark("done", err)), "total", time.monotonic() - started)


class _Lines:
    """Phases as lines; listeners are called on several threads.

    Nothing is printed while the lock is held: the thread that paints holds the console's lock and waits for ours.
    """

    def __init__(self, err: Console) -> None:
        self.finished = 0
        self._err = err
        self._lock = threading.Lock()

    def live(self) -> nullcontext[None] | Live:
        """Return what is open while phases run."""
        return nullcontext()

    def listen(self, event: PhaseEvent) -> None:
        """Show an event."""
        if event.state in {"finished", "failed"}:
            with self._lock:
                self.finished += 1
            done = event.state == "finished"
            self.line(console.mark("done" if done else "failed", self._err), event.phase, event.seconds)

    def line(self, sign: str, name: str, seconds: float) -> None:
        """Print the line that stays of a phase."""
        self._err.print(console.text(f"{sign} {name:{_NAME_WIDTH}} {seconds:6.1f} s"), soft_wrap=True)


class _PipeLines(_Lines):
    """For logs: a line at a phase's start and end, and now and then one of what goes on."""

    def __init__(self, err: Console) -> None:
        super().__init__(err)
        self._told: dict[str, float] = {}

    def listen(self, event: PhaseEvent) -> None:
        """Show an event."""
        super().listen(event)
        more = console.mark("more", self._err)
        if event.state == "started":
            self._told[event.phase] = 0.0
            self._print(f"{console.mark('idle', self._err)} {event.phase} {more}")
        elif event.state == "advanced" and event.seconds - self._told.get(event.phase, 0.0) >= _DETAIL_EVERY:
            self._told[event.phase] = event.seconds
            known = "" if event.fraction is None else f"{event.fraction:.0%} "
            self._print(f"{console.mark('idle', self._err)} {event.phase} {more} {known}{event.detail}".rstrip())

    def _print(self, words: str) -> None:
        self._err.print(console.text(words), soft_wrap=True)


class _LiveLines(_Lines):
    """For people: below the lines of what is done, a spinner, a bar where a fraction is known, and seconds that run."""

    def __init__(self, err: Console) -> None:
        super().__init__(err)
        self._running: dict[str, tuple[float, PhaseEvent]] = {}
        self._spinner = Spinner("dots" if err.encoding.lower().startswith("utf") else "line")

    def live(self) -> nullcontext[None] | Live:
        """Return the part of the terminal that is painted again and again, and is gone at the end."""
        return Live(console=self._err, get_renderable=self._render, refresh_per_second=_PER_SECOND, transient=True)

    def listen(self, event: PhaseEvent) -> None:
        """Show an event."""
        with self._lock:
            if event.state in {"finished", "failed"}:
                self._running.pop(event.phase, None)
            else:
                started, _ = self._running.get(event.phase, (time.monotonic(), event))
                self._running[event.phase] = (started, event)
        super().listen(event)

    def _render(self) -> RenderableType:
        with self._lock:
            running = list(self._running.values())
        now = time.monotonic()
        grid = Table.grid(padding=(0, 1, 0, 0), expand=True)
        for ratio in (None, None, None, 1):
            grid.add_column(no_wrap=True, overflow="ellipsis" if ratio else "crop", ratio=ratio)
        for started, event in running:
            known = event.fraction is not None
            bar = ProgressBar(total=1.0, completed=event.fraction or 0.0, width=_BAR_WIDTH)
            seconds = f"{event.phase:{_NAME_WIDTH}} {now - started:6.1f} s"
            grid.add_row(self._spinner, console.text(seconds), bar if known else "", console.text(event.detail))
        return grid
