"""What a `Lab` offers of certificates, static pods and kubelets."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from labkit.lab.installation.authority import LabCertificates
    from labkit.lab.installation.home import HomeSteps
    from labkit.lab.installation.kubelet import LabKubelet
    from labkit.lab.installation.static_pods import LabStaticPods
    from labkit.lab.lab import Lab


class CertificateCalls:
    """The calls of a lab about certificates, static pods and kubelets; what they need of it is what `Lab` has."""

    @property
    def certificates(self) -> LabCertificates:
        """The cluster's certificates: who signs whom, for what, until when; renewed, and expired."""
        from labkit.lab.installation.authority import LabCertificates  # noqa: PLC0415 - a library that few need

        return LabCertificates(cast("Lab", self))

    @property
    def static_pods(self) -> LabStaticPods:
        """The static pods: their manifests, processes and mirrors in the API; edited, and started anew."""
        from labkit.lab.installation.static_pods import LabStaticPods  # noqa: PLC0415 - as above

        return LabStaticPods(cast("Lab", self))

    def kubelet(self, node: str) -> LabKubelet:
        """Return the kubelet of a node, with its configuration.

        Raises
        ------
        UsageError
            There is no such node.
        """
        from labkit.lab.installation.kubelet import LabKubelet  # noqa: PLC0415 - as above

        return LabKubelet(cast("Lab", self), node)

    def copy_kubeconfig(self) -> HomeSteps:
        """Copy the administrator's kubeconfig as the textbook does, in a home on the control plane's node.

        Raises
        ------
        ClusterError
            The node does not run.
        """
        from labkit.lab.installation import home  # noqa: PLC0415 - as above

        return home.copy_kubeconfig(cast("Lab", self).nodes[0])
