"""A machine that can only be entered is seen as it is seen from within."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from labkit.cluster.preflight.entered import EnteredHost
from labkit.cluster.preflight.host import Host
from labkit.cluster.preflight.preparation import look
from tests.cluster.test_preflight import programs

VERSION = "echo 'Client:'; echo '  Version:  1.6'; echo 'Server:'; echo '  Version:  1.7.2'; echo '  UUID: 1-2'"
IMAGES = "echo registry.k8s.io/pause:3.10.1; echo registry.k8s.io/kube-proxy:v1.34.3"


def test_it_is_seen_as_from_within() -> None:
    entered = EnteredHost(list)
    within = Host(Path("/"), Path("/"), entered.path)
    for (_, seen), (_, expected) in zip(look(entered), look(within), strict=True):
        assert seen == expected


def test_what_is_not_there_is_told_with_its_place() -> None:
    entered = EnteredHost(list)
    assert not entered.has("proc/no/such")
    with pytest.raises(OSError, match="No such file") as caught:
        entered.read("proc/no/such")
    assert caught.value.filename == "/proc/no/such"
    assert entered.program("no-such-program") is None


def test_a_program_that_does_not_end_is_not_awaited() -> None:
    with pytest.raises(OSError, match=r"sleep did not end within 0.2 s"):
        EnteredHost(list).output("sleep", "5", timeout=0.2)


def test_containerd_is_asked_by_its_own_client(tmp_path: Path) -> None:
    entered = EnteredHost(_with(tmp_path, ctr=f'case "$*" in *version*) {VERSION};; *) {IMAGES};; esac'))
    assert entered.runtime_version("/run/containerd/containerd.sock") == "containerd 1.7.2"
    images = {"registry.k8s.io/pause:3.10.1", "registry.k8s.io/kube-proxy:v1.34.3"}
    assert entered.runtime_images("/run/containerd/containerd.sock") == images


def test_a_runtime_that_does_not_answer_is_not_taken_for_one(tmp_path: Path) -> None:
    entered = EnteredHost(_with(tmp_path, ctr="echo 'ctr: connection refused' >&2; exit 1"))
    with pytest.raises(OSError, match="does not answer: ctr: connection refused"):
        entered.runtime_version("/run/containerd/containerd.sock")


def test_without_python_nobody_can_ask_for_the_clock(tmp_path: Path) -> None:
    entered = EnteredHost(_with(tmp_path, python3="exit 127"))
    with pytest.raises(OSError, match="Python"):
        entered.clock_state()


def _with(folder: Path, **scripts: str) -> Callable[[Sequence[str]], list[str]]:
    path = f"{programs(folder / 'programs', **scripts)}:{os.defpath}"

    def enter(command: Sequence[str]) -> list[str]:
        return ["env", f"PATH={path}", *command]

    return enter
