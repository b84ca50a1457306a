"""What must not be in a recording: Secrets, tokens and private keys, wherever in the evidence they stand.

Redacting a second time changes nothing.
"""

from __future__ import annotations

import base64
import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import orjson

from labkit.evidence.audit import AuditEvent, from_json
from labkit.evidence.model import Change, Evidence, Loss, ProxyRecord, Revision, RuntimeCall, SchedulerLine, Span

REDACTED = "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}redacted\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"

_SECRETS = "/registry/secrets/"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"  # the object itself, as JSON text
# Keys with a secret in any object: TokenRequest's status.token (staging/src/k8s.io/api/authentication/v1/types.go), a
# kubeconfig's users (staging/src/k8s.io/client-go/tools/clientcmd/api/v1/types.go), HTTP's header.
_KEYS = frozenset({"authorization", "client-key-data", "password", "token", "token-secret"})
# Keys of ConfigMap kube-public/cluster-info: its kubeconfig, signed with a bootstrap token
# (staging/src/k8s.io/cluster-bootstrap/token/api/types.go).
_SIGNATURE = "jws-kubeconfig-"
_VARIABLE = re.compile(r"(?i)passw|secret|token|api_?key|credential|private_?key")  # environment variables

_TEXTS = re.compile(
    r"""
    -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z)  # RFC 7468
  | LS0tLS1CRUdJTi(?!BDRVJU)[A-Za-z0-9+/]+=*  # the same in base64: "-----BEGIN", but for "-----BEGIN CERT"
  | eyJ[\w-]+\.[\w-]*\.[\w-]+                 # JSON Web Signature, RFC 7515; its payload may be detached
  | (?P<header>(?i:\bauthorization["'\\]*[ \t]*[:=][ \t]*["'\\]*(?:(?:basic|bearer)[ \t]+)?+))[\w.~+/-]+=*  # RFC 9110
  | (?P<scheme>(?i:\bbearer)[ \t]+)[\w.~+/-]{16,}=*  # RFC 6750
  | (?P<key>(?i:\b(?:client-key-data|token)["'\\]*[ \t]*[:=][ \t]*["'\\]*))[\w.~+/-]{8,}=*
  | (?P<password>(?i:password["'\\]*[ \t]*[:=][ \t]*["'\\]*))[^\s"'\\\u2039]+
  | (?P<option>--token[ ]|--from-literal[ =][^\s=]+=)[^\s"'\\\u2039]+  # kubeadm join, kubectl create secret
  | (?P<url>://[^/\s:@"]+:)[^/\s:@"\u2039]+(?=@)  # RFC 3986, userinfo
    """,
    re.VERBOSE | re.DOTALL,
)
_HINTS = (
    "eyj",
    "ls0tls1crudjti",
    "private key",
    "bearer",
    "authorization",
    "token",
    "password",
    "key-data",
    "--from",
    "@",
)
_TOKEN_SECRET = re.compile(r"[a-z0-9]{16}")
_BOOTSTRAP = re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b")  # cluster-bootstrap/token/api/types.go

_Item = TypeVar("_Item", Span, SchedulerLine, RuntimeCall, ProxyRecord, Change, Loss)


def redacted(evidence: Evidence) -> Evidence:
    """Return the evidence without secrets.

    `REDACTED` takes the place of the values of Secrets (also in lists, patches and earlier versions), tokens of service
    accounts, bootstrap tokens and what is signed with them, HTTP's Authorization, JSON Web Tokens, private keys (PEM,
    also in base64), keys, tokens and passwords of kubeconfigs, and values of environment variables with a telling name.
    Names and keys stay.
    """
    redaction = _Redaction(tuple(sorted(_bootstrap_tokens(evidence.revisions, evidence.audit))))
    return dataclasses.replace(
        evidence,
        audit=tuple(redaction.audit(event) for event in evidence.audit),
        spans=tuple(redaction.fields(span) for span in evidence.spans),
        revisions=tuple(redaction.revision(revision) for revision in evidence.revisions),
        scheduler=tuple(redaction.fields(line) for line in evidence.scheduler),
        runtime=tuple(redaction.fields(call) for call in evidence.runtime),
        proxy=tuple(redaction.fields(record) for record in evidence.proxy),
        changes=tuple(redaction.fields(change) for change in evidence.changes),
        losses=tuple(redaction.fields(loss) for loss in evidence.losses),
    )


def redacted_revision(revision: Revision) -> Revision:
    """Return one revision of etcd without secrets, as `redacted` does."""
    return _Redaction(tuple(sorted(_bootstrap_tokens((revision,), ())))).revision(revision)


def redacted_text(text: str) -> str:
    """Return a text that people wrote, such as a command, without tokens (bootstrap tokens too) and private keys."""
    return _BOOTSTRAP.sub(REDACTED, _Redaction(()).text(text))


def redacted_value(value: Any) -> Any:
    """Return any JSON value without secrets; in its texts without what `redacted_text` takes out, too."""
    return _without_bootstrap_tokens(_Redaction(()).value(value))


def _without_bootstrap_tokens(value: Any) -> Any:
    if isinstance(value, str):
        return _BOOTSTRAP.sub(REDACTED, value)
    if isinstance(value, dict):
        return {key: _without_bootstrap_tokens(item) for key, item in value.items()}
    return [_without_bootstrap_tokens(item) for item in value] if isinstance(value, list) else value


class _Redaction:
    """Redacts values; `tokens` are known to be secret wherever they stand.

    The form of a bootstrap token alone does not tell: Events have names like ``tomcat.18ead12166ed919a``.
    """

    def __init__(self, tokens: tuple[str, ...]) -> None:
        self._tokens = tokens

    def audit(self, event: AuditEvent) -> AuditEvent:
        secret = event.object is not None and event.object.resource == "secrets"
        bodies = ("requestObject", "responseObject")
        return from_json({key: self.value(item, secret and key in bodies) for key, item in event.raw.items()})

    def revision(self, revision: Revision) -> Revision:
        secret = revision.key.startswith(_SECRETS)
        return dataclasses.replace(
            revision,
            value=self.value(revision.value, secret),
            previous=self.value(revision.previous, secret),
        )

    def fields(self, item: _Item) -> _Item:
        names = (field.name for field in dataclasses.fields(item))
        return dataclasses.replace(item, **{name: self.value(getattr(item, name)) for name in names})

    def value(self, value: Any, secret: bool = False) -> Any:
        """Return any JSON value redacted; `secret` says that it is a Secret, or a patch of one."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return self._mapping(value, secret or value.get("kind") == "Secret")
        if isinstance(value, list | tuple):
            items = (self.value(item, secret) for item in value)
            return tuple(items) if isinstance(value, tuple) else list(items)
        return value

    def _mapping(self, mapping: Mapping[str, Any], secret: bool) -> dict[str, Any]:
        variable = _VARIABLE.search(str(mapping.get("name", ""))) is not None
        items = mapping.get("kind") == "SecretList"  # those of a list do not say their kind
        result: dict[str, Any] = {}
        for key, value in mapping.items():
            if _is_secret(key, value) or (variable and key == "value"):
                result[key] = REDACTED
            elif secret and key in {"data", "stringData", "value"}:  # JSON patches (RFC 6902) have a value
                result[key] = dict.fromkeys(value, REDACTED) if isinstance(value, Mapping) else REDACTED
            elif secret and key == "metadata" and isinstance(value, Mapping):
                result[key] = self._without_last_applied(value)
            else:
                result[key] = self.value(value, items and key == "items")
        return result

    def _without_last_applied(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        annotations = metadata.get("annotations")
        if isinstance(annotations, Mapping) and _LAST_APPLIED in annotations:
            metadata = {**metadata, "annotations": {**annotations, _LAST_APPLIED: REDACTED}}
        return self._mapping(metadata, False)

    def text(self, text: str) -> str:
        for token in self._tokens:
            text = text.replace(token, REDACTED)
        if text[:1] in {"{", "["} and "Secret" in text:
            text = self._json(text)
        lower = text.lower()
        if any(hint in lower for hint in _HINTS):
            return _without_secrets(text)
        return text

    def _json(self, text: str) -> str:
        """Redact an object that is JSON text within another, as where kubectl notes what it applied last."""
        try:
            before = orjson.loads(text)
        except ValueError:
            return text
        after = self.value(before)
        return text if after == before else orjson.dumps(after).decode()


def _without_secrets(text: str) -> str:
    while (clean := _TEXTS.sub(_keep_what_tells, text)) != text:  # what is kept of one match may begin another
        text = clean
    return text


def _keep_what_tells(match: re.Match[str]) -> str:
    kept = match[match.lastgroup] if match.lastgroup else ""
    return f"{kept}{REDACTED}"


def _is_secret(key: str, value: Any) -> bool:
    if not value or not isinstance(value, str | list | tuple):
        return False
    name = key.lower().rsplit(".", 1)[-1]  # spans have "http.request.header.authorization"
    return name in _KEYS or key.startswith(_SIGNATURE)


def _bootstrap_tokens(revisions: Iterable[Revision], audit: Iterable[AuditEvent]) -> Iterator[str]:
    """Yield the secret halves of the bootstrap tokens whose Secrets are in evidence."""
    values = [value for revision in revisions for value in (revision.value, revision.previous)]
    events = [event for event in audit if event.object and event.object.resource == "secrets"]
    values += [body for event in events for body in (event.request, event.response)]
    for value in values:
        if not isinstance(value, Mapping) or value.get("type") != "bootstrap.kubernetes.io/token":
            continue
        for field in ("data", "stringData"):
            body = value.get(field)
            token = body.get("token-secret") if isinstance(body, Mapping) else None
            if isinstance(token, str):
                yield from filter(_TOKEN_SECRET.fullmatch, (token, _decoded(token)))


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text).decode()
    except ValueError:
        return ""
