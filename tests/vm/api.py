"""An API server without a cluster, in the virtual machine: everybody who has the token may do everything."""

from __future__ import annotations

import json
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

_STATE = Path("/run/api-server")
_TOKEN = "of-the-virtual-machine"  # noqa: S105 - nobody else is there
KUBECONFIG = _STATE / "kubeconfig"
_PORT = 6443
_KEEPING = {"kind", "apiVersion", "metadata", "spec", "addressType", "endpoints", "ports"}
_KEEPING_OF_METADATA = {"name", "namespace", "labels"}


def start(programs: dict[str, str], address: str, starter: Callable[[str, list[str]], object]) -> None:
    """Start etcd and the API server."""
    _STATE.mkdir()
    key, tokens = _STATE / "key", _STATE / "tokens"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    tokens.write_text(f"{_TOKEN},admin,admin,system:masters\n")
    server = {"server": f"https://{address}:{_PORT}", "insecure-skip-tls-verify": True}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "clusters": [{"name": "it", "cluster": server}],
        "users": [{"name": "it", "user": {"token": _TOKEN}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    }
    KUBECONFIG.write_text(json.dumps(config))
    client = "http://127.0.0.1:2379"
    starter(
        "etcd",
        [
            *(programs["etcd"], f"--data-dir={_STATE}/etcd", "--unsafe-no-fsync"),
            *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}"),
        ],
    )
    starter(
        "kube-apiserver",
        [
            *(programs["kube-apiserver"], f"--etcd-servers={client}", f"--advertise-address={address}"),
            *("--service-cluster-ip-range=10.96.0.0/16", f"--secure-port={_PORT}", f"--cert-dir={_STATE}"),
            *(f"--token-auth-file={tokens}", "--authorization-mode=AlwaysAllow"),
            *("--service-account-issuer=https://it", f"--service-account-key-file={key}"),
            *(f"--service-account-signing-key-file={key}", "--disable-admission-plugins=ServiceAccount"),
        ],
    )


def _request(method: str, path: str, body: object = None) -> Any:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    request = urllib.request.Request(
        f"https://127.0.0.1:{_PORT}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {_TOKEN}", "Content-Type": kind},
    )
    with urllib.request.urlopen(request, context=context, timeout=30) as response:  # noqa: S310
        return json.loads(response.read() or b"{}")


def is_ready() -> bool:
    """Whether the API server serves, and has made its own Service and the namespace of the system."""
    try:
        _request("GET", "/api/v1/namespaces/kube-system")
        slices = items("/apis/discovery.k8s.io/v1/endpointslices")
        return bool(slices and _request("GET", "/api/v1/namespaces/default/services/kubernetes"))
    except OSError:
        return False


def items(path: str) -> list[dict[str, Any]]:
    """Return the items of a list."""
    found: list[dict[str, Any]] = _request("GET", path)["items"]
    return found


def create_all(nodes: dict[str, str], services: Iterable[dict[str, Any]], slices: Iterable[dict[str, Any]]) -> None:
    """Create the nodes, and Services and EndpointSlices as somebody else's API server had them."""
    _request("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})
    for name, address in nodes.items():
        _request("POST", "/api/v1/nodes", {"metadata": {"name": name}})
        status = {"status": {"addresses": [{"type": "InternalIP", "address": address}]}}
        _request("PATCH", f"/api/v1/nodes/{name}/status", status)
    for path, resource, found in (
        ("/api/v1", "services", services),
        ("/apis/discovery.k8s.io/v1", "endpointslices", slices),
    ):
        for each in found:
            if each["metadata"]["name"] != "kubernetes":  # the API server's own
                _request("POST", f"{path}/namespaces/{each['metadata']['namespace']}/{resource}", _plain(each))


def _plain(resource: dict[str, Any]) -> dict[str, Any]:
    """Return what somebody would write who makes an object by hand."""
    kept = {key: value for key, value in resource.items() if key in _KEEPING}
    metadata = {key: value for key, value in resource["metadata"].items() if key in _KEEPING_OF_METADATA}
    return {**kept, "metadata": metadata}
