"""What all tests share: a state folder of their own, and one real cluster for those that need one."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import labkit
from labkit.lab import Lab
from labkit.progress import PhaseEvent, Progress
from tests import chromium, side_by_side


def pytest_configure(config: pytest.Config) -> None:
    """Make room for several labs at a time, and have the programs that tests interrupt hear it.

    What a shell put into the background, or nohup started, ignores signals of a terminal, and so would its children.
    """
    side_by_side.more_inotify_instances(config)
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_xdist_auto_num_workers() -> int | None:
    """Tell pytest-xdist how many processes this machine bears."""
    return side_by_side.processes()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> side_by_side.Together:
    """Tell pytest-xdist what belongs together."""
    return side_by_side.Together(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Check that it was told all."""
    side_by_side.check(items)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a browser where there is none."""
    if item.get_closest_marker("browser") is not None and not chromium.PROGRAM.exists():
        pytest.skip(f"no browser at {chromium.PROGRAM}")


@pytest.fixture(scope="session", autouse=True)
def _own_state_folder(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep the tests' labs apart from the user's, and from its Docker; the cache of programs is shared."""
    folder = Path(tempfile.mkdtemp(prefix="labkit-tests-"))
    os.environ["LABKIT_STATE"] = str(folder)
    # The machine's Docker is none of the tests' business; those of containers start a daemon of their own.
    os.environ["DOCKER_HOST"] = f"unix://{folder}/no-docker.sock"
    # Processor time is scarcer here than memory.
    os.environ["GOGC"] = "100"
    yield
    left = labkit.lab_names()
    for name in left:  # of a test that was cut off
        labkit.down(name)
    shutil.rmtree(folder)
    cut_off = request.session.exitstatus == pytest.ExitCode.INTERRUPTED or request.session.shouldfail
    assert left == [] or cut_off, f"a test left its lab: {', '.join(left)}"


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """One real cluster of three nodes; a test leaves it as it found it."""
    with labkit.up("test", provider="rootless", progress=Progress(_print_phase)) as running:
        yield running


def _print_phase(event: PhaseEvent) -> None:
    if event.state in {"finished", "failed"}:
        print(f"{event.phase}: {event.state} after {event.seconds:.1f} s {event.detail}")
