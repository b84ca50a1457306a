"""What is said where no kind lab can be made, or where one is in the way; the labs are contract/'s."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import labkit
from labkit import paths
from labkit.cluster import host_address, kind_host, kind_nodes, nodeimage, preflight
from labkit.cluster.spec import LabSpec
from labkit.cluster.state import LabFolder
from labkit.errors import ClusterError, PreflightError, UsageError
from labkit.node import forward
from labkit.progress import PhaseEvent, Progress


@pytest.mark.parametrize("values", [{"catalogue": "/images.toml"}, {"privileged": True}])
def test_what_only_rootless_labs_have(values: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="rootless"):
        kind_host.require(LabSpec(provider="kind", **values))  # type: ignore[arg-type]


def test_kind_initialises_by_itself() -> None:
    with pytest.raises(UsageError, match="always initialised"):
        labkit.up("none", provider="kind", init=False, progress=Progress())


def test_without_docker_no_lab_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-docker.sock")  # that of other tests may run
    assert "Docker" in kind_host.unavailable(LabSpec(provider="kind"))
    with pytest.raises(PreflightError, match="Docker"):
        labkit.up("none", provider="kind", progress=Progress())
    assert "none" not in labkit.lab_names()


@pytest.mark.parametrize(("init", "why"), [(True, "Docker"), (False, "kind would run kubeadm init itself")])
def test_where_nobody_names_a_provider_it_is_told_why_nodes_are_no_containers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, init: bool, why: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-docker.sock")
    monkeypatch.setenv("LABKIT_STATE", str(tmp_path))
    told: list[PhaseEvent] = []

    def impossible(*_checks: object, **_options: object) -> None:
        raise PreflightError("Here no lab can be made", fix="none")

    monkeypatch.setattr(preflight, "require", impossible)
    with pytest.raises(PreflightError, match="no lab can be made"):
        labkit.up("none", init=init, progress=Progress(told.append))
    assert [event.state for event in told if event.phase == "provider"] == ["started", "finished"]
    assert told[1].detail.startswith(f"rootless: {why}")


def test_of_a_lab_that_was_cut_off_before_it_had_containers_the_state_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-docker.sock")
    monkeypatch.setenv("LABKIT_STATE", str(tmp_path))
    LabFolder.of("cut").create(LabSpec(name="cut", provider="kind"))
    lab = labkit.attach("cut")
    first = lab.status().nodes[0]
    assert (first.name, first.address, first.running) == ("master", "", False)
    with pytest.raises(ClusterError, match="has no address") as caught:
        lab.cluster.node_address("master")
    assert caught.value.fix == "labkit down --name cut"


@pytest.mark.cluster
@pytest.mark.kind
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("docker_with_node_image")
def test_without_the_node_image_it_is_said_how_to_build_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kind_host.unavailable(LabSpec(provider="kind")) == ""
    monkeypatch.setattr(nodeimage, "IMAGE", "labkit/node:none")
    with pytest.raises(PreflightError, match="no node image labkit/node:none") as caught:
        kind_host.require(LabSpec(provider="kind"))
    assert "labkit image build-node" in caught.value.fix
    assert kind_host.unavailable(LabSpec(provider="kind")) == "Docker has no node image labkit/node:none"


@pytest.mark.cluster
@pytest.mark.kind
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("docker_with_node_image")
def test_a_node_image_that_is_missing_or_somebody_elses() -> None:
    with pytest.raises(PreflightError, match="no node image labkit/none:v1") as caught:
        labkit.up("none", provider="kind", node_image="labkit/none:v1", progress=Progress())
    assert "docker pull labkit/none:v1" in caught.value.fix
    empty = b"\0" * 1024  # tar(5): two blocks of zeros are an archive's end
    subprocess.run(["docker", "import", "-", "labkit/strange:v1"], input=empty, check=True, capture_output=True)
    try:
        with pytest.raises(PreflightError, match="no node image of labkit's"):
            labkit.up("none", provider="kind", node_image="labkit/strange:v1", progress=Progress())
    finally:
        subprocess.run(["docker", "image", "rm", "labkit/strange:v1"], check=True, capture_output=True)
    assert "none" not in labkit.lab_names()


@pytest.mark.parametrize("provider", ["auto", "rootless", "context"])
def test_who_has_no_containers_has_no_use_for_a_node_image(provider: str) -> None:
    with pytest.raises(UsageError, match="no use for a node image"):
        labkit.up("none", provider=provider, node_image="labkit/none:v1", progress=Progress())


@pytest.mark.cluster
@pytest.mark.kind
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("docker_with_node_image")
def test_without_kind_it_is_not_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path))
    assert kind_host.unavailable(LabSpec(provider="kind")) == "kind is not installed"


#: The command, without its look at the disk before it begins.
_BUILD_REGARDLESS = """\
import importlib, sys
from labkit.cli import main
importlib.import_module("labkit.cluster.nodeimage.build")._LEAST_FREE = 0
sys.argv[0] = "labkit"
main()"""


@pytest.mark.cluster
@pytest.mark.kind
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("docker_with_node_image")
def test_of_a_node_image_for_which_the_disk_is_too_small_nothing_is_left(tmp_path: Path) -> None:
    done = _build_on_a_small_disk(tmp_path, "-m", "labkit")
    assert done.returncode == PreflightError.exit_code, done.stderr
    assert "has 0.1 GB free, and its parts take 2 GB" in done.stderr
    assert "has 3 GB free, then try again" in done.stderr


@pytest.mark.cluster
@pytest.mark.kind
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("docker_with_node_image")
def test_of_a_node_image_during_which_the_disk_is_full_nothing_is_left(tmp_path: Path) -> None:
    done = _build_on_a_small_disk(tmp_path, "-c", _BUILD_REGARDLESS)
    assert done.returncode == ClusterError.exit_code, done.stderr
    # apt says so, or waits for ever for what it could not write, and is ended.
    assert "No space left on device" in done.stderr or "nothing more came for 120 s" in done.stderr
    assert "GB free" in done.stderr


def _build_on_a_small_disk(folder: Path, *program: str) -> subprocess.CompletedProcess[str]:
    components = paths.cache_dir() / "components"
    small = 'mount -t tmpfs -o size=64m none "$1" && ln -s "$2" "$1/components" && shift 2 && exec "$@"'
    build = [sys.executable, *program, "image", "build-node", "--tag", "labkit/full:v1"]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", small, "sh", str(folder), str(components), *build],
        env={**os.environ, "LABKIT_CACHE": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    images = subprocess.run(["docker", "image", "ls", "--format", "{{.Repository}}"], check=True, capture_output=True)
    assert b"labkit/full" not in images.stdout
    return done


@pytest.mark.cluster
@pytest.mark.kind
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("docker_with_node_image")
def test_a_cluster_made_by_hand_is_left_alone() -> None:
    label = f"{kind_nodes.CLUSTER_LABEL}=byhand"
    made = ["docker", "create", "--name", "byhand-control-plane", "--label", label, nodeimage.IMAGE]
    subprocess.run(made, check=True, capture_output=True)
    try:
        with pytest.raises(UsageError, match="none of this user's labs") as caught:
            labkit.up("byhand", provider="kind", progress=Progress())
        assert "kind delete cluster --name byhand" in caught.value.fix
        with pytest.raises(UsageError, match="none of this user's labs"):
            labkit.down("byhand")
    finally:
        removed = subprocess.run(["docker", "rm", "byhand-control-plane"], check=False, capture_output=True)
    assert removed.returncode == 0


@pytest.mark.cluster
@pytest.mark.kind
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("docker_with_node_image")
def test_a_taken_port_is_refused_before_anything_starts() -> None:
    with forward.listen() as listener, pytest.raises(UsageError, match="cannot be used"):
        labkit.up("taken", provider="kind", api_port=listener.getsockname()[1], progress=Progress())
    assert "taken" not in labkit.lab_names()


@pytest.mark.cluster
@pytest.mark.kind
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("docker_with_node_image")
def test_of_an_interrupted_up_no_container_is_left() -> None:
    def interrupt(event: PhaseEvent) -> None:
        if "Starting control-plane" in event.detail:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        labkit.up("half", workers=1, provider="kind", progress=Progress(interrupt))
    listing = subprocess.run(["docker", "ps", "--all", "--quiet"], check=True, capture_output=True, text=True)
    assert listing.stdout == ""
    networks = subprocess.run(["docker", "network", "ls", "--format", "{{.Name}}"], check=True, capture_output=True)
    assert b"labkit-half" not in networks.stdout
    labkit.down("half")
    assert "half" not in labkit.lab_names()


@pytest.mark.cluster
@pytest.mark.kind
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("docker_with_node_image")
def test_whether_containers_reach_this_machine_is_tried() -> None:
    spec = LabSpec(name="tried", provider="kind")
    gateway = kind_nodes.create_network(spec)[1]
    network = kind_nodes.network_name(spec.name)
    try:
        assert not host_address.find(gateway).named
        with socket.create_server((str(gateway), 0)) as listener:
            port = listener.getsockname()[1]
            assert host_address.unreachable(f"{gateway}:{port}", network, nodeimage.IMAGE) == ""
            named = f"{host_address.DESKTOP_NAME}:{port}"  # of Docker Desktop's own name server
            assert host_address.DESKTOP_NAME in host_address.unreachable(named, network, nodeimage.IMAGE)
        assert "refused" in host_address.unreachable(f"{gateway}:{port}", network, nodeimage.IMAGE)
    finally:
        kind_nodes.remove_network(spec.name)


def test_on_windows_it_is_said_where_labs_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as other:
        other.setattr(sys, "platform", "win32")
        assert "Windows" in kind_host.unavailable(LabSpec(provider="kind"))
        with pytest.raises(PreflightError, match="WSL 2") as refused:
            kind_host.require(LabSpec(provider="kind"))
        with pytest.raises(PreflightError, match="WSL 2"):
            labkit.up("none", provider="context", progress=Progress())
    assert "LABKIT_PROVIDER=replay" in refused.value.fix


def test_on_macos_a_node_image_is_fetched_from_a_linux_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as other:
        other.setattr(sys, "platform", "darwin")
        with pytest.raises(PreflightError, match="built on Linux") as refused:
            kind_host.require_builder()
    assert "docker load" in refused.value.fix
    kind_host.require_builder()


def test_nodes_that_do_not_boot_are_told_with_what_they_lack(tmp_path: Path) -> None:
    kind = tmp_path / "kind"
    kind.write_text("#!/bin/sh\necho 'ERROR: could not find a log line that matches \"Multi-User System\"'\nexit 1\n")
    kind.chmod(0o700)
    progress, spec = Progress(), LabSpec(provider="kind")
    files = tmp_path / "config", tmp_path / "kubeconfig"
    with pytest.raises(ClusterError, match="max_user_instances=512") as refused, progress.phase("kind") as phase:
        kind_host.create(kind, *files, spec, log=tmp_path / "log", phase=phase)
    assert Path("/proc/sys/fs/inotify/max_user_instances").read_text().strip() in refused.value.why
