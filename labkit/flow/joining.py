"""From the audit log to the flow by which a machine joined: discovery, its request for a certificate, its Node.

TLS bootstrapping (kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping): a machine that has no
certificate yet is let in by its token as user ``system:bootstrap:ID``, and asks for one by a
CertificateSigningRequest; the csrapproving and csrsigning controllers, both with the service account
certificate-controller, approve and sign it; from then on it is ``system:node:NAME``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from labkit.evidence.audit import AuditEvent
from labkit.flow.actors import API_SERVER, Actor, actor
from labkit.flow.bodies import mapping
from labkit.flow.draft import Draft, number
from labkit.flow.model import EvidenceId, Flow, ObjectName

_CSRS = "certificatesigningrequests"
_SIGNER = "system:serviceaccount:kube-system:bootstrap-signer"
_APPROVER = "system:serviceaccount:kube-system:certificate-controller"
_BECAUSE = "the token's id"
_ANSWERS = {
    "approval": "approves {}: the token's group may have such a certificate",
    "status": "signs {} with the CA's key",
}


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate that a kubelet got.

    Attributes
    ----------
    request : str
        The name of its CertificateSigningRequest.
    path : str
        Where the node keeps it.
    serial : str
        Its serial number, hexadecimal.
    """

    request: str
    path: str
    serial: str


def join_flow(
    audit: Iterable[AuditEvent],
    node: str,
    token_id: str,
    certificate: Certificate,
    *,
    since: datetime,
    address: str,
    nodes: Sequence[str] = (),
    control_plane: str = "master",
) -> Flow:
    """Return the hops by which a machine joined, from its token on.

    Parameters
    ----------
    audit : iterable of AuditEvent
        What the API server logged.
    node : str
        Its name.
    token_id : str
        Of the token that it joined with.
    certificate : Certificate
        What it has now.
    since : datetime.datetime
        When the machine began to join, UTC; only its token may be older.
    address : str
        The machine's own.
    nodes : sequence of str
        All nodes of the cluster.
    control_plane : str
        The node of the API server.
    """
    drafts: list[Draft] = []
    telling = _Telling(node, token_id, certificate, since, address)
    for event in sorted(audit, key=lambda each: each.received):
        if event.object is not None and event.stage == "ResponseComplete":
            drafts += telling.of(event)
    subject = ObjectName("nodes", "", node)
    return Flow(
        subject, number(drafts), nodes=tuple(nodes), action=f"kubeadm join of {node}", control_plane=control_plane
    )


class _Telling:
    """Takes the events one after the other, and remembers what led to what."""

    def __init__(self, node: str, token_id: str, certificate: Certificate, since: datetime, address: str) -> None:
        self._since, self._address = since, address
        self._signed = self._registered = False
        self._node, self._token_id, self._certificate = node, token_id, certificate
        self._bootstrap, self._own = f"system:bootstrap:{token_id}", f"system:node:{node}"
        self._kubelet = Actor(f"kubelet/{node}", "kubelet", f"kubelet on {node}", node)
        self._last: Draft | None = None
        self._written: Draft | None = None

    def of(self, event: AuditEvent) -> Iterator[Draft]:
        """Yield the hops that an event is, or from which they follow."""
        told = self._told(event)
        if told is None:
            return
        source, what = told
        draft = _request(event, source, what)
        if source.kind == "controller" and self._written is not None:
            notify = self._notify(self._written, draft, source)
            yield notify
            draft.cause = notify
        elif event.verb == "create" and draft.object.resource == "nodes" and self._written is not None:
            notify = self._notify(self._written, draft, self._kubelet)
            notify.what = (
                f"tells the kubelet that it is signed; it keeps the certificate as {self._certificate.path} "
                f"(serial {self._certificate.serial})"
            )
            notify.evidence += (EvidenceId("file", f"{self._node}:{self._certificate.path}"),)
            yield notify
            draft.cause = notify
        else:
            draft.cause = self._last
        if event.verb in {"create", "update", "patch"}:
            self._written = draft
        self._last = draft
        yield draft

    def _told(self, event: AuditEvent) -> tuple[Actor, str] | None:
        """Return who asked and what for, where it belongs to the join."""
        about = event.object
        assert about is not None  # noqa: S101 - the caller looked
        if (told := self._of_token(event, about.resource, about.name)) or event.received < self._since:
            return told
        if event.user == self._bootstrap:
            return self._as_bootstrap(event, about.resource, about.name)
        if event.user == "system:anonymous" and about.name == "cluster-info" and self._address in event.source_ips:
            return _client(event), "reads cluster-info as nobody: where the cluster is, whom to trust, the signature"
        if event.user == _APPROVER and about.name == self._certificate.request and about.subresource in _ANSWERS:
            return actor(event.user), _ANSWERS[about.subresource].format(about.name)
        return self._as_node(event, about.resource, about.name, about.subresource)

    def _of_token(self, event: AuditEvent, resource: str, name: str) -> tuple[Actor, str] | None:
        if event.verb == "create" and (resource, name) == ("secrets", f"bootstrap-token-{self._token_id}"):
            return actor("", event.user_agent), f"creates the token {self._token_id}, a Secret"
        if event.user == _SIGNER and name == "cluster-info" and not self._signed:
            self._signed = f"jws-kubeconfig-{self._token_id}" in mapping(event.request, "data")
            return (actor(event.user), "signs cluster-info with the token") if self._signed else None
        return None

    def _as_bootstrap(self, event: AuditEvent, resource: str, name: str) -> tuple[Actor, str] | None:
        if event.verb == "create" and resource == _CSRS:
            return self._kubelet, f"asks for a certificate as {self._own}, let in by the token"
        if event.verb == "get" and _by(event, "kubeadm"):
            refused = " (there is none, as it should be)" if event.code == 404 else ""
            return _client(event), f"reads {resource}/{name}, let in by the token{refused}"
        return None

    def _as_node(self, event: AuditEvent, resource: str, name: str, subresource: str) -> tuple[Actor, str] | None:
        if event.user != self._own or resource != "nodes" or subresource:
            return None
        if event.verb == "create" and not self._registered:  # a kubelet may try once more
            self._registered = event.code == 201
            return self._kubelet, f"registers the Node, let in by its certificate as {self._own}"
        if event.verb == "patch" and _by(event, "kubeadm") and name == self._node:
            return _client(event), "notes the container runtime's socket on the Node, with the kubelet's certificate"
        return None

    def _notify(self, written: Draft, effect: Draft, watcher: Actor) -> Draft:
        """Return the notification in between, which nobody logs."""
        return Draft(
            "notify",
            API_SERVER,
            watcher,
            "ADDED" if written.verb == "create" else "MODIFIED",
            written.object if watcher is not self._kubelet else ObjectName(_CSRS, "", self._certificate.request),
            min(written.end, effect.start),  # a watcher may hear of it before the writer has its answer
            effect.start,
            f"tells {watcher.name} of {written.object.resource}/{written.object.name}".rstrip("/"),
            _BECAUSE,
            written.evidence,
            observed=False,
            rule=f"{watcher.name} watches {written.object.resource}; its next request follows from what it was told",
            cause=written,
        )


def _request(event: AuditEvent, source: Actor, what: str) -> Draft:
    about = event.object
    assert about is not None  # noqa: S101 - the caller looked
    name = ObjectName(about.resource, about.namespace, about.name, about.subresource)
    evidence = (EvidenceId("audit", event.audit_id),)
    return Draft(
        "request",
        source,
        API_SERVER,
        event.verb,
        name,
        event.received,
        event.staged,
        what,
        _BECAUSE,
        evidence,
        code=event.code if event.code != 404 else None,
    )


def _by(event: AuditEvent, program: str) -> bool:
    return event.user_agent.startswith(f"{program}/")


def _client(event: AuditEvent) -> Actor:
    """Return the program that asked: what joins is not a component yet."""
    return actor("", event.user_agent)
