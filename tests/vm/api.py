"""An API server without a cluster, for the virtual machine: everybody who has the token may do everything.

It runs on the host, for there it is ten times as fast; the virtual machine's network leads to its port and to nothing
else.
"""

from __future__ import annotations

import json
import secrets
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SECONDS = 60.0  # in which it comes up, on a busy machine too
_POLL_SECONDS = 0.2
_END_SECONDS = 20.0
_KEEPING = {"kind", "apiVersion", "metadata", "spec", "addressType", "endpoints", "ports"}
_KEEPING_OF_METADATA = {"name", "namespace", "labels"}


@dataclass(frozen=True, slots=True)
class Api:
    """An API server that runs.

    Attributes
    ----------
    port : int
        On the loopback address of the host.
    token : str
        Who has it may do everything.
    """

    port: int
    token: str

    def kubeconfig(self, server: str) -> str:
        """Return the kubeconfig for somebody who finds the API server at a URL."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": server, "insecure-skip-tls-verify": True}}],
            "users": [{"name": "it", "user": {"token": self.token}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        }
        return json.dumps(config)

    def is_ready(self) -> bool:
        """Whether it serves, and has made its own Service and the namespace of the system."""
        try:
            self._request("GET", "/api/v1/namespaces/kube-system")
            return bool(self._request("GET", "/api/v1/namespaces/default/services/kubernetes"))
        except OSError:
            return False

    def items(self, path: str) -> list[dict[str, Any]]:
        """Return the items of a list."""
        found: list[dict[str, Any]] = self._request("GET", path)["items"]
        return found

    def create_all(
        self, nodes: Mapping[str, str], services: Iterable[dict[str, Any]], slices: Iterable[dict[str, Any]]
    ) -> None:
        """Create the nodes, and Services and EndpointSlices as somebody else's API server had them."""
        self._request("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})
        for name, address in nodes.items():
            self._request("POST", "/api/v1/nodes", {"metadata": {"name": name}})
            status = {"status": {"addresses": [{"type": "InternalIP", "address": address}]}}
            self._request("PATCH", f"/api/v1/nodes/{name}/status", status)
        others = (each for each in services if each["metadata"]["name"] != "kubernetes")  # the API server's own
        for path, resource, found in (
            ("/api/v1", "services", others),
            ("/apis/discovery.k8s.io/v1", "endpointslices", slices),
        ):
            for each in found:
                self._request("POST", f"{path}/namespaces/{each['metadata']['namespace']}/{resource}", _plain(each))

    def _request(self, method: str, path: str, body: object = None) -> Any:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        request = urllib.request.Request(
            f"https://127.0.0.1:{self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": kind},
        )
        with urllib.request.urlopen(request, context=context, timeout=30) as response:  # noqa: S310
            return json.loads(response.read() or b"{}")


@contextmanager
def running(programs: Mapping[str, Path], folder: Path) -> Iterator[Api]:
    """Run etcd and an API server; their logs are in a folder, and their state goes there.

    Raises
    ------
    TimeoutError
        The API server does not come up; with the end of its log.
    """
    folder.mkdir(mode=0o700)
    api = Api(_free_port(), secrets.token_hex())
    key, tokens = folder / "key", folder / "tokens"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    tokens.write_text(f"{api.token},admin,admin,system:masters\n")
    client, peer = (f"http://127.0.0.1:{_free_port()}" for _ in range(2))
    etcd = [
        *(str(programs["etcd"]), f"--data-dir={folder}/etcd", "--unsafe-no-fsync"),
        *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}"),
        *(f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}"),
    ]
    # The endpoints of its own Service are made with the others': they are those of another API server.
    server = [
        *(str(programs["kube-apiserver"]), f"--etcd-servers={client}", "--bind-address=127.0.0.1"),
        *(f"--secure-port={api.port}", f"--cert-dir={folder}", "--endpoint-reconciler-type=none"),
        "--advertise-address=192.0.2.1",  # nobody is told; without it, one is looked for
        *("--service-cluster-ip-range=10.96.0.0/16", f"--token-auth-file={tokens}", "--authorization-mode=AlwaysAllow"),
        *("--service-account-issuer=https://it", f"--service-account-key-file={key}"),
        *(f"--service-account-signing-key-file={key}", "--disable-admission-plugins=ServiceAccount"),
    ]
    with ExitStack() as stack:
        stack.enter_context(_program(etcd, folder / "etcd.log"))
        stack.enter_context(_program(server, folder / "kube-apiserver.log"))
        deadline = time.monotonic() + _SECONDS
        while not api.is_ready():
            if time.monotonic() > deadline:
                raise TimeoutError((folder / "kube-apiserver.log").read_text()[-2000:])
            time.sleep(_POLL_SECONDS)
        yield api


@contextmanager
def _program(argv: list[str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _plain(resource: dict[str, Any]) -> dict[str, Any]:
    """Return what somebody would write who makes an object by hand."""
    kept = {key: value for key, value in resource.items() if key in _KEEPING}
    metadata = {key: value for key, value in resource["metadata"].items() if key in _KEEPING_OF_METADATA}
    return {**kept, "metadata": metadata}
