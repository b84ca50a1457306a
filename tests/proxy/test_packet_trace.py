"""Real requests followed on the shared lab; nothing of it is left on the nodes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from labkit.errors import ClusterError, LabkitError, PreflightError, UsageError
from labkit.lab import Lab
from labkit.proxy import nft_trace
from labkit.proxy.packet import PacketPath
from labkit.proxy.packet_trace import trace
from labkit.views import packet as view
from tests import traces
from tests.pods.space import pod, service, workload
from tests.proxy.hidden import WithoutPrograms

pytestmark = pytest.mark.cluster

#: CoreDNS takes a connection and says nothing to HTTP.
SILENT = {"target": "svc/kube-dns", "namespace": "kube-system"}


@pytest.fixture(scope="module", autouse=True)
def _services(lab: Lab) -> Iterator[None]:
    """Two pods behind Services of several kinds, a pod on the control plane, and Services with nothing behind them."""
    web = {"name": "main", "image": "labkit/standin"}
    datagrams = service("datagrams", "followed", 80, 80)
    datagrams["spec"]["ports"] = [{"port": 53, "protocol": "UDP"}]
    made = [
        pod("on-master", web, nodeName="master"),
        workload("Deployment", "followed", {"replicas": 2}, web),
        service("followed", "followed", 8080, 8080),
        service("followed-port", "followed", 80, 8080, type="NodePort"),
        service("followed-local", "followed", 80, 8080, type="NodePort", externalTrafficPolicy="Local"),
        service("nobody", "nobody", 80, 8080),
        service("headless", "followed", 8080, 8080, clusterIP="None"),
        service("elsewhere", "followed", 80, 80, type="ExternalName", externalName="example.org"),
        datagrams,
    ]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": made})
    lab.kubectl("create -f -", stdin=text)
    lab.kubectl("rollout status deployment/followed")
    lab.kubectl("wait pod/on-master --for=condition=Ready")
    traces.eventually(lambda: trace(lab.cluster, "svc/followed-port").outcome == "delivered")
    yield
    lab.kubectl("delete --cascade=foreground -f -", stdin=text)


@pytest.fixture(autouse=True)
def _nothing_left(lab: Lab) -> Iterator[None]:
    yield
    assert left(lab) == []


def left(lab: Lab) -> list[str]:
    """Return what tracing left on the nodes: tables, and processes that listen."""
    found = []
    for node in lab.nodes:
        found += [line for line in node.exec("nft list tables").splitlines() if nft_trace.TABLE in line]
        found += node.exec("grep -lazE '^(monitor|labkit.node.requester)$' /proc/[0-9]*/cmdline || true").split()
    return found


def pod_of(lab: Lab) -> str:
    return str(lab.kubectl("get pods --selector=app=followed -o jsonpath={.items[0].metadata.name}"))


def chains(path: PacketPath) -> list[str]:
    return [step.chain for step in path.steps]


def assert_balanced(lab: Lab, path: PacketPath) -> None:
    """The path leads through kube-proxy's three kinds of chain to an endpoint that the API knows."""
    kinds = [chain[:8] for chain in chains(path) if chain.startswith(("KUBE-SERVICES", "KUBE-SVC", "KUBE-SEP"))]
    order = list(dict.fromkeys(kinds))
    assert order[:3] == ["KUBE-SER", "KUBE-SVC", "KUBE-SEP"]
    translated = [step for step in path.steps if step.translation == "DNAT"]
    assert [step.translated_to for step in translated] == [path.endpoint]
    known = lab.kubectl(
        "get endpointslices --selector=kubernetes.io/service-name=followed -o jsonpath={..addresses[*]}"
    )
    assert path.endpoint is not None
    assert path.endpoint.ip in str(known)
    assert path.endpoint_name.startswith("pod/followed-")
    assert (path.outcome, path.status, path.error, path.mode) == ("delivered", 200, "", "iptables")


def test_from_a_node(lab: Lab) -> None:
    began = time.monotonic()
    path = trace(lab.cluster, "svc/followed", from_node="node-01")
    assert time.monotonic() - began < 1.5
    assert_balanced(lab, path)
    assert (path.node, path.request.client, path.request.service) == ("node-01", "node node-01", "default/followed")
    assert chains(path)[0] == "OUTPUT"
    assert [step.translation for step in path.steps if step.translation] == ["DNAT", "masquerade"]
    assert "default/followed:http cluster IP" in path.steps[1].rule
    assert str(path.endpoint) in view.to_svg(path)


def test_from_a_pod(lab: Lab) -> None:
    name = pod_of(lab)
    path = trace(lab.cluster, "svc/followed", from_pod=name)
    assert_balanced(lab, path)
    assert path.node == lab.kubectl(f"get pod {name} -o jsonpath={{.spec.nodeName}}")
    assert path.request.source.ip == lab.kubectl(f"get pod {name} -o jsonpath={{.status.podIP}}")
    assert chains(path)[0] == "PREROUTING"


def test_a_node_port_is_seen_on_the_node_that_is_asked(lab: Lab) -> None:
    path = trace(lab.cluster, "svc/followed-port", node_port="node-02", from_node="master")
    assert (path.node, path.outcome, path.status) == ("node-02", "delivered", 200)
    assert str(path.request.source.ip) == lab.nodes["master"].address
    assert "KUBE-NODEPORTS" in chains(path)
    assert any(step.translation == "masquerade" for step in path.steps)


def test_an_endpoint_on_the_clients_own_node(lab: Lab) -> None:
    path = trace(lab.cluster, "svc/kubernetes", from_pod="on-master")
    assert (path.node, path.outcome, str(path.endpoint)) == ("master", "delivered", f"{lab.nodes[0].address}:6443")
    assert chains(path)[-1] == "INPUT"
    assert (path.endpoint_name, path.status) == ("", 400)  # it wants TLS, and says so by HTTP


def test_a_service_without_endpoints_is_rejected(lab: Lab) -> None:
    path = trace(lab.cluster, "svc/nobody")
    assert (path.outcome, path.endpoint, path.answer) == ("rejected", None, "connection refused")
    assert path.steps[-1].verdict == "reject"
    assert "default/nobody:http has no endpoints" in path.steps[-1].rule


def test_a_node_port_for_local_endpoints_is_dropped_where_there_are_none(lab: Lab) -> None:
    path = trace(lab.cluster, "svc/followed-local", node_port="master", from_node="node-01")
    assert (path.outcome, path.endpoint, path.answer) == ("dropped", None, "no answer")
    assert "has no local endpoints" in path.steps[-1].rule


def test_a_pod_that_is_gone_cannot_ask(lab: Lab) -> None:
    request = [sys.executable, "-I", "-m", "labkit.node.requester", "10.96.0.1", "443", "1", "203.0.113.9"]
    with pytest.raises(ClusterError) as failure:
        lab.nodes["node-01"].exec(request)
    assert "no process has this address" in failure.value.why


def test_who_speaks_no_http_is_reached_all_the_same(lab: Lab) -> None:
    path = trace(lab.cluster, **SILENT, port=53)
    assert (path.outcome, path.status, path.answer) == ("delivered", None, "connected, but no HTTP answer")


@pytest.mark.parametrize(
    ("target", "options", "why"),
    [
        ("followed", {}, "does not name a Service"),
        ("svc/nothing", {}, ""),
        ("svc/headless", {}, "headless"),
        ("svc/elsewhere", {}, "example.org"),
        ("svc/datagrams", {}, "it is for UDP"),
        ("svc/followed", {"port": 81}, "it has 8080/TCP"),
        ("svc/followed", {"node_port": "node-01"}, "its type is ClusterIP"),
        ("svc/followed", {"from_node": "nowhere"}, "the nodes are"),
        ("svc/followed", {"from_pod": "nothing"}, ""),
        ("svc/followed", {"from_pod": "kube-system/nothing"}, ""),
        ("svc/followed", {"from_pod": "a", "from_node": "node-01"}, "both"),
    ],
)
def test_what_cannot_be_traced_is_said(lab: Lab, target: str, options: dict[str, str], why: str) -> None:
    with pytest.raises(UsageError) as failure:
        trace(lab.cluster, target, **options)  # type: ignore[arg-type]
    assert why in failure.value.why
    assert failure.value.fix


def test_a_node_without_nft(lab: Lab) -> None:
    with pytest.raises(PreflightError, match="node-01") as failure:
        trace(WithoutPrograms(lab, "nft"), "svc/followed")  # type: ignore[arg-type]
    assert failure.value.fix == "apt-get install nftables"


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_who_is_cut_off_leaves_nothing(lab: Lab, end: signal.Signals) -> None:
    call = f"trace(labkit.attach({lab.name!r}).cluster, **{SILENT!r}, port=53, from_node='node-01')"
    program = f"import labkit; from labkit.proxy.packet_trace import trace; {call}"
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL) as tracing:
        traces.eventually(lambda: left(lab))
        tracing.send_signal(end)
        tracing.wait()
    assert tracing.returncode != 0
    traces.eventually(lambda: not left(lab), timeout=3)


def test_what_a_killed_one_left_is_replaced(lab: Lab) -> None:
    lab.nodes["node-01"].exec(f"nft add table ip {nft_trace.TABLE}")
    lab.nodes["node-01"].exec(f"nft add chain ip {nft_trace.TABLE} other")
    assert trace(lab.cluster, "svc/followed", from_node="node-01").outcome == "delivered"


def test_two_at_once_wait_for_each_other(lab: Lab) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor() as pool:
        paths = list(pool.map(lambda _: trace(lab.cluster, "svc/followed", from_node="node-01"), range(3)))
    assert {path.outcome for path in paths} == {"delivered"}
    assert len({path.request.source for path in paths}) == 3


def test_a_lab_that_does_not_run_is_said(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(lab.cluster), "running", False)
    with pytest.raises(LabkitError, match="does not run"):
        trace(lab.cluster, "svc/followed")
