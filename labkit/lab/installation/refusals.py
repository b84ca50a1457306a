"""What kubeadm says when it refuses a token or a join, and for each the cause in a line, and the cure.

The words are kubeadm's own, v1.34: cmd/kubeadm/app/discovery/token, .../util/pubkeypin, .../cmd/phases/join,
.../preflight, and Go's crypto/x509 and net.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from labkit.errors import ClusterError
from labkit.language import gettext, gettext_noop

_ANOTHER = gettext_noop("make another one: labkit token create")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A way in which kubeadm refuses.

    Attributes
    ----------
    says : str
        A regular expression that its words match.
    cause, cure : str
        A line each.
    """

    says: str
    cause: str
    cure: str


#: The first that matches is it: what is told more exactly stands before what is told in general.
REFUSALS: Sequence[Refusal] = (
    Refusal(
        r"bootstrap token is invalid|was not of the form|didn't match pattern",
        gettext_noop(
            "That is no token: a token is six small letters or digits, a dot, and sixteen more: "
            "[a-z0-9]{6}.[a-z0-9]{16}."
        ),
        gettext_noop("copy it again, or make another one: labkit token create"),
    ),
    Refusal(
        r"secrets \"bootstrap-token-\w+\" not found",
        gettext_noop("The cluster has no token of that id: it was deleted, it has expired, or it never was."),
        gettext_noop("see which there are: labkit token list"),
    ),
    Refusal(
        r"token id \"\w+\" already exists|bootstrap-token-\w+\" already exists|a token with id .* already exists",
        gettext_noop("The cluster has a token of that id already."),
        gettext_noop("choose another id, or delete that one: labkit token delete ID"),
    ),
    Refusal(
        r"could not find a JWS signature in the cluster-info ConfigMap for token ID|is invalid for this cluster",
        gettext_noop(
            "The cluster signs its cluster-info with each token that it knows, and not with this one: the token has "
            "expired, was deleted, or is another cluster's."
        ),
        _ANOTHER,
    ),
    Refusal(
        r"failed to verify JWS signature",
        gettext_noop(
            "The id of the token is known, and its secret is another: what this cluster signed proves nothing to who "
            "has the wrong secret."
        ),
        gettext_noop("copy the whole token again (labkit token list), or make another one: labkit token create"),
    ),
    Refusal(
        r"none of the public keys .* are pinned",
        gettext_noop(
            "The cluster's certificate authority has another public key than the hash names: a mistake in the hash, "
            "another cluster, or an authority that was replaced since."
        ),
        gettext_noop(
            "take the hash of the authority that this cluster has now: labkit token join-command. After a replacement "
            "of the authority, cluster-info has to be written again, too: kubeadm init phase bootstrap-token"
        ),
    ),
    Refusal(
        r"invalid hash|unknown hash format|expected a \d+ byte SHA-256|encoding/hex",
        gettext_noop("That is no hash of a public key: it is sha256: and 64 hexadecimal digits."),
        gettext_noop("copy it again: labkit token join-command prints it"),
    ),
    Refusal(
        r"certificate has expired or is not yet valid",
        gettext_noop(
            "By this machine's clock the API server's certificate is not valid now: the clock is wrong, or the "
            "certificate is old."
        ),
        gettext_noop(
            "compare `date` on both nodes and set the clocks by NTP; then look at the certificate: kubeadm certs "
            "check-expiration"
        ),
    ),
    Refusal(
        r"certificate signed by unknown authority|ECDSA verification failure",
        gettext_noop(
            "The API server's certificate is not signed by the authority that cluster-info names: the authority was "
            "replaced, and cluster-info still has the old one."
        ),
        gettext_noop("write cluster-info again on the control plane's node: kubeadm init phase bootstrap-token"),
    ),
    Refusal(
        r"kubelet\.conf already exists|bootstrap-kubelet\.conf already exists",
        gettext_noop("This machine has joined already, or tried to: the files of that are there."),
        gettext_noop("leave it as it is; or begin anew on the node: kubeadm reset --force"),
    ),
    Refusal(
        r"a Node with name .* already exists in the cluster",
        gettext_noop(
            "Another machine of that name is Ready in the cluster: two kubelets would write over each other's Node."
        ),
        gettext_noop("give this machine a name of its own, or delete the other: kubectl delete node NAME"),
    ),
    Refusal(
        r"failed to load admin kubeconfig",
        gettext_noop(
            "There is no cluster yet: `kubeadm init` writes the administrator's kubeconfig, with which tokens are made."
        ),
        gettext_noop("run `kubeadm init` on the control plane's node first"),
    ),
    Refusal(
        r"connection refused",
        gettext_noop(
            "Nobody listens there: there is no API server (yet). Before `kubeadm init` there is nothing to join."
        ),
        gettext_noop("run `kubeadm init` on the control plane's node first, and compare the address"),
    ),
    Refusal(
        r"nodes \"[^\"]+\" (?:is forbidden|not found)|Node .* is gone",
        gettext_noop(
            "The machine was let in, and its Node is not there: somebody deleted it meanwhile, or its kubelet is slow."
        ),
        gettext_noop(
            "look again with `kubectl get nodes`, and into the kubelet's log; else kubeadm reset --force, "
            "then join again"
        ),
    ),
    Refusal(
        r"Unauthorized|system:anonymous",
        gettext_noop(
            "The API server does not know the token any longer: it expired or was deleted while the machine joined."
        ),
        _ANOTHER,
    ),
    Refusal(
        r"i/o timeout|no route to host|context deadline exceeded|Client\.Timeout",
        gettext_noop("There was no answer in time."),
        gettext_noop("see whether the API server runs: labkit status"),
    ),
    Refusal(
        r"invalid duration|invalid argument .* for \"--ttl\"",
        gettext_noop("That is no time to live: it is a number with its unit, or 0 for ever."),
        gettext_noop("for example 24h, 30m or 10s"),
    ),
)
_OTHER = Refusal(
    "",
    gettext_noop("labkit does not know these words of kubeadm."),
    gettext_noop("read them: the last line says most"),
)
# What kubeadm's errors and those of its log begin with; the rest of its log tells what it did.
_ERROR = re.compile(r"error|\[ERROR|invalid|the bootstrap token|given token|failed", re.IGNORECASE)
_LOGGED = re.compile(r"^[IW]\d{4} ")
_HINTS = ("[preflight] If you know", "To see the stack trace")


def refusal(output: str) -> Refusal:
    """Return which refusal kubeadm's words are."""
    return next((each for each in REFUSALS if re.search(each.says, output)), _OTHER)


def explained(what: str, output: str) -> ClusterError:
    """Return the error that tells of a refusal: kubeadm's own words, then the cause in a line, then the cure.

    Parameters
    ----------
    what : str
        What was tried: ``"kubeadm join of node-03 failed"``.
    output : str
        What kubeadm printed; its log tells also of what it got over, and is left out.
    """
    said = words(output)
    found = refusal(said)
    why = gettext("kubeadm says:\n{said}\n{cause}").format(said=said, cause=gettext(found.cause))
    return ClusterError(what, why=why, fix=gettext(found.cure))


def words(output: str) -> str:
    """Return the lines of kubeadm's output that tell of its error, without its log and its hints."""
    lines = [line for line in output.strip().splitlines() if not _LOGGED.match(line) and not line.startswith(_HINTS)]
    told = [line for line in lines if _ERROR.search(line)]
    return "\n".join(f"    {line.strip()}" for line in (told or lines[-3:]))
