"""No secret reaches a recording: planted in every source, none is in the file's unpacked bytes."""

from __future__ import annotations

import base64
import dataclasses
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from labkit.evidence.audit import AuditEvent, from_json
from labkit.evidence.model import ClusterFacts, Evidence, Loss, ProxyRecord, Revision, RuntimeCall, SchedulerLine, Span
from labkit.evidence.recording import Mark, load, save
from labkit.evidence.redaction import REDACTED, redacted, redacted_text

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FACTS = ClusterFacts("lab", "rootless", "v1.34.3", "master", ("master",))
PASSWORD = "correct-horse-battery"  # noqa: S105 - planted, to be looked for
TOKEN_ID, TOKEN_SECRET = "abcdef", "0123456789abcdef"
BOOTSTRAP = f"{TOKEN_ID}.{TOKEN_SECRET}"
JWT = ".".join(
    base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b'{"alg":"RS256"}', b'{"s":1}', b"sig!")
)
JWS = f"{JWT.partition('.')[0]}..{JWT.rpartition('.')[2]}"
KEY = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    .decode()
)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# What must not be in a file, in every form in which it is planted below.
PLANTED = [
    PASSWORD,
    encoded(PASSWORD),
    TOKEN_SECRET,
    encoded(TOKEN_SECRET),
    BOOTSTRAP,
    JWT,
    JWS,
    KEY[40:80],
    encoded(KEY),
]

SECRET: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {
        "name": "database",
        "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"stringData": {"password": PASSWORD}})
        },
    },
    "data": {"password": encoded(PASSWORD), "tls.key": encoded(KEY)},
}
TOKEN: dict[str, Any] = {
    "kind": "Secret",
    "metadata": {"name": f"bootstrap-token-{TOKEN_ID}"},
    "type": "bootstrap.kubernetes.io/token",
    "data": {"token-id": encoded(TOKEN_ID), "token-secret": encoded(TOKEN_SECRET)},
}
KUBECONFIG = f"users:\n- name: admin\n  user:\n    client-key-data: {encoded(KEY)}\n    token: {JWT}\n"
LOG = f'"Request" headers="Authorization: Bearer {PASSWORD}" curl -H "authorization: Basic {encoded(PASSWORD)}" {JWT}'
BODIES: list[tuple[str, Any]] = [
    ("secrets", SECRET),
    ("secrets", {"kind": "SecretList", "items": [{"metadata": {}, "data": SECRET["data"]}]}),
    ("secrets", {"stringData": {"password": PASSWORD}}),  # a patch does not say its kind
    ("secrets", [{"op": "replace", "path": "/data/password", "value": encoded(PASSWORD)}]),
    ("secrets", TOKEN),
    ("customs", {"kind": "List", "items": [{"kind": "Wrapper", "template": SECRET}]}),
    ("customs", {"metadata": {"annotations": {"of/others": json.dumps(SECRET)}}}),
    ("serviceaccounts", {"kind": "TokenRequest", "status": {"token": JWT, "expirationTimestamp": "later"}}),
    ("tokenreviews", {"kind": "TokenReview", "spec": {"token": PASSWORD}}),
    ("configmaps", {"data": {"kubeconfig": KUBECONFIG, f"jws-kubeconfig-{TOKEN_ID}": JWS, "key": KEY}}),
    ("pods", {"spec": {"containers": [{"env": [{"name": "DB_PASSWORD", "value": PASSWORD}], "command": [BOOTSTRAP]}]}}),
]


def audit_event(resource: str, body: Any) -> AuditEvent:
    raw = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "RequestResponse",
        "auditID": f"id-{resource}",
        "stage": "ResponseComplete",
        "requestURI": f"/api/v1/{resource}?token={JWT}",
        "verb": "update",
        "user": {"username": "admin", "extra": {"authorization": [f"Bearer {PASSWORD}"]}},
        "userAgent": f"curl {BOOTSTRAP}",
        "objectRef": {"resource": resource, "name": "it"},
        "requestObject": body,
        "responseObject": body,
        "requestReceivedTimestamp": NOW.isoformat(),
        "stageTimestamp": NOW.isoformat(),
    }
    return from_json(raw)


def planted() -> Evidence:
    span = Span("01", "02", "", "apiserver", "", f"GET ?token={JWT}", 1, 2)
    attributes: dict[str, Any] = {"http.request.header.authorization": PASSWORD, "note": LOG, "ok": "kept", "n": 7}
    return Evidence(
        FACTS,
        audit=tuple(audit_event(*body) for body in BODIES),
        spans=(dataclasses.replace(span, attributes=attributes, events=((3, LOG),), error=LOG),),
        revisions=(
            Revision(5, "/registry/secrets/default/database", SECRET, previous=SECRET),
            Revision(6, "/registry/secrets/default/odd", {"data": SECRET["data"]}, previous=TOKEN),
            Revision(7, "/registry/configmaps/default/all", {"data": {"all": KUBECONFIG}}),
        ),
        scheduler=(SchedulerLine(1, NOW, f"Bearer {JWT}", {"headers": LOG, "note": BOOTSTRAP}),),
        runtime=(RuntimeCall(1, "master", NOW, 0.1, "CreateContainer", error=KEY, fields={"env": [KUBECONFIG]}),),
        proxy=(
            ProxyRecord("rules", NOW, {"tables": {"iptables": LOG, "nftables": json.dumps({"comment": SECRET})}}),
            ProxyRecord("switch", NOW, {"error": KEY, "steps": [{"detail": KUBECONFIG}, {"detail": BOOTSTRAP}]}),
        ),
        losses=(Loss("audit", f"lost {JWT}", LOG),),
    )


def unpacked(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return "\n".join(archive.read(name).decode() for name in archive.namelist())


def test_no_planted_secret_is_in_a_recording(tmp_path: Path) -> None:
    evidence = planted()
    before = repr(evidence)
    for secret in PLANTED:
        assert secret in before or repr(secret)[1:-1] in before
    marks = [Mark(NOW, f"kubeadm join --token {BOOTSTRAP} --discovery-token-ca-cert-hash sha256:00")]
    text = unpacked(save(evidence, tmp_path / "a.labtrace", title=f"With {BOOTSTRAP}", marks=marks))
    assert [secret for secret in PLANTED if secret in text or json.dumps(secret)[1:-1] in text] == []
    assert text.count(REDACTED) > 40


def test_what_is_no_secret_stays() -> None:
    clean = redacted(planted())
    first = clean.audit[0]
    assert first.request is not None
    assert first.request["metadata"]["name"] == "database"
    assert first.request["data"] == {"password": REDACTED, "tls.key": REDACTED}
    assert clean.spans[0].attributes["ok"] == "kept"
    assert clean.spans[0].attributes["n"] == 7
    assert [revision.key for revision in clean.revisions] == [revision.key for revision in planted().revisions]


def test_redacting_again_changes_nothing() -> None:
    once = redacted(planted())
    assert redacted(once) == once


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("kubectl create secret generic db --from-literal=word=hunter2 -n a", "--from-literal=word=* -n a"),
        ("kubectl create secret generic db --from-literal word=hunter2", "--from-literal word=*"),
        (f"kubeadm join 10.0.0.1:6443 --token {BOOTSTRAP} --v 5", "6443 --token * --v 5"),
        ("psql postgres://me:hunter2@db/x", "psql postgres://me:*@db/x"),
        ('curl -H "Authorization: Basic bWU6aHVudGVyMg=="', '"Authorization: Basic *"'),
        ("mysql --password=hunter2 db", "mysql --password=* db"),
        (f"curl -H 'X-Key: {JWT}'", "'X-Key: *'"),
    ],
)
def test_commands_with_secrets(text: str, clean: str) -> None:
    assert redacted_text(text).endswith(clean.replace("*", REDACTED))


@given(
    st.lists(
        st.sampled_from(
            [
                "eyJ",
                "a",
                ".",
                "-",
                "Bearer ",
                "authorization: ",
                "basic ",
                "token=",
                "password: ",
                "://",
                ":",
                "@",
                "--from-literal=a=",
                "abcdefgh",
                KEY,
                " ",
                '"',
            ]
        )
        | st.text(max_size=3)
    )
)
def test_redacting_any_text_again_changes_nothing(parts: list[str]) -> None:
    once = redacted_text("".join(parts))
    assert redacted_text(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "tomcat.18ead12166ed919a",  # an Event's name has the form of a bootstrap token
        "authorization:\n  mode: Webhook\n",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        encoded("-----BEGIN CERTIFICATE-----\nMIIB"),
        "the bearer of this token is expected",
        "/var/run/secrets/kubernetes.io/serviceaccount/token",
        '{"kind": "ConfigMap", "data": {"about": "Secret"}}',
        "{no JSON, Secret",
    ],
)
def test_what_only_looks_like_a_secret_stays(text: str) -> None:
    event = audit_event("pods", {"metadata": {"name": text}})
    clean = redacted(Evidence(FACTS, audit=(event,))).audit[0]
    assert clean.request == event.request


def test_nothing_of_a_real_session_is_lost(sample: Evidence) -> None:
    assert redacted(sample) == sample  # a learner's deployment has no secret


def test_a_real_recording_holds_no_token(sample_path: Path) -> None:
    text = unpacked(sample_path)
    assert "eyJhbGci" not in text
    assert "PRIVATE KEY" not in text
    assert load(sample_path).evidence.audit
