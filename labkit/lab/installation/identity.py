"""How a machine that joins knows that it speaks to the right cluster: the CA's hash, and a signature by the token.

The hash is of the CA's public key as its certificate has it (SubjectPublicKeyInfo, RFC 7469, section 2.4). The
signature is a JSON Web Signature with detached content (RFC 7515, appendix F) over the kubeconfig in ConfigMap
kube-public/cluster-info: HMAC with SHA-256, by the token's secret (k8s.io/cluster-bootstrap/token/jws).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from labkit.errors import UsageError
from labkit.language import gettext, gettext_noop
from labkit.views import grid

#: As the documentation of `kubeadm join` has it, but for any kind of key (`openssl rsa` reads RSA keys alone).
OPENSSL = (
    "openssl x509 -pubkey -noout -in /etc/kubernetes/pki/ca.crt"
    " | openssl pkey -pubin -outform der | openssl dgst -sha256 -hex"
)

_HEADINGS = (gettext_noop("step"), gettext_noop("what it is"), gettext_noop("bytes"), gettext_noop("how it begins"))
_PARTS = (gettext_noop("what"), gettext_noop("value"))
_SIGNED = (gettext_noop("signed with token"), gettext_noop("signature"))
_SHOWN = 24  # bytes of a step


@dataclass(frozen=True, slots=True)
class Made:
    """What one step made of what the step before had.

    Attributes
    ----------
    step : str
        What was done: ``"decoded from base64"``.
    what : str
        What it is now.
    content : bytes
        All of it.
    """

    step: str
    what: str
    content: bytes

    @property
    def row(self) -> tuple[str, ...]:
        """Return it as a row of a table."""
        text = self.content.startswith(b"-----")
        begins = self.content.split(b"\n")[0].decode() if text else self.content[:_SHOWN].hex(" ")
        more = "" if not text and len(self.content) <= _SHOWN else " …"
        return (self.step, self.what, str(len(self.content)), begins + more)


@dataclass(frozen=True, slots=True, repr=False)
class CaHash:
    """The hash of a cluster's CA, step by step; it shows itself as a table.

    Attributes
    ----------
    steps : tuple of Made
        From the file to the digest.
    by_openssl : str
        The digest as `OPENSSL` computes it on the control plane's node, hexadecimal.
    """

    steps: tuple[Made, ...]
    by_openssl: str

    @property
    def digest(self) -> str:
        """The digest, hexadecimal."""
        return self.steps[-1].content.hex()

    @property
    def text(self) -> str:
        """What ``--discovery-token-ca-cert-hash`` wants: ``"sha256:…"``."""
        return f"sha256:{self.digest}"

    @property
    def agrees(self) -> bool:
        """Whether openssl found the same."""
        return hmac.compare_digest(self.digest, self.by_openssl)

    def __str__(self) -> str:
        """Return what ``--discovery-token-ca-cert-hash`` wants."""
        return self.text

    def __repr__(self) -> str:
        return f"{grid.text(_HEADINGS, self.rows(), right={'bytes'})}\n{self.text}\n{self._compared()}"

    def _repr_html_(self) -> str:
        table = grid.table(_HEADINGS, self.rows(), caption=gettext("The hash of the cluster's CA"), right={"bytes"})
        return f"{table}<p><code>{grid.escape(self.text)}</code></p><p>{grid.escape(self._compared())}</p>"

    def rows(self) -> list[tuple[str, ...]]:
        """Return a row of text per step."""
        return [each.row for each in self.steps]

    def _compared(self) -> str:
        if self.agrees:
            return gettext("openssl on the node says the same.")
        return gettext("openssl on the node says something else: {digest}.").format(digest=self.by_openssl)


def ca_hash(pem: bytes, by_openssl: str) -> CaHash:
    """Compute the hash of a CA's public key step by step.

    Parameters
    ----------
    pem : bytes
        The file ``ca.crt``.
    by_openssl : str
        What `OPENSSL` printed: the digest is its last word.
    """
    certificate = x509.load_pem_x509_certificate(pem)
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    steps = (
        Made(gettext("read"), gettext("the file ca.crt: PEM, base64 between two lines (RFC 7468)"), pem),
        Made(
            gettext("decoded"),
            gettext("the same as DER: a certificate (RFC 5280)"),
            certificate.public_bytes(Encoding.DER),
        ),
        Made(gettext("taken out of it"), gettext("its SubjectPublicKeyInfo: the kind of key, and the key"), key),
        Made(gettext("hashed"), gettext("SHA-256 of that"), hashlib.sha256(key).digest()),
    )
    return CaHash(steps, by_openssl.strip().rpartition(" ")[2])


@dataclass(frozen=True, slots=True, repr=False)
class Signature:
    """How a token's signature of cluster-info was checked; it shows itself as a table.

    Attributes
    ----------
    token_id : str
        Whose.
    header : str
        The signature's header, JSON: which algorithm, which token.
    signed : str
        What is signed: header and content in base64, with a dot between.
    found, computed : str
        The signature that cluster-info has, and that which the token's secret makes; base64.
    """

    token_id: str
    header: str
    signed: str
    found: str
    computed: str

    @property
    def valid(self) -> bool:
        """Whether the two are the same: only who knows the token's secret can have made it."""
        return hmac.compare_digest(self.found, self.computed)

    def __repr__(self) -> str:
        return f"{grid.text(_PARTS, self.rows())}\n{self._verdict()}"

    def _repr_html_(self) -> str:
        caption = gettext("The signature of cluster-info by token {token}").format(token=self.token_id)
        return f"{grid.table(_PARTS, self.rows(), caption=caption)}<p>{grid.escape(self._verdict())}</p>"

    def rows(self) -> list[tuple[str, str]]:
        """Return a row of text for each part."""
        return [
            (gettext("header"), self.header),
            (
                gettext("signed: header.content"),
                gettext("{begin}… ({count} letters)").format(begin=self.signed[:48], count=len(self.signed)),
            ),
            (gettext("signature in cluster-info"), self.found),
            (gettext("HMAC-SHA256 by the token's secret"), self.computed),
        ]

    def _verdict(self) -> str:
        if self.valid:
            return gettext("They are the same: who wrote this cluster-info knows the token's secret.")
        return gettext("They differ: it was not signed with this token's secret.")


@dataclass(frozen=True, slots=True, repr=False)
class ClusterInfo:
    """ConfigMap kube-public/cluster-info, which anybody may read: where the cluster is, whom to trust, signatures.

    Attributes
    ----------
    kubeconfig : str
        A kubeconfig without a user: the API server's address, and the CA's certificate.
    signatures : dict of str to str
        Per token's id, the signature made with it.
    """

    kubeconfig: str
    signatures: dict[str, str]

    def __repr__(self) -> str:
        return f"{self.kubeconfig.rstrip()}\n{grid.text(_SIGNED, self.rows())}"

    def _repr_html_(self) -> str:
        table = grid.table(_SIGNED, self.rows(), caption="ConfigMap kube-public/cluster-info")
        heading = gettext("Its kubeconfig")
        return f"{table}<details><summary>{heading}</summary><pre>{_escaped(self.kubeconfig)}</pre></details>"

    def rows(self) -> Sequence[tuple[str, str]]:
        """Return a row of text per signature."""
        return sorted(self.signatures.items())

    def verify(self, token: object) -> Signature:
        """Check the signature that a token has made, as `kubeadm join` does.

        Parameters
        ----------
        token : Token or str
            All of it.

        Raises
        ------
        UsageError
            It was not signed with a token of that id.
        """
        token_id, _, secret = str(token).partition(".")
        if token_id not in self.signatures:
            raise UsageError(
                gettext("Cluster-info is not signed with token {token_id!r}").format(token_id=token_id),
                why=gettext("it is with {ids}").format(ids=", ".join(sorted(self.signatures)) or "none"),
                fix="labkit token list",
            )
        header, _, rest = self.signatures[token_id].partition(".")
        signed = f"{header}.{_base64(self.kubeconfig.encode())}"
        computed = hmac.digest(secret.encode(), signed.encode(), "sha256")
        told = json.dumps(json.loads(base64.urlsafe_b64decode(header + "==")))
        return Signature(token_id, told, signed, rest.rpartition(".")[2], _base64(computed))


def _base64(content: bytes) -> str:
    """Return base64 for URLs without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _escaped(text: str) -> str:
    return "\n".join(map(grid.escape, text.splitlines()))
