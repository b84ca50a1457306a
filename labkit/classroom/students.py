"""What a teacher sees of each student: the lab, where they are, and what checks said."""

from __future__ import annotations

import pwd
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.classroom import told
from labkit.classroom.limits import ControlGroup, Usage
from labkit.node import outer

#: Where an account's labs are, below its home (platformdirs, "user_state_path").
_STATE = Path(".local/state/labkit")


@dataclass(frozen=True, slots=True)
class Student:
    """One account of the class.

    Attributes
    ----------
    name : str
        The account's.
    server : str
        Since when the Jupyter server runs; empty where it does not.
    labs : mapping of str to bool
        Each lab, and whether it runs.
    usage : Usage or None
        What the account's processes use; None where none run.
    checks : sequence of labkit.classroom.told.Told
        What checks said, where the student tells it; in order of time.
    """

    name: str
    server: str
    labs: Mapping[str, bool]
    usage: Usage | None
    checks: Sequence[told.Told]

    @property
    def right(self) -> int:
        """How many exercises were answered rightly."""
        return len({(check.notebook, check.cell) for check in self.checks if check.right})

    @property
    def tried(self) -> int:
        """How many exercises were answered at all."""
        return len({(check.notebook, check.cell) for check in self.checks if check.right is not None})


def look(users: Sequence[Mapping[str, Any]]) -> list[Student]:
    """Return the students of a class, as they are now.

    Parameters
    ----------
    users : sequence of mapping
        What the Hub answers to ``GET /users``.
    """
    return [_student(user) for user in users if user.get("kind") == "user"]


def _student(user: Mapping[str, Any]) -> Student:
    name = str(user["name"])
    server = (user.get("servers") or {}).get("", {})
    try:
        state = Path(pwd.getpwnam(name).pw_dir) / _STATE
    except KeyError:  # has never logged in
        return Student(name, "", {}, None, ())
    folders = sorted(path for path in (state / "labs").glob("*") if path.is_dir())
    labs = {path.name: outer.find(path) is not None for path in folders}
    try:
        usage = ControlGroup(name).usage()
    except OSError:
        usage = None
    return Student(name, str(server.get("started") or ""), labs, usage, tuple(told.read(told.file(state))))
