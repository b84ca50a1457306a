"""ExecSync: what exec probes and lifecycle hooks do."""

import time

import grpc
import pytest

from labkit.cri import api_pb2 as api
from tests.cri.conftest import Node, Pod

pytestmark = pytest.mark.programs


def test_an_exec_has_the_containers_surroundings(pod: Pod) -> None:
    container = pod.run(command=["sleep", "60"], envs=[api.KeyValue(key="A", value="b c")], working_dir="/srv")
    result = container.exec("sh", "-c", "echo $A; pwd; ps | grep -c 'sleep 60'; hostname; echo oops >&2; exit 7")
    assert result.exit_code == 7
    assert result.stdout.decode().splitlines()[:2] == ["b c", "/srv"]
    assert result.stderr == b"oops\n"


def test_a_command_that_does_not_exist_fails(pod: Pod) -> None:
    result = pod.run(command=["sleep", "60"]).exec("no-such-command")
    assert result.exit_code == 127
    assert b"no-such-command" in result.stderr


def test_an_exec_that_takes_too_long_is_ended(pod: Pod) -> None:
    container = pod.run(command=["sleep", "60"])
    started = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        container.exec("sh", "-c", "setsid sleep 5432 & sleep 5431", timeout=1)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert 0.9 < time.monotonic() - started < 5
    shown = container.exec("ps").stdout
    assert b"sleep 5431" not in shown
    assert b"sleep 5432" not in shown


def test_an_exec_that_leaves_a_child_behind_returns(pod: Pod) -> None:
    container = pod.run(command=["sleep", "60"])
    started = time.monotonic()
    assert container.exec("sh", "-c", "sleep 30 & echo done").stdout == b"done\n"
    assert time.monotonic() - started < 5


def test_output_has_a_limit(pod: Pod) -> None:
    container = pod.run(command=["sleep", "60"])
    result = container.exec("sh", "-c", "head -c 20000000 /dev/zero", timeout=30)
    assert (result.exit_code, len(result.stdout)) == (0, 16 * 1024 * 1024)


def test_only_a_running_container_can_be_joined(node: Node, pod: Pod) -> None:
    container = pod.shell("exit 0")
    container.wait()
    with pytest.raises(grpc.RpcError) as caught:
        container.exec("true")
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    with pytest.raises(grpc.RpcError) as caught:
        node.client.ExecSync(container_id="unknown", cmd=["true"])
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_an_exec_ends_with_its_container(pod: Pod) -> None:
    container = pod.run(command=["sleep", "1"])
    assert container.exec("sleep", "60", timeout=30).exit_code == 137
