"""What goes wrong around a lab: forbidden, missing, taken, full, killed. Each is a clear error, or heals by itself."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import labkit
from labkit.cluster.rest import ApiServer
from labkit.cluster.rootless import RootlessCluster
from labkit.cluster.state import LabFolder
from labkit.errors import ClusterError, PreflightError, UsageError
from labkit.lab import Lab
from labkit.node import forward
from labkit.progress import Progress
from tests import traces

pytestmark = pytest.mark.cluster


def _labkit(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "labkit", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_user_namespaces_forbidden() -> None:
    script = f"echo 0 >/proc/sys/user/max_user_namespaces && exec {sys.executable} -m labkit up --name none"
    inside = ["unshare", "--user", "--map-root-user", "--", "sh", "-c", script]
    done = subprocess.run(inside, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == PreflightError.exit_code
    assert "user namespaces" in done.stderr
    assert "What to do" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_program_that_is_missing_is_named() -> None:
    script = 'mount --bind /dev/null "$(command -v bwrap)" && exec "$@"'  # a file that cannot be executed
    inside = ["unshare", "--mount", "--user", "--map-root-user", "--", "sh", "-c", script, "sh"]
    done = subprocess.run(
        [*inside, sys.executable, "-m", "labkit", "up", "--name", "none"], capture_output=True, text=True, check=False
    )
    assert done.returncode == PreflightError.exit_code
    assert "bwrap" in done.stderr
    assert "apt-get install" in done.stderr


def test_a_taken_port_is_refused_before_anything_starts() -> None:
    with forward.listen() as listener:
        port = listener.getsockname()[1]
        with pytest.raises(UsageError, match=str(port)):
            labkit.up("taken", api_port=port, progress=Progress())
    assert not LabFolder.of("taken").path.exists()


def test_a_state_folder_that_cannot_be_written(tmp_path: Path) -> None:
    done = _in_mount_namespace(f"mount -t tmpfs -o ro tmpfs {tmp_path}", tmp_path)
    assert done.returncode == PreflightError.exit_code, done.stderr
    assert str(tmp_path) in done.stderr
    assert "LABKIT_STATE" in done.stderr


def test_a_full_disk(tmp_path: Path) -> None:
    done = _in_mount_namespace(f"mount -t tmpfs -o size=64k tmpfs {tmp_path}", tmp_path)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "disk" in done.stderr.lower() or "space" in done.stderr.lower()
    traces.eventually(lambda: not traces.processes(tmp_path))


def _in_mount_namespace(mount: str, state: Path) -> subprocess.CompletedProcess[str]:
    inside = ["unshare", "--mount", "--user", "--map-root-user", "--", "sh", "-c", f'{mount} && exec "$@"', "sh"]
    command = [*inside, sys.executable, "-m", "labkit", "up", "--name", "full", "--workers", "0"]
    environment = {**os.environ, "LABKIT_STATE": str(state)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_up_twice_finds_the_same_lab(lab: Lab) -> None:
    started = time.monotonic()
    again = labkit.up(lab.name, progress=Progress())
    assert time.monotonic() - started < 3
    assert again.kubeconfig == lab.kubeconfig
    assert again.kubectl("get nodes --no-headers").count("\n") == len(lab.nodes) - 1


def test_up_with_other_settings_is_refused_and_changes_nothing(lab: Lab) -> None:
    before = lab.spec
    with pytest.raises(UsageError, match="exists and is different") as caught:
        labkit.up(lab.name, service_cidr="10.97.0.0/16", progress=Progress())
    assert "labkit down" in caught.value.fix
    assert labkit.attach(lab.name).spec == before


def test_two_commands_at_once_do_not_change_one_lab(lab: Lab) -> None:
    with LabFolder.of(lab.name).locked(), pytest.raises(UsageError, match="Another command"):
        labkit.down(lab.name)
    assert lab.cluster.running


def test_down_with_nothing_there() -> None:
    assert labkit.down("nothing-there") is False


@pytest.fixture(scope="module")
def second() -> Iterator[Lab]:
    """One more lab, made by a kernel that is gone; the tests that use it go through its life in their order."""
    program = """
import labkit, os, signal
from labkit.progress import Progress
labkit.up("second", workers=1, progress=Progress())
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    yield labkit.attach("second")
    labkit.down("second")


def test_the_kernel_that_made_a_lab_is_killed_and_the_lab_is_found(second: Lab) -> None:
    (listing,) = json.loads(_labkit("status", "--name", second.name, "--json").stdout)
    assert listing["state"] == "running"
    assert labkit.up(second.name, progress=Progress()).nodes[0].running


def test_two_labs_side_by_side_know_nothing_of_each_other(lab: Lab, second: Lab) -> None:
    second.kubectl("create namespace only-here")
    assert "only-here" not in lab.kubectl("get namespaces")
    assert {lab.name, second.name} <= set(labkit.lab_names())
    assert second.kubectl("get nodes --no-headers").count(" Ready ") == 2
    assert lab.kubectl("get nodes --no-headers").count(" Ready ") == len(lab.nodes)


# The API server first: each time that they lose it, its clients wait twice as long before they ask again, up to half a
# minute (client-go's reflector), and forget it only after two minutes of peace.
@pytest.mark.parametrize("component", ["kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler"])
def test_a_killed_component_is_started_again(second: Lab, component: str) -> None:
    before = _kill(second, "master", component)
    traces.eventually(lambda: _pids(second, "master", component) - before, timeout=60)
    traces.eventually(lambda: _serves(second), timeout=60)


@pytest.mark.parametrize("node", ["master", "node-01"])
@pytest.mark.parametrize("component", ["kubelet", "labkit.cri"])
def test_a_killed_kubelet_or_runtime_is_started_again_and_pods_live_on(second: Lab, node: str, component: str) -> None:
    proxies = _pids(second, node, "kube-proxy")
    assert proxies
    before = _kill(second, node, component)
    traces.eventually(lambda: _pids(second, node, component) - before, timeout=30)
    traces.eventually(lambda: _serves(second), timeout=60)
    assert _pids(second, node, "kube-proxy") == proxies, "its containers were restarted with it"


def test_a_machine_restart_is_recognised_and_up_brings_the_lab_back(second: Lab) -> None:
    second.kubectl("create configmap kept --from-literal=a=b")
    open_panel = second.deploy_panel("nobody")
    assert not open_panel.state["trouble"]
    for process in psutil.process_iter():  # what a restart does to a lab: all its processes are gone at once
        if any(str(second.cluster.folder.path) in word for word in _cmdline(process)):
            process.kill()
    traces.eventually(lambda: not traces.processes(second.cluster.folder.path))
    assert labkit.attach(second.name).status().state == "stopped"
    with pytest.raises(ClusterError, match="does not run"):
        labkit.attach(second.name).nodes[0].exec("true")
    traces.eventually(lambda: not second.cluster.running)  # its first process ends last
    open_panel.press({"do": "scale", "name": "nobody", "replicas": "1"})
    traces.eventually(lambda: open_panel.paint() and open_panel.state["failed"])
    assert "labkit up --name second" in open_panel.state["said"]
    assert "does not run" in open_panel.state["trouble"]
    again = labkit.up(second.name, progress=Progress())
    assert again.kubectl("get configmap kept -o jsonpath={.data.a}") == "b"
    traces.eventually(lambda: open_panel.paint() and not open_panel.state["trouble"])


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_after_down_nothing_is_left(second: Lab) -> None:
    lab = labkit.attach(second.name)
    folder = lab.cluster.folder.path
    url = lab.open("svc/kubernetes", port=443)
    assert url.startswith("http://127.0.0.1:")
    assert isinstance(lab.cluster, RootlessCluster)
    assert lab.cluster._sandbox is not None
    namespace = str(Path(f"/proc/{lab.cluster._sandbox.holder.pid}/ns/pid").readlink())
    assert len(traces.pid_namespace_members(namespace)) >= 3
    flow, etcd = lab.watch("proof").start(), lab.etcd.panel("proof")
    lab.down()
    assert traces.pid_namespace_members(namespace) == []
    traces.eventually(lambda: not traces.processes(folder))
    assert traces.mounts(folder) == []
    assert not folder.exists()
    fix = "What to do: labkit up --name second"
    traces.eventually(lambda: fix in flow.panel.flow["trouble"])
    traces.eventually(lambda: etcd.paint() and fix in etcd.state["trouble"])
    flow.stop()
    etcd.close()
    assert not folder.exists()


def _pids(lab: Lab, node: str, component: str) -> set[int]:
    listing = lab.nodes[node].exec("ps -eo pid,args --no-headers")
    found = set()
    for line in listing.splitlines():
        pid, program, *arguments = line.split()
        if Path(program).name == component or (component in arguments and "python" in program):
            found.add(int(pid))
    return found


def _kill(lab: Lab, node: str, component: str) -> set[int]:
    pids = _pids(lab, node, component)
    assert pids, f"{component} does not run on {node}"
    lab.nodes[node].exec("kill -KILL " + " ".join(map(str, pids)))
    return pids


def _serves(lab: Lab) -> bool:
    """Whether the whole control plane works: a new deployment's pod becomes Ready."""
    api = ApiServer.from_kubeconfig(lab.kubeconfig)
    try:
        healthy = api.get("/api/v1/nodes") is not None
    finally:
        api.close()
    if not healthy:
        return False
    try:
        lab.deploy("proof", image="labkit/standin", timeout=40, progress=Progress())
    except ClusterError:
        return False
    finally:
        lab.kubectl("delete deployment,service proof --ignore-not-found --wait=false")
    return True


def test_the_inotify_instances_of_a_lab_are_counted_before_there_is_another(lab: Lab) -> None:
    (found,) = (check.found for check in labkit.doctor().checks if check.name == "inotify limits")
    used = re.search(r", (\d+) of them in use", found)
    assert used
    assert int(used[1]) >= 10 * len(lab.nodes), "a kubelet's and a kube-proxy's on each node"


def test_nothing_listens_beyond_loopback(lab: Lab) -> None:
    lab.open("svc/kubernetes", port=443)
    listening = [c for c in psutil.net_connections("inet") if c.status == psutil.CONN_LISTEN and _is_ours(lab, c.pid)]
    assert {c.laddr.ip for c in listening if c.laddr} == {"127.0.0.1"}


def _is_ours(lab: Lab, pid: int | None) -> bool:
    """Whether a process is labkit's, and not of another lab: containers reach theirs by their bridge."""
    try:
        words = psutil.Process(pid).cmdline() if pid is not None else []
    except psutil.NoSuchProcess:
        return False
    here = str(lab.cluster.folder.path)
    another = any("/labs/" in word and here not in word for word in words)
    return not another and any("labkit" in word for word in words)


def test_secrets_are_for_their_owner_alone(lab: Lab) -> None:
    folder = lab.cluster.folder.path
    assert stat.S_IMODE(lab.kubeconfig.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    keys = list(folder.glob("nodes/*/root/etc/kubernetes/pki/**/*.key"))
    assert len(keys) >= 8
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
