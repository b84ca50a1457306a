"""A certificate renewed, and one that expires: what the servers show and accept, before and after."""

from __future__ import annotations

import base64
import socket
import ssl
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from labkit.cluster.documents import dump
from labkit.errors import ClusterError, UsageError
from labkit.lab.installation.certificate_files import PKI
from labkit.language import gettext, gettext_noop
from labkit.proxy.table import Table

if TYPE_CHECKING:
    from labkit.lab.lab import Lab

#: Who holds a certificate, and where it shows it as a server; nobody holds those that are not here.
HOLDERS = {
    "apiserver": ("kube-apiserver", 6443),
    "apiserver-kubelet-client": ("kube-apiserver", 0),
    "apiserver-etcd-client": ("kube-apiserver", 0),
    "front-proxy-client": ("kube-apiserver", 0),
    "etcd-server": ("etcd", 2379),
    "etcd-peer": ("etcd", 2380),
    "controller-manager.conf": ("kube-controller-manager", 0),
    "scheduler.conf": ("kube-scheduler", 0),
}
_FREE = ("admin.conf", "super-admin.conf", "etcd-healthcheck-client")
#: What `kubeadm certs renew` can renew; a kubelet renews its own (kubelet: rotateCertificates).
RENEWABLE = (*HOLDERS, *_FREE)
_RELOADS = 3.0  # seconds in which a server may notice a new file by itself
_POLL = 0.2
_LIFE = 3.0  # seconds, of the certificate that is to expire
_SKEW = timedelta(minutes=1)
_USER = "short-lived"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a server showed in a TLS handshake, or what is in a file.

    Attributes
    ----------
    when : str
        ``"before"``, …
    serial : str
        The certificate's, hexadecimal.
    ends : datetime
        Until when it is valid.
    """

    when: str
    serial: str
    ends: datetime


@dataclass(frozen=True, slots=True, repr=False)
class Renewal(Table):
    """A certificate that was renewed.

    Attributes
    ----------
    name : str
        ``"apiserver"``.
    printed : str
        What kubeadm said.
    files : tuple of Shown
        What the file held before and after.
    served : tuple of Shown
        What the server showed before, after the renewal, and after the restart; none where it is shown nowhere.
    restarted : str
        Which component was started anew; empty where none had to.
    pids : tuple of int
        Of that component's process, before and after.
    """

    name: str
    printed: str
    files: tuple[Shown, ...]
    served: tuple[Shown, ...]
    restarted: str
    pids: tuple[int, ...]

    TITLES: ClassVar[Sequence[str]] = (gettext_noop("looked at"), gettext_noop("serial"), gettext_noop("ends"))

    def caption(self) -> str:
        """Return what it is, in a line."""
        if self.restarted:
            before, after = self.pids
            return gettext("{name} was renewed, and {restarted} started anew: process {before}, then {after}").format(
                name=self.name, restarted=self.restarted, before=before, after=after
            )
        if self.served:
            return gettext("{name} was renewed; its server noticed the new file by itself").format(name=self.name)
        return gettext("{name} was renewed; no process holds it").format(name=self.name)

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per look."""
        looks = [(gettext("file, {when}").format(when=gettext(each.when)), each) for each in self.files]
        looks += [(gettext("TLS handshake, {when}").format(when=gettext(each.when)), each) for each in self.served]
        return [(what, each.serial[:16], f"{each.ends:%Y-%m-%d %H:%M:%S}") for what, each in looks]


@dataclass(frozen=True, slots=True, repr=False)
class Expired(Table):
    """What a client heard whose certificate was valid for a few seconds.

    Attributes
    ----------
    starts, ends : datetime
        When it was valid.
    asked : tuple of tuple of str
        When the API server was asked who this is, and what kubectl printed then.
    logged : str
        What the API server logged; empty where it logged nothing.
    """

    starts: datetime
    ends: datetime
    asked: tuple[tuple[str, str], ...]
    logged: str

    TITLES: ClassVar[Sequence[str]] = (gettext_noop("when"), "kubectl auth whoami")

    def caption(self) -> str:
        """Return what it is, in a line."""
        return gettext("A client certificate of the cluster's own authority, valid until {ends:%H:%M:%S}").format(
            ends=self.ends
        )

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per question; then what the API server logged."""
        asked = [(gettext(when), said) for when, said in self.asked]
        return [*asked, (gettext("the API server logged"), self.logged)]


def renew(lab: Lab, name: str) -> Renewal:
    """Have kubeadm renew a certificate, and start anew who holds it, unless its server has noticed by itself.

    Parameters
    ----------
    lab : Lab
        Where.
    name : str
        Of `RENEWABLE`.

    Raises
    ------
    UsageError
        kubeadm does not renew it.
    ClusterError
        kubeadm failed, or the component does not come back.
    """
    if name not in RENEWABLE:
        raise UsageError(
            gettext("kubeadm does not renew {name!r}").format(name=name),
            why=gettext("it renews {names}; kubelets renew their own, and a new authority is a new cluster").format(
                names=", ".join(RENEWABLE)
            ),
            fix=gettext("choose one of those"),
        )
    holder, port = HOLDERS.get(name, ("", 0))
    before = _in_file(lab, name, gettext_noop("before"))
    served = [served_at(lab, port, "before")] if port else []
    printed = lab.nodes[0].exec(["kubeadm", "certs", "renew", name])
    files = (before, _in_file(lab, name, gettext_noop("after")))
    if port:
        served.append(_noticed(lab, port, files[1].serial))
    if not holder or (served and served[-1].serial == files[1].serial):
        return Renewal(name, printed, files, tuple(served), "", ())
    restart = lab.static_pods.restart(holder)
    if port:
        served.append(served_at(lab, port, gettext_noop("after the restart")))
    return Renewal(name, printed, files, tuple(served), holder, restart.pids)


def served_at(lab: Lab, port: int, when: str) -> Shown:
    """Return the certificate that a server of the control plane's node shows in a handshake.

    Raises
    ------
    ClusterError
        Nobody shows one there in time.
    """
    local = lab.cluster.forward(lab.nodes[0].address, port)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # what is shown is looked at, not believed
    deadline = time.monotonic() + 30
    while True:
        try:
            with (
                socket.create_connection(("127.0.0.1", local), timeout=5) as raw,
                context.wrap_socket(raw) as secured,
            ):
                shown = secured.getpeercert(binary_form=True)
        except OSError as error:
            if time.monotonic() > deadline:
                raise ClusterError(
                    gettext("Nobody shows a certificate at port {port}").format(port=port), why=str(error)
                ) from error
            time.sleep(_POLL)
            continue
        certificate = x509.load_der_x509_certificate(shown or b"")
        return Shown(when, f"{certificate.serial_number:x}", certificate.not_valid_after_utc)


def _noticed(lab: Lab, port: int, serial: str) -> Shown:
    """Return what a server shows once it shows a serial, or after some time."""
    deadline = time.monotonic() + _RELOADS
    while True:
        shown = served_at(lab, port, gettext_noop("after kubeadm certs renew"))
        if shown.serial == serial or time.monotonic() > deadline:
            return shown
        time.sleep(_POLL)


def _in_file(lab: Lab, name: str, when: str) -> Shown:
    certificate = lab.certificates.read()[name]
    return Shown(when, certificate.serial, certificate.ends)


def expire(lab: Lab) -> Expired:
    """Sign a client certificate that is valid for three seconds, and ask the API server before and after its end.

    The authority's key is used on this machine, in memory, and not shown.
    """
    starts = datetime.now(UTC)
    ends = (starts + timedelta(seconds=_LIFE)).replace(microsecond=0)
    pair = _signed(lab, starts - _SKEW, ends)
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig = _kubeconfig(lab, Path(folder), *pair)
        asked = [(gettext_noop("at once"), _whoami(lab, kubeconfig))]
        time.sleep(max(0.0, (ends - datetime.now(UTC)).total_seconds() + 1))
        asked.append((gettext_noop("after its end"), _whoami(lab, kubeconfig)))
    return Expired(starts, ends, tuple(asked), _refusal(lab))


def _signed(lab: Lab, starts: datetime, ends: datetime) -> tuple[bytes, bytes]:
    """Return a client certificate of the cluster's authority, and its key, PEM."""
    node = lab.nodes[0]
    authority = x509.load_pem_x509_certificate(node.exec(["cat", f"{PKI}/ca.crt"]).encode())
    signer = serialization.load_pem_private_key(node.exec(["cat", f"{PKI}/ca.key"]).encode(), None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ClusterError(gettext("The authority's key is of another kind than kubeadm's"), why=type(signer).__name__)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _USER)]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(ends)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain),
    )


def _kubeconfig(lab: Lab, folder: Path, certificate: bytes, key: bytes) -> Path:
    """Write a kubeconfig for the lab's API server, for the owner alone."""
    config = yaml.safe_load(lab.kubeconfig.read_text())
    user = {
        "client-certificate-data": base64.b64encode(certificate).decode(),
        "client-key-data": base64.b64encode(key).decode(),
    }
    config["users"][0]["user"] = user
    path = folder / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(dump(config))
    return path


def _whoami(lab: Lab, kubeconfig: Path) -> str:
    """Return what `kubectl auth whoami` prints, or its error."""
    try:
        return lab.kubectl(["auth", "whoami", "--output", "jsonpath={.status.userInfo}", f"--kubeconfig={kubeconfig}"])
    except ClusterError as error:
        return error.why


def _refusal(lab: Lab) -> str:
    """Return the API server's last line about a certificate that has expired."""
    log = lab.kubectl(
        ["logs", "--namespace", "kube-system", f"kube-apiserver-{lab.nodes[0].name}", "--tail", "200"]
    ).splitlines()
    return next((line for line in reversed(log) if "expired" in line), "")
