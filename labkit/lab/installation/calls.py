"""What a `Lab` offers of the cluster's installation."""

from __future__ import annotations

from labkit.lab.installation.certificate_calls import CertificateCalls
from labkit.lab.installation.init_calls import InitCalls
from labkit.lab.installation.join_calls import JoinCalls
from labkit.lab.installation.node_calls import NodeCalls


class Installation(NodeCalls, JoinCalls, CertificateCalls, InitCalls):
    """The calls of a lab about how its cluster was made."""
