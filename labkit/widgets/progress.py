"""Phases of long work as a notebook shows them: one small table that grows, with seconds."""

from __future__ import annotations

import html
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from labkit.progress import PhaseEvent, Progress

_MARKS = {"started": "▸", "advanced": "▸", "finished": "✓", "failed": "✗"}


class PhaseTable:
    """The latest event of each phase, as a table; it may be told of events by several threads."""

    def __init__(self) -> None:
        self._events: dict[str, PhaseEvent] = {}
        self._lock = threading.Lock()

    def add(self, event: PhaseEvent) -> None:
        """Take note of an event."""
        with self._lock:
            self._events[event.phase] = event

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Return a row of text per phase: mark, name, seconds, detail."""
        with self._lock:
            events = list(self._events.values())
        return [(_MARKS[e.state], e.phase, f"{e.seconds:.1f} s", _detail(e)) for e in events]

    def _repr_html_(self) -> str:
        """Return the table; all text is escaped."""
        rows = "".join(
            "<tr>" + "".join(f'<td style="text-align:left">{html.escape(cell)}</td>' for cell in row) + "</tr>"
            for row in self.rows()
        )
        return f'<table role="status" aria-live="polite">{rows}</table>'

    def _repr_mimebundle_(self, **_options: object) -> dict[str, str]:
        """Return the table as text and as HTML (IPython's display protocol)."""
        text = "\n".join("  ".join(row).rstrip() for row in self.rows())
        return {"text/plain": text, "text/html": self._repr_html_()}


@contextmanager
def watch(progress: Progress | None) -> Iterator[Progress]:
    """Give the progress that was asked for; where none was, a notebook gets a table and a script gets silence."""
    if progress is not None:
        yield progress
    elif not _in_notebook():
        yield Progress()
    else:
        from IPython.display import display  # noqa: PLC0415 - only a notebook has it at hand

        table = PhaseTable()
        handle = display(table, display_id=True)  # type: ignore[no-untyped-call]

        def listen(event: PhaseEvent) -> None:
            table.add(event)
            handle.update(table)

        yield Progress(listen)


def _detail(event: PhaseEvent) -> str:
    return event.detail if event.fraction is None else f"{event.fraction:.0%} {event.detail}"


def _in_notebook() -> bool:
    """Whether this Python is a Jupyter kernel; one that is has loaded ipykernel already."""
    kernel = sys.modules.get("ipykernel.kernelapp")
    return kernel is not None and kernel.IPKernelApp.initialized()
