"""What becomes of a control plane's certificates on a real lab: another authority, a server's from another time."""

from __future__ import annotations

import shutil
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from labkit.cluster.rest import ApiServer
from labkit.lab import Lab
from labkit.lab.installation.ours import prepared_cluster

_STARTS_SECONDS = 90.0


@contextmanager
def replaced(lab: Lab) -> Iterator[None]:
    """Have kubeadm make another authority, and put the old one back at the end."""
    with _kept(lab, "ca.crt", "ca.key"):
        lab.nodes[0].exec("rm /etc/kubernetes/pki/ca.crt /etc/kubernetes/pki/ca.key && kubeadm init phase certs ca")
        yield


@contextmanager
def from_tomorrow(lab: Lab) -> Iterator[None]:
    """Give the API server a certificate that is not valid yet: what a machine sees whose clock is a day behind.

    No process of a lab can have a clock of its own: Linux has namespaces for the time since boot, not for the date
    (time_namespaces(7)).
    """
    folder = _folder(lab)
    with _kept(lab, "apiserver.crt"):
        served = _served(lab)
        (folder / "apiserver.crt").write_bytes(_later(folder))
        _restart(lab)
        _wait(lambda: _served(lab) not in {served, ""})
        yield
    _restart(lab)
    _wait(lambda: _served(lab) == served)


def _later(folder: Path) -> bytes:
    old = x509.load_pem_x509_certificate((folder / "apiserver.crt").read_bytes())
    authority = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    key = load_pem_private_key((folder / "ca.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    builder = x509.CertificateBuilder(authority.subject, old.subject, old.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(tomorrow).not_valid_after(tomorrow + timedelta(days=1))
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


@contextmanager
def _kept(lab: Lab, *names: str) -> Iterator[None]:
    folder = _folder(lab)
    with tempfile.TemporaryDirectory() as safe:
        for name in names:
            shutil.copy2(folder / name, safe)
        try:
            yield
        finally:
            for name in names:
                shutil.copy2(Path(safe) / name, folder / name)


def _folder(lab: Lab) -> Path:
    return prepared_cluster(lab).node_root(lab.nodes[0].name) / "etc/kubernetes/pki"


def _restart(lab: Lab) -> None:
    """End the API server; its kubelet starts it again. By itself it looks at its certificate once a minute."""
    lab.nodes[0].exec("kill -KILL $(pidof kube-apiserver)")


def _served(lab: Lab) -> str:
    """Return the certificate that the API server shows, empty while it is away."""
    port = int(ApiServer.url(lab.kubeconfig).rpartition(":")[2])
    try:
        return ssl.get_server_certificate(("127.0.0.1", port), timeout=5)
    except OSError:
        return ""


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _STARTS_SECONDS
    while not condition():
        assert time.monotonic() < end, "the API server does not come back"
        time.sleep(0.1)
