"""The certificates of a lab, as one uses them: looked at, opened, renewed, let expire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.lab.installation import certificate_files, certificates, permissions, renewal
from labkit.lab.installation.certificate_files import NodeFile
from labkit.lab.installation.certificates import Certificates
from labkit.lab.installation.permissions import Kubeconfigs
from labkit.lab.installation.renewal import Expired, Renewal
from labkit.lab.kubectl import Output

if TYPE_CHECKING:
    from labkit.lab.lab import Lab


class LabCertificates:
    """The certificates of a lab: ``lab.certificates``.

    Parameters
    ----------
    lab : Lab
        Whose.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def __repr__(self) -> str:
        return repr(self.read())

    def _repr_html_(self) -> str:
        return self.read()._repr_html_()

    def read(self) -> Certificates:
        """Return all certificates of the nodes that run.

        Raises
        ------
        ClusterError
            The lab does not run.
        """
        return certificates.collect(self._lab.name, self._files(), certificates.now())

    def kubeconfigs(self) -> Kubeconfigs:
        """Return the kubeconfigs of the nodes that run, with what the API server lets each one's user do.

        Raises
        ------
        ClusterError
            The lab does not run, or its API server does not answer.
        """
        files = self._files()
        known = certificates.collect(self._lab.name, files, certificates.now())
        with self._lab.api_server() as api:
            return permissions.read(files, known, api, self._lab.kubectl)

    def check_expiration(self) -> Output:
        """Return what `kubeadm certs check-expiration` prints.

        Raises
        ------
        ClusterError
            It failed.
        """
        return self._lab.nodes[0].exec("kubeadm certs check-expiration 2>/dev/null")

    def renew(self, name: str) -> Renewal:
        """Renew a certificate by `kubeadm certs renew`, and start anew who holds it: see `renewal.renew`."""
        return renewal.renew(self._lab, name)

    def expire(self) -> Expired:
        """Let a client certificate expire within seconds: see `renewal.expire`."""
        return renewal.expire(self._lab)

    def _files(self) -> list[NodeFile]:
        """Return the files of all nodes that run; the lab's own error where none does."""
        nodes = [node for node in self._lab.nodes if node.running] or self._lab.nodes[:1]
        return [file for node in nodes for file in certificate_files.read(node)]
