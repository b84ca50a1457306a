"""The steps of a cluster's birth: `kubeadm init`, the signed cluster-info, `kubeadm join`."""

from __future__ import annotations

import hashlib
import secrets
import string
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from labkit.cluster import freeze, installer
from labkit.cluster.protocol import Cluster
from labkit.cluster.readiness import READY
from labkit.cluster.rest import ApiServer
from labkit.errors import ClusterError
from labkit.language import gettext
from labkit.progress import Phase

_CLUSTER_INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
_SIGNED_TIMEOUT = 600.0
_POLL_SECONDS = 0.05
#: Who waits too long once the API server has refused it.
_IMPATIENT = ("kube-scheduler", "kube-controller-manager")
_HELD_SECONDS = 60.0  # at most, however long the API server is not ready


def new_token() -> str:
    """Return a fresh bootstrap token: ``[a-z0-9]{6}.[a-z0-9]{16}``."""
    alphabet = string.ascii_lowercase + string.digits
    part = ["".join(secrets.choice(alphabet) for _ in range(length)) for length in (6, 16)]
    return ".".join(part)


def ca_hash(pem: bytes) -> str:
    """Return what ``--discovery-token-ca-cert-hash`` wants: SHA-256 of the CA's public key (RFC 7469, section 2.4).

    Parameters
    ----------
    pem : bytes
        The cluster CA's certificate.
    """
    key = x509.load_pem_x509_certificate(pem).public_key()
    return "sha256:" + hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def kubeadm(command: Sequence[str], *, what: str, log: Path, phase: Phase) -> None:
    """Run kubeadm to its end; each phase of its own that it names is shown as it comes.

    Parameters
    ----------
    command : sequence of str
        The whole command, node and all.
    what : str
        ``"kubeadm init"``, for the error.
    log : Path
        Gets all of the output.
    phase : Phase
        Is advanced.

    Raises
    ------
    ClusterError
        It failed; the message has the end of its output.
    """
    installer.run(command, what=what, log=log, phase=phase, step=_phase)


def _phase(line: str) -> str:
    return line.partition("]")[0].lstrip("[") if line.startswith("[") else ""


@contextmanager
def held_until_ready(cluster: Cluster, port: int) -> Iterator[None]:
    """Hold the scheduler and the controller-manager from the moment an API server serves until it is ready.

    It serves a second and a half before it has made the roles by which they may read anything (hook
    ``rbac/bootstrap-roles`` of pkg/registry/rbac/rest/storage_rbac.go). Who is refused in that time asks again up to
    three seconds later, and longer each time (k8s.io/client-go/tools/cache/reflector.go), or looks once a second
    (cmd/kube-controller-manager/app/helper.go, WaitForAPIServer). Held, they ask as soon as they get an answer.

    Parameters
    ----------
    cluster : Cluster
        One whose control plane starts during the block.
    port : int
        Of 127.0.0.1, where its API server will be reached.
    """
    over = threading.Event()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="hold") as pool:
        holding = pool.submit(_hold_until_ready, cluster, port, over)
        try:
            yield
        finally:
            over.set()
    holding.result()


def _hold_until_ready(cluster: Cluster, port: int, over: threading.Event) -> None:
    with closing(ApiServer.anonymous(port)) as api, ExitStack() as held:
        while api.status(READY) is None:
            if over.wait(_POLL_SECONDS):
                return
        for name in _IMPATIENT:
            with suppress(ClusterError):  # it does not run yet, or not now: nothing is lost but time
                held.enter_context(freeze.freeze(cluster, name, limit=_HELD_SECONDS))
        while api.status(READY) != HTTPStatus.OK and not over.wait(_POLL_SECONDS):
            pass


def wait_for_signed_cluster_info(port: int, token: str, *, unless: Callable[[], bool] = lambda: False) -> None:
    """Wait until a node can join with a token.

    `kubeadm join` believes ConfigMap kube-public/cluster-info once it carries a signature made with the token, and
    looks again only every five seconds: so it is started when the signature is there.

    Parameters
    ----------
    port : int
        Of 127.0.0.1, where the API server is reached.
    token : str
        The bootstrap token.
    unless : callable
        Ends the wait early, because there is nothing to wait for any more.

    Raises
    ------
    ClusterError
        It was not signed in time.
    """
    key = f"jws-kubeconfig-{token.partition('.')[0]}"
    deadline = time.monotonic() + _SIGNED_TIMEOUT
    with closing(ApiServer.anonymous(port)) as api:
        while key not in ((api.get(_CLUSTER_INFO) or {}).get("data") or {}):
            if unless():
                break
            if time.monotonic() > deadline:
                raise ClusterError(
                    gettext("The cluster does not sign its cluster-info"),
                    why=gettext("ConfigMap kube-public/cluster-info has no {key} after {seconds:.0f} s").format(
                        key=key, seconds=_SIGNED_TIMEOUT
                    ),
                    fix=gettext("look at the controller-manager's log: its bootstrapsigner controller signs"),
                )
            time.sleep(_POLL_SECONDS)
