"""``python -m labkit.components``: see to it that every component is there, telling how far it is."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from labkit.components import ensure
from labkit.errors import LabkitError
from labkit.progress import PhaseEvent, Progress


def main() -> int:
    """Fetch what is missing; return the exit code."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[detail]}"))
    with Bars(*columns, console=console) as bars:
        tasks = {}

        def show(event: PhaseEvent) -> None:
            if event.state == "started":
                tasks[event.phase] = bars.add_task(event.phase, total=None, detail="")
            elif event.state == "advanced":
                total = None if event.fraction is None else 1.0
                bars.update(tasks[event.phase], total=total, completed=event.fraction or 0, detail=event.detail)
            elif event.state == "finished":
                bars.update(tasks[event.phase], total=1.0, completed=1.0, detail="")

        try:
            ensure(Progress(show))
        except LabkitError as error:
            console.print(str(error), markup=False)
            return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
