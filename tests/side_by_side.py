"""What has to be one after the other when tests run side by side, as `make test` has them.

A file's tests may share a lab of their own; whole notebooks share nothing. What a machine has once, its Docker daemon
and its users, some files share. By name, for who hands out the tests sees no marks; and groups by mark, which
pytest-xdist has, do nothing with pytest 9.2: the attribute by which they are told has another name there.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

from tests import inotify

_INSTANCES = 1024
_INSTANCES_OF_TWO = 256  # a shared lab and another, for each of two processes, and JupyterLab
_NOTEBOOKS = "tests/test_notebooks.py"
_OF_THE_MACHINE = (
    "tests/classroom/test_pod.py",
    "tests/cluster/contract/",
    "tests/cluster/test_kind_host.py",
    "tests/lab/test_ordinary_user.py",
    "tests/test_binder.py",
)
_MARKS = {"kind", "user"}


class Together(LoadFileScheduling):  # type: ignore[misc]
    """Gives one process what belongs together."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        if file == _NOTEBOOKS:
            return nodeid
        return "the machine's" if file.startswith(_OF_THE_MACHINE) else file


def more_inotify_instances(config: pytest.Config) -> None:
    """Let root have those of several labs until the tests end; `labkit.doctor` tells why. Others have what there is."""
    if os.geteuid() == 0 and not hasattr(config, "workerinput"):
        until_the_end = ExitStack()
        until_the_end.enter_context(inotify.at_least(_INSTANCES))
        config.add_cleanup(until_the_end.close)


def processes() -> int | None:
    """Return how many there may be: one where two labs of each would not find their inotify instances; None for any."""
    return 1 if os.geteuid() != 0 and int(inotify.LIMIT.read_text()) < _INSTANCES_OF_TWO else None


def check(items: list[pytest.Item]) -> None:
    """Refuse a test whose marks say that it needs what the machine has once, and whose file is not named here."""
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        if marks & _MARKS and not item.nodeid.startswith(_OF_THE_MACHINE):
            raise pytest.UsageError(f"{item.nodeid} is marked {marks & _MARKS}: add its file to {__file__}")
