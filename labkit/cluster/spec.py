"""What a lab is to be like, checked before anything starts."""

from __future__ import annotations

import dataclasses
import ipaddress
import itertools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.components import pins
from labkit.errors import UsageError
from labkit.language import gettext, gettext_noop
from labkit.node.network import SUBNET, node_address

MAX_WORKERS = 50
KUBERNETES_VERSION = pins()["kubernetes"].version

#: RFC 1123 label, as Kubernetes demands of node names (validation.IsDNS1123Label).
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_REPOSITORY = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]+)?(/[a-z0-9]([-a-z0-9._]*[a-z0-9])?)*")
_SERVICE = re.compile(r"(?:svc|service|services)/([a-z0-9]([-a-z0-9]*[a-z0-9])?)")
_TTL = re.compile(r"0|([0-9]+(h|m|s))+")


@dataclass(frozen=True, slots=True)
class LabSpec:
    """The choices behind a lab; the defaults are the textbook's.

    Attributes
    ----------
    name : str
        The lab's name.
    node_names : tuple of str
        The control plane first, then the workers.
    advertise_address : str
        ``kubeadm init --apiserver-advertise-address``.
    image_repository : str
        ``kubeadm init --image-repository``.
    kubernetes_version : str
        ``kubeadm init --kubernetes-version``.
    service_cidr, pod_cidr : str
        ``kubeadm init --service-cidr`` and ``--pod-network-cidr``.
    network : bool
        Whether the network add-on is applied.
    token_ttl : str
        How long the bootstrap token lives; ``"0"`` for ever.
    catalogue : str or None
        Path of the user's own image catalogue.
    privileged : bool
        Whether its nodes' root is the machine's, as ipvs needs; only root can make such a lab.
    small : bool
        Whether it does without what `labkit.cluster.small_lab` names.
    provider : {"rootless", "kind", "context"}
        Where the nodes run.
    node_image : str
        Of which image a kind lab's nodes are; empty for labkit's own.

    Raises
    ------
    UsageError
        A value is wrong; the message names it.
    """

    name: str = "lab"
    node_names: tuple[str, ...] = ("master", "node-01", "node-02")
    advertise_address: str = str(node_address(0))
    image_repository: str = "registry.k8s.io"
    kubernetes_version: str = KUBERNETES_VERSION
    service_cidr: str = "10.96.0.0/16"
    pod_cidr: str = "192.168.0.0/16"
    network: bool = True
    token_ttl: str = "24h0m0s"  # noqa: S105 - a duration
    catalogue: str | None = None
    privileged: bool = False
    small: bool = False
    provider: str = "rootless"
    node_image: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name in (self.name, *self.node_names):
            check_name(name)
        if len(set(self.node_names)) != len(self.node_names):
            raise UsageError(
                gettext("Two nodes have the same name"),
                why=", ".join(self.node_names),
                fix=gettext("name each differently"),
            )
        if self.kubernetes_version != KUBERNETES_VERSION:
            raise UsageError(
                gettext("Kubernetes {kubernetes_version!r} is not to be had here").format(
                    kubernetes_version=self.kubernetes_version
                ),
                why=gettext("labkit's programs are pinned to {kubernetes_version}").format(
                    kubernetes_version=KUBERNETES_VERSION
                ),
                fix=gettext("leave the version out, or say {kubernetes_version}").format(
                    kubernetes_version=KUBERNETES_VERSION
                ),
            )
        if self.advertise_address != str(node_address(0)):
            raise UsageError(
                gettext("The API server cannot advertise {advertise_address!r}").format(
                    advertise_address=self.advertise_address
                ),
                why=gettext("the control plane's node has the address {address}").format(address=node_address(0)),
                fix=gettext("leave the address out, or say {address}").format(address=node_address(0)),
            )
        if not _REPOSITORY.fullmatch(self.image_repository):
            raise UsageError(
                gettext("{image_repository!r} is no image repository").format(image_repository=self.image_repository),
                why=gettext("it is a registry's host name and perhaps a path, in lower case"),
                fix=gettext("for example registry.k8s.io"),
            )
        if not _TTL.fullmatch(self.token_ttl):
            raise UsageError(
                gettext("{token_ttl!r} is no life time of a token").format(token_ttl=self.token_ttl),
                why=gettext("kubeadm wants a duration, and 0 for one that never expires"),
                fix=gettext('for example "24h0m0s"'),
            )
        self._check_ranges()

    def _check_ranges(self) -> None:
        ranges = {
            gettext_noop("service range"): _network("service range", self.service_cidr),
            gettext_noop("pod range"): _network("pod range", self.pod_cidr),
            gettext_noop("nodes' own range"): SUBNET,
        }
        for (name, one), (other_name, other) in itertools.combinations(ranges.items(), 2):
            if one.overlaps(other):
                raise UsageError(
                    gettext("The {name} {one} and the {other_name} {other} overlap").format(
                        name=gettext(name), one=one, other_name=gettext(other_name), other=other
                    ),
                    why=gettext("an address in both would mean two things, and a packet to it would go astray"),
                    fix=gettext("choose ranges that share none: 10.96.0.0/16 and 192.168.0.0/16"),
                )
        # kube-controller-manager gives each node a /24 (its --node-cidr-mask-size).
        pods, nodes = ranges["pod range"], len(self.node_names)
        if pods.prefixlen > 24 or 2 ** (24 - pods.prefixlen) < nodes:
            raise UsageError(
                gettext("The pod range {pods} is too small for {nodes} nodes").format(pods=pods, nodes=nodes),
                why=gettext("each node gets a /24 of it"),
                fix=gettext("choose a wider one, for example 192.168.0.0/16"),
            )
        if not 12 <= ranges["service range"].prefixlen <= 28:
            raise UsageError(
                gettext("The service range {range} has a size that cannot be used").format(
                    range=ranges["service range"]
                ),
                why=gettext("the API server takes at most 2^20 addresses, and a few are needed"),
                fix=gettext("choose a /12 to a /28, for example 10.96.0.0/16"),
            )

    def save(self, path: Path) -> None:
        """Write the spec as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=2))

    @classmethod
    def load(cls, path: Path) -> LabSpec:
        """Read what `save` wrote."""
        values: dict[str, Any] = json.loads(path.read_text())
        values["node_names"] = tuple(values["node_names"])
        if values.get("provider") != "context":
            return cls(**values)
        return ContextSpec(**{**values, "addresses": tuple(values["addresses"])})


@dataclass(frozen=True, slots=True)
class ContextSpec(LabSpec):
    """What the cluster behind a context of a kubeconfig is like: found, and not chosen.

    Attributes
    ----------
    context : str
        The context's name.
    namespace : str
        The context's own, in which objects are that are named without one.
    only_namespace : bool
        Whether its user may look into no other, as a student in a class's cluster.
    addresses : tuple of str
        The nodes' own, in the order of `node_names`; empty where Kubernetes tells none.
    audit : str or None
        Path of its API server's audit log on this machine.
    """

    provider: str = "context"
    context: str = ""
    namespace: str = "default"
    only_namespace: bool = False
    addresses: tuple[str, ...] = ()
    audit: str | None = None

    def __post_init__(self) -> None:
        """Refuse a name that no lab can have; all else is as the cluster has it."""
        check_name(self.name)


def default_node_names(workers: int) -> tuple[str, ...]:
    """Return the names of the control plane and of that many workers: ``master``, ``node-01``, ...

    Raises
    ------
    UsageError
        A negative number, or more than a lab can hold.
    """
    if not 0 <= workers <= MAX_WORKERS:
        raise UsageError(
            gettext("A lab cannot have {workers} workers").format(workers=workers),
            why=gettext("it has 0 to {most}").format(most=MAX_WORKERS),
            fix=gettext("for example --workers 2"),
        )
    return ("master", *(f"node-{number:02d}" for number in range(1, workers + 1)))


def service_name(target: str) -> str | None:
    """Return the name in ``"svc/tomcat"``, kubectl's way to say which Service; None where it names none."""
    match = _SERVICE.fullmatch(target)
    return match[1] if match else None


def check_name(name: str) -> None:
    """Refuse a name that Kubernetes would refuse for a node.

    Raises
    ------
    UsageError
        It is no RFC 1123 label.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            gettext("{name!r} is no name for a lab or a node").format(name=name),
            why=gettext(
                "Kubernetes wants lower-case letters, digits and hyphens, at most 63, a letter or digit at both ends"
            ),
            fix=gettext("for example node-01"),
        )


def _network(what: str, cidr: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise UsageError(
            gettext("{cidr!r} is no {what}").format(cidr=cidr, what=gettext(what)),
            why=str(error),
            fix=gettext("for example 10.96.0.0/16"),
        ) from error
