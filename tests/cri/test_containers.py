"""What a container's program sees, and how its end is told."""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from labkit.cri import api_pb2 as api
from tests.cri.conftest import Node, Pod, eventually, running_node

pytestmark = pytest.mark.programs


def env(**values: str) -> list[api.KeyValue]:
    return [api.KeyValue(key=key, value=value) for key, value in values.items()]


@pytest.mark.parametrize(
    ("script", "code", "reason"),
    [
        ("exit 0", 0, "Completed"),
        ("exit 42", 42, "Error"),
        ("kill -9 $$", 137, "Error"),
        ("kill -TERM $$", 143, "Error"),
        ("exit 255", 255, "Error"),
    ],
)
def test_exit_codes(pod: Pod, script: str, code: int, reason: str) -> None:
    status = pod.shell(script).wait()
    assert (status.exit_code, status.reason) == (code, reason)
    assert status.created_at <= status.started_at <= status.finished_at


def _exit_code(pod: Pod, name: str) -> int:
    container = pod.create(name=name, command=["true"])
    container.start()
    return int(container.wait().exit_code)


def test_the_end_of_one_container_is_the_end_of_no_other(pod: Pod) -> None:
    """While containers end, others begin: the kernel gives a namespace's number to the next at once."""

    def several(name: str) -> list[int]:
        return [_exit_code(pod, f"{name}-{n}") for n in range(15)]

    with ThreadPoolExecutor(8) as pool:
        codes = [code for each in pool.map(several, "abcdefgh") for code in each]
    assert codes == [0] * 120


def test_a_container_is_created_then_running_then_exited(pod: Pod) -> None:
    container = pod.create(command=["sleep", "60"], labels={"app": "x"})
    assert container.status().state == api.CONTAINER_CREATED
    container.start()
    status = container.status()
    assert status.state == api.CONTAINER_RUNNING
    assert status.image.user_specified_image == "busybox"
    assert status.image.image == "docker.io/library/busybox:latest"
    assert status.image_ref.startswith("sha256:")
    with pytest.raises(grpc.RpcError) as caught:
        container.start()
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    container.stop()
    assert container.status().exit_code == 137

    def listed(state: api.ContainerState) -> bool:
        wanted = api.ContainerFilter(pod_sandbox_id=pod.id, state=api.ContainerStateValue(state=state))
        return len(container.client.ListContainers(filter=wanted).containers) == 1

    assert listed(api.CONTAINER_EXITED)
    assert not listed(api.CONTAINER_RUNNING)


def test_command_and_args_meet_the_images_own(pod: Pod) -> None:
    assert pod.run("busybox", name="default").wait().exit_code == 0
    only_args = pod.run("busybox", args=["echo", "args"], name="args")
    both = pod.run("busybox", command=["echo", "command"], args=["args"], name="both")
    only_args.wait()
    both.wait()
    assert (only_args.output(), both.output()) == ("args\n", "command args\n")


def test_environment_and_working_directory(pod: Pod) -> None:
    shown = pod.shell("echo $A-$B; pwd; echo $PATH; hostname", envs=env(A="1", B="two words"), working_dir="/srv")
    shown.wait()
    lines = shown.output().splitlines()
    assert lines[:2] == ["1-two words", "/srv"]
    assert "/usr/local/bin" in lines[2]


def test_output_is_logged_in_the_cri_form(pod: Pod) -> None:
    container = pod.shell("echo one; echo two >&2; printf three; sleep 0.1")
    container.wait()
    assert container.output("stdout") == "one\nthree\n"
    assert container.output("stderr") == "two\n"
    assert container.status().log_path == f"/var/log/pods/{pod.name}/main.log"


def test_much_output_arrives_whole(pod: Pod) -> None:
    container = pod.shell("seq 1 200000")
    container.wait()
    assert container.output() == "".join(f"{number}\n" for number in range(1, 200001))


def test_a_log_is_rotated(pod: Pod) -> None:
    container = pod.shell("echo before; while [ ! -e /go ]; do sleep 0.02; done; echo after; sleep 60")
    log = pod.node.root / f"var/log/pods/{pod.name}/main.log"
    eventually(lambda: "before" in container.log())
    log.rename(log.with_suffix(".old"))
    container.client.ReopenContainerLog(container_id=container.id)
    container.exec("touch", "/go")
    eventually(lambda: container.output() == "after\n")
    assert "after" not in log.with_suffix(".old").read_text()


def test_a_program_that_cannot_run_is_a_start_error(pod: Pod) -> None:
    container = pod.create(command=["/no/such/program"])
    with pytest.raises(grpc.RpcError) as caught:
        container.start()
    assert "/no/such/program: No such file" in caught.value.details()
    status = container.status()
    assert (status.state, status.exit_code, status.reason) == (api.CONTAINER_EXITED, 128, "StartError")
    assert "No such file" in status.message


def test_nothing_to_run_is_refused(node: Node, pod: Pod) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        pod.create(
            "labkit/standin", command=[""], working_dir="/", devices=[api.Device(host_path="x", container_path="/y")]
        )
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_files_and_folders_are_mounted(pod: Pod) -> None:
    root = pod.node.root
    (root / "var/data").mkdir(exist_ok=True)
    (root / "var/data/file").write_text("content\n")
    mounts = [
        api.Mount(container_path="/deep/er/file", host_path="/var/data/file", readonly=True),
        api.Mount(container_path="/data", host_path="/var/data"),
        api.Mount(container_path="/data/made", host_path="/var/made-by-the-runtime"),
        api.Mount(container_path="/var/run/secrets/x", host_path="/var/data", readonly=True),
    ]
    script = "cat /deep/er/file; echo new >/data/new; echo no >/deep/er/file; echo no >/run/secrets/x/no; ls /data"
    container = pod.shell(script, mounts=mounts)
    container.wait()
    assert container.output() == "content\nfile\nmade\nnew\n"
    assert container.output("stderr").count("Read-only file system") == 2
    assert (root / "var/data/new").read_text() == "new\n"
    assert (root / "var/made-by-the-runtime").is_dir()
    assert [mount.container_path for mount in container.status().mounts] == [mount.container_path for mount in mounts]


def test_a_termination_message_reaches_kubelets_file(pod: Pod) -> None:
    message = pod.node.root / "var/termination"
    message.write_text("")
    mount = api.Mount(container_path="/dev/termination-log", host_path="/var/termination")
    pod.shell("echo because >/dev/termination-log; exit 3", mounts=[mount]).wait()
    assert message.read_text() == "because\n"


def test_a_containers_root_is_its_own(pod: Pod) -> None:
    one = pod.shell("echo x >/mine; ls /; ls /opt /usr", name="a")
    one.wait()
    other = pod.shell("ls /mine", name="b")
    assert other.wait().exit_code != 0
    assert not (pod.node.root / "mine").exists()


def test_a_read_only_root_refuses_writes_but_not_to_volumes(pod: Pod) -> None:
    mount = api.Mount(container_path="/data", host_path="/var/writable")
    script = "echo x >/file; echo x >/data/x && echo x >/dev/shm/x && echo x >/dev/null && echo fine"
    container = pod.shell(script, security={"readonly_rootfs": True}, mounts=[mount])
    container.wait()
    assert "Read-only file system" in container.output("stderr")
    assert container.output() == "fine\n"


def test_the_machines_programs_are_read_only(pod: Pod) -> None:
    container = pod.run(
        "pause", command=["sh", "-c", "touch /usr/bin/x /usr/lib/x; touch /usr/local/bin/x && echo own"]
    )
    container.wait()
    assert container.output("stderr").count("Read-only file system") == 2
    assert container.output() == "own\n"


def capability_bits(container_output: str, field: str) -> int:
    lines = dict(line.split(":\t") for line in container_output.splitlines())
    return int(lines[field], 16)


@pytest.mark.parametrize(
    ("capabilities", "bits"),
    [
        ({}, 0xA80425FB),
        ({"drop_capabilities": ["ALL"]}, 0),
        ({"drop_capabilities": ["ALL"], "add_capabilities": ["NET_BIND_SERVICE"]}, 1 << 10),
        ({"add_capabilities": ["NET_ADMIN"]}, 0xA80425FB | 1 << 12),
    ],
)
def test_capabilities(pod: Pod, capabilities: dict[str, list[str]], bits: int) -> None:
    security = {"capabilities": api.Capability(**capabilities)}
    container = pod.shell("grep ^Cap /proc/self/status; sleep 60", security=security)
    eventually(lambda: "CapAmb" in container.log())
    assert capability_bits(container.output(), "CapEff") == bits
    joined = container.exec("grep", "^Cap", "/proc/self/status").stdout.decode()
    assert capability_bits(joined, "CapEff") == bits


def test_a_privileged_container_may_do_all_that_the_node_may(pod: Pod) -> None:
    script = "grep CapEff /proc/self/status; echo 1 >/proc/sys/net/ipv4/ip_forward && cat /proc/sys/net/ipv4/ip_forward"
    container = pod.shell(script, security={"privileged": True})
    container.wait()
    lines = container.output().splitlines()
    assert lines[1] == "1"
    assert capability_bits(lines[0], "CapEff") & (1 << 21)


def test_the_grace_period(pod: Pod) -> None:
    kind = pod.shell("trap 'echo bye; exit 5' TERM; while :; do sleep 0.05; done", name="kind")
    eventually(lambda: kind.exec("true").exit_code == 0)
    time.sleep(0.2)
    kind.stop(10)
    assert (kind.status().exit_code, kind.output()) == (5, "bye\n")
    deaf = pod.shell("trap '' TERM; while :; do sleep 0.05; done", name="deaf")
    time.sleep(0.2)
    started = time.monotonic()
    deaf.stop(1)
    assert 0.9 < time.monotonic() - started < 5
    assert deaf.status().exit_code == 137
    plain = pod.run(command=["sleep", "60"], name="plain")
    started = time.monotonic()
    plain.stop(10)
    assert time.monotonic() - started < 5
    assert plain.status().exit_code == 143
    plain.stop(10)


def test_the_stop_signal_is_the_images_or_the_pods(pod: Pod) -> None:
    script = "trap 'exit 7' INT; trap 'exit 8' USR1; while :; do sleep 0.05; done"
    of_image = pod.run("php", command=["sh", "-c", script], name="image")
    of_pod = pod.shell(script, name="pod", stop_signal=api.SIGUSR1)
    time.sleep(0.3)
    of_image.stop(10)
    of_pod.stop(10)
    assert (of_image.status().exit_code, of_pod.status().exit_code) == (7, 8)


def test_nothing_survives_the_end_of_the_main_program(pod: Pod) -> None:
    container = pod.shell("(trap '' HUP TERM; setsid sleep 4321) & exit 0")
    container.wait()
    pids = [path for path in Path("/proc").iterdir() if path.name.isdigit()]
    commands = []
    for path in pids:
        with contextlib.suppress(OSError):
            commands.append((path / "cmdline").read_bytes())
    assert b"sleep\x004321\x00" not in commands


def test_removing_is_possible_in_any_state_and_again(pod: Pod) -> None:
    for container in (pod.create(command=["true"], name="a"), pod.run(command=["sleep", "60"], name="b")):
        container.client.RemoveContainer(container_id=container.id)
        container.client.RemoveContainer(container_id=container.id)
        container.client.StopContainer(container_id=container.id)
        assert not (pod.node.root / "var/lib/labkit/containers" / container.id).exists()
        with pytest.raises(grpc.RpcError) as caught:
            container.status()
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_input_stays_open_as_long_as_the_container_wants(pod: Pod) -> None:
    container = pod.shell("cat; echo ended", stdin=True)
    time.sleep(0.3)
    assert container.status().state == api.CONTAINER_RUNNING
    without = pod.shell("cat; echo ended", name="without")
    without.wait()
    assert without.output() == "ended\n"


def test_new_limits_are_accepted_and_shown(pod: Pod) -> None:
    container = pod.run(command=["sleep", "60"])
    resources = api.LinuxContainerResources(cpu_shares=512, memory_limit_in_bytes=2**20)
    container.client.UpdateContainerResources(container_id=container.id, linux=resources)
    assert container.status().resources.linux == resources


def test_where_only_one_id_exists_another_user_is_reported_not_taken(node: Node, pod: Pod) -> None:
    security = {"run_as_user": api.Int64Value(value=1000)}
    container = pod.shell("id -u", security=security)
    container.wait()
    assert container.output() == "0\n"
    assert container.status().user.linux.uid == 0
    assert f"pod {pod.name} asks for user 1000" in (node.root / "var/log/runtime.log").read_text()


@pytest.fixture(scope="module")
def full_node() -> Iterator[Node]:
    with running_node(id_map="full") as running:
        yield running


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has other ids without a subordinate range")
@pytest.mark.parametrize("image", ["busybox", "pause"])
def test_where_ids_exist_users_and_groups_are_taken(full_node: Node, image: str) -> None:
    pod = full_node.pod()
    security = {
        "run_as_user": api.Int64Value(value=1000),
        "run_as_group": api.Int64Value(value=2000),
        "supplemental_groups": [3000],
    }
    script = "id -u; id -g; id -G; grep CapEff /proc/self/status; echo x >/dev/stdout; sleep 60"
    container = pod.run(image, command=["sh", "-c", script], security=security)
    eventually(lambda: container.output().endswith("x\n"))
    lines = container.output().splitlines()
    assert lines[:3] == ["1000", "2000", "2000 3000"]
    assert capability_bits(lines[3], "CapEff") == 0
    assert container.exec("id", "-u").stdout == b"1000\n"
    assert container.status().user.linux == api.LinuxContainerUser(uid=1000, gid=2000, supplemental_groups=[3000])
    pod.remove()


def test_each_change_leaves_a_line_in_the_calls_log(node: Node) -> None:
    pod = node.pod("logged")
    container = pod.run(command=["true"])
    container.wait()
    pod.remove()
    with pytest.raises(grpc.RpcError):
        node.client.PullImage(image=api.ImageSpec(image="no-such-image"))
    file = node.root / "var/log/labkit/cri.jsonl"
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    about = [entry for entry in entries if entry.get("pod") == "logged"]
    calls = ["RunPodSandbox", "CreateContainer", "StartContainer", "StopPodSandbox", "RemovePodSandbox"]
    assert [entry["call"] for entry in about] == calls
    assert {entry.get("container") for entry in about[1:3]} == {"main"}
    assert about[2]["container_id"] == container.id
    assert all(entry["seconds"] >= 0 and entry["time"].endswith("Z") and len(entry["time"]) == 27 for entry in entries)
    assert "catalogue" in entries[-1]["error"]
    assert not {"Status", "RuntimeConfig", "ListContainers", "ContainerStatus"} & {entry["call"] for entry in entries}
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_socket_is_private(node: Node) -> None:
    assert (node.root / "run/labkit/cri.sock").stat().st_mode & 0o777 == 0o600
