"""The lab's own network: one bridge in the outer sandbox, and a link from it into each node's network namespace."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from labkit.language import gettext
from labkit.node.outer import OuterSandbox
from labkit.node.process import run

#: Exists only inside the outer sandbox, which has no way out; it only must not overlap the cluster's own ranges.
SUBNET = ipaddress.IPv4Network("172.30.0.0/24")
GATEWAY = SUBNET[1]

_BRIDGE = "labkit0"


def node_address(index: int) -> ipaddress.IPv4Address:
    """Return the address of the lab's node of that index; the control plane is 0."""
    return SUBNET[10 + index]


def node_link_address(index: int) -> str:
    """Return the link-layer address of a node: the same after each restart, as that of a machine's network card is.

    Its neighbours keep the address for as long as half a minute (arp(7)); with a new one they would send into nowhere.
    """
    return ":".join(f"{octet:02x}" for octet in b"\x02\x00" + node_address(index).packed)  # 02: locally administered


def create_bridge(outer: OuterSandbox, pod_range: str) -> None:
    """Make the bridge, with the gateway's address.

    The gateway leads nowhere and says so to nodes and pods: a connection to an address outside, or to a Service before
    kube-proxy has its rules, is refused at once instead of after the minutes that TCP would wait. A rule says it, to
    every packet that would go out. Without a route the kernel would say it too, but to each sender once a second at
    most (ip_error in net/ipv4/route.c, by ``net.ipv4.route.error_cost``, which is not a namespace's to set). It finds
    a pod by asking on the bridge, and the pod's node answers for it (proxy ARP, RFC 1027).

    Parameters
    ----------
    outer : OuterSandbox
        The lab.
    pod_range : str
        The addresses of all pods, ``"192.168.0.0/16"``.
    """
    batch = [
        "link set lo up",
        f"link add {_BRIDGE} type bridge",
        f"addr add {GATEWAY}/{SUBNET.prefixlen} dev {_BRIDGE}",
        f"link set {_BRIDGE} up",
        f"route add {pod_range} dev {_BRIDGE}",
        "route add default dev lo",
    ]
    run(outer.command(["ip", "-batch", "-"]), what=gettext("make the lab's bridge"), stdin="\n".join(batch))
    settings = """
        echo 1 >/proc/sys/net/ipv4/ip_forward
        echo 0 >/proc/sys/net/ipv4/icmp_ratelimit
        iptables -w -A FORWARD -o lo -j REJECT --reject-with icmp-net-unreachable
    """
    run(outer.command(["sh", "-e", "-c", settings]), what=gettext("set up the lab's gateway"))


def connect_node(outer: OuterSandbox, namespace: Path, index: int) -> None:
    """Make a fresh network namespace for a node, in place of any it had, and link it to the bridge.

    Parameters
    ----------
    outer : OuterSandbox
        The lab.
    namespace : Path
        The file at which the namespace is to be found inside the sandbox.
    index : int
        The node's, which decides its address.
    """
    script = f"""
        set -e
        if [ -e "$1" ]; then umount "$1"; ip link del veth{index} 2>/dev/null || true; fi
        : >"$1"
        unshare --net="$1" true
        ip link add veth{index} type veth peer name eth0 address {node_link_address(index)} netns "$1"
        ip link set veth{index} master {_BRIDGE} up
        nsenter --net="$1" sh -c '
            ip link set lo up
            ip addr add {node_address(index)}/{SUBNET.prefixlen} dev eth0
            ip link set eth0 up
            ip route add default via {GATEWAY}
            echo 1 >/proc/sys/net/ipv4/ip_forward
            # Every refusal is told: CoreDNS asks this node for names outside the cluster, and would wait for an answer.
            echo 0 >/proc/sys/net/ipv4/icmp_ratelimit
            echo 1 >/proc/sys/net/ipv4/conf/eth0/proxy_arp
            echo 0 >/proc/sys/net/ipv4/neigh/eth0/proxy_delay
        '
    """
    run(
        outer.command(["sh", "-c", script, "sh", namespace]),
        what=gettext("link node {index} to the lab's network").format(index=index),
    )
