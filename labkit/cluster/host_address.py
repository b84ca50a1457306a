"""By which address a kind lab's nodes reach this machine, where the receiver of trace spans is.

Where Docker runs on this machine itself, the gateway of each of its networks is one of this machine's addresses. Docker
Desktop has it in a virtual machine: of a container's network nothing is an address here, and containers find
what listens at 127.0.0.1 by a name (docs.docker.com/desktop/features/networking/networking-how-tos, "Connect a
container to a service on the host" and "Known limitations").
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

import psutil

from labkit.cluster import kubeadm
from labkit.errors import ClusterError
from labkit.language import gettext
from labkit.node import docker, forward

#: What Docker Desktop's containers call the machine that it runs on.
DESKTOP_NAME = "host.docker.internal"
_CONNECT = ': 3<>"/dev/tcp/$1/$2"'  # bash(1), REDIRECTION
_PATIENCE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class HostAddress:
    """Where the receiver listens, and where the nodes' components send.

    Attributes
    ----------
    listen : str
        An address of this machine, with its port: ``"172.30.0.1:4317"``, ``"127.0.0.1:40001"``.
    endpoint : str
        The same place, as the nodes call it.
    """

    listen: str
    endpoint: str

    @property
    def named(self) -> bool:
        """Whether the nodes know it by a name only."""
        return self.listen != self.endpoint


def find(gateway: ipaddress.IPv4Address) -> HostAddress:
    """Return the address that suits this machine's Docker.

    Parameters
    ----------
    gateway : IPv4Address
        Of the nodes' network, which exists.
    """
    own = {each.address for addresses in psutil.net_if_addrs().values() for each in addresses}
    if str(gateway) in own:
        address = f"{gateway}:{kubeadm.OTLP_PORT}"
        return HostAddress(address, address)
    with forward.listen() as listener:  # several labs share 127.0.0.1: each takes a port of its own
        port = listener.getsockname()[1]
    return HostAddress(f"127.0.0.1:{port}", f"{DESKTOP_NAME}:{port}")


def unreachable(endpoint: str, network: str, image: str) -> str:
    """Return why containers do not reach an endpoint, tried with one of them; empty where they do.

    Parameters
    ----------
    endpoint : str
        Where something listens.
    network : str
        The containers' network.
    image : str
        A node image.
    """
    host, _, port = endpoint.rpartition(":")
    program = ["--entrypoint", "timeout", image, str(_PATIENCE_SECONDS), "bash", "-c", _CONNECT, "bash", host, port]
    try:
        docker.docker(
            "run",
            "--rm",
            "--network",
            network,
            *program,
            what=gettext("reach {endpoint} from a container").format(endpoint=endpoint),
        )
    except ClusterError as error:
        return error.why
    return ""
