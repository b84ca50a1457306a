"""Bootstrap tokens: what a machine shows to be let into the cluster, and what the cluster shows to be believed.

A token is an id and a secret, ``abcdef.0123456789abcdef``. It is kept as Secret kube-system/bootstrap-token-ID of type
``bootstrap.kubernetes.io/token`` (kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens); all that is done
here, `kubeadm token` does on the control plane's node.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, overload

from labkit.cluster import kubeadm, node_files
from labkit.cluster.rootless import RootlessCluster
from labkit.errors import ClusterError
from labkit.lab.installation import identity, refusals
from labkit.lab.installation.identity import CaHash, ClusterInfo, Signature
from labkit.lab.installation.ours import own_cluster
from labkit.lab.kubectl import Output
from labkit.language import gettext, gettext_noop
from labkit.views import grid

if TYPE_CHECKING:
    from labkit.lab.lab import Lab

HEADINGS = (
    "id",
    gettext_noop("token"),
    gettext_noop("what is left"),
    gettext_noop("for"),
    gettext_noop("of the groups"),
    gettext_noop("about"),
)
#: kubeadm's own default.
DAY = "24h"


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """A bootstrap token as `kubeadm token list` tells of it.

    Attributes
    ----------
    id : str
        Its public half, ``"abcdef"``.
    token : str
        All of it, ``"abcdef.0123456789abcdef"``.
    expires : datetime.datetime or None
        When it ends, UTC; None for never.
    usages : tuple of str
        What it is good for: ``"signing"`` cluster-info, ``"authentication"`` of who joins.
    groups : tuple of str
        As whose member it lets somebody in.
    description : str
        What its maker wrote.
    asked : datetime.datetime
        When kubeadm told this, UTC.
    """

    id: str
    token: str
    expires: datetime | None
    usages: tuple[str, ...]
    groups: tuple[str, ...]
    description: str
    asked: datetime

    @property
    def left(self) -> str:
        """What is left of its life, in words."""
        return left(self.expires, self.asked)

    @property
    def row(self) -> tuple[str, ...]:
        """Return it as a row of a table, under `HEADINGS`."""
        return (self.id, self.token, self.left, ", ".join(self.usages), ", ".join(self.groups), self.description)

    def __str__(self) -> str:
        """Return the token itself."""
        return self.token

    def __repr__(self) -> str:
        return f"<Token {self.id}: {self.left}>"


@dataclass(frozen=True, slots=True, repr=False)
class Tokens(Sequence[Token]):
    """All tokens of a cluster: a sequence that shows itself as a table.

    Attributes
    ----------
    tokens : tuple of Token
        As kubeadm lists them.
    """

    tokens: tuple[Token, ...]

    def __len__(self) -> int:
        return len(self.tokens)

    @overload
    def __getitem__(self, key: int) -> Token: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Token, ...]: ...
    def __getitem__(self, key: int | slice) -> Token | tuple[Token, ...]:
        """Return the token of that place, or a slice of them."""
        return self.tokens[key]

    def __repr__(self) -> str:
        return grid.text(HEADINGS, self.rows())

    def _repr_html_(self) -> str:
        return grid.table(HEADINGS, self.rows(), caption=gettext("{count} bootstrap tokens").format(count=len(self)))

    def rows(self) -> list[tuple[str, ...]]:
        """Return a row of text per token, under `HEADINGS`."""
        return [each.row for each in self.tokens]


class LabTokens:
    """The bootstrap tokens of a lab.

    Parameters
    ----------
    lab : Lab
        Whose.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def create(self, *, ttl: str | float = DAY, token: str = "", description: str = "") -> Token:
        """Have kubeadm make a token, and return it.

        Parameters
        ----------
        ttl : str or float
            How long it lives: seconds, or as kubeadm takes it, ``"2h30m"``; 0 for ever.
        token : str
            The token itself; by default kubeadm draws one by lot.
        description : str
            What it is for.

        Raises
        ------
        ClusterError
            kubeadm refuses; the message has its words, the cause and the cure.
        """
        words = [token] if token else []
        words += ["--ttl", _duration(ttl)]
        if description:
            words += ["--description", description]
        made = self._kubeadm("create", *words).strip()
        found = [each for each in self.list() if each.token == made]
        if not found:
            raise ClusterError(
                gettext("The token is gone already"),
                why=gettext("its life was over before it could be listed"),
                fix=gettext("give it a longer one"),
            )
        return found[0]

    def list(self) -> Tokens:
        """Return the tokens that there are, with what is left of each.

        Raises
        ------
        ClusterError
            The API server does not answer.
        """
        printed, asked = self._kubeadm("list", "--output", "json"), datetime.now(UTC)
        return Tokens(tuple(_token(each, asked) for each in _documents(printed)))

    def delete(self, token: Token | str) -> Output:
        """Delete a token; who has joined with it stays.

        Parameters
        ----------
        token : Token or str
            It, its id, or all of its text.

        Raises
        ------
        ClusterError
            There is none such, or it is malformed.
        """
        return self._kubeadm("delete", token.id if isinstance(token, Token) else token)

    def print_join_command(self, *, ttl: str | float = DAY) -> Output:
        """Have kubeadm make a token, and return the command that it prints for the machine that is to join.

        A node of this lab needs `join_options` beside it.

        Parameters
        ----------
        ttl : str or float
            As for `create`.
        """
        return self._kubeadm("create", "--print-join-command", "--ttl", _duration(ttl))

    @property
    def join_options(self) -> str:
        """What a node of this lab needs beside the command that kubeadm prints."""
        rootless = isinstance(own_cluster(self._lab), RootlessCluster)
        return kubeadm.BY_HAND if rootless else kubeadm.BY_HAND_IN_CONTAINER

    def ca_hash(self) -> CaHash:
        """Return the hash of the cluster's CA, by which who joins knows it: step by step, and as openssl has it."""
        master = self._lab.nodes[0]
        pem = node_files.read(own_cluster(self._lab), master.name, kubeadm.CA)
        return identity.ca_hash(pem.encode(), master.exec(identity.OPENSSL))

    def cluster_info(self) -> ClusterInfo:
        """Return what anybody may read of the cluster: where it is, whom to trust, and tokens' signatures of that.

        Raises
        ------
        ClusterError
            The API server does not answer, or the cluster has no such ConfigMap.
        """
        with self._lab.api_server() as api:
            found = api.get("/api/v1/namespaces/kube-public/configmaps/cluster-info")
        if found is None:
            raise ClusterError(
                gettext("There is no cluster-info"),
                why=gettext("ConfigMap kube-public/cluster-info is missing, or the API server does not answer"),
                fix=gettext("on the control plane's node: kubeadm init phase bootstrap-token"),
            )
        prefix, data = "jws-kubeconfig-", found["data"]
        signatures = {key.removeprefix(prefix): value for key, value in data.items() if key.startswith(prefix)}
        return ClusterInfo(data["kubeconfig"], signatures)

    def verify(self, token: Token | str) -> Signature:
        """Check that cluster-info was signed with a token, as `kubeadm join` does.

        Parameters
        ----------
        token : Token or str
            All of it.

        Raises
        ------
        UsageError
            It is not signed with a token of that id.
        """
        return self.cluster_info().verify(token)

    def _kubeadm(self, *words: str) -> Output:
        argv = ["kubeadm", "token", *words]
        try:
            return self._lab.nodes[0].exec(argv)
        except ClusterError as error:
            raise refusals.explained(f"kubeadm token {words[0]} failed", error.why) from error


def _duration(ttl: str | float) -> str:
    return ttl if isinstance(ttl, str) else f"{ttl:g}s"


def _documents(printed: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects that stand one after the other in a text."""
    decoder, rest = json.JSONDecoder(), printed.strip()
    while rest:
        document, end = decoder.raw_decode(rest)
        yield document
        rest = rest[end:].lstrip()


def _token(told: dict[str, Any], asked: datetime) -> Token:
    """Read a BootstrapToken of output.kubeadm.k8s.io/v1alpha3."""
    return Token(
        id=told["token"].partition(".")[0],
        token=told["token"],
        expires=datetime.fromisoformat(told["expires"]).astimezone(UTC) if told.get("expires") else None,
        usages=tuple(told.get("usages", ())),
        groups=tuple(told.get("groups", ())),
        description=told.get("description", ""),
        asked=asked,
    )


def left(expires: datetime | None, now: datetime) -> str:
    """Return in words what is left of a token's life."""
    if expires is None:
        return gettext("for ever")
    seconds = int((expires - now).total_seconds())
    if seconds <= 0:
        return gettext("nothing: it has expired")
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return gettext("{days} d {hours} h").format(days=days, hours=hours)
    if hours:
        return gettext("{hours} h {minutes} min").format(hours=hours, minutes=minutes)
    if minutes:
        return gettext("{minutes} min {seconds} s").format(minutes=minutes, seconds=seconds % 60)
    return gettext("{seconds} s").format(seconds=seconds)
