"""``python -m labkit.components``: see to it that every component is there, telling how far it is."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from labkit.components import ensure
from labkit.errors import LabkitError
from labkit.progress import PhaseEvent, Progress

_EVERY = 15.0  # seconds between two lines about one phase in a log


def main() -> int:
    """Fetch what is missing; return the exit code."""
    console = Console(stderr=True)
    try:
        if console.is_terminal:
            _with_bars(console)
        else:
            _with_lines(console)
    except LabkitError as error:
        console.print(str(error), markup=False)
        return error.exit_code
    return 0


def _with_bars(console: Console) -> None:
    tasks: dict[str, TaskID] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[detail]}"))
    with Bars(*columns, console=console) as bars:

        def show(event: PhaseEvent) -> None:
            if event.state == "started":
                tasks[event.phase] = bars.add_task(event.phase, total=None, detail="")
            elif event.state == "advanced":
                total = None if event.fraction is None else 1.0
                bars.update(tasks[event.phase], total=total, completed=event.fraction or 0, detail=event.detail)
            elif event.state == "finished":
                bars.update(tasks[event.phase], total=1.0, completed=1.0, detail="")

        ensure(Progress(show))


def _with_lines(console: Console) -> None:
    said: dict[str, float] = {}

    def show(event: PhaseEvent) -> None:
        due = event.seconds >= said.get(event.phase, 0.0) + _EVERY
        if event.state != "advanced" or due:
            said[event.phase] = event.seconds
            text = f"{event.phase}: {event.detail or event.state} ({event.seconds:.0f} s)"
            console.print(text, markup=False, highlight=False, soft_wrap=True)

    ensure(Progress(show))


if __name__ == "__main__":
    sys.exit(main())
