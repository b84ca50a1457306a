"""Services in any number without a pod behind them, to see what kube-proxy makes of them.

Each has an EndpointSlice made by hand, which leads to the API server's own address: so every Service really answers.
"""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from labkit.cluster.freeze import freeze
from labkit.cluster.preflight.machine import RULE_BYTES
from labkit.cluster.protocol import Cluster
from labkit.cluster.rest import ApiServer
from labkit.errors import ClusterError, PreflightError, UsageError
from labkit.language import gettext
from labkit.node.process import run
from labkit.proxy.model import Mode
from labkit.proxy.switch import Kubectl

NAMESPACE = "labkit-bench"
PORT = 80
_WMEM = Path("/proc/sys/net/core/wmem_default")
_AT_ONCE = 4  # connections by which Services are made
_GONE_SECONDS = 1200.0  # the namespace controller deletes a Service after the other


class Load:
    """The Services; `loaded` makes one and cleans up.

    Parameters
    ----------
    cluster : Cluster
        Where.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._endpoint, self._endpoint_port = _api_server(cluster)
        #: The cluster IPs, in the order in which the Services were made.
        self.addresses: list[str] = []

    def grow(self, count: int, report: Callable[[float], None]) -> None:
        """Make Services until there are so many; `report` is told how far it is, 0 to 1.

        kube-proxy is held still meanwhile: it would write rules each second, which takes the API server's time.
        """
        missing = range(len(self.addresses), count)
        free: SimpleQueue[ApiServer] = SimpleQueue()

        def make(number: int) -> str:
            api = free.get()
            try:
                return self.make(api, f"service-{number:05}")
            finally:
                free.put(api)

        with ExitStack() as stack:
            for node in self._cluster.spec.node_names:
                stack.enter_context(freeze(self._cluster, f"kube-proxy/{node}"))
            for _ in range(_AT_ONCE):
                free.put(stack.enter_context(closing(ApiServer.from_kubeconfig(self._cluster.kubeconfig))))
            pool = stack.enter_context(ThreadPoolExecutor(_AT_ONCE))
            stack.callback(pool.shutdown, cancel_futures=True)
            for made, address in enumerate(pool.map(make, missing), 1):
                self.addresses.append(address)
                report(made / len(missing))

    def make(self, api: ApiServer, name: str) -> str:
        """Make one Service and return its cluster IP; its endpoints are there before it is."""
        self.make_endpoints(api, name)
        return self.make_service(api, name)

    def make_endpoints(self, api: ApiServer, name: str) -> None:
        """Make the EndpointSlice of a Service."""
        labels = {"kubernetes.io/service-name": name, "endpointslice.kubernetes.io/managed-by": "labkit"}
        endpoint_slice = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "labels": labels},
            "addressType": "IPv4",
            "ports": [{"port": self._endpoint_port, "protocol": "TCP"}],
            "endpoints": [{"addresses": [self._endpoint], "conditions": {"ready": True}}],
        }
        api.create(f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices", endpoint_slice)

    def make_service(self, api: ApiServer, name: str) -> str:
        """Make a Service without its endpoints, and return its cluster IP."""
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"ports": [{"port": PORT, "targetPort": self._endpoint_port}]},
        }
        made = api.create(f"/api/v1/namespaces/{NAMESPACE}/services", service)
        return str(made["spec"]["clusterIP"])


@contextmanager
def loaded(cluster: Cluster, kubectl: Kubectl, report: Callable[[str], None]) -> Iterator[Load]:
    """Give a `Load` without Services yet; at the end of the block all of it is gone, whatever happened.

    Raises
    ------
    ClusterError
        The namespace could not be made or does not go.
    """
    _remove(cluster, kubectl, report)  # what one that was killed has left
    kubectl(["create", "-f", "-"], stdin=json.dumps(_namespace()))
    try:
        yield Load(cluster)
    finally:
        _remove(cluster, kubectl, report)


def require_room(cluster: Cluster, count: int) -> None:
    """Make sure that the Service range has room for so many more.

    Raises
    ------
    UsageError
        It has not.
    """
    with closing(ApiServer.from_kubeconfig(cluster.kubeconfig)) as api:
        found = api.get("/api/v1/services") or {"items": []}
    others = sum(each["metadata"]["namespace"] != NAMESPACE for each in found["items"])
    network = ipaddress.IPv4Network(cluster.spec.service_cidr)
    room = network.num_addresses - 2 - others - 1  # the first and the last are no Service's; one more is measured
    if not 1 <= count <= room:
        raise UsageError(
            gettext("{count} Services cannot be measured in this lab").format(count=count),
            why=gettext("its Service range {network} has room for {room} more").format(
                network=network, room=max(room, 0)
            ),
            fix=gettext("choose a smaller number, or a lab with a larger range: labkit up --service-cidr"),
        )


def require_message(cluster: Cluster, node: str, mode: Mode, count: int) -> None:
    """Make sure that kube-proxy can hand the rules of so many Services to a node's kernel.

    It hands over all rules in one message by netlink (nft(8); iptables-nft). In a user namespace that message may be as
    long as net.core.wmem_default says: a longer one needs SO_SNDBUFFORCE, which the kernel grants to the initial user
    namespace alone (socket(7); net/core/sock.c, sk_setsockopt).

    Raises
    ------
    PreflightError
        It cannot.
    """
    printed = run(
        cluster.node_command(node, ["cat", "/proc/self/uid_map", str(_WMEM)]),
        what=gettext("look at {node}").format(node=node),
    )
    *uid_map, length = printed.split()
    if uid_map == ["0", "0", "4294967295"] or mode not in RULE_BYTES or count * RULE_BYTES[mode] <= int(length):
        return
    most = int(length) // RULE_BYTES[mode]
    raise PreflightError(
        gettext("{count} Services cannot be measured in {mode} mode in this lab").format(count=count, mode=mode),
        why=gettext(
            "kube-proxy hands all rules to the kernel in one message, which may have {length} bytes for nodes in a "
            "user namespace (net.core.wmem_default): enough for {most} Services"
        ).format(length=length, most=most),
        fix=gettext(
            "choose at most {most}; or, as root, measure in a lab that was made by labkit up --privileged, or have "
            "longer messages: sysctl -w net.core.wmem_default={length}"
        ).format(most=most, length=count * RULE_BYTES[mode]),
    )


def _api_server(cluster: Cluster) -> tuple[str, int]:
    with closing(ApiServer.from_kubeconfig(cluster.kubeconfig)) as api:
        path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
        found = api.get(path)
    if found is None:
        raise ClusterError(
            gettext("The API server's own address is not known"), why=gettext("it does not answer"), fix="labkit status"
        )
    return found["endpoints"][0]["addresses"][0], found["ports"][0]["port"]


def _namespace() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}


def _remove(cluster: Cluster, kubectl: Kubectl, report: Callable[[str], None]) -> None:
    kubectl(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"])
    deadline = time.monotonic() + _GONE_SECONDS
    with closing(ApiServer.from_kubeconfig(cluster.kubeconfig)) as api:
        while api.get(f"/api/v1/namespaces/{NAMESPACE}") is not None:
            if time.monotonic() > deadline:
                raise ClusterError(
                    gettext("Namespace {namespace} does not go").format(namespace=NAMESPACE),
                    why=gettext("it was deleted {seconds:.0f} s ago").format(seconds=_GONE_SECONDS),
                    fix=f"labkit kubectl -- get namespace {NAMESPACE} --output yaml",
                )
            report("removing the Services")
            time.sleep(0.2)
