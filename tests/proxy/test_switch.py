"""Real switches on a real cluster, and what its kernels then do."""

from __future__ import annotations

import json
import math
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from labkit.cluster.rest import ApiServer
from labkit.errors import ClusterError, PreflightError, UsageError
from labkit.lab import Lab
from labkit.progress import PhaseEvent, Progress
from labkit.proxy import mode as modes
from labkit.proxy import rules, switch
from labkit.proxy.compare import Check
from labkit.proxy.model import ServicePort
from labkit.proxy.switch import Switched
from tests import traces
from tests.cli.command import LABKIT, labkit
from tests.proxy.captured import meaning
from tests.proxy.hidden import WithoutPrograms

pytestmark = pytest.mark.cluster

CONNECTIONS = 3000
STEPS = [
    "edit the ConfigMap",
    "list the pods",
    "delete the pods",
    "list the new pods",
    "read their logs",
    "all nodes serve",
]


def _service(name: str, **spec: object) -> dict[str, object]:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "spread"}, "spec": spec}


SHOP = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "spread"}},
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "spread"},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "nginx"}], "terminationGracePeriodSeconds": 0},
            },
        },
    },
    _service("web", ports=[{"name": "http", "port": 80}, {"name": "alt", "port": 8080, "targetPort": 80}]),
    _service("door", type="NodePort"),
    _service("near", type="NodePort", externalTrafficPolicy="Local"),
    _service("inside", internalTrafficPolicy="Local"),
    _service("sticky", sessionAffinity="ClientIP"),
    _service("talk", ports=[{"name": name, "port": 53, "protocol": name.upper()} for name in ("udp", "sctp")]),
    _service("known", externalIPs=["203.0.113.7"], internalTrafficPolicy="Local", type="NodePort"),
    _service("forlorn", externalIPs=["203.0.113.8"], selector={"app": "nobody"}),
    _service("balanced", type="LoadBalancer", loadBalancerSourceRanges=["10.1.0.0/16"], externalTrafficPolicy="Local"),
    _service("empty", type="NodePort", selector={"app": "nobody"}),
    _service("headless", clusterIP="None"),
    _service("away", type="ExternalName", externalName="example.test", selector=None, ports=None),
]


@pytest.fixture(scope="module")
def shop(lab: Lab) -> Iterator[Lab]:
    """Services of all kinds over three pods; the ConfigMap and the namespaces are in the end as they were found."""
    with lab.api_server() as api:
        found = modes.read(api)
    lab.kubectl("apply -f -", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": SHOP}))
    balanced = ["patch", "service", "balanced", "-n", "spread", "--subresource=status", "--patch"]
    lab.kubectl([*balanced, '{"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.20"}]}}}'])
    _wait_for_pods(lab)
    yield lab
    lab.kubectl("delete namespace spread --wait=false")
    lab.proxy.switch("iptables")
    with lab.api_server() as api:
        lab.kubectl("replace -f -", stdin=json.dumps(modes.read(api).with_line(found.line)))
        assert modes.read(api).text == found.text
    lab.kubectl("wait --for=delete namespace/spread --timeout=60s")


def _wait_for_pods(lab: Lab) -> None:
    """Wait for what kube-proxy goes by: an endpoint comes a while after its pod."""
    selected = "get endpointslices -n spread -l kubernetes.io/service-name=web -o json"

    def ready() -> int:
        slices = json.loads(lab.kubectl(selected))["items"]
        return sum(each["conditions"].get("ready", False) for found in slices for each in found["endpoints"] or [])

    traces.eventually(lambda: ready() == 3, timeout=60)


@pytest.fixture(autouse=True)
def _in_iptables_mode(shop: Lab) -> None:
    """Begin in the mode a new cluster has, whatever the test before came to."""
    shop.proxy.switch("iptables")


@pytest.fixture
def api(shop: Lab) -> Iterator[ApiServer]:
    with shop.api_server() as connection:
        yield connection


def _agreeing(lab: Lab) -> Check:
    """Return the check once it agrees: rules follow the API within moments."""
    deadline = time.monotonic() + 10
    while not (found := lab.proxy.check()).agrees and time.monotonic() < deadline:
        time.sleep(0.2)
    assert found.agrees, found
    return found


def _meanings(lab: Lab) -> list[list[ServicePort]]:
    """Return what the rules of each node say, whichever mode wrote them."""
    return [[meaning(port) for port in lab.proxy.rules(node.name).ports] for node in lab.nodes]


def _has_rules(lab: Lab, node: str) -> bool:
    try:
        return bool(lab.proxy.rules(node).ports)
    except ClusterError:
        return False


def _pods(lab: Lab) -> set[str]:
    return set(lab.kubectl("get pods -n kube-system -l k8s-app=kube-proxy -o name").splitlines())


def _spread(lab: Lab) -> Counter[str]:
    """Connect again and again to Service web from a node, and ask its kernel where each connection was led."""
    address = lab.kubectl("get service web -n spread -o jsonpath={.spec.clusterIP}")
    node = lab.nodes["node-01"]
    node.exec(f"conntrack -D --orig-dst {address} 2>/dev/null; true")
    loop = f"for ((i = 0; i < {CONNECTIONS}; i++)); do exec 3<>/dev/tcp/{address}/8080 && exec 3>&-; done"
    node.exec(["bash", "-c", loop])
    listed = node.exec(f"conntrack -L -p tcp --orig-dst {address} 2>/dev/null")
    return Counter(re.findall(r"dport=8080 .*?src=([0-9.]+) ", listed))


def _assert_even(found: Counter[str]) -> None:
    """Assert that chi-squared of three equal shares has p > 0.001; with two degrees of freedom p is exp(-x / 2)."""
    assert len(found) == 3
    total = found.total()
    assert total > CONNECTIONS * 0.99  # a source port may have come twice
    squared = sum((count - total / 3) ** 2 / (total / 3) for count in found.values())
    assert math.exp(-squared / 2) > 0.001, found


def _assert_told(switched: Switched, lab: Lab, before: str, after: str) -> None:
    assert (switched.before, switched.after) == (before, after)
    assert [step.what for step in switched.steps] == STEPS
    details = {step.what: step.detail for step in switched.steps}
    assert details["edit the ConfigMap"].endswith(f"→ mode: {after}")
    for node in lab.nodes:
        assert f"{node.name}: Using {after} Proxier" in details["read their logs"]
        assert f"on {node.name}" in details["list the new pods"]
    assert f"in {switched.seconds:.1f} s" in repr(switched)
    assert "<td" in switched._repr_html_()


def test_there_and_back(shop: Lab, api: ApiServer) -> None:
    text, old = modes.read(api).text, _pods(shop)
    assert shop.proxy.mode == "iptables"
    before, meant = _agreeing(shop), _meanings(shop)
    _assert_even(_spread(shop))

    _assert_told(shop.proxy.switch("nftables"), shop, "iptables", "nftables")
    assert modes.read(api).text == re.sub(r"(?m)^mode:.*$", "mode: nftables", text)
    assert not _pods(shop) & old
    there = _agreeing(shop)
    assert {node.mode for node in there.nodes} == {"nftables"}
    assert [node.agreeing for node in there.nodes] == [node.agreeing for node in before.nodes]
    assert _meanings(shop) == meant
    _assert_even(_spread(shop))

    _assert_told(shop.proxy.switch("iptables"), shop, "nftables", "iptables")
    back = _agreeing(shop)
    assert [node.agreeing for node in back.nodes] == [node.agreeing for node in before.nodes]
    assert [node.foreign for node in back.nodes] == [node.foreign for node in before.nodes], "pods' host ports stay"
    assert not any(node.foreign for node in there.nodes)
    assert shop.proxy.switch("iptables").steps == ()


def test_a_rule_of_another_tool_is_no_difference(shop: Lab) -> None:
    node = shop.nodes["node-01"]
    before = set(next(each for each in _agreeing(shop).nodes if each.node == "node-01").foreign)
    rule = "PREROUTING -d 203.0.113.1/32 -m comment --comment 'not of kube-proxy' -j RETURN"
    node.exec(f"iptables -t nat -A {rule}")
    try:
        found = next(each for each in _agreeing(shop).nodes if each.node == "node-01")
        (other,) = set(found.foreign) - before
        assert "203.0.113.1/32" in other
    finally:
        node.exec(f"iptables -t nat -D {rule}")


def test_ipvs_is_refused_and_nothing_changes(shop: Lab, api: ApiServer) -> None:
    before, old = modes.read(api).resource, _pods(shop)
    with pytest.raises(PreflightError, match="cannot use ipvs here; nothing was changed") as caught:
        shop.proxy.switch("ipvs")
    assert "user namespace" in caught.value.why
    assert "labkit up --privileged" in caught.value.fix
    assert "modprobe --all ip_vs ip_vs_rr ip_vs_wrr ip_vs_sh nf_conntrack" in caught.value.fix
    assert modes.read(api).resource == before
    assert _pods(shop) == old


def test_forced_ipvs_shows_why_it_fails_and_the_old_mode_is_back(shop: Lab, api: ApiServer) -> None:
    text = modes.read(api).text
    with pytest.raises(ClusterError, match="could not be switched to ipvs; iptables is back") as caught:
        shop.proxy.switch("ipvs", force=True)
    assert "crashes" in caught.value.why
    assert "can't use the IPVS proxier" in caught.value.why
    assert modes.read(api).text == text
    _agreeing(shop)


def test_a_node_that_takes_too_long_gets_the_old_mode_back(shop: Lab, api: ApiServer) -> None:
    text = modes.read(api).text
    with pytest.raises(ClusterError, match="could not be switched to nftables; iptables is back") as caught:
        shop.proxy.switch("nftables", timeout=0)
    assert "no new pod runs on" in caught.value.why
    assert modes.read(api).text == text
    _agreeing(shop)


def test_an_interrupt_puts_the_old_mode_back(shop: Lab, api: ApiServer) -> None:
    text = modes.read(api).text
    command = [*LABKIT, "--name", shop.name, "proxy", "mode", "nftables"]
    # A node whose kubelet is held starts no new pod, so that the switch cannot be done before it is interrupted.
    with shop.freeze("kubelet/node-01") as held, subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as switch:
        assert switch.stderr is not None
        while "list the new pods" not in (line := switch.stderr.readline()):
            assert line
        switch.send_signal(signal.SIGINT)
        held.thaw()
        rest = switch.stderr.read()
    assert switch.returncode == 130, rest
    assert modes.read(api).text == text
    _agreeing(shop)


def test_a_broken_config_map_is_left_alone(shop: Lab, api: ApiServer) -> None:
    found, old = modes.read(api), _pods(shop)
    shop.kubectl("replace -f -", stdin=json.dumps(found.with_line("mode: [")))
    try:
        broken = modes.read(api).resource
        with pytest.raises(ClusterError, match="ConfigMap is broken") as caught:
            shop.proxy.switch("nftables")
        assert re.search(r"line \d+: ", caught.value.why)
        assert modes.read(api).resource == broken
        assert _pods(shop) == old
    finally:
        broken["data"] = found.resource["data"]
        shop.kubectl("replace -f -", stdin=json.dumps(broken))


def test_a_config_map_that_is_missing(shop: Lab, api: ApiServer) -> None:
    found = modes.read(api).resource
    shop.kubectl("delete configmap kube-proxy -n kube-system")
    try:
        with pytest.raises(ClusterError, match="mode cannot be read"):
            shop.proxy.switch("nftables")
    finally:
        del found["metadata"]["resourceVersion"], found["metadata"]["uid"]
        shop.kubectl("create -f -", stdin=json.dumps(found))


def test_of_two_switches_at_once_the_second_is_refused(shop: Lab) -> None:
    under_way, refused = threading.Event(), threading.Event()

    def listen(event: PhaseEvent) -> None:
        if event.phase == "list the pods" and event.state == "started":
            under_way.set()
            refused.wait(30)

    first = threading.Thread(target=shop.proxy.switch, args=("nftables",), kwargs={"progress": Progress(listen)})
    first.start()
    try:
        assert under_way.wait(30)
        with pytest.raises(UsageError, match="Another command is changing lab"):
            shop.proxy.switch("iptables")
    finally:
        refused.set()
        first.join()
    assert shop.proxy.mode == "nftables"


def test_a_node_that_is_down_is_refused_before_anything_changes(shop: Lab) -> None:
    node = shop.nodes["node-02"]
    node.stop()
    try:
        with pytest.raises(ClusterError, match="cannot be switched now") as caught:
            shop.proxy.switch("nftables")
        assert caught.value.fix == "labkit node start node-02"
        with pytest.raises(ClusterError, match="rules of node-02 cannot be read"):
            shop.proxy.rules("node-02")
        with (
            pytest.raises(ClusterError, match="Not every node's rules can be followed"),
            shop.proxy.follow("spread/web"),
        ):
            pass
        assert shop.proxy.mode == "iptables"
    finally:
        node.start()
    traces.eventually(lambda: _has_rules(shop, "node-02"), timeout=60)
    _agreeing(shop)


def test_a_node_that_goes_down_during_the_switch(shop: Lab, api: ApiServer) -> None:
    node, text = shop.nodes["node-02"], modes.read(api).text

    def pull_the_plug(event: PhaseEvent) -> None:
        if event.phase == "list the new pods" and event.state == "started":
            node.stop()

    try:
        with pytest.raises(ClusterError, match="could not be switched to nftables; iptables is back") as caught:
            shop.proxy.switch("nftables", progress=Progress(pull_the_plug))
        assert "node-02 was switched off meanwhile" in caught.value.why
        assert caught.value.fix.startswith("labkit node start node-02")
        assert modes.read(api).text == text
    finally:
        node.start()
    traces.eventually(lambda: _has_rules(shop, "node-02"), timeout=60)
    _agreeing(shop)


def test_pods_that_never_come_back(shop: Lab, api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    text = modes.read(api).text
    patch = ["patch", "daemonset", "kube-proxy", "-n", "kube-system", "--patch"]
    nowhere = {"spec": {"template": {"spec": {"nodeSelector": {"of-no-node": "true"}}}}}
    monkeypatch.setattr(switch, "TIMEOUT", 2.0)
    strategy = {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}}
    before = shop.kubectl("get daemonset kube-proxy -n kube-system -o json")
    shop.kubectl([*patch, json.dumps(strategy)])
    shop.kubectl([*patch, json.dumps(nowhere)])
    try:
        with pytest.raises(ClusterError, match="to nftables, and iptables could not be put back") as caught:
            shop.proxy.switch("nftables", timeout=2)
        assert "no new pod runs on" in caught.value.why
        assert caught.value.fix.endswith("labkit proxy mode iptables")
        assert shop.proxy.rules().mode == "iptables", "the rules outlive the pods"
        with pytest.raises(ClusterError, match="no new pod runs on"):  # and not: already in that mode
            shop.proxy.switch("iptables", timeout=2)
    finally:
        spec = json.loads(str(before))["spec"]
        nowhere["spec"]["template"]["spec"]["nodeSelector"] = {"of-no-node": None}  # type: ignore[dict-item]
        shop.kubectl([*patch, json.dumps(nowhere)])
        shop.kubectl([*patch, json.dumps({"spec": {"updateStrategy": spec["updateStrategy"]}})])
    assert modes.read(api).text == text, "the ConfigMap is as it was, all the same"
    traces.eventually(lambda: len(_pods(shop)) == len(shop.nodes), timeout=60)
    _agreeing(shop)


@pytest.mark.parametrize("program", ["iptables-save", "nft"])
def test_a_node_without_the_programs_that_tell_its_rules(shop: Lab, program: str) -> None:
    with pytest.raises(ClusterError, match="Could not read the rules of node-01") as caught:
        rules.tables(WithoutPrograms(shop, program), "node-01")  # type: ignore[arg-type]
    assert caught.value.why == f"it has no {program}"


def test_the_commands(shop: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKIT_NAME", shop.name)
    mode = shop.proxy.mode
    assert labkit("proxy", "mode", mode).stdout == f"kube-proxy: {mode} already, on every node\n"
    assert labkit("proxy", "mode", "ipvs").returncode == 3
    assert labkit("proxy", "mode").stdout == f"{mode}\n"
    shown = labkit("proxy", "rules", "spread/web", "--node", "node-01")
    assert "spread/web:http" in shown.stdout
    assert {"iptables": "--to-destination ", "nftables": "dnat to "}[mode] in shown.stdout
    found = json.loads(labkit("proxy", "rules", "spread/web", "--json").stdout)
    assert [len(port["endpoints"]) for port in found["ports"]] == [3, 3]
