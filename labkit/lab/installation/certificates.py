"""The certificates of a cluster: who signs whom, for what, until when.

What each is for is Kubernetes' own list: kubernetes.io/docs/setup/best-practices/certificates. Who signed whom is
computed: an issuer's key must verify the signature, its name alone proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

import networkx
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from labkit.errors import UsageError
from labkit.lab.installation.certificate_files import KUBELET_PKI, PKI, NodeFile
from labkit.language import gettext, gettext_noop
from labkit.proxy.table import Table

if TYPE_CHECKING:
    from labkit.views.scene import Scene

_PRIVATE = 0o077  # what a file with a key must not allow: anything to anybody but its owner
_USAGES = {ExtendedKeyUsageOID.SERVER_AUTH: "server", ExtendedKeyUsageOID.CLIENT_AUTH: "client"}

#: By kubeadm's name for it: which connection uses it, or for what.
USES = {
    "ca": "the cluster's authority: the API server believes the clients that it signed",
    "etcd-ca": "etcd's own authority: etcd believes the clients that it signed",
    "front-proxy-ca": "the authority of the front proxy: added API servers believe what it signed",
    "apiserver": "kube-apiserver shows it to all who call :6443",
    "apiserver-kubelet-client": "kube-apiserver calls kubelets, :10250: logs, exec",
    "apiserver-etcd-client": "kube-apiserver calls etcd, :2379",
    "front-proxy-client": "kube-apiserver calls added API servers, on behalf of users",
    "etcd-server": "etcd shows it to all who call :2379",
    "etcd-peer": "etcd's members show it to each other, :2380",
    "etcd-healthcheck-client": "etcdctl and kubeadm ask etcd how it is, :2379",
    "admin.conf": "you: kubectl calls the API server",
    "super-admin.conf": "you, when RBAC itself is broken: kubectl calls the API server",
    "controller-manager.conf": "kube-controller-manager calls the API server",
    "scheduler.conf": "kube-scheduler calls the API server",
    "kubelet.conf": "the kubelet calls the API server, as its node",
    "kubelet-server": "the kubelet shows it to kube-apiserver, :10250",
    "kubelet-ca": "the kubelet made it to sign its own server certificate; nobody checks it",
}


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate.

    Attributes
    ----------
    name : str
        kubeadm's: ``"apiserver"``, ``"etcd-ca"``, ``"admin.conf"``; with its node: ``"kubelet.conf@master"``.
    paths : tuple of str
        Where it is: node, colon and file; authorities have copies.
    modes : tuple of int
        The permissions of the files that hold its private key, ``0o600``; none where no node has it.
    subject, groups : str, tuple of str
        Whom it names (CN), and in which groups (O).
    signed_by : str
        The name of the certificate whose key signed it: its own, where it signed itself.
    authority : bool
        Whether it may sign others.
    usages : tuple of str
        ``"server"``, ``"client"``.
    names : tuple of str
        The names and addresses that a server may be called by (SANs).
    starts, ends : datetime
        When it is valid.
    serial : str
        Its number, hexadecimal.
    fingerprint : str
        SHA-256 of it, hexadecimal.
    use : str
        Which connection uses it.
    """

    name: str
    paths: tuple[str, ...]
    modes: tuple[int, ...]
    subject: str
    groups: tuple[str, ...]
    signed_by: str
    authority: bool
    usages: tuple[str, ...]
    names: tuple[str, ...]
    starts: datetime
    ends: datetime
    serial: str
    fingerprint: str
    use: str

    @property
    def private(self) -> bool:
        """Whether its key can be read by the key's owner alone; also where there is no key."""
        return not any(mode & _PRIVATE for mode in self.modes)

    @property
    def who(self) -> str:
        """Whom it names, with the groups: ``"kubernetes-admin (kubeadm:cluster-admins)"``."""
        return f"{self.subject} ({', '.join(self.groups)})" if self.groups else self.subject

    def to_json(self) -> dict[str, Any]:
        """Return plain objects for `json.dumps`: times in ISO 8601, modes as in chmod(1)."""
        modes = [f"{mode:04o}" for mode in self.modes]
        return {**asdict(self), "modes": modes, "starts": self.starts.isoformat(), "ends": self.ends.isoformat()}

    def days(self, now: datetime) -> int:
        """Return for how many whole days it is valid yet; below 0 where it has expired."""
        return (self.ends - now).days


@dataclass(frozen=True, slots=True, repr=False)
class Certificates(Table):
    """All certificates of a cluster.

    Attributes
    ----------
    cluster : str
        Whose.
    found : tuple of Certificate
        Each authority, and after it what it signed.
    read : datetime
        When.
    """

    cluster: str
    found: tuple[Certificate, ...]
    read: datetime

    TITLES: ClassVar[Sequence[str]] = (
        gettext_noop("certificate"),
        gettext_noop("names"),
        gettext_noop("signed by"),
        gettext_noop("as"),
        gettext_noop("ends"),
        gettext_noop("days"),
        gettext_noop("key"),
        gettext_noop("used when"),
    )

    def __getitem__(self, name: str) -> Certificate:
        """Return the certificate of a name.

        Raises
        ------
        UsageError
            There is none.
        """
        for each in self.found:
            if each.name == name:
                return each
        known = ", ".join(each.name for each in self.found)
        raise UsageError(
            gettext("There is no certificate {name!r}").format(name=name),
            why=gettext("there are {known}").format(known=known),
            fix="labkit certs",
        )

    def caption(self) -> str:
        """Return what it is, in a line."""
        first = min(self.found, key=lambda each: each.ends)
        open_keys = [each.name for each in self.found if not each.private]
        keys = gettext("each key is its owner's alone")
        if open_keys:
            keys = gettext("keys that others can read: {open_keys}").format(open_keys=", ".join(open_keys))
        return gettext(
            "{found} certificates of {cluster}; the first to expire is {name}, in {days} days; {keys}"
        ).format(found=len(self.found), cluster=self.cluster, name=first.name, days=first.days(self.read), keys=keys)

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per certificate."""
        return [
            (
                each.name,
                each.who,
                "itself" if each.signed_by == each.name else each.signed_by,
                ", ".join(("authority",) if each.authority else each.usages),
                f"{each.ends:%Y-%m-%d %H:%M}",
                str(each.days(self.read)),
                ", ".join(f"{mode:04o}" for mode in dict.fromkeys(each.modes)) or "none here",
                each.use,
            )
            for each in self.found
        ]

    def graph(self) -> networkx.DiGraph:
        """Return who signed whom: an edge leads from an authority to what it signed; nodes have ``certificate``."""
        graph = networkx.DiGraph(name=self.cluster)
        for each in self.found:
            graph.add_node(each.name, certificate=each)
        graph.add_edges_from((each.signed_by, each.name) for each in self.found if each.signed_by != each.name)
        return graph

    def scene(self) -> Scene:
        """Return the picture as shapes: `labkit.views.figure.paint` makes a matplotlib figure of it."""
        from labkit.views import certificates  # noqa: PLC0415 - few look at it

        items = [
            certificates.Item(
                each.name,
                each.signed_by,
                "authority" if each.authority else " and ".join(each.usages),
                each.who,
                f"{'authority' if each.authority else ' and '.join(each.usages)} · {self._left(each)}",
                each.ends <= self.read,
                each.use,
            )
            for each in self.found
        ]
        return certificates.scene(self.cluster, items)

    def to_svg(self) -> str:
        """Return a picture: each authority, and below it what it signed."""
        from labkit.views import svg  # noqa: PLC0415 - as above

        return svg.write(self.scene(), f"labkit-certificates-{uuid4().hex[:8]}")  # a page may have several

    def _left(self, certificate: Certificate) -> str:
        days = certificate.days(self.read)
        if certificate.ends <= self.read:
            return "expired"
        return f"{days} days left" if days else "ends today"

    def _repr_html_(self) -> str:
        table = Table._repr_html_(self)
        return f"{self.to_svg()}<details><summary>The same as a table</summary>{table}</details>"


def collect(cluster: str, files: Iterable[NodeFile], now: datetime) -> Certificates:
    """Return the certificates that nodes' files hold.

    Parameters
    ----------
    cluster : str
        Its name.
    files : iterable of NodeFile
        Of all nodes, the control plane's first.
    now : datetime
        When they were read.
    """
    files = list(files)
    modes = {(each.node, each.path): each.mode for each in files}
    found: dict[str, _Found] = {}
    for file in files:
        for place, certificate in enumerate(file.certificates()):
            key = certificate.fingerprint(SHA256()).hex()
            if key not in found:
                found[key] = _Found(_name(file, place), certificate, [], [])
            found[key].paths.append(f"{file.node}:{file.path}")
            holder = _key_of(file, place)
            if mode := modes.get((file.node, holder)):
                found[key].modes.append(mode)
    authorities = [each for each in found.values() if _is_authority(each.certificate)]
    made = [_made(each, authorities) for each in found.values()]
    roots = [each for each in made if each.authority]
    order = {each.name: index for index, each in enumerate(roots)}
    made.sort(key=lambda each: (order.get(each.signed_by, len(order)), not each.authority))
    return Certificates(cluster, tuple(made), now)


@dataclass(slots=True)
class _Found:
    """A certificate, and where it is and where its key is."""

    name: str
    certificate: x509.Certificate
    paths: list[str]
    modes: list[int]


def _name(file: NodeFile, place: int) -> str:
    """Return kubeadm's name of the certificate at a place of a file (`kubeadm certs renew --help`)."""
    if file.path.startswith(KUBELET_PKI):
        kind = "kubelet.conf" if "client" in file.path else ("kubelet-server", "kubelet-ca")[min(place, 1)]
        return f"{kind}@{file.node}"
    if file.path.endswith(".conf"):
        name = file.path.rpartition("/")[2]
        return f"{name}@{file.node}" if name == "kubelet.conf" else name
    return file.path.removeprefix(f"{PKI}/").removesuffix(".crt").replace("/", "-")


def _key_of(file: NodeFile, place: int) -> str:
    """Return the path of the file that holds a certificate's private key, if any does."""
    if file.path.endswith(".crt"):
        return "" if place else f"{file.path.removesuffix('.crt')}.key"
    return file.path


def _made(found: _Found, authorities: Sequence[_Found]) -> Certificate:
    certificate = found.certificate
    return Certificate(
        name=found.name,
        paths=tuple(found.paths),
        modes=tuple(found.modes),
        subject=", ".join(_parts(certificate.subject, NameOID.COMMON_NAME)),
        groups=tuple(_parts(certificate.subject, NameOID.ORGANIZATION_NAME)),
        signed_by=_signer(certificate, authorities),
        authority=_is_authority(certificate),
        usages=_usages(certificate),
        names=_names(certificate),
        starts=certificate.not_valid_before_utc,
        ends=certificate.not_valid_after_utc,
        serial=f"{certificate.serial_number:x}",
        fingerprint=certificate.fingerprint(SHA256()).hex(),
        use=USES.get(found.name.partition("@")[0], ""),
    )


def _parts(name: x509.Name, kind: x509.ObjectIdentifier) -> list[str]:
    return [str(part.value) for part in name.get_attributes_for_oid(kind)]


def _signer(certificate: x509.Certificate, authorities: Iterable[_Found]) -> str:
    """Return the name of the authority whose key made the signature; its issuer's own name where none did."""
    for each in authorities:
        try:
            certificate.verify_directly_issued_by(each.certificate)
        except (InvalidSignature, ValueError, TypeError):
            continue
        return each.name
    return f"{', '.join(_parts(certificate.issuer, NameOID.COMMON_NAME))} (not found)"


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _usages(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(_USAGES.get(each, each.dotted_string) for each in usage)


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(each.value) for each in names)


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)
