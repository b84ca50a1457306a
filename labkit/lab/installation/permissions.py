"""The kubeconfigs of a cluster opened: as whom each is known, and what RBAC lets that user do.

A client certificate's CN is the user and its Os are the groups (kubernetes.io/docs/reference/access-authn-authz/
authentication, "X509 client certificates"). Whether a user may do something is asked of the API server itself, by a
SubjectAccessReview: its answer has the binding that gave the right.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from labkit.cluster.rest import ApiServer
from labkit.lab.installation.certificate_files import NodeFile
from labkit.lab.installation.certificates import Certificates
from labkit.lab.kubectl import Output
from labkit.language import gettext, gettext_noop
from labkit.proxy.table import Table

_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_AUTHENTICATED = "system:authenticated"  # a group of everybody whose certificate was believed
_PRIVILEGED = "system:masters"
_NODE = "system:node:"
#: What is asked of each user: in words, and as a SubjectAccessReview has it.
QUESTIONS: Mapping[str, Mapping[str, str]] = {
    "read every Secret": {"verb": "list", "resource": "secrets"},
    "make Deployments": {"verb": "create", "group": "apps", "resource": "deployments", "namespace": "default"},
    "choose a Pod's node": {"verb": "create", "resource": "pods", "subresource": "binding", "namespace": "default"},
    "report the node's state": {"verb": "patch", "resource": "nodes", "subresource": "status"},
    "delete the node": {"verb": "delete", "resource": "nodes"},
    "see who it is": {"verb": "create", "group": "authentication.k8s.io", "resource": "selfsubjectreviews"},
}
_OF_NODES = "nodes"

Ask = Any  # kubectl, see `labkit.lab.Lab.kubectl`


@dataclass(frozen=True, slots=True)
class Right:
    """What a user may do, or not.

    Attributes
    ----------
    what : str
        Of `QUESTIONS`.
    allowed : bool
        The API server's answer.
    why : str
        What gave the right; empty where there is none.
    """

    what: str
    allowed: bool
    why: str


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """A kubeconfig, opened.

    Attributes
    ----------
    name, node, path : str
        kubeadm's name, and where it is.
    mode : int
        Its permissions: it holds a key, or says where one is.
    server : str
        Whom it calls.
    user : str
        As whom the API server knows it.
    groups : tuple of str
        In which groups, without the one of everybody who is known.
    bindings : tuple of str
        The roles that are bound to it or to a group of it: ``"cluster-admin, by kubeadm:cluster-admins"``.
    rights : tuple of Right
        What it may do.
    """

    name: str
    node: str
    path: str
    mode: int
    server: str
    user: str
    groups: tuple[str, ...]
    bindings: tuple[str, ...]
    rights: tuple[Right, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Kubeconfigs(Table):
    """All kubeconfigs of a cluster's nodes.

    Attributes
    ----------
    found : tuple of Kubeconfig
        The control plane's first.
    """

    found: tuple[Kubeconfig, ...]

    TITLES: ClassVar[Sequence[str]] = (
        "kubeconfig",
        gettext_noop("mode"),
        gettext_noop("user"),
        gettext_noop("groups"),
        gettext_noop("bound to"),
        gettext_noop("may"),
        gettext_noop("may not"),
    )

    def caption(self) -> str:
        """Return what it is, in a line."""
        return gettext("{found} kubeconfigs; {authenticated} is a group of each of them, too").format(
            found=len(self.found), authenticated=_AUTHENTICATED
        )

    def rows(self) -> list[Sequence[str]]:
        """Return a row of text per kubeconfig."""
        return [
            (
                each.name,
                f"{each.mode:04o}",
                each.user,
                ", ".join(each.groups) or "none",
                ", ".join(each.bindings) or "nothing",
                "; ".join(f"{right.what} ({right.why})" for right in each.rights if right.allowed),
                "; ".join(right.what for right in each.rights if not right.allowed),
            )
            for each in self.found
        ]


def read(files: Iterable[NodeFile], certificates: Certificates, api: ApiServer, kubectl: Ask) -> Kubeconfigs:
    """Open the kubeconfigs among nodes' files.

    Parameters
    ----------
    files : iterable of NodeFile
        Of all nodes.
    certificates : Certificates
        Those that they hold or name.
    api : ApiServer
        Tells the bindings.
    kubectl : callable
        `labkit.lab.Lab.kubectl`; asks for reviews.

    Raises
    ------
    ClusterError
        The API server does not answer.
    """
    bound = _bindings(api)
    found = []
    for file in files:
        if not (config := file.config):
            continue
        short = file.path.rpartition("/")[2]
        name = f"{short}@{file.node}" if short == "kubelet.conf" else short
        known = certificates[name]
        groups = {*known.groups, _AUTHENTICATED}
        found.append(
            Kubeconfig(
                name=name,
                node=file.node,
                path=file.path,
                mode=file.mode,
                server=config["clusters"][0]["cluster"]["server"],
                user=known.subject,
                groups=known.groups,
                bindings=tuple(
                    told
                    for subject, told in bound
                    if subject in {("User", known.subject)} | {("Group", group) for group in known.groups}
                ),
                rights=_rights(kubectl, known.subject, sorted(groups), file.node),
            )
        )
    return Kubeconfigs(tuple(found))


def _bindings(api: ApiServer) -> list[tuple[tuple[str, str], str]]:
    """Return whom each role binding names (kind, name), and what it binds to."""
    found = []
    for kind in ("clusterrolebindings", "rolebindings"):
        for body in (api.get(f"{_RBAC}/{kind}") or {"items": []})["items"]:
            about = body["metadata"]
            place = f" in {about['namespace']}" if "namespace" in about else ""
            told = f"{body['roleRef']['name']}{place}, by {about['name']}"
            found += [((each["kind"], each["name"]), told) for each in body.get("subjects") or ()]
    return found


def _rights(kubectl: Ask, user: str, groups: Sequence[str], node: str) -> tuple[Right, ...]:
    """Ask the API server what a user may do: all questions in one call."""
    reviews = [
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "groups": groups, "resourceAttributes": _about(question, node)},
        }
        for question in QUESTIONS.values()
    ]
    command = ["create", "--validate=false", "--filename", "-", "--output", "json"]
    printed: Output = kubectl(command, stdin="\n---\n".join(map(json.dumps, reviews)))
    return tuple(
        Right(what, review["status"]["allowed"], _why(review["status"], user, groups))
        for what, review in zip(QUESTIONS, _documents(printed), strict=True)
    )


def _about(question: Mapping[str, str], node: str) -> dict[str, str]:
    return {**question, "name": node} if question["resource"] == _OF_NODES else dict(question)


def _documents(printed: str) -> list[dict[str, Any]]:
    """Return the JSON documents that kubectl printed one after the other."""
    decoder, at = json.JSONDecoder(), 0
    found: list[dict[str, Any]] = []
    while at < len(printed):
        body, at = decoder.raw_decode(printed, at)
        found.append(body)
        at += len(printed[at:]) - len(printed[at:].lstrip())
    return found


def _why(status: Mapping[str, Any], user: str, groups: Sequence[str]) -> str:
    """Return what gave a right: two authorizers give no reason of their own.

    Members of system:masters are let through before RBAC is asked, and a kubelet by the node authorizer
    (k8s.io/apiserver/pkg/authorization/authorizerfactory; plugin/pkg/auth/authorizer/node).
    """
    if not status["allowed"]:
        return ""
    if reason := status.get("reason", ""):
        role = reason.partition("Role ")[2].partition(" to ")[0].strip('"')
        return f"role {role}" if role else reason
    if _PRIVILEGED in groups:
        return f"{_PRIVILEGED} may do everything; RBAC is not asked"
    return "the node authorizer: its own node only" if user.startswith(_NODE) else "an authorizer that gives no reason"
