"""Turns: of the labs that many accounts of one machine start at the same moment, only a few start at a time.

Sixteen labs that start together share two processors so thinly that each takes more than twice as much processor time:
whoever waits for another asks again and again, and what is late is tried once more. One after the other, all of them
are up sooner, and the first at once (docs/decisions/0018-a-class-on-one-server.md has the figures).
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from labkit.language import gettext
from labkit.progress import Progress

#: Names a folder that holds a file for each lab that may start at the same moment; without it, nobody waits.
FOLDER_VARIABLE = "LABKIT_TURNS"
_AGAIN_SECONDS = 0.2
#: A turn is a courtesy: whoever has waited so long starts even so, whatever holds the others up.
_PATIENCE_SECONDS = 300.0
_logger = logging.getLogger(__name__)


def make(folder: Path, number: int) -> None:
    """Make the folder for so many labs at a time; what it holds can be locked by every account, and changed by none.

    Parameters
    ----------
    folder : Path
        The same for all.
    number : int
        How many labs may start at the same moment.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # whatever the umask is
    wanted = {folder / str(each) for each in range(number)}
    for surplus in set(folder.iterdir()) - wanted:
        surplus.unlink()
    for turn in wanted:
        turn.touch()
        turn.chmod(0o444)  # flock(2) wants no more than a file that can be opened


@contextmanager
def turn(progress: Progress) -> Iterator[None]:
    """Wait until it is this lab's turn to start, and keep the turn while the body runs.

    The kernel gives back the turn of whoever is killed.
    """
    place = os.environ.get(FOLDER_VARIABLE)
    with ExitStack() as until_up:
        if place and not _taken(Path(place), until_up):
            with progress.phase(gettext("turn")) as phase:
                phase.advance(gettext("other labs of this machine are starting; this one follows"))
                _wait(Path(place), until_up)
        yield


def _wait(folder: Path, until_up: ExitStack) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while not _taken(folder, until_up):
        if time.monotonic() > end:
            _logger.warning("no turn to start in %g s: starting without one", _PATIENCE_SECONDS)
            return
        time.sleep(_AGAIN_SECONDS)


def _taken(folder: Path, until_up: ExitStack) -> bool:
    """Take a turn that is free; where nobody can hold any, there is nothing to wait for."""
    import fcntl  # noqa: PLC0415 - Windows has none, and no turns either

    try:
        turns = sorted(folder.iterdir())
    except OSError as error:
        _logger.warning("no turns to start in: %s", error)
        return True
    for path in turns:
        with ExitStack() as otherwise:
            file = otherwise.enter_context(path.open())
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            # Unlocked and not only closed: a child that is being forked just then would go on holding it.
            otherwise.callback(fcntl.flock, file, fcntl.LOCK_UN)
            until_up.push(otherwise.pop_all())
            return True
    return not turns
