"""The runtime is killed at any moment; containers run on, and the next runtime knows all about them."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.cri import api_pb2 as api
from labkit.cri import processes
from tests.cri.conftest import Node, eventually, running_node

pytestmark = pytest.mark.programs


def freeze(node: Node) -> processes.Identity:
    """Kill the runtime and keep the next one from starting, until `thaw`."""
    runtime = node.runtime()
    shell = processes.parent(runtime.pid)
    assert shell
    keeper = processes.Identity.of(shell)
    assert keeper
    keeper.signal(signal.SIGSTOP)
    runtime.signal(signal.SIGKILL)
    eventually(lambda: not runtime.alive())
    return keeper


def thaw(node: Node, keeper: processes.Identity) -> None:
    keeper.signal(signal.SIGCONT)
    node.wait()


@pytest.fixture
def restarted() -> Iterator[Node]:
    with running_node() as node:
        node.use_network()
        yield node


def test_what_runs_goes_on_and_what_ended_meanwhile_has_its_exit_code(restarted: Node) -> None:
    node = restarted
    pod = node.pod("web", network=api.POD)
    running = pod.shell("i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done", name="running")
    ending = pod.shell("sleep 0.5; exit 9", name="ending")
    killed = pod.shell("sleep 0.5; kill -9 $$", name="killed")
    ended = pod.shell("exit 3", name="ended")
    created = pod.create(command=["echo", "late"], name="created")
    ended.wait()
    address = pod.status().network.ip
    keeper = freeze(node)
    time.sleep(1)
    thaw(node, keeper)

    assert pod.status().state == api.SANDBOX_READY
    assert pod.status().network.ip == address
    assert (ending.wait().exit_code, killed.wait().exit_code, ended.status().exit_code) == (9, 137, 3)
    assert running.status().state == api.CONTAINER_RUNNING
    before = len(running.output().splitlines())
    eventually(lambda: len(running.output().splitlines()) > before + 10)
    lines = [int(line) for line in running.output().splitlines()]
    assert lines == list(range(1, len(lines) + 1))
    assert running.exec("true").exit_code == 0
    created.start()
    created.wait()
    assert created.output() == "late\n"
    running.stop(5)
    assert running.status().exit_code == 143
    pod.remove()
    assert not (node.root / "run/cni/pods" / address).exists()


def test_pulled_images_are_remembered(restarted: Node) -> None:
    restarted.client.PullImage(image=api.ImageSpec(image="busybox"))
    restarted.kill_runtime()
    restarted.wait()
    assert restarted.client.ImageStatus(image=api.ImageSpec(image="busybox")).image.id


def test_a_terminal_is_taken_back(restarted: Node) -> None:
    pod = restarted.pod()
    container = pod.shell("tty; while :; do date +%s%N; sleep 0.05; done", tty=True, stdin=True)
    eventually(container.log)
    restarted.kill_runtime()
    eventually(lambda: container.status().state == api.CONTAINER_RUNNING)
    before = len(container.log())
    eventually(lambda: len(container.log()) > before + 200)
    container.stop(1)
    assert container.status().state == api.CONTAINER_EXITED


def test_a_pod_whose_sandbox_died_is_not_ready(restarted: Node) -> None:
    pod = restarted.pod()
    pod.run(command=["sleep", "60"])
    sleeps = [each for each in processes.descendants(restarted.pid) if _is_pause(each)]
    keeper = freeze(restarted)
    for process in sleeps:
        process.signal(signal.SIGKILL)
    thaw(restarted, keeper)
    assert pod.status().state == api.SANDBOX_NOTREADY
    pod.remove()


def test_a_sandbox_that_dies_is_noticed(restarted: Node) -> None:
    pod = restarted.pod()
    for process in processes.descendants(restarted.pid):
        if _is_pause(process):
            process.signal(signal.SIGKILL)
    eventually(lambda: pod.status().state == api.SANDBOX_NOTREADY)


def test_a_node_that_was_off_has_exited_containers() -> None:
    with running_node() as node:
        pod = node.pod()
        container = pod.run(command=["sleep", "60"])
        node.stop()
        node.restart()
        assert pod.status().state == api.SANDBOX_NOTREADY
        status = container.status()
        assert (status.state, status.reason) == (api.CONTAINER_EXITED, "Error")
        assert status.exit_code != 0
        pod.remove()


def _is_pause(process: processes.Identity) -> bool:
    try:
        return Path(f"/proc/{process.pid}/cmdline").read_bytes() == b"/usr/bin/sleep\0infinity\0"
    except OSError:
        return False
