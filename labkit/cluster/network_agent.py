"""The pod network, as the program that runs on every node: tell CNI which addresses are ours, and route to the others.

It is what the labkit network DaemonSet runs: it watches Nodes, writes this node's CNI configuration once the
controller-manager gave the node its pod range, and keeps a host-gateway route to every other node's range. It uses only
the standard library, because it runs on every node and memory is short.
"""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

TYPE_CHECKING = False  # as typing's, which takes half a megabyte of memory
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
CONFIG = Path("/etc/cni/net.d/10-labkit.conflist")
_RETRY_SECONDS = 0.5
_WATCH_SECONDS = 300


def cni_config(pod_range: str) -> dict[str, Any]:
    """Return the network's configuration on a node (CNI specification 1.0.0).

    ptp rather than bridge: each pod's traffic is then routed, so that kube-proxy's rules see it even where the
    kernel has no br_netfilter.

    Parameters
    ----------
    pod_range : str
        The node's own, as in ``spec.podCIDR``.
    """
    address_management = {
        "type": "host-local",
        "ranges": [[{"subnet": pod_range}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": "/run/labkit/cni",
    }
    return {
        "cniVersion": "1.0.0",
        "name": "labkit",
        "plugins": [
            {"type": "ptp", "ipMasq": False, "ipam": address_management},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def routes(nodes: Mapping[str, Mapping[str, Any]], own_name: str) -> dict[str, str]:
    """Return the routes to the other nodes' pods: pod range → the node's address."""
    found = {}
    for name, node in nodes.items():
        pod_range = node["spec"].get("podCIDR")
        addresses = [a["address"] for a in node["status"].get("addresses", []) if a["type"] == "InternalIP"]
        if name != own_name and pod_range and addresses:
            found[pod_range] = addresses[0]
    return found


class Agent:
    """Keeps one node's CNI configuration and routes as the cluster's Nodes want them."""

    def __init__(self, server: str, node_name: str) -> None:
        self._server = urllib.parse.urlsplit(server)
        self._node_name = node_name
        self._nodes: dict[str, dict[str, Any]] = {}
        self._routes: dict[str, str] = {}
        self._pod_range = ""

    def run(self) -> None:
        """Follow the Nodes for ever."""
        while True:
            try:
                self._follow()
            except (OSError, http.client.HTTPException, ValueError) as error:
                print(f"{self._server.netloc}: {error}; trying again", flush=True)
                time.sleep(_RETRY_SECONDS)

    def _follow(self) -> None:
        listing = json.loads(self._get("/api/v1/nodes").read())
        self._nodes = {node["metadata"]["name"]: node for node in listing["items"]}
        self._apply()
        version = listing["metadata"]["resourceVersion"]
        for event in self._watch(version):
            if event["type"] == "ERROR":
                return
            name = event["object"]["metadata"]["name"]
            if event["type"] == "DELETED":
                self._nodes.pop(name, None)
            else:
                self._nodes[name] = event["object"]
            self._apply()

    def _watch(self, version: str) -> Iterator[dict[str, Any]]:
        query = urllib.parse.urlencode({"watch": 1, "resourceVersion": version, "timeoutSeconds": _WATCH_SECONDS})
        response = self._get(f"/api/v1/nodes?{query}")
        while line := response.readline():
            yield json.loads(line)

    def _get(self, path: str) -> http.client.HTTPResponse:
        context = ssl.create_default_context(cafile=str(_ACCOUNT / "ca.crt"))
        connection = http.client.HTTPSConnection(self._server.netloc, context=context, timeout=_WATCH_SECONDS + 60)
        token = (_ACCOUNT / "token").read_text()
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}", "User-Agent": "labkit-network"})
        response = connection.getresponse()
        if response.status != http.HTTPStatus.OK:
            raise ConnectionError(f"GET {path}: {response.status} {response.reason}")
        return response

    def _apply(self) -> None:
        own = self._nodes.get(self._node_name, {}).get("spec", {}).get("podCIDR", "")
        if own and own != self._pod_range:
            CONFIG.parent.mkdir(parents=True, exist_ok=True)
            draft = CONFIG.with_suffix(".draft")
            draft.write_text(json.dumps(cni_config(own), indent=2))
            draft.rename(CONFIG)
            self._pod_range = own
            print(f"pods of {self._node_name} get addresses of {own}", flush=True)
        wanted = routes(self._nodes, self._node_name)
        for pod_range in self._routes.keys() - wanted.keys():
            _ip("route", "del", pod_range)
        for pod_range, gateway in wanted.items():
            if self._routes.get(pod_range) != gateway:
                _ip("route", "replace", pod_range, "via", gateway)
        self._routes = wanted


def _ip(*arguments: str) -> None:
    print("ip", *arguments, flush=True)
    subprocess.run(["ip", *arguments], check=False)


def main() -> None:
    """Run the agent; its arguments are the API server's URL and this node's name."""
    server, node_name = sys.argv[1:]
    Agent(server, node_name).run()


if __name__ == "__main__":
    main()
