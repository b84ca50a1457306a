"""The steps of a cluster's birth: `kubeadm init`, the signed cluster-info, `kubeadm join`."""

from __future__ import annotations

import hashlib
import secrets
import string
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from http import HTTPStatus
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from labkit.cluster import freeze, installer
from labkit.cluster.protocol import Cluster
from labkit.cluster.readiness import READY, pause
from labkit.cluster.rest import ApiServer
from labkit.errors import ClusterError
from labkit.language import gettext
from labkit.progress import Phase

_CLUSTER_INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
_SIGNED_TIMEOUT = 600.0
_POLL_SECONDS = 0.05
#: Who waits too long once the API server has refused it.
_IMPATIENT = ("kube-scheduler", "kube-controller-manager")
#: By then they have the refusal of what they asked while the API server did not answer yet. Who is held before, has it
#: when it is let go, and begins to wait then.
_REFUSAL_SECONDS = 0.3
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


def hold_until_ready(cluster: Cluster, port: int, *, unless: Callable[[], bool]) -> None:
    """Wait until an API server is ready, and hold the scheduler and the controller-manager from when it serves.

    It serves a second and a half before it has made the roles by which they may read anything (hook
    ``rbac/bootstrap-roles`` of pkg/registry/rbac/rest/storage_rbac.go). Who is refused in that time asks again up to
    three seconds later, and longer each time (k8s.io/client-go/tools/cache/reflector.go), or looks once a second
    (cmd/kube-controller-manager/app/helper.go, WaitForAPIServer). Held, they ask as soon as they get an answer.

    Parameters
    ----------
    cluster : Cluster
        One whose control plane starts.
    port : int
        Of 127.0.0.1, where its API server will be reached.
    unless : callable
        Ends the wait early, because there is nothing to wait for any more.
    """
    began = time.monotonic()
    with closing(ApiServer.anonymous(port)) as api, ExitStack() as held:
        while (status := api.status(READY)) is None and not unless():
            pause(began, _POLL_SECONDS)
        if status not in {None, HTTPStatus.OK}:
            time.sleep(_REFUSAL_SECONDS)
            for name in _IMPATIENT:
                with suppress(ClusterError):  # it does not run yet, or not now: nothing is lost but time
                    held.enter_context(freeze.freeze(cluster, name, limit=_HELD_SECONDS))
        while api.status(READY) != HTTPStatus.OK and not unless():
            pause(began, _POLL_SECONDS)


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
    began = time.monotonic()
    with closing(ApiServer.anonymous(port)) as api:
        while key not in ((api.get(_CLUSTER_INFO) or {}).get("data") or {}):
            if unless():
                break
            if time.monotonic() > began + _SIGNED_TIMEOUT:
                raise ClusterError(
                    gettext("The cluster does not sign its cluster-info"),
                    why=gettext("ConfigMap kube-public/cluster-info has no {key} after {seconds:.0f} s").format(
                        key=key, seconds=_SIGNED_TIMEOUT
                    ),
                    fix=gettext("look at the controller-manager's log: its bootstrapsigner controller signs"),
                )
            pause(began, _POLL_SECONDS)
