"""The steps of a cluster's birth: `kubeadm init`, the signed cluster-info, `kubeadm join`."""

from __future__ import annotations

import hashlib
import secrets
import string
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from labkit.cluster import installer
from labkit.cluster.rest import ApiServer
from labkit.errors import ClusterError
from labkit.language import gettext
from labkit.progress import Phase

_CLUSTER_INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
_SIGNED_TIMEOUT = 600.0
_POLL_SECONDS = 0.05


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
