"""The lines of the textbook's script that prepares a host, each as a check of a machine that is to be a node.

`labkit.cluster.preflight.checks` tells what a lab needs of its machine, which is less: a lab's nodes are prepared by
labkit. Here a machine, or a node of a lab, is looked at as kubeadm and kubelet will find it. Nothing is changed.

Sources: kubernetes.io/docs/setup/production-environment/tools/kubeadm/install-kubeadm, kubernetes.io/docs/setup/
production-environment/container-runtimes, and kubeadm's own checks (cmd/kubeadm/app/preflight/checks.go).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from labkit.cluster.preflight import machine, namespaces, programs, supplies
from labkit.cluster.preflight.check import Check, Finding, Need, examine
from labkit.cluster.preflight.host import Host
from labkit.language import gettext, gettext_noop

#: What of a node a check is about.
Part = Literal["name", "clock", "kubelet", "runtime", "proxy", "pod network", "card"]

_BRIDGE = "proc/sys/net/bridge/bridge-nf-call-iptables"
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronized


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
    return Finding(
        "unmet",
        gettext("{name!r} cannot name a node").format(name=name),
        host.as_root("hostnamectl set-hostname node-01"),
    )


def _hosts(host: Host) -> Finding:
    name = host.read("proc/sys/kernel/hostname")
    entries = [line.partition("#")[0].split() for line in host.read("etc/hosts").splitlines()]
    known = {each: address for address, *names in filter(None, entries) for each in names}
    others = sum(not address.startswith(("127.", "::1", "fe00:", "ff0")) for address in known.values())
    address = known.get(name, "")
    if address and not address.startswith("127."):
        return Finding(
            "met",
            gettext("{name} is {address}; /etc/hosts names {others} addresses of the network").format(
                name=name, address=address, others=others
            ),
        )
    found = (
        gettext("{name} is {address}, which no other machine can reach").format(name=name, address=address)
        if address
        else gettext("{name} is not in /etc/hosts").format(name=name)
    )
    return Finding(
        "unmet",
        found,
        gettext("Write the node's address and {name} into /etc/hosts, or into the DNS.").format(name=name),
    )


def _firewall(host: Host) -> Finding:
    off = host.as_root("systemctl disable --now firewalld")
    if "firewalld" in host.running():
        return Finding(
            "unmet",
            gettext("firewalld runs"),
            gettext("{off}, or open 6443, 2379-2380, 10250, 10256, 30000-32767.").format(off=off),
        )
    rules = host.output(host.program("iptables") or "iptables", "-S", "INPUT")
    if "-P INPUT" not in rules:
        return Finding(
            "unknown", gettext("firewalld does not run; iptables said: {said}").format(said=rules.partition(chr(10))[0])
        )
    closed = [line for line in rules.splitlines() if line.endswith(("DROP", "REJECT"))]
    if closed:
        return Finding(
            "unmet",
            gettext("iptables has {rule!r}").format(rule=closed[0]),
            gettext("Open 6443, 2379-2380, 10250, 10256, 30000-32767."),
        )
    return Finding("met", gettext("nothing in iptables' INPUT chain turns packets away"))


def _selinux(host: Host) -> Finding:
    if not host.has("sys/fs/selinux/enforce"):
        return Finding("met", gettext("the kernel has none, or it is off"))
    if host.read("sys/fs/selinux/enforce") == "0":
        return Finding("met", gettext("permissive"))
    return Finding(
        "unmet", gettext("enforcing"), host.as_root("setenforce 0") + gettext(", or install container-selinux")
    )


def _swap(host: Host) -> Finding:
    areas = [line.split()[0] for line in host.read("proc/swaps").splitlines()[1:]]
    if not areas:
        return Finding("met", gettext("no swap"))
    config = "var/lib/kubelet/config.yaml"
    if host.has(config) and "failSwapOn: false" in host.read(config):
        return Finding(
            "not needed",
            gettext("swap is on ({areas}); the kubelet here runs with failSwapOn: false").format(
                areas=", ".join(areas)
            ),
        )
    return Finding("unmet", gettext("swap is on: {areas}").format(areas=", ".join(areas)), host.as_root("swapoff -a"))


def _ip_forward(host: Host) -> Finding:
    if host.number("proc/sys/net/ipv4/ip_forward"):
        return Finding("met", gettext("net.ipv4.ip_forward is 1"))
    return Finding("unmet", gettext("net.ipv4.ip_forward is 0"), host.sysctl("net.ipv4.ip_forward=1"))


def _bridge_netfilter(host: Host) -> Finding:
    if not host.has(_BRIDGE):
        return Finding("unmet", gettext("br_netfilter is not loaded"), host.as_root("modprobe br_netfilter"))
    if host.number(_BRIDGE):
        return Finding("met", gettext("net.bridge.bridge-nf-call-iptables is 1"))
    name = "net.bridge.bridge-nf-call-iptables"
    return Finding("unmet", gettext("{name} is 0").format(name=name), host.sysctl(f"{name}=1"))


def _ipv6(host: Host) -> Finding:
    name = "proc/sys/net/ipv6/conf/all/disable_ipv6"
    if not host.has(name) or host.number(name):
        return Finding("met", gettext("off"))
    # proc(5), /proc/net/if_inet6: the fourth field is the scope, 00 is global.
    lines = [line.split() for line in host.read("proc/net/if_inet6").splitlines()]
    links = sorted({fields[5] for fields in lines if fields[3] == "00"})
    if not links:
        return Finding("met", gettext("on, but no interface has an address that others could use"))
    found = gettext("{links} has an address of IPv6, which an IPv4 cluster does not use").format(links=", ".join(links))
    return Finding("unmet", found, host.sysctl("net.ipv6.conf.all.disable_ipv6=1"))


def _clock(host: Host) -> Finding:
    if host.clock_state() == _TIME_ERROR:
        return Finding(
            "unmet",
            gettext("the kernel says that nothing keeps its clock right"),
            gettext("Run chrony or systemd-timesyncd."),
        )
    return Finding("met", gettext("the kernel says that its clock is synchronized"))


def _known(name: str) -> Need:
    """Return a need that a lab's machine has as well."""
    return next(need for need in (*namespaces.NEEDS, *programs.NEEDS) if need.name == name)


STEPS = (
    Step(
        "name",
        "hostnamectl set-hostname node-01",
        Need(
            gettext_noop("host name"),
            "required",
            gettext_noop(
                "it becomes the node's name, and certificates bear it; two machines of one name are one node to "
                "Kubernetes"
            ),
            _hostname,
        ),
    ),
    Step(
        "name",
        "echo '192.168.1.11 node-01' >> /etc/hosts",
        Need(
            "hosts",
            "recommended",
            gettext_noop(
                "kubelet takes the address that its name leads to as the node's own; others must reach the node by it"
            ),
            _hosts,
        ),
    ),
    Step(
        "card",
        "systemctl disable --now firewalld",
        Need(
            gettext_noop("firewall"),
            "required",
            gettext_noop("kubelets call the API server (6443), and it calls them (10250) for logs and exec"),
            _firewall,
        ),
    ),
    Step(
        "runtime",
        "setenforce 0",
        Need(
            "SELinux",
            "recommended",
            gettext_noop(
                "containers read and write folders of the node that have no label for them; enforced, they may not"
            ),
            _selinux,
        ),
    ),
    Step(
        "kubelet",
        "swapoff -a",
        Need(
            "swap",
            "required",
            gettext_noop(
                "the scheduler counts memory that is real; kubelet refuses to start with swap, unless "
                "failSwapOn is false"
            ),
            _swap,
        ),
    ),
    Step(
        "pod network",
        "sysctl -w net.ipv4.ip_forward=1",
        Need(
            "ip_forward",
            "required",
            gettext_noop(
                "a packet for a pod enters by the network card and leaves by the bridge: the node is a router"
            ),
            _ip_forward,
        ),
    ),
    Step(
        "pod network",
        "sysctl -w net.bridge.bridge-nf-call-iptables=1",
        Need(
            "bridge-nf-call-iptables",
            "recommended",
            gettext_noop(
                "two pods of one bridge would else talk past iptables, and a Service's answer not be translated back"
            ),
            _bridge_netfilter,
        ),
    ),
    Step(
        "card",
        "sysctl -w net.ipv6.conf.all.disable_ipv6=1",
        Need(
            "IPv6",
            "recommended",
            gettext_noop("a node with addresses of both families may register the one that the cluster does not use"),
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
            gettext_noop("container engine"),
            "required",
            gettext_noop("kubelet starts no container itself: it asks a runtime by CRI, through a socket"),
            supplies.engine,
        ),
    ),
    Step(
        "runtime",
        "vi /etc/docker/daemon.json",
        Need(
            gettext_noop("registry mirrors"),
            "recommended",
            gettext_noop("where registry.k8s.io is slow or out of reach, the runtime takes images from a mirror of it"),
            supplies.mirrors,
        ),
    ),
    Step(
        "kubelet",
        "yum install -y kubelet kubeadm kubectl",
        Need(
            gettext_noop("packages"),
            "required",
            gettext_noop(
                "kubeadm makes the node, kubelet is the node, kubectl asks; kubelet may not be newer than the "
                "API server"
            ),
            supplies.packages,
        ),
    ),
    Step(
        "runtime",
        "kubeadm config images pull",
        Need(
            gettext_noop("core images"),
            "recommended",
            gettext_noop(
                "the control plane and kube-proxy are containers; without their images kubeadm init waits for downloads"
            ),
            supplies.core_images,
        ),
    ),
    Step(
        "clock",
        "systemctl enable --now chronyd",
        Need(
            gettext_noop("time sync"),
            "recommended",
            gettext_noop(
                "certificates, tokens and Leases are valid from one time to another; each machine judges by its "
                "own clock"
            ),
            _clock,
        ),
    ),
)
