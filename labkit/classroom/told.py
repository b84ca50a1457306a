"""What a learner lets the teacher see: what checks said, and when.

An IPython extension, so that nothing is told that was not agreed to: ``%load_ext labkit.classroom.told`` in a notebook,
``%unload_ext`` ends it. Answers are not told, only whether they were right.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit import paths
from labkit.checks.verdict import Verdict
from labkit.lab.session.replayed import running_notebook

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

_FILE = "told-in-class.jsonl"
_LONGEST = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Told:
    """What a check said of one answer.

    Attributes
    ----------
    time : str
        RFC 3339, UTC.
    notebook, cell : str
        Where it was asked; empty where that is not known.
    right : bool or None
        None where there was no answer yet.
    """

    time: str
    notebook: str
    cell: str
    right: bool | None


def file(state: Path | None = None) -> Path:
    """Return where it is kept, in labkit's folder for state or in another account's."""
    return (state or paths.state_dir()) / _FILE


def read(path: Path) -> Iterator[Told]:
    """Yield what was told, in the order in which it was; a line that somebody broke is passed over.

    The file is the account's own, and may be anything: a pipe, a link, a very long file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    with os.fdopen(descriptor, "rb") as opened:
        data = opened.read(_LONGEST) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    for line in data.splitlines():
        try:
            yield Told(**json.loads(line))
        except (ValueError, TypeError):
            continue


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Tell what checks say from now on."""
    shell.events.register("post_run_cell", _tell)
    print("From now on your teacher sees which checks passed, not your answers.")
    print("%unload_ext labkit.classroom.told ends it.")


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Tell no more."""
    shell.events.unregister("post_run_cell", _tell)


def _tell(result: ExecutionResult) -> None:
    verdict: Any = result.result
    if not isinstance(verdict, Verdict):
        return
    cell = str(getattr(result.info, "cell_id", None) or "")
    told = Told(datetime.now(UTC).isoformat(timespec="seconds"), running_notebook() or "", cell, verdict.right)
    path = file()
    with contextlib.suppress(OSError):  # where the disk is full, the exercise goes on
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("a", encoding="utf-8") as written:
            written.write(f"{json.dumps(asdict(told))}\n")
