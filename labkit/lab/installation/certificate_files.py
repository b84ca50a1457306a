"""The files of a node that hold certificates: their modes, and the certificates in them.

A private key never leaves its node: of a key file the mode is read, of a file that has both the certificates, and of a
kubeconfig all lines but those with secrets.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from cryptography import x509

from labkit.lab.nodes import LabNode

_MARK = "=== labkit ==="
#: kubeadm's folder for certificates, the kubelet's own (kubelet --cert-dir), and the kubeconfigs.
PKI, KUBELET_PKI, CONFIGS = "/etc/kubernetes/pki", "/var/lib/kubelet/pki", "/etc/kubernetes"
# The kubelet keeps each certificate that it was given in a file with a date, and a link to the present one.
_SCRIPT = f"""
for path in $(find {PKI} {KUBELET_PKI} -type f ! -name '*-[0-9]*.pem' -o -type l 2>/dev/null | sort) \
  {CONFIGS}/*.conf; do
  [ -e "$path" ] || continue
  echo "{_MARK} $(stat -Lc %a "$path") $path"
  case $path in
    *.conf) grep -Ev '(client-key-data|token|password):' "$path" ;;
    *.crt|*.pem) awk '/-BEGIN CERTIFICATE-/,/-END CERTIFICATE-/' "$path" ;;
  esac
done
"""


@dataclass(frozen=True, slots=True)
class NodeFile:
    """A file of a node.

    Attributes
    ----------
    node, path : str
        Where it is.
    mode : int
        Its permissions: ``0o600``.
    text : str
        What it holds, without private keys.
    """

    node: str
    path: str
    mode: int
    text: str

    @property
    def config(self) -> Mapping[str, Any] | None:
        """What a kubeconfig says; None of any other file."""
        if not self.path.endswith(".conf"):
            return None
        parsed: Mapping[str, Any] = yaml.safe_load(self.text)
        return parsed

    def certificates(self) -> list[x509.Certificate]:
        """Return the certificates in it: a kubeconfig has its user's own and does not count its cluster's."""
        pem = self.text
        if config := self.config:
            data = (config["users"][0]["user"] or {}).get("client-certificate-data", "")
            pem = base64.b64decode(data).decode()
        return x509.load_pem_x509_certificates(pem.encode()) if pem.strip() else []


def read(node: LabNode) -> list[NodeFile]:
    """Return a node's files that hold certificates, keys or the words of a kubeconfig.

    Raises
    ------
    ClusterError
        The node does not run.
    """
    return list(parse(node.name, node.exec(_SCRIPT)))


def parse(node: str, printed: str) -> Iterator[NodeFile]:
    """Yield the files that the script printed on a node."""
    for part in printed.split(f"{_MARK} ")[1:]:
        head, _, text = part.partition("\n")
        mode, _, path = head.partition(" ")
        yield NodeFile(node, path, int(mode, 8), text)
