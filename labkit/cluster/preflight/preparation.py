"""The lines of the textbook's script that prepares a host, each as a check of a machine that is to be a node.

`labkit.cluster.preflight.checks` tells what a lab needs of its machine, which is less: a lab's nodes are prepared by
labkit. Here a machine, or a node of a lab, is looked at as kubeadm and kubelet will find it. Nothing is changed.

Sources: kubernetes.io/docs/setup/production-environment/tools/kubeadm/install-kubeadm, kubernetes.io/docs/setup/
production-environment/container-runtimes, and kubeadm's own checks (cmd/kubeadm/app/preflight/checks.go).
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from labkit.cluster.preflight import machine, namespaces, programs, runtimes
from labkit.cluster.preflight.check import Check, Finding, Need, examine
from labkit.cluster.preflight.host import Host

#: What of a node a check is about.
Part = Literal["name", "clock", "kubelet", "runtime", "proxy", "pod network", "card"]

_BRIDGE = "proc/sys/net/bridge/bridge-nf-call-iptables"
_PACKAGES = ("kubelet", "kubeadm", "kubectl")
_VERSION = re.compile(r"v(\d+\.\d+)\.\d+\S*")
_MIRRORS = ("etc/containerd/certs.d", "etc/docker/daemon.json", "etc/containers/registries.conf")
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronized
_TIMEX = 208  # bytes of struct timex on 64-bit Linux (adjtimex(2))
_SLOW = 10.0  # seconds that a Go program may take to tell its version


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the textbook's script.

    Attributes
    ----------
    part : str
        What of the node it is about.
    line : str
        The command.
    need : Need
        Why, and how to look whether it has been done.
    """

    part: Part
    line: str
    need: Need


def look(host: Host | None = None) -> list[tuple[Step, Check]]:
    """Look at this machine, or at the node that this process runs on; nothing is changed.

    Parameters
    ----------
    host : Host, optional
        Another one to look at.

    Returns
    -------
    list of (Step, Check)
        In the script's order; what cannot be found out is ``unknown``, never an exception.
    """
    where = host or Host(Path("/"), Path("/"))
    return [(step, examine(step.need, where)) for step in STEPS]


def _hostname(host: Host) -> Finding:
    name = host.read("proc/sys/kernel/hostname")
    if machine.node_name(name):
        return Finding("met", name)
    return Finding("unmet", f"{name!r} cannot name a node", host.as_root("hostnamectl set-hostname node-01"))


def _hosts(host: Host) -> Finding:
    name = host.read("proc/sys/kernel/hostname")
    entries = [line.partition("#")[0].split() for line in host.read("etc/hosts").splitlines()]
    known = {each: address for address, *names in filter(None, entries) for each in names}
    others = sum(not address.startswith(("127.", "::1", "fe00:", "ff0")) for address in known.values())
    address = known.get(name, "")
    if address and not address.startswith("127."):
        return Finding("met", f"{name} is {address}; /etc/hosts names {others} addresses of the network")
    found = f"{name} is {address}, which no other machine can reach" if address else f"{name} is not in /etc/hosts"
    return Finding("unmet", found, f"Write the node's address and {name} into /etc/hosts, or into the DNS.")


def _firewall(host: Host) -> Finding:
    off = host.as_root("systemctl disable --now firewalld")
    if "firewalld" in set(_running(host)):
        return Finding("unmet", "firewalld runs", f"{off}, or open 6443, 2379-2380, 10250, 10256, 30000-32767.")
    rules = host.output(host.program("iptables") or "iptables", "-S", "INPUT")
    if "-P INPUT" not in rules:
        return Finding("unknown", f"firewalld does not run; iptables said: {rules.partition(chr(10))[0]}")
    closed = [line for line in rules.splitlines() if line.endswith(("DROP", "REJECT"))]
    if closed:
        return Finding("unmet", f"iptables has {closed[0]!r}", "Open 6443, 2379-2380, 10250, 10256, 30000-32767.")
    return Finding("met", "nothing in iptables' INPUT chain turns packets away")


def _running(host: Host) -> Iterator[str]:
    """Return the names of the processes that run (proc(5), comm)."""
    for folder in (host.root / "proc").glob("[0-9]*"):
        try:
            yield (folder / "comm").read_text().strip()
        except OSError:  # it has ended meanwhile
            continue


def _selinux(host: Host) -> Finding:
    if not host.has("sys/fs/selinux/enforce"):
        return Finding("met", "the kernel has none, or it is off")
    if host.read("sys/fs/selinux/enforce") == "0":
        return Finding("met", "permissive")
    return Finding("unmet", "enforcing", host.as_root("setenforce 0") + ", or install container-selinux")


def _swap(host: Host) -> Finding:
    areas = [line.split()[0] for line in host.read("proc/swaps").splitlines()[1:]]
    if not areas:
        return Finding("met", "no swap")
    config = "var/lib/kubelet/config.yaml"
    if host.has(config) and "failSwapOn: false" in host.read(config):
        return Finding("not needed", f"swap is on ({', '.join(areas)}); the kubelet here runs with failSwapOn: false")
    return Finding("unmet", f"swap is on: {', '.join(areas)}", host.as_root("swapoff -a"))


def _ip_forward(host: Host) -> Finding:
    if host.number("proc/sys/net/ipv4/ip_forward"):
        return Finding("met", "net.ipv4.ip_forward is 1")
    return Finding("unmet", "net.ipv4.ip_forward is 0", host.sysctl("net.ipv4.ip_forward=1"))


def _bridge_netfilter(host: Host) -> Finding:
    if not host.has(_BRIDGE):
        return Finding("unmet", "br_netfilter is not loaded", host.as_root("modprobe br_netfilter"))
    if host.number(_BRIDGE):
        return Finding("met", "net.bridge.bridge-nf-call-iptables is 1")
    name = "net.bridge.bridge-nf-call-iptables"
    return Finding("unmet", f"{name} is 0", host.sysctl(f"{name}=1"))


def _ipv6(host: Host) -> Finding:
    name = "proc/sys/net/ipv6/conf/all/disable_ipv6"
    if not host.has(name) or host.number(name):
        return Finding("met", "off")
    # proc(5), /proc/net/if_inet6: the fourth field is the scope, 00 is global.
    lines = [line.split() for line in host.read("proc/net/if_inet6").splitlines()]
    links = sorted({fields[5] for fields in lines if fields[3] == "00"})
    if not links:
        return Finding("met", "on, but no interface has an address that others could use")
    found = f"{', '.join(links)} has an address of IPv6, which an IPv4 cluster does not use"
    return Finding("unmet", found, host.sysctl("net.ipv6.conf.all.disable_ipv6=1"))


def _engine(host: Host) -> Finding:
    runtime = runtimes.find(host)
    if runtime is None:
        fix = "Install containerd, CRI-O, or Docker with cri-dockerd."
        return Finding("unmet", f"no runtime's socket is there ({', '.join(runtimes.SOCKETS)})", fix)
    return Finding("met", f"{runtimes.version(host, runtime)} answers at {runtime}")


def _mirrors(host: Host) -> Finding:
    there = [f"/{name}" for name in _MIRRORS if host.has(name)]
    if there:
        return Finding("met", f"configured in {', '.join(there)}")
    if runtimes.find(host) == runtimes.OWN:
        return Finding("not needed", "the runtime here takes images from a catalogue on the machine, and asks nobody")
    return Finding("not needed", "none; images come from registry.k8s.io itself")


def _packages(host: Host) -> Finding:
    versions = {}
    for name in _PACKAGES:
        place = host.program(name)
        arguments = {"kubelet": ("--version",), "kubeadm": ("version", "-o", "short")}
        said = host.output(place, *arguments.get(name, ("version", "--client")), timeout=_SLOW) if place else ""
        version = _VERSION.search(said)
        versions[name] = version[0] if version else "runs, but tells no version" if place else "missing"
    found = ", ".join(f"{name} {version}" for name, version in versions.items())
    minors = {version[1] if (version := _VERSION.match(text)) else text for text in versions.values()}
    if len(minors) == 1 and _VERSION.match(versions["kubelet"]):
        return Finding("met", found)
    return Finding("unmet", found, host.as_root("apt-get install -y kubelet kubeadm kubectl") + ", all of one version")


def _core_images(host: Host) -> Finding:
    runtime, kubeadm = runtimes.find(host), host.program("kubeadm")
    if runtime is None or kubeadm is None:
        return Finding("unmet", "without a runtime and kubeadm there are none", "Install these first.")
    version = _VERSION.search(host.output(kubeadm, "version", "-o", "short", timeout=_SLOW))
    wanted = host.output(kubeadm, "config", "images", "list", *_of(version), timeout=_SLOW).splitlines()
    control_plane = host.has("etc/kubernetes/manifests/kube-apiserver.yaml")
    # `kubeadm join` of a worker needs no other; pause is of no use to a runtime that has no such container.
    wanted = [image for image in wanted if _needed(image, control_plane, runtime)]
    there = runtimes.images(host, runtime)
    missing = [image for image in wanted if image not in there]
    kind = "the control plane" if control_plane else "a worker"
    if not missing:
        return Finding("met", f"all {len(wanted)} that {kind} needs: {', '.join(map(_short, wanted))}")
    found = f"{len(missing)} of {len(wanted)} that {kind} needs are missing: {', '.join(map(_short, missing))}"
    return Finding("unmet", found, host.as_root("kubeadm config images pull"))


def _of(version: re.Match[str] | None) -> Sequence[str]:
    """Return the option by which kubeadm does not ask the Internet for the newest version."""
    return ("--kubernetes-version", version[0]) if version else ()


def _needed(image: str, control_plane: bool, runtime: str) -> bool:
    if "/pause:" in image:
        return runtime != runtimes.OWN
    # CoreDNS runs wherever the scheduler puts it, and is pulled there.
    return "/coredns" not in image and (control_plane or "/kube-proxy:" in image)


def _short(image: str) -> str:
    return image.rpartition("/")[2]


def _clock(_host: Host) -> Finding:
    if sys.platform != "linux":
        raise OSError("only Linux has adjtimex(2), which tells it")
    timex = ctypes.create_string_buffer(_TIMEX)  # modes 0: the clock is only read
    state = ctypes.CDLL(None, use_errno=True).adjtimex(timex)
    if state < 0:
        raise OSError(ctypes.get_errno(), "adjtimex")
    if state == _TIME_ERROR:
        return Finding(
            "unmet", "the kernel says that nothing keeps its clock right", "Run chrony or systemd-timesyncd."
        )
    return Finding("met", "the kernel says that its clock is synchronized")


def _known(name: str) -> Need:
    """Return a need that a lab's machine has as well."""
    return next(need for need in (*namespaces.NEEDS, *programs.NEEDS) if need.name == name)


STEPS = (
    Step(
        "name",
        "hostnamectl set-hostname node-01",
        Need(
            "host name",
            "required",
            "it becomes the node's name, and certificates bear it; two machines of one name are one node to Kubernetes",
            _hostname,
        ),
    ),
    Step(
        "name",
        "echo '192.168.1.11 node-01' >> /etc/hosts",
        Need(
            "hosts",
            "recommended",
            "kubelet takes the address that its name leads to as the node's own; others must reach the node by it",
            _hosts,
        ),
    ),
    Step(
        "card",
        "systemctl disable --now firewalld",
        Need(
            "firewall",
            "required",
            "kubelets call the API server (6443), and it calls them (10250) for logs and exec",
            _firewall,
        ),
    ),
    Step(
        "runtime",
        "setenforce 0",
        Need(
            "SELinux",
            "recommended",
            "containers read and write folders of the node that have no label for them; enforced, they may not",
            _selinux,
        ),
    ),
    Step(
        "kubelet",
        "swapoff -a",
        Need(
            "swap",
            "required",
            "the scheduler counts memory that is real; kubelet refuses to start with swap, unless failSwapOn is false",
            _swap,
        ),
    ),
    Step(
        "pod network",
        "sysctl -w net.ipv4.ip_forward=1",
        Need(
            "ip_forward",
            "required",
            "a packet for a pod enters by the network card and leaves by the bridge: the node is a router",
            _ip_forward,
        ),
    ),
    Step(
        "pod network",
        "sysctl -w net.bridge.bridge-nf-call-iptables=1",
        Need(
            "bridge-nf-call-iptables",
            "recommended",
            "two pods of one bridge would else talk past iptables, and a Service's answer not be translated back",
            _bridge_netfilter,
        ),
    ),
    Step(
        "card",
        "sysctl -w net.ipv6.conf.all.disable_ipv6=1",
        Need(
            "IPv6",
            "recommended",
            "a node with addresses of both families may register the one that the cluster does not use",
            _ipv6,
        ),
    ),
    Step("proxy", "modprobe -a ip_vs ip_vs_rr ip_vs_wrr ip_vs_sh", _known("ip_vs modules")),
    Step("proxy", "yum install -y ipset", _known("ipset")),
    Step("proxy", "yum install -y ipvsadm", _known("ipvsadm")),
    Step(
        "runtime",
        "yum install -y docker-ce",
        Need(
            "container engine",
            "required",
            "kubelet starts no container itself: it asks a runtime by CRI, through a socket",
            _engine,
        ),
    ),
    Step(
        "runtime",
        "vi /etc/docker/daemon.json",
        Need(
            "registry mirrors",
            "recommended",
            "where registry.k8s.io is slow or out of reach, the runtime takes images from a mirror of it",
            _mirrors,
        ),
    ),
    Step(
        "kubelet",
        "yum install -y kubelet kubeadm kubectl",
        Need(
            "packages",
            "required",
            "kubeadm makes the node, kubelet is the node, kubectl asks; kubelet may not be newer than the API server",
            _packages,
        ),
    ),
    Step(
        "runtime",
        "kubeadm config images pull",
        Need(
            "core images",
            "recommended",
            "the control plane and kube-proxy are containers; without their images kubeadm init waits for downloads",
            _core_images,
        ),
    ),
    Step(
        "clock",
        "systemctl enable --now chronyd",
        Need(
            "time sync",
            "recommended",
            "certificates, tokens and Leases are valid from one time to another; each machine judges by its own clock",
            _clock,
        ),
    ),
)
