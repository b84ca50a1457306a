"""Exec, attach and port-forward from RPC to process: the URL that the runtime gives is used inside the node."""

import json
import sys
from pathlib import Path

import grpc
import pytest

from labkit.cri import api_pb2 as api
from tests.cri.conftest import Node, Pod, eventually

pytestmark = pytest.mark.programs

CLIENT = Path(__file__).with_name("stream_client.py")
STDOUT, STDERR, ERROR = "1", "2", "3"


def talk(node: Node, url: str, text: str = "", size: str = "") -> dict[str, str]:
    """Use a streaming URL from inside the node; return what came, by channel."""
    done = node.enter(sys.executable, str(CLIENT), url, text, size)
    assert done.returncode == 0, done.stderr
    channels = json.loads(done.stdout)
    assert isinstance(channels, dict)
    return channels


def test_exec_has_separate_streams_and_an_exit_code(node: Node, pod: Pod) -> None:
    container = pod.run(command=["sleep", "60"])
    script = "read line; echo got $line; echo err >&2; exit 3"
    url = node.client.Exec(
        container_id=container.id, cmd=["sh", "-c", script], stdin=True, stdout=True, stderr=True
    ).url
    channels = talk(node, url, "hello\n")
    assert (channels[STDOUT], channels[STDERR]) == ("got hello\n", "err\n")
    assert json.loads(channels[ERROR])["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]


def test_exec_with_a_terminal_has_its_size_and_a_controlling_terminal(node: Node, pod: Pod) -> None:
    container = pod.run(command=["sleep", "60"])
    script = "sleep 0.3; stty size; tty; echo x >/dev/tty; cat"
    url = node.client.Exec(container_id=container.id, cmd=["sh", "-c", script], stdin=True, stdout=True, tty=True).url
    channels = talk(node, url, "\x04", '{"Width": 101, "Height": 33}')
    lines = channels[STDOUT].replace("\r", "").splitlines()
    assert "33 101" in lines
    assert any(line.startswith("/dev/pts/") for line in lines)
    assert "x" in lines
    assert json.loads(channels[ERROR])["status"] == "Success"


def test_ctrl_c_reaches_the_program_in_a_terminal(node: Node, pod: Pod) -> None:
    container = pod.shell(
        "trap 'echo interrupted; exit 4' INT; echo ready; while :; do sleep 0.05; done", tty=True, stdin=True
    )
    eventually(lambda: "ready" in container.log())
    url = node.client.Attach(container_id=container.id, stdin=True, stdout=True, tty=True).url
    assert "interrupted" in talk(node, url, "\x03")[STDOUT]
    assert container.wait().exit_code == 4


def test_attach_gives_live_output_and_input(node: Node, pod: Pod) -> None:
    container = pod.shell("echo before; read line; echo got $line; echo err >&2", stdin=True)
    eventually(lambda: "before" in container.log())
    url = node.client.Attach(container_id=container.id, stdin=True, stdout=True, stderr=True).url
    channels = talk(node, url, "hello\n")
    assert (channels[STDOUT], channels[STDERR]) == ("got hello\n", "err\n")
    assert container.wait().exit_code == 0
    assert container.output() == "before\ngot hello\n"


def test_input_that_is_for_one_client_ends_with_it(node: Node, pod: Pod) -> None:
    container = pod.shell("cat; echo ended", stdin=True, stdin_once=True)
    url = node.client.Attach(container_id=container.id, stdin=True, stdout=False, stderr=False).url
    script = (
        "import sys; from websockets.sync.client import connect;"
        "socket = connect(sys.argv[1].replace('http:', 'ws:'), subprotocols=['v4.channel.k8s.io']);"
        "socket.send(b'\\0hello\\n'); socket.close()"
    )
    done = node.enter(sys.executable, "-c", script, url)
    assert done.returncode == 0, done.stderr
    container.wait()
    assert container.output() == "hello\nended\n"


def test_a_client_that_goes_ends_its_exec_but_not_what_it_was_attached_to(node: Node, pod: Pod) -> None:
    container = pod.run(command=["sleep", "60"])
    urls = (
        node.client.Exec(container_id=container.id, cmd=["sleep", "6543"], stdout=True).url,
        node.client.Attach(container_id=container.id, stdout=True).url,
    )
    script = (
        "import sys, time; from websockets.sync.client import connect;"
        "socket = connect(sys.argv[1].replace('http:', 'ws:'), subprotocols=['v4.channel.k8s.io']);"
        "time.sleep(0.5); socket.close()"
    )
    for url in urls:
        assert node.enter(sys.executable, "-c", script, url).returncode == 0
    eventually(lambda: b"6543" not in container.exec("ps").stdout)
    assert container.status().state == api.CONTAINER_RUNNING


def test_a_pods_port_is_reached_on_its_own_localhost(node: Node) -> None:
    pod = node.pod(network=api.POD)
    pod.shell("mkdir /www; echo page >/www/index.html; httpd -f -p 127.0.0.1:8080 -h /www")
    url = node.client.PortForward(pod_sandbox_id=pod.id, port=[8080]).url
    script = (
        "import sys; from websockets.sync.client import connect;"
        "socket = connect(sys.argv[1].replace('http:', 'ws:'), subprotocols=['v4.channel.k8s.io']);"
        "socket.recv(); socket.recv(); socket.send(b'\\0GET / HTTP/1.0\\r\\n\\r\\n'); data = b'';\n"
        "while b'page' not in data: data += socket.recv(timeout=10)[1:]\n"
        "print('page')"
    )
    done = node.enter(sys.executable, "-c", script, url)
    assert done.stdout == "page\n", done.stderr
    pod.remove()


def test_urls_are_given_for_what_runs_only(node: Node, pod: Pod) -> None:
    container = pod.shell("exit 0")
    container.wait()
    with pytest.raises(grpc.RpcError) as caught:
        node.client.Exec(container_id=container.id, cmd=["sh"], stdout=True)
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    with pytest.raises(grpc.RpcError) as caught:
        node.client.Attach(container_id="unknown", stdout=True)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    node.client.StopPodSandbox(pod_sandbox_id=pod.id)
    with pytest.raises(grpc.RpcError) as caught:
        node.client.PortForward(pod_sandbox_id=pod.id)
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
