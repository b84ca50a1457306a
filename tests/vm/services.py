"""The short form, as the program of the virtual machine: a few Services on two nodes with kube-proxy in ipvs mode.

The API server is the host's (`tests.vm.api`), with nothing that runs pods: what answers at the endpoints' addresses is
`tests.vm.traffic`. What it is given is in ``/vm``: ``programs.json``, ``kubeconfig``, ``services.json``,
``endpointslices.json``. What comes out is there, too: ``tables.json``, ``traffic.json``, ``counters.json``, and the
programs' logs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from labkit.proxy import ipvs, ipvs_trace, rules
from labkit.proxy.compare import compare
from tests.proxy import captured
from tests.vm import machine, traffic

OUT = Path("/vm")
SECONDS = 120.0  # for each of the things that are waited for
#: The network: the virtual machine is the master; a bridge joins it with the nodes and with somebody outside.
NODES = {"master": "172.30.0.10", "node-01": "172.30.0.11", "node-02": "172.30.0.12"}
OUTSIDE = "172.30.0.99"
API = "172.30.0.100"  # from there, the API server's port is the host's
PODS = {"master": ["192.168.0.9"], "node-01": ["192.168.1.2"], "node-02": ["192.168.2.2", "192.168.2.3"]}
POD_NETWORK = "192.168.0.0/16"
FROM_PORT = 20123  # below those that the kernel gives away
#: Who asks what: name → network namespace, protocol, address, port, how often.
QUESTIONS: dict[str, tuple[str, str, str, int, int]] = {
    "web": ("pods-master", "tcp", "10.96.213.107", 80, 300),
    "alt": ("pods-master", "tcp", "10.96.213.107", 8080, 6),
    "from a node": ("node-01", "tcp", "10.96.213.107", 80, 6),
    "sticky": ("pods-master", "tcp", "10.96.224.86", 80, 20),
    "udp": ("pods-master", "udp", "10.96.124.223", 5353, 30),
    "empty": ("pods-master", "tcp", "10.96.153.179", 80, 2),
    "door": ("outside", "tcp", NODES["node-01"], 30080, 6),
    "near": ("outside", "tcp", NODES["node-01"], 30081, 6),
    "inside": ("pods-node-01", "tcp", "10.96.176.17", 80, 6),
}


def ip(*words: str) -> None:
    """Run ip(8)."""
    subprocess.run(["ip", *words], check=True)


def inside(namespace: str) -> list[str]:
    """Return the beginning of a command that runs in a network namespace; the virtual machine itself is the master."""
    return [] if namespace == "master" else ["ip", "netns", "exec", namespace]


def build_network() -> None:
    """Make the nodes, their pods, and a somebody outside."""
    ip("link", "add", "lab", "type", "bridge")
    ip("address", "add", f"{NODES['master']}/24", "dev", "lab")
    ip("link", "set", "lab", "up")
    for name, address in {**NODES, "outside": OUTSIDE, "api": API}.items():
        if name != "master":
            ip("netns", "add", name)
            ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", name, "master", "lab", "up")
            _configure(name, "eth0", f"{address}/24")
    for node, pods in PODS.items():
        _add_pods(node, pods)
        for other, address in NODES.items():
            if other != node:
                subprocess.run([*inside(node), *_route(PODS[other][0], address)], check=True)
        subprocess.run([*inside(node), "sysctl", "-q", "-w", "net.ipv4.ip_forward=1"], check=True)
    _lead_to_host()
    # What passes the bridge is not the master's.
    subprocess.run(["sysctl", "-q", "-w", "net.bridge.bridge-nf-call-iptables=0"], check=True)


def _lead_to_host() -> None:
    """Have `API` lead to the host: out of a namespace of its own, so that no node has an address or a rule more."""
    ip("link", "set", "eth0", "name", "host")
    ip("link", "set", "host", "netns", "api")
    _configure("api", "host", machine.ADDRESS)
    host, port = machine.HOST
    to_host = ["PREROUTING", "-p", "tcp", "-d", API, "--dport", str(port), "-j", "DNAT", "--to", f"{host}:{port}"]
    for rule in (to_host, ["POSTROUTING", "-o", "host", "-j", "MASQUERADE"]):
        subprocess.run([*inside("api"), "iptables", "-t", "nat", "-A", *rule], check=True)
    subprocess.run([*inside("api"), "sysctl", "-q", "-w", "net.ipv4.ip_forward=1"], check=True)


def _add_pods(node: str, pods: list[str]) -> None:
    name, gateway = f"pods-{node}", pods[0].rpartition(".")[0] + ".1"
    ip("netns", "add", name)
    subprocess.run(
        [*inside(node), "ip", "link", "add", "pods", "type", "veth", "peer", "name", "eth0", "netns", name], check=True
    )
    _configure(node, "pods", f"{gateway}/24")
    for pod in pods:
        _configure(name, "eth0", f"{pod}/24")
    subprocess.run([*inside(name), "ip", "route", "add", "default", "via", gateway], check=True)


def _route(pod: str, gateway: str) -> list[str]:
    return ["ip", "route", "add", pod.rpartition(".")[0] + ".0/24", "via", gateway]


def _configure(namespace: str, device: str, address: str) -> None:
    for words in (
        ["address", "add", address, "dev", device],
        ["link", "set", device, "up"],
        ["link", "set", "lo", "up"],
    ):
        subprocess.run([*inside(namespace), "ip", *words], check=True)


def start(name: str, argv: list[str]) -> subprocess.Popen[bytes]:
    """Start a program; its log is ``/vm/NAME.log``."""
    with (OUT / f"{name}.log").open("wb") as log:
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def wait_for(what: str, ready: Callable[[], object]) -> None:
    """Wait until something is so."""
    started = time.monotonic()
    while not ready():
        if time.monotonic() > started + SECONDS:
            sys.exit(f"{what}: not after {SECONDS:.0f} s")
        time.sleep(0.3)
    print(f"{what}: {time.monotonic() - started:.1f} s", flush=True)


def start_proxy(node: str, program: str) -> None:
    """Start kube-proxy of a node in ipvs mode."""
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "ipvs",
        "hostnameOverride": node,
        "clusterCIDR": POD_NETWORK,
        "clientConnection": {"kubeconfig": str(OUT / "kubeconfig")},
        "conntrack": {"maxPerCore": 0},
    }
    file = OUT / f"kube-proxy-{node}.json"
    file.write_text(json.dumps(config))
    start(f"kube-proxy-{node}", [*inside(node), program, f"--config={file}"])


def tables(node: str, services: list[dict[str, Any]]) -> rules.Tables:
    """Read a node's tables, as labkit does."""
    printed = subprocess.run([*inside(node), *rules.COMMAND], check=True, capture_output=True, text=True).stdout
    return dataclasses.replace(rules.from_output(node, printed), services=json.dumps(ipvs.names(services)))


def agrees(node: str, services: list[dict[str, Any]], slices: list[dict[str, Any]]) -> bool:
    """Whether kube-proxy has done all its work on a node; the rules of iptables are the last of it."""
    found = tables(node, services)
    parsed = found.parse("ipvs")
    return (
        "ipvs" in found.modes
        and compare(parsed, services, slices).agrees
        and all(port.masquerade for port in parsed.ports)
    )


def ask(question: tuple[str, str, str, int, int], from_port: int = 0) -> dict[str, int]:
    """Ask a question of `QUESTIONS`."""
    namespace, *arguments = (*question, from_port)
    command = [*inside(namespace), sys.executable, traffic.__file__, "ask", *map(str, arguments)]
    answers: dict[str, int] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return answers


def counted(name: str) -> dict[str, str]:
    """Ask a question of `QUESTIONS` once more, from a node, and return what `labkit.proxy.ipvs_trace` reads of it."""
    _, protocol, address, port, _ = QUESTIONS[name]
    find = [word.format(source_port=FROM_PORT, ip=address, port=port) for word in ipvs_trace.CONNECTION]
    time.sleep(ipvs_trace.LATE)
    before = _printed(ipvs_trace.COUNTERS)
    ask(("node-01", protocol, address, port, 1), FROM_PORT)
    connection = _printed(find)
    time.sleep(ipvs_trace.LATE)
    return {"before": before, "after": _printed(ipvs_trace.COUNTERS), "connection": connection}


def _printed(argv: Sequence[str]) -> str:
    return subprocess.run([*inside("node-01"), *argv], check=True, capture_output=True, text=True).stdout


def main() -> None:
    """Do all of it."""
    programs, services, slices = (
        json.loads((OUT / f"{name}.json").read_text()) for name in ("programs", "services", "endpointslices")
    )
    build_network()
    for node in ("node-01", "node-02"):
        start(f"pods-{node}", [*inside(f"pods-{node}"), sys.executable, traffic.__file__, "serve", *PODS[node]])
    for node in captured.NODES:
        start_proxy(node, programs["kube-proxy"])
    with contextlib.suppress(SystemExit):  # the tables tell better what is amiss
        for node in captured.NODES:
            wait_for(f"kube-proxy of {node}", functools.partial(agrees, node, services, slices))
    found = [dataclasses.asdict(tables(node, services)) for node in captured.NODES]
    (OUT / "tables.json").write_text(json.dumps(found))
    (OUT / "traffic.json").write_text(json.dumps({name: ask(question) for name, question in QUESTIONS.items()}))
    (OUT / "counters.json").write_text(json.dumps({name: counted(name) for name in ("web", "empty")}))


if __name__ == "__main__":
    main()
