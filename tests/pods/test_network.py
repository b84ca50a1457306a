"""The pod network: pod to pod, Services of every kind, names, and the rules that make them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from labkit.lab import Lab
from labkit.progress import Progress
from tests import traces
from tests.pods.space import Space, config_map, container, fetch, pod, service

pytestmark = pytest.mark.cluster

#: Answers with the server's own name and the address that it sees the client at.
WHO = "#!/bin/sh\necho Content-Type: text/plain; echo; echo $(hostname) $REMOTE_ADDR\n"
WEB = {"web-1": "node-01", "web-2": "node-02"}
CLIENTS = {"client-1": "node-01", "client-2": "node-02"}


@pytest.fixture(scope="module", autouse=True)
def _pods(space: Space) -> None:
    scripts: Any = {"configMap": {"name": "scripts", "defaultMode": 0o755}}
    mounts = [{"name": "scripts", "mountPath": "/www/cgi-bin"}]
    web = container("main", "exec httpd -f -p 8080 -h /www", volumeMounts=mounts)
    web["readinessProbe"] = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    volumes = [{"name": "scripts", **scripts}]
    space.create(
        config_map("scripts", who=WHO),
        *(pod(name, web, nodeName=node, labels={"app": "web", "one": name}, volumes=volumes)
          for name, node in WEB.items()),
        *(pod(name, container("main", "sleep 1000"), nodeName=node) for name, node in CLIENTS.items()),
        service("web", "web", 80, 8080),
        service("web-node-port", "web", 80, 8080, type="NodePort"),
        service("headless", "web", 8080, 8080, clusterIP="None"),
        service("nobody", "nobody", 80, 8080),
        {**service("alone", "web", 80, 8080), "spec": {**service("", "web", 80, 8080)["spec"],
                                                       "selector": {"one": "web-1"}}},
    )  # fmt: skip
    space.until_ready(*WEB, *CLIENTS)
    address = _cluster_ip(space, "web")
    traces.eventually(lambda: {name for name, _ in _ask(space, "client-1", address, 10)} == set(WEB), 30)


def _ask(space: Space, client: str, host: str, times: int = 1) -> list[tuple[str, str]]:
    """Return who answered, and at which address they saw the client; nothing where nobody did."""
    loop = f"for n in $(seq {times}); do timeout 3 wget -qO- http://{host}/cgi-bin/who || true; done"
    answers = [line.split() for line in space.exec(client, loop).splitlines()]
    return [(name, seen.removeprefix("[::ffff:").removesuffix("]")) for name, seen in answers]


def _cluster_ip(space: Space, name: str) -> str:
    return space.kubectl("get", "service", name, "-o", "jsonpath={.spec.clusterIP}")


def test_nodes_have_their_own_pod_range(space: Space) -> None:
    for name, node in WEB.items():
        pod_range = space.kubectl("get", "node", node, "-o", "jsonpath={.spec.podCIDR}")
        prefix = pod_range.removesuffix(".0/24")
        assert re.fullmatch(r"192\.168\.\d+", prefix)
        assert space.pod(name).status.pod_ip.startswith(f"{prefix}.")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("server", WEB)
def test_pod_to_pod_with_their_own_addresses(space: Space, client: str, server: str) -> None:
    address = space.pod(server).status.pod_ip
    assert _ask(space, client, f"{address}:8080") == [(server, space.pod(client).status.pod_ip)]


def test_pod_to_its_node_and_to_another(space: Space) -> None:
    for node in space.lab.nodes:
        assert "0% packet loss" in space.exec("client-1", f"ping -c 1 -W 3 {node.address}")


def test_node_to_pod_on_another_node(space: Space) -> None:
    address = space.pod("web-2").status.pod_ip
    page = space.lab.nodes["node-01"].exec(f"timeout 5 busybox wget -qO- http://{address}:8080/cgi-bin/who")
    assert page.startswith("web-2 ")


@pytest.mark.parametrize("client", CLIENTS)
def test_service_balances_over_pods_on_two_nodes(space: Space, client: str) -> None:
    answers = _ask(space, client, _cluster_ip(space, "web"), 20)
    assert len(answers) == 20
    assert {name for name, _ in answers} == set(WEB)
    assert {seen for _, seen in answers} == {space.pod(client).status.pod_ip}, "a Service keeps the client's address"


def test_service_from_a_node(space: Space) -> None:
    page = space.lab.nodes["master"].exec(f"timeout 5 busybox wget -qO- http://{_cluster_ip(space, 'web')}/cgi-bin/who")
    assert page.split()[0] in WEB


def test_service_without_pods_refuses_at_once(space: Space) -> None:
    started = time.monotonic()
    done = space.run(
        "exec", "client-1", "--", "timeout", "10", "wget", "-qO-", f"http://{_cluster_ip(space, 'nobody')}"
    )
    assert "Connection refused" in done.stderr
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("address", ["10.96.255.254", "192.0.2.1"])
def test_address_that_leads_nowhere_is_refused_at_once_on_a_node(lab: Lab, address: str) -> None:
    """A Service's address that kube-proxy does not know yet, and one outside."""
    ask = f"(exec 3<>/dev/tcp/{address}/80) 2>&1 || true"
    assert "Network is unreachable" in lab.nodes["node-01"].exec(["timeout", "10", "bash", "-c", ask])


def test_service_follows_readiness(space: Space) -> None:
    space.kubectl("label", "pod", "web-2", "app=elsewhere", "--overwrite")
    try:
        address = _cluster_ip(space, "web")
        traces.eventually(lambda: {name for name, _ in _ask(space, "client-1", address, 10)} == {"web-1"}, 20)
    finally:
        space.kubectl("label", "pod", "web-2", "app=web", "--overwrite")
    traces.eventually(lambda: {name for name, _ in _ask(space, "client-1", address, 10)} == set(WEB), 20)


@pytest.mark.parametrize("node", ["master", "node-01", "node-02"])
def test_node_port_through_each_nodes_address(space: Space, node: str) -> None:
    port = space.kubectl("get", "service", "web-node-port", "-o", "jsonpath={.spec.ports[0].nodePort}")
    other = "node-02" if node == "node-01" else "node-01"
    ask = f"timeout 5 busybox wget -qO- http://{space.lab.nodes[node].address}:{port}/cgi-bin/who"
    pages = space.lab.nodes[other].exec(f"for n in $(seq 12); do {ask}; done")
    assert {line.split()[0] for line in pages.splitlines()} == set(WEB)


def test_node_port_is_within_its_range(space: Space) -> None:
    port = space.kubectl("get", "service", "web-node-port", "-o", "jsonpath={.spec.ports[0].nodePort}")
    assert 30000 <= int(port) <= 32767


def test_pod_reaches_itself_through_its_service(space: Space) -> None:
    address = _cluster_ip(space, "alone")
    traces.eventually(lambda: _ask(space, "client-1", address), 20)
    answers = _ask(space, "web-1", address, 3)
    assert [name for name, _ in answers] == ["web-1"] * 3
    # So that its answers come back by the way they went, kube-proxy masquerades a pod that meets itself.
    assert space.pod("web-1").status.pod_ip not in {seen for _, seen in answers}


@pytest.mark.parametrize("client", CLIENTS)
def test_service_names(space: Space, client: str) -> None:
    for name in ("web", f"web.{space.name}", f"web.{space.name}.svc", f"web.{space.name}.svc.cluster.local"):
        assert [server for server, _ in _ask(space, client, name)] != [], name


def test_service_name_of_another_namespace(space: Space) -> None:
    for name in ("kubernetes.default", "kubernetes.default.svc.cluster.local"):
        done = space.run("exec", "client-1", "--", "wget", "-qO-", f"http://{name}:443")
        assert "400 Bad Request" in done.stderr  # the API server wants TLS


def test_headless_service_names_its_pods(space: Space) -> None:
    full = f"headless.{space.name}.svc.cluster.local"
    answer = space.exec("client-1", f"nslookup -type=A {full}")
    assert all(space.pod(name).status.pod_ip in answer for name in WEB)


def test_search_path_and_name_server(space: Space) -> None:
    lines = space.exec("client-1", "cat /etc/resolv.conf").splitlines()
    assert "nameserver 10.96.0.10" in lines
    assert f"search {space.name}.svc.cluster.local svc.cluster.local cluster.local" in lines
    assert "options ndots:5" in lines


@pytest.mark.parametrize("name", ["example.com", "no-such-service", "no-such.default.svc.cluster.local"])
def test_name_that_is_unknown_fails_at_once(space: Space, name: str) -> None:
    # Several at once: a node that held back some refusals (icmp(7), icmp_ratelimit) would let CoreDNS wait for seconds.
    ask = f"time wget -qO- http://{name}/"
    done = space.run("exec", "client-1", "--", "sh", "-c", f"{ask} & {ask} & {ask}; wait")
    assert done.stderr.count("bad address") == 3
    seconds = [float(found) for found in re.findall(r"real\s+0m\s*([\d.]+)s", done.stderr)]
    assert len(seconds) == 3
    assert max(seconds) < 1.5


def test_name_from_a_node_is_not_the_clusters(space: Space) -> None:
    assert "web" not in space.lab.nodes["node-01"].exec("getent hosts web || true")


@pytest.mark.parametrize("node", ["master", "node-01"])
def test_rules_name_the_service(space: Space, node: str) -> None:
    rules = space.lab.nodes[node].exec("iptables-save -t nat").splitlines()
    label = f'"{space.name}/web:http'
    entry = [rule for rule in rules if rule.startswith("-A KUBE-SERVICES ") and f"{label} cluster IP" in rule]
    assert len(entry) == 1
    assert f"-d {_cluster_ip(space, 'web')}/32" in entry[0]
    chain = entry[0].split()[-1]
    assert chain.startswith("KUBE-SVC-")
    chosen = [rule for rule in rules if rule.startswith(f"-A {chain} ") and "-j KUBE-SEP-" in rule]
    assert len(chosen) == 2
    assert any("--mode random --probability 0.5" in rule for rule in chosen)
    targets = {rule.split("--to-destination ")[1] for rule in rules if "--to-destination" in rule and label in rule}
    assert targets == {f"{space.pod(name).status.pod_ip}:8080" for name in WEB}


def test_kube_proxy_is_kubeadms_daemon_set(lab: Lab) -> None:
    get = ["get", "daemonset", "kube-proxy", "--namespace=kube-system", "-o"]
    assert lab.kubectl([*get, "jsonpath={.status.numberReady}"]) == "3"
    volume = "{.spec.template.spec.volumes[?(@.configMap)].configMap.name}"
    assert lab.kubectl([*get, f"jsonpath={volume}"]) == "kube-proxy"
    config = lab.kubectl(["get", "configmap", "kube-proxy", "--namespace=kube-system", "-o", "jsonpath={.data}"])
    assert "kind: KubeProxyConfiguration" in config


def test_kube_proxy_says_its_mode(space: Space) -> None:
    found = space.lab.kubectl("get pods -n kube-system -l k8s-app=kube-proxy -o name").split()
    assert len(found) == 3
    assert "Using iptables Proxier" in space.lab.kubectl(["logs", "--namespace=kube-system", found[0]])


@pytest.fixture(scope="module")
def opened(lab: Lab) -> Iterator[str]:
    """The URL of a Service of type NodePort."""
    lab.deploy("opened", image="labkit/standin", progress=Progress())
    try:
        lab.kubectl(["patch", "service", "opened", "-p", '{"spec": {"type": "NodePort"}}'])
        yield lab.open("svc/opened")
    finally:
        lab.kubectl("delete deployment,service opened --wait=false")


def test_service_from_the_host_by_open(opened: str) -> None:
    for _ in range(3):
        assert fetch(opened).startswith("pod opened-")
