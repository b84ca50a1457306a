"""The textbook's host preparation, looked for on file trees of machines, on this one, and at a runtime that answers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from labkit.cluster.preflight import Check
from labkit.cluster.preflight.host import Host
from labkit.cluster.preflight.preparation import STEPS, look
from labkit.cri import api_pb2 as api
from tests.cluster.test_preflight import Files, programs

KUBERNETES = {
    "kubelet": "echo Kubernetes v1.34.3",
    "kubectl": "echo Client Version: v1.34.3",
    "kubeadm": 'case "$*" in version*) echo v1.34.3;; *) '
    "for each in kube-apiserver:v1.34.3 kube-proxy:v1.34.3 coredns/coredns:v1.12.1 pause:3.10.1; do "
    "echo registry.k8s.io/$each; done;; esac",
}
CLOSED = "echo -P INPUT ACCEPT; echo -A INPUT -j KUBE-FIREWALL; echo -A INPUT -p tcp -j REJECT"
# As `tests.cluster.test_preflight.PLAIN`: a machine on which everything has been done that files can tell.
PREPARED: Files = {
    "etc/hosts": "127.0.0.1 localhost\n192.168.1.10 master # first\n192.168.1.11 node-01 node-01.example.org",
    "etc/os-release": "ID=debian",
    "proc/self/status": "Uid:\t1000\t1000\t1000\t1000",
    "proc/net/if_inet6": "00000000000000000000000000000001 01 80 10 80 lo",
    "proc/net/ip_vs": "IP Virtual Server",
    "proc/swaps": "Filename\tType\tSize\tUsed\tPriority",
    "proc/sys/kernel/hostname": "node-01",
    "proc/sys/net/bridge/bridge-nf-call-iptables": "1",
    "proc/sys/net/ipv4/ip_forward": "1",
    "proc/sys/net/ipv6/conf/all/disable_ipv6": "0",
    "sys/fs/selinux/enforce": "0",
    "etc/docker/daemon.json": "{}",
}


def found(tmp_path: Path, files: Files, **scripts: str) -> dict[str, Check]:
    root = tmp_path / "root"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    path = programs(tmp_path / "programs", **({"iptables": "echo -P INPUT ACCEPT"} | KUBERNETES | scripts))
    return {check.name: check for _, check in look(Host(root, root, path))}


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder with a short name: a unix socket's path may have 107 characters (unix(7))."""
    with tempfile.TemporaryDirectory(prefix="lk-") as folder:
        yield Path(folder)


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Path]:
    """A runtime that answers by gRPC at containerd's socket, and has the image of kube-proxy."""
    there = api.Image(repo_tags=["registry.k8s.io/kube-proxy:v1.34.3"])
    answers: dict[str, tuple[Any, Any]] = {
        "Version": (api.VersionRequest, api.VersionResponse(runtime_name="containerd", runtime_version="v2.1.4")),
        "ListImages": (api.ListImagesRequest, api.ListImagesResponse(images=[there])),
    }

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            asked, answer = answers[call.method.rpartition("/")[2]]
            return grpc.unary_unary_rpc_method_handler(
                lambda *_: answer, asked.FromString, type(answer).SerializeToString
            )

    socket = tmp_path / "root/run/containerd/containerd.sock"
    socket.parent.mkdir(parents=True)
    server = grpc.server(ThreadPoolExecutor(1), handlers=(Handler(),))
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    yield socket
    server.stop(None)


def test_a_prepared_machine_meets_each_check(tmp_path: Path, runtime: Path) -> None:
    seen = found(tmp_path, PREPARED, ipset="", ipvsadm="")
    # This machine's clock is the only one there is; images are judged in the next test.
    for name in seen.keys() - {"time sync", "core images"}:
        assert seen[name].status == "met", seen[name]
    assert seen["hosts"].found == "node-01 is 192.168.1.11; /etc/hosts names 3 addresses of the network"
    assert seen["container engine"].found.startswith("containerd v2.1.4 answers at ")
    assert seen["packages"].found == "kubelet v1.34.3, kubeadm v1.34.3, kubectl v1.34.3"


def test_which_images_a_node_needs(tmp_path: Path, runtime: Path) -> None:
    worker = found(tmp_path, PREPARED)["core images"]
    assert worker.status == "unmet"
    assert worker.found == "1 of 2 that a worker needs are missing: pause:3.10.1"
    assert worker.fix == "sudo kubeadm config images pull"
    master = found(tmp_path, PREPARED | {"etc/kubernetes/manifests/kube-apiserver.yaml": ""})["core images"]
    assert master.found.startswith("2 of 3 that the control plane needs are missing: kube-apiserver:v1.34.3")


@pytest.mark.parametrize(
    ("change", "name", "expected"),
    [
        ({"proc/sys/kernel/hostname": "Node_01"}, "host name", ("unmet", "'Node_01'", "hostnamectl")),
        ({"etc/hosts": "127.0.1.1 node-01"}, "hosts", ("unmet", "127.0.1.1, which no other", "/etc/hosts")),
        ({"etc/hosts": "127.0.0.1 localhost"}, "hosts", ("unmet", "not in /etc/hosts", "/etc/hosts")),
        ({"proc/77/comm": "firewalld"}, "firewall", ("unmet", "firewalld runs", "sudo systemctl disable")),
        ({"sys/fs/selinux/enforce": "1"}, "SELinux", ("unmet", "enforcing", "sudo setenforce 0")),
        ({"proc/swaps": "Filename\n/dev/sda2 partition"}, "swap", ("unmet", "/dev/sda2", "sudo swapoff -a")),
        (
            {"proc/swaps": "Filename\n/dev/sda2 partition", "var/lib/kubelet/config.yaml": "failSwapOn: false"},
            "swap",
            ("not needed", "failSwapOn: false", ""),
        ),
        ({"proc/sys/net/ipv4/ip_forward": "0"}, "ip_forward", ("unmet", "is 0", "net.ipv4.ip_forward=1")),
        ({"proc/sys/net/ipv4/ip_forward": "?"}, "ip_forward", ("unknown", "invalid literal", "")),
        (
            {"proc/sys/net/bridge/bridge-nf-call-iptables": "0"},
            "bridge-nf-call-iptables",
            ("unmet", "is 0", "sysctl -w net.bridge.bridge-nf-call-iptables=1"),
        ),
        (
            {"proc/net/if_inet6": "20010db8000000000000000000000001 02 40 00 80 eth0"},
            "IPv6",
            ("unmet", "eth0", "disable_ipv6=1"),
        ),
        ({"proc/sys/net/ipv6/conf/all/disable_ipv6": "1"}, "IPv6", ("met", "off", "")),
        ({}, "container engine", ("unmet", "no runtime's socket", "containerd")),
        ({}, "core images", ("unmet", "without a runtime", "")),
    ],
)
def test_what_has_not_been_done(tmp_path: Path, change: Files, name: str, expected: tuple[str, str, str]) -> None:
    check = found(tmp_path, PREPARED | change)[name]
    status, in_found, in_fix = expected
    assert check.status == status, check
    assert in_found in check.found
    assert in_fix in check.fix


def test_a_firewall_that_turns_packets_away(tmp_path: Path) -> None:
    closed = found(tmp_path, PREPARED, iptables=CLOSED)["firewall"]
    assert closed.status == "unmet"
    assert closed.found == "iptables has '-A INPUT -p tcp -j REJECT'"
    forbidden = found(tmp_path, PREPARED, iptables="echo Permission denied; exit 4")["firewall"]
    assert forbidden.status == "unknown"
    assert "Permission denied" in forbidden.found


def test_programs_of_different_versions(tmp_path: Path) -> None:
    mixed = found(tmp_path, PREPARED, kubelet="echo Kubernetes v1.35.0")["packages"]
    assert mixed.status == "unmet"
    assert mixed.found == "kubelet v1.35.0, kubeadm v1.34.3, kubectl v1.34.3"
    dumb = found(tmp_path, PREPARED, kubectl="echo what?")["packages"]
    assert dumb.status == "unmet"
    assert "kubectl runs, but tells no version" in dumb.found


def test_a_runtime_that_does_not_answer_is_unknown(tmp_path: Path) -> None:
    silent = found(tmp_path, PREPARED | {"run/containerd/containerd.sock": ""})["container engine"]
    assert silent.status == "unknown"
    assert "does not answer" in silent.found


def test_this_machine_is_looked_at_without_an_exception() -> None:
    checks = [check for _, check in look()]
    assert [check.name for check in checks] == [step.need.name for step in STEPS]
    for check in checks:
        assert check.found
        assert check.fix or check.status != "unmet"
