"""`kubeadm join`, watched: its phases as they come, and the flow by which the machine got its certificate."""

from __future__ import annotations

import base64
import re
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from cryptography import x509

from labkit.cluster import bootstrap, kubeadm, node_files
from labkit.errors import UsageError
from labkit.evidence.audit import AuditLog
from labkit.flow.joining import Certificate, join_flow
from labkit.flow.model import Flow
from labkit.lab.installation import refusals
from labkit.lab.installation.ours import own_cluster
from labkit.lab.installation.tokens import Token
from labkit.language import gettext, gettext_noop
from labkit.proxy.table import Table

if TYPE_CHECKING:
    from labkit.lab.lab import Lab
    from labkit.progress import Phase, Progress

_SIGNED_SECONDS = 2.0  # in which a token that is good has signed cluster-info
_POLL_SECONDS = 0.05
_STAYS_SECONDS = 0.25  # after which a Node is looked for once more
_CERTIFICATE = "/var/lib/kubelet/pki/kubelet-client-current.pem"
# What a join that was refused before the kubelet began leaves, by which the next one would be refused.
_TIDY = f"[ -e /var/lib/kubelet/config.yaml ] || rm -f /etc/kubernetes/bootstrap-kubelet.conf {kubeadm.CA}"
_LOGGED = re.compile(r"^[IW]\d{4} \S+\s+\d+ \S+\] ")  # klog's header
_PHASE = re.compile(r"\[([a-z-]+)\] (.*)")
_CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


@dataclass(frozen=True, slots=True)
class Said:
    """A line of `kubeadm join`.

    Attributes
    ----------
    phase : str
        Which it names: ``"preflight"``, ``"discovery"``, ``"kubelet-start"``, ...
    text : str
        What it says.
    seconds : float
        After the beginning.
    """

    phase: str
    text: str
    seconds: float


@dataclass(frozen=True, slots=True, repr=False)
class Joined(Table):
    """A machine that has joined: what kubeadm did and when, as a table; and the flow.

    Attributes
    ----------
    node, token_id : str
        Which machine, let in by which token.
    seconds : float
        From the beginning of `kubeadm join` to its end.
    said : tuple of Said
        Its lines with a phase.
    flow : labkit.flow.Flow
        Who asked whom for what, from the token to the Node.
    """

    node: str
    token_id: str
    seconds: float
    said: tuple[Said, ...]
    flow: Flow

    TITLES: ClassVar[Sequence[str]] = (gettext_noop("after"), gettext_noop("phase"), gettext_noop("what kubeadm says"))

    def caption(self) -> str:
        """Return who joined, and in which time."""
        return gettext("{node} joined with token {token_id} in {seconds:.1f} s").format(
            node=self.node, token_id=self.token_id, seconds=self.seconds
        )

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per line."""
        return [(f"{each.seconds:.2f} s", each.phase, each.text) for each in self.said]

    def to_svg(self, *, prefix: str = "") -> str:
        """Return the flow as swim lanes, SVG.

        Parameters
        ----------
        prefix : str
            What the picture's ids begin with; by default one of its own.
        """
        from labkit.views import lanes  # noqa: PLC0415 - most commands need no pictures

        return lanes.to_svg(self.flow, prefix=prefix or f"labkit-join-{uuid4().hex[:12]}")

    def hops(self) -> JoinHops:
        """Return the same flow as a table: who asked whom, when, and what shows it."""
        return JoinHops(self.flow)

    def _repr_html_(self) -> str:
        twin = f"<details><summary>The flow as a table</summary>{self.hops()._repr_html_()}</details>"
        said = f"<details><summary>{gettext('What kubeadm said')}</summary>{Table._repr_html_(self)}</details>"
        return f"{self.to_svg()}{twin}{said}"


@dataclass(frozen=True, slots=True, repr=False)
class JoinHops(Table):
    """The flow of a join as a table.

    Attributes
    ----------
    flow : labkit.flow.Flow
        Which.
    """

    flow: Flow

    TITLES: ClassVar[Sequence[str]] = (
        gettext_noop("hop"),
        gettext_noop("after"),
        gettext_noop("who"),
        gettext_noop("does what"),
        gettext_noop("known"),
        gettext_noop("evidence"),
    )

    def caption(self) -> str:
        """Return what it is."""
        return self.flow.action

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per hop."""
        return [
            (
                str(hop.number),
                f"{self.flow.milliseconds(hop):.0f} ms",
                hop.source.name,
                hop.what,
                gettext("observed") if hop.observed else gettext("inferred: {rule}").format(rule=hop.rule),
                ", ".join(map(str, hop.evidence)),
            )
            for hop in self.flow.hops
        ]


@dataclass(frozen=True, slots=True)
class Asked:
    """How a machine is to join.

    Attributes
    ----------
    node : str
        Which machine.
    token, ca_hash : str
        What it shows, and what it wants to be shown.
    name, server : str
        What it calls itself, and whom it asks; empty for its host name, and the control plane.
    seconds : float
        How long it tries.
    """

    node: str
    token: str
    ca_hash: str
    name: str
    server: str
    seconds: float


def join(lab: Lab, asked: Asked, progress: Progress, *, since: datetime) -> Joined:
    """Have a prepared machine join.

    Parameters
    ----------
    lab : Lab
        Whose it is.
    asked : Asked
        How.
    progress : Progress
        Shows kubeadm's phases.
    since : datetime.datetime
        When what belongs to it began, UTC.

    Raises
    ------
    ClusterError
        kubeadm refuses; the message has its words, the cause and the cure.
    """
    cluster = own_cluster(lab)
    before = cluster.node_joined(asked.node)
    document = cluster.join_document(
        asked.node, asked.token, asked.ca_hash, name=asked.name, server=asked.server, seconds=asked.seconds
    )
    node_files.write(cluster, asked.node, kubeadm.JOIN_CONFIG, document)
    with progress.phase(f"kubeadm join {asked.node}") as phase:
        if cluster.initialised:  # else nobody can sign, and kubeadm itself is to say what is missing
            _wait_until_signed(lab, asked.token)
        began = time.monotonic()
        command = cluster.node_command(asked.node, ["kubeadm", "join", "--v", "1", "--config", kubeadm.JOIN_CONFIG])
        code, lines = _run(command, phase)
        seconds = time.monotonic() - began
        output = "\n".join(line for _, line in lines)
        # As kubeadm waits for the API server (labkit.cluster.kubeadm): longer than for an answer to the first question.
        if code == 0 and not _registered(lab, asked.name or asked.node, 3 * asked.seconds):
            code, output = 1, f"error: Node {asked.name or asked.node} is gone"
        if code != 0:
            if not before:
                lab.nodes[asked.node].exec(_TIDY)
            raise refusals.explained(f"kubeadm join of {asked.node} failed after {seconds:.1f} s", output)
    token_id = asked.token.partition(".")[0]
    return Joined(asked.node, token_id, seconds, tuple(_said(lines)), _flow(lab, asked, token_id, since))


def check(lab: Lab, node: str) -> None:
    """Refuse the control plane's node.

    Raises
    ------
    UsageError
        It is that.
    """
    if node == lab.spec.node_names[0]:
        raise UsageError(
            gettext("{node!r} is the control plane: others join it").format(node=node),
            why=gettext("`kubeadm init` made it"),
            fix=gettext("name another node"),
        )


def credentials(lab: Lab, node: str, token: Token | str | None, ca_hash: object) -> tuple[str, str]:
    """Return the token and the hash that a machine is to join with: by default new ones, which are right."""
    chosen = str(lab.token.create(ttl="10m", description=f"for {node}") if token is None else token)
    if ca_hash is None:
        ca_hash = bootstrap.ca_hash(node_files.read(lab.cluster, lab.spec.node_names[0], kubeadm.CA).encode())
    return chosen, str(ca_hash)


def _wait_until_signed(lab: Lab, token: str) -> None:
    """Wait until cluster-info is signed with the token, for kubeadm itself looks again only every five seconds."""
    key, deadline = f"jws-kubeconfig-{token.partition('.')[0]}", time.monotonic() + _SIGNED_SECONDS
    with lab.api_server() as api:
        path = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
        while key not in (api.get(path) or {}).get("data", {}) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)


def _run(command: Sequence[str], phase: Phase) -> tuple[int, list[tuple[float, str]]]:
    """Run kubeadm to its end, and return its exit code and its lines, each with the seconds after the beginning."""
    began, lines = time.monotonic(), []
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            for line in process.stdout or ():
                lines.append((time.monotonic() - began, line.rstrip("\n")))
                if found := _PHASE.match(_LOGGED.sub("", line)):
                    phase.advance(found[1])
        except BaseException:
            process.kill()
            raise
    return process.returncode, lines


def _said(lines: Iterable[tuple[float, str]]) -> Iterator[Said]:
    for seconds, line in lines:
        if found := _PHASE.match(_LOGGED.sub("", line)):
            yield Said(found[1], found[2], seconds)


def _registered(lab: Lab, name: str, seconds: float) -> bool:
    """Wait until a Node is there, which kubeadm does not, and return whether it is and was not deleted at once."""
    deadline = time.monotonic() + seconds
    with lab.api_server() as api:
        while time.monotonic() < deadline:
            if api.get(f"/api/v1/nodes/{name}") is not None:
                time.sleep(_STAYS_SECONDS)
                if api.get(f"/api/v1/nodes/{name}") is not None:
                    return True
            time.sleep(_POLL_SECONDS)
    return False


def _flow(lab: Lab, asked: Asked, token_id: str, since: datetime) -> Flow:
    """Return the flow, from the audit log, the signing requests and the certificate on the node."""
    mine = [
        each.encode() for each in (token_id, asked.name or asked.node, "cluster-info", "certificatesigningrequests")
    ]
    return join_flow(
        AuditLog(own_cluster(lab).audit_log, only=lambda line: any(each in line for each in mine)),
        asked.name or asked.node,
        token_id,
        _certificate(lab, asked.node),
        since=since,
        address=str(lab.cluster.node_address(asked.node)),
        nodes=lab.spec.node_names,
        control_plane=lab.spec.node_names[0],
    )


def _certificate(lab: Lab, node: str) -> Certificate:
    """Return the kubelet's certificate, and the signing request whose answer it is."""
    path = lab.nodes[node].exec(["readlink", _CERTIFICATE])
    # The file has its key, too, which stays on the node.
    own = lab.nodes[node].exec(["sed", "-n", "/-BEGIN CERTIFICATE-/,/-END CERTIFICATE-/p", path])
    certificate = x509.load_pem_x509_certificate(own.encode())
    with lab.api_server() as api:
        requests = (api.get(_CSRS) or {"items": []})["items"]
    signed = [each for each in requests if _issued(each) == certificate]
    request = signed[0]["metadata"]["name"] if signed else ""
    return Certificate(request, path, f"{certificate.serial_number:x}")


def _issued(request: dict[str, Any]) -> x509.Certificate | None:
    """Return the certificate that a CertificateSigningRequest was answered with."""
    answer = request["status"].get("certificate")
    return x509.load_pem_x509_certificate(base64.b64decode(answer)) if answer else None
