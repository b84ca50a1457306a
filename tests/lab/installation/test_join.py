"""Tokens and `kubeadm join` on a real cluster of its own: what lets a machine in, and how each refusal is told."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.client import CoreV1Api
from kubernetes.client.exceptions import ApiException

import labkit
from labkit.cluster.kubeadm import BY_HAND
from labkit.errors import ClusterError, UsageError
from labkit.lab import Lab
from labkit.lab.installation.join import Joined
from labkit.lab.installation.ours import own_cluster
from labkit.lab.installation.tokens import Token
from labkit.progress import Progress
from tests import traces
from tests.cli.command import labkit as labkit_command
from tests.lab.installation import authority

pytestmark = pytest.mark.cluster

_STRANGER = "abcdef.0123456789abcdef"


@pytest.fixture(scope="module")
def young() -> Iterator[Lab]:
    """A lab with nothing but its control plane; machines are added, and one that stays without joining."""
    with labkit.up("young", workers=0, progress=Progress()) as lab:
        lab.prepare("outside", progress=Progress())
        yield lab


@pytest.fixture(scope="module")
def joined(young: Lab) -> Joined:
    return young.join("node-01", token=young.token.create(ttl="1h", description="for <b>node-01</b>"))


@pytest.fixture(scope="module")
def spare(young: Lab, joined: Joined) -> Token:
    """A token with which cluster-info is signed long before it is used."""
    return young.token.create(ttl="1h")


def _refused(lab: Lab, node: str = "outside", **how: object) -> ClusterError:
    with pytest.raises(ClusterError) as refused:
        lab.join(node, seconds=2, progress=Progress(), **how)  # type: ignore[arg-type]
    return refused.value


def test_tokens_are_made_listed_and_deleted(young: Lab) -> None:
    made = young.token.create(ttl=90, description="<i>a</i>")
    assert made.left.startswith("1 min ")
    assert made.usages == ("authentication", "signing")
    listed = young.token.list()
    assert made.token in [each.token for each in listed]
    assert "<i>" not in listed._repr_html_()
    assert made.id in repr(listed)
    assert young.token.create(ttl=0).left == "for ever"
    assert young.token.delete(made) == f'bootstrap token "{made.id}" deleted'
    assert made.id not in [each.id for each in young.token.list()]
    with pytest.raises(ClusterError, match=r"not found[\s\S]*was deleted[\s\S]*labkit token list"):
        young.token.delete(made)


@pytest.mark.parametrize(("token", "ttl"), [("abc", "1h"), (_STRANGER.upper(), "1h")])
def test_a_malformed_token_is_not_made(young: Lab, token: str, ttl: str) -> None:
    with pytest.raises(ClusterError, match=r"was not of the form[\s\S]*six small letters or digits"):
        young.token.create(token=token, ttl=ttl)


def test_a_time_to_live_that_is_none_is_explained(young: Lab) -> None:
    with pytest.raises(ClusterError, match=r"invalid duration[\s\S]*for example 24h"):
        young.token.create(ttl="soon")


def test_the_hash_of_the_authority_is_what_openssl_and_kubeadm_say(young: Lab) -> None:
    digest = young.token.ca_hash()
    assert digest.agrees
    assert digest.text in young.token.print_join_command(ttl="1m")
    assert [each.step for each in digest.steps] == ["read", "decoded", "taken out of it", "hashed"]
    assert digest.steps[2].content in digest.steps[1].content
    assert "the same" in repr(digest)
    assert "PRIVATE" not in digest._repr_html_()


def test_cluster_info_is_signed_with_a_token_and_with_no_other(young: Lab, joined: Joined) -> None:
    token = next(each for each in young.token.list() if each.id == joined.token_id)
    signature = young.token.verify(token)
    assert signature.valid
    assert '"alg": "HS256"' in signature.header
    assert not young.token.verify(f"{token.id}.{'0' * 16}").valid
    with pytest.raises(UsageError, match="not signed with token"):
        young.token.verify(_STRANGER)


def test_a_machine_joins_and_every_step_of_it_has_evidence(young: Lab, joined: Joined, spare: Token) -> None:
    assert own_cluster(young).node_joined("node-01")
    phases = [each.phase for each in joined.said]
    assert phases.index("preflight") < phases.index("discovery") < phases.index("kubelet-start")
    assert [each.seconds for each in joined.said] == sorted(each.seconds for each in joined.said)
    hops = joined.flow.hops
    told = [(hop.source.name, hop.verb, hop.object.resource, hop.object.subresource) for hop in hops if hop.observed]
    steps = [
        ("kubeadm", "create", "secrets", ""),
        ("bootstrap-signer", "update", "configmaps", ""),
        ("kubeadm", "get", "configmaps", ""),
        ("kubelet on node-01", "create", "certificatesigningrequests", ""),
        ("certificate-controller", "update", "certificatesigningrequests", "approval"),
        ("certificate-controller", "update", "certificatesigningrequests", "status"),
        ("kubelet on node-01", "create", "nodes", ""),
    ]
    places = [told.index(step) for step in steps]
    assert places == sorted(places)
    inferred = [hop for hop in hops if not hop.observed]
    assert [hop.target.name for hop in inferred[:1]] == ["bootstrap-signer"]
    assert all(hop.rule and hop.evidence for hop in inferred)
    kept = next(item for hop in inferred for item in hop.evidence if item.source == "file")
    assert "kubelet-client-" in kept.id
    assert joined.to_svg().startswith("<svg")
    assert "PRIVATE" not in joined._repr_html_()


@pytest.mark.parametrize(
    ("how", "says", "cause"),
    [
        ({"token": "abc"}, "bootstrap token is invalid", "That is no token"),
        ({"token": _STRANGER}, "could not find a JWS signature", "has expired, was deleted"),
        ({"ca_hash": "sha256:" + "0" * 64}, "none of the public keys", "another public key"),
        ({"ca_hash": "sha256:00"}, "expected a 32 byte SHA-256 hash", "no hash of a public key"),
        ({"name": "master"}, 'a Node with name "master"', "Another machine of that name"),
        ({"server": "127.0.0.1:6443"}, "connection refused", "Before `kubeadm init`"),
    ],
)
def test_a_refused_join_has_kubeadms_words_the_cause_and_the_cure(
    young: Lab, how: dict[str, str], says: str, cause: str
) -> None:
    error = _refused(young, **how)
    assert says in error.why
    assert cause in error.why
    assert error.fix
    assert not own_cluster(young).node_joined("outside")


def test_a_token_that_was_deleted_or_has_expired_lets_nobody_in(young: Lab) -> None:
    deleted = young.token.create()
    young.token.delete(deleted)
    expired = young.token.create(ttl=3)
    end = time.monotonic() + 30
    while expired.id in young.token.cluster_info().signatures or expired.id in {e.id for e in young.token.list()}:
        assert time.monotonic() < end, "the token-cleaner does not remove an expired token"
        time.sleep(0.2)
    for token in (deleted, expired):
        assert f'for token ID "{token.id}"' in _refused(young, token=token).why


def test_the_right_id_with_another_secret_is_refused(young: Lab) -> None:
    token = young.token.create()
    error = _refused(young, token=f"{token.id}.{'0' * 16}")
    assert "failed to verify JWS signature" in error.why
    assert "its secret is another" in error.why


def test_a_machine_joins_once(young: Lab, joined: Joined) -> None:
    error = _refused(young, joined.node)
    assert "kubelet.conf already exists" in error.why
    assert "has joined already" in error.why
    assert own_cluster(young).node_joined(joined.node)


def test_the_control_plane_does_not_join(young: Lab) -> None:
    with pytest.raises(UsageError, match="is the control plane"):
        young.join("master")


def test_the_printed_command_works_by_hand(young: Lab) -> None:
    by_hand = young.prepare("by-hand", progress=Progress())
    printed = young.token.print_join_command(ttl="5m")
    said = by_hand.exec(f"{printed.strip()} {BY_HAND}")
    assert "This node has joined the cluster" in said
    # kubeadm ends when the kubelet has its certificate; that one registers its Node a moment later.
    registered = "get node by-hand --ignore-not-found --output name"
    traces.eventually(lambda: young.kubectl(registered) == "node/by-hand", timeout=30)


def test_the_commands_do_the_same(young: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKIT_NAME", young.name)
    made = labkit_command("token", "create", "--ttl", "10m", "--description", "by command").stdout.strip()
    listed = labkit_command("token", "list").stdout
    assert made in listed
    assert "by command" in listed
    assert labkit_command("token", "delete", made).stdout.strip() == f'bootstrap token "{made[:6]}" deleted'
    assert BY_HAND in labkit_command("token", "join-command", "--ttl", "1m").stdout
    assert young.token.ca_hash().digest in labkit_command("token", "ca-hash").stdout
    refused = labkit_command("join", "outside", "--token", "abc")
    assert refused.returncode == 1
    assert "That is no token" in refused.stderr


def test_the_panel_makes_and_deletes_a_token_and_has_a_machine_join(young: Lab) -> None:
    panel = young.join_panel("outside")

    def press(**message: str) -> dict[str, Any]:
        panel._handle_custom_msg(message, [])
        end = time.monotonic() + 60
        while panel.paint() or panel.state["working"]:
            assert time.monotonic() < end, panel.state
            time.sleep(0.05)
        return dict(panel.state)

    made = re.search(r"Token (\w{6}) is made", press(do="create", ttl="10m")["said"])
    assert made
    assert made[1] in [row[0] for row in panel.state["tokens"]]
    state = press(do="join", node="outside", token=made[1])
    assert not state["failed"], state["said"]
    assert state["summary"].startswith(f"outside joined with token {made[1]}")
    assert "kubelet-start" in state["phases"]
    assert state["picture"].startswith("<svg")
    after = press(do="delete", token=made[1])
    assert made[1] not in [row[0] for row in after["tokens"]]
    assert "already exists" in press(do="join", node="outside", token="")["said"]
    panel.close()


def test_a_node_that_is_deleted_while_it_joins(young: Lab) -> None:
    over, nodes = threading.Event(), CoreV1Api(young.api)

    def delete() -> None:
        while not over.is_set():
            try:
                nodes.delete_node("victim")
            except ApiException:  # it is not there yet, or no longer
                time.sleep(0.002)

    deleting = threading.Thread(target=delete)
    deleting.start()
    try:
        error = _refused(young, "victim")
    finally:
        over.set()
        deleting.join()
    assert "deleted it meanwhile" in error.why
    assert "kubeadm reset" in error.fix


# The last ones: after the API server's ends and another authority, its clients may wait a minute before they ask again.
def test_a_clock_that_is_behind_takes_the_certificate_for_one_of_tomorrow(young: Lab, spare: Token) -> None:
    with authority.from_tomorrow(young):
        error = _refused(young, "late", token=spare)
    assert "certificate has expired or is not yet valid" in error.why
    assert "the clock is wrong" in error.why
    assert "NTP" in error.fix


def test_after_the_authority_was_replaced_its_new_hash_is_not_that_of_cluster_info(young: Lab, spare: Token) -> None:
    with authority.replaced(young):
        error = _refused(young, "late", token=spare)
    assert "none of the public keys" in error.why
    assert "replaced since" in error.why
    assert "kubeadm init phase bootstrap-token" in error.fix
