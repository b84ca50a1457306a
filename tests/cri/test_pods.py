"""Pod sandboxes: their namespaces, network and files, and that stopping and removing can be repeated."""

import json
import sys
import time
from typing import Any

import grpc
import pytest

from labkit.cri import api_pb2 as api
from tests.cri.conftest import Node, Pod, eventually

pytestmark = pytest.mark.programs


def test_the_network_is_not_ready_until_it_is_configured(own_node: Node) -> None:
    def network() -> api.RuntimeCondition:
        conditions = {each.type: each for each in own_node.client.Status().status.conditions}
        assert conditions["RuntimeReady"].status
        condition = conditions["NetworkReady"]
        assert isinstance(condition, api.RuntimeCondition)
        return condition

    assert (network().status, network().reason) == (False, "NetworkPluginNotReady")
    assert "no network configuration" in network().message
    with pytest.raises(grpc.RpcError) as caught:
        own_node.pod(network=api.POD)
    assert "not configured" in str(caught.value)
    assert len(own_node.client.ListPodSandbox().items) == 0
    own_node.use_network()
    assert network().status


def test_a_pod_has_an_address_a_loopback_and_its_name(node: Node) -> None:
    pod = node.pod("web-1", network=api.POD)
    status = pod.status()
    assert status.network.ip.startswith("192.168.7.")
    shown = pod.shell("hostname; cat /etc/hostname; ip -o -4 address; ping -c 1 -w 2 127.0.0.1 >/dev/null && echo up")
    shown.wait()
    output = shown.output()
    assert output.startswith("web-1\nweb-1\n")
    assert status.network.ip in output
    assert output.endswith("up\n")
    pod.remove()


def test_pods_reach_each_other_and_addresses_are_given_back(node: Node) -> None:
    server, client = node.pod(network=api.POD), node.pod(network=api.POD)
    server.run("labkit/standin")
    address = server.status().network.ip
    fetched = client.run("busybox", command=["sleep", "60"])
    page = eventually(lambda: fetched.exec("wget", "-qO-", f"http://{address}:8080/").stdout)
    assert page.decode() == f"pod {server.name}, address {address}, node node-01\n"
    leases = node.root / "run/cni/pods"
    assert (leases / address).exists()
    server.remove()
    client.remove()
    assert not (leases / address).exists()


def test_a_host_port_leads_to_the_pod(own_node: Node) -> None:
    own_node.use_network({"type": "portmap", "capabilities": {"portMappings": True}})
    ports = [api.PortMapping(host_port=8081, container_port=8080)]
    pod = own_node.pod(network=api.POD, port_mappings=ports)
    pod.run("labkit/standin")
    fetch = "import urllib.request; print(urllib.request.urlopen('http://192.168.7.1:8081', timeout=5).read().decode())"
    assert pod.name in eventually(lambda: own_node.enter(sys.executable, "-c", fetch).stdout)
    pod.remove()
    assert "8081" not in own_node.enter("iptables-save").stdout


def test_two_containers_share_localhost_and_a_volume(node: Node) -> None:
    pod = node.pod(network=api.POD)
    (node.root / "var/shared").mkdir(exist_ok=True)
    volume = api.Mount(container_path="/shared", host_path="/var/shared")
    pod.shell(
        "mkdir /www; echo from-a >/www/index.html; httpd -p 81 -h /www; echo a >/shared/file; sleep 60",
        name="a",
        mounts=[volume],
    )
    other = pod.run(command=["sleep", "60"], name="b", mounts=[volume])
    page = eventually(lambda: other.exec("wget", "-qO-", "http://127.0.0.1:81/").stdout)
    assert page == b"from-a\n"
    assert other.exec("cat", "/shared/file").stdout == b"a\n"
    assert other.exec("ls", "/www").exit_code != 0
    pod.remove()


def test_dev_shm_is_the_pods(pod: Pod) -> None:
    pod.shell("echo x >/dev/shm/x; sleep 60", name="a")
    other = pod.run(command=["sleep", "60"], name="b")
    assert eventually(lambda: other.exec("sh", "-c", "cat /dev/shm/x").stdout) == b"x\n"


def test_a_pods_name_service_is_what_kubelet_says(node: Node) -> None:
    dns = api.DNSConfig(servers=["10.96.0.10"], searches=["a.svc", "b"], options=["ndots:5"])
    pod = node.pod(dns_config=dns)
    shown = pod.shell("cat /etc/resolv.conf")
    shown.wait()
    assert shown.output() == "nameserver 10.96.0.10\nsearch a.svc b\noptions ndots:5\n"
    pod.remove()


def test_containers_see_each_others_processes_only_if_the_pod_says_so(node: Node) -> None:
    for mode, seen in ((api.POD, True), (api.CONTAINER, False)):
        pod = node.pod(pid=mode)
        pod.run(command=["sleep", "1234"], name="a")
        other = pod.run(command=["sleep", "60"], name="b")
        assert (b"sleep 1234" in other.exec("ps").stdout) == seen
        pod.remove()


def test_a_debugging_container_joins_the_processes_of_its_target(node: Node) -> None:
    pod = node.pod()
    target = pod.run(command=["sleep", "1236"], name="target")
    options = api.NamespaceOption(network=api.NODE, pid=api.TARGET, target_id=target.id)
    debugger = pod.run(command=["sleep", "60"], name="debugger", security={"namespace_options": options})
    assert b"sleep 1236" in debugger.exec("ps").stdout
    debugger.stop(1)
    assert target.status().state == api.CONTAINER_RUNNING
    pod.remove()


def test_a_pod_may_see_the_nodes_processes(node: Node) -> None:
    pod = node.pod(pid=api.NODE)
    inside = pod.run(command=["sleep", "1235"])
    assert b"labkit.cri" in inside.exec("ps").stdout
    inside.stop(1)
    assert inside.status().exit_code == 143
    pod.remove()


def test_sysctls_are_the_pods_own(node: Node) -> None:
    security = api.LinuxSandboxSecurityContext(namespace_options=api.NamespaceOption(pid=api.CONTAINER))
    linux = api.LinuxPodSandboxConfig(security_context=security, sysctls={"net.ipv4.ip_unprivileged_port_start": "80"})
    config = api.PodSandboxConfig(metadata=api.PodSandboxMetadata(name="tuned", uid="1", namespace="x"), linux=linux)
    identifier = node.client.RunPodSandbox(config=config).pod_sandbox_id
    holder = json.loads((node.root / f"var/lib/labkit/sandboxes/{identifier}/record.json").read_text())["holder"]["pid"]
    assert holder
    node.client.RemovePodSandbox(pod_sandbox_id=identifier)
    config.linux.sysctls["net.no_such"] = "1"
    with pytest.raises(grpc.RpcError) as caught:
        node.client.RunPodSandbox(config=config)
    assert "net.no_such" in str(caught.value)


def test_sandboxes_are_listed_by_state_and_labels(node: Node) -> None:
    one = node.pod("one", labels={"app": "x", "tier": "a"})
    two = node.pod("two", labels={"app": "x"})
    node.client.StopPodSandbox(pod_sandbox_id=two.id)

    def names(**fields: Any) -> set[str]:
        listed = node.client.ListPodSandbox(filter=api.PodSandboxFilter(**fields)).items
        return {item.metadata.name for item in listed}

    ready = api.PodSandboxStateValue(state=api.SANDBOX_READY)
    gone = api.PodSandboxStateValue(state=api.SANDBOX_NOTREADY)
    assert names(label_selector={"app": "x"}) == {"one", "two"}
    assert names(label_selector={"app": "x", "tier": "a"}) == {"one"}
    assert names(label_selector={"app": "x"}, state=ready) == {"one"}
    assert names(label_selector={"app": "x"}, state=gone) == {"two"}
    assert names(id=two.id) == {"two"}
    one.remove()
    two.remove()


def test_stopping_and_removing_can_be_repeated_and_leave_nothing(own_node: Node) -> None:
    own_node.use_network()
    pod = own_node.pod(network=api.POD)
    pod.run(command=["sleep", "60"])
    own_node.client.StopPodSandbox(pod_sandbox_id=pod.id)
    own_node.client.StopPodSandbox(pod_sandbox_id=pod.id)
    assert pod.status().state == api.SANDBOX_NOTREADY
    own_node.client.RemovePodSandbox(pod_sandbox_id=pod.id)
    own_node.client.RemovePodSandbox(pod_sandbox_id=pod.id)
    own_node.client.StopPodSandbox(pod_sandbox_id="unknown")
    for kind in ("sandboxes", "containers"):
        assert list((own_node.root / "var/lib/labkit" / kind).iterdir()) == []
    with pytest.raises(grpc.RpcError) as caught:
        pod.status()
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_removing_a_pod_removes_its_running_containers(own_node: Node) -> None:
    pod = own_node.pod()
    container = pod.run(command=["sleep", "60"])
    own_node.client.RemovePodSandbox(pod_sandbox_id=pod.id)
    assert len(own_node.client.ListContainers().containers) == 0
    with pytest.raises(grpc.RpcError):
        container.status()


def test_a_pod_is_made_quickly(node: Node) -> None:
    started = time.monotonic()
    pod = node.pod(network=api.POD)
    pod.run("labkit/standin")
    assert time.monotonic() - started < 5
    pod.remove()
