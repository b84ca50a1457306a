"""How to reach an API server and who asks, as a kubeconfig says (client-go, tools/clientcmd/api/v1/types.go)."""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from labkit.errors import ClusterError, UsageError
from labkit.language import gettext

_PLUGIN_SECONDS = 60.0
#: The protocol of programs that give credentials (kubernetes.io/docs/reference/config-api/client-authentication.v1).
_PLUGIN_VERSION = "client.authentication.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Access:
    """The way to one API server for one user.

    Attributes
    ----------
    host, port, path : str, int, str
        Where it listens, and what all its paths begin with; "" for most.
    context : ssl.SSLContext or None
        Whom to trust, and the user's certificate; None for plain HTTP.
    headers : mapping of str to str
        What each request carries: ``Authorization``, where the user has a token.
    certificate : bytes
        The user's certificate as PEM; empty where the user has none.
    """

    host: str
    port: int
    path: str = ""
    context: ssl.SSLContext | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    certificate: bytes = b""

    def connect(self, timeout: float) -> http.client.HTTPConnection:
        """Return a connection that is opened by its first request; `timeout` is in seconds."""
        if self.context is None:
            return http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=self.context)

    @property
    def expired(self) -> datetime | None:
        """When the user's certificate ended, UTC; None where there is none, or it is valid still."""
        if not self.certificate:
            return None
        from cryptography import x509  # noqa: PLC0415 - only a refusal needs it

        ends = x509.load_pem_x509_certificate(self.certificate).not_valid_after_utc
        return ends if ends < datetime.now(UTC) else None


def read(path: Path) -> Access:
    """Read a kubeconfig of one cluster and one user, as ``kubectl config view --minify --flatten --raw`` writes it.

    Raises
    ------
    UsageError
        It is none, or lacks a part.
    ClusterError
        The program that it names for credentials gives none.
    """
    try:
        config = yaml.safe_load(path.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        url = urlsplit(str(cluster["server"]))
        user = {**user, **_from_plugin(user["exec"])} if user.get("exec") else user
        certificate = _content(user, "client-certificate")
        context = None if url.scheme == "http" else _trust(cluster)
        if context is not None and certificate:
            _present(context, certificate, _content(user, "client-key"))
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, yaml.YAMLError) as error:
        raise UsageError(
            gettext("The kubeconfig {path} cannot be used").format(path=path),
            why=f"{type(error).__name__}: {error}",
            fix=gettext("see whether kubectl can use it: kubectl --kubeconfig FILE version"),
        ) from error
    port = url.port or (80 if url.scheme == "http" else 443)
    return Access(url.hostname or "", port, url.path.rstrip("/"), context, _headers(user), certificate)


def _trust(cluster: Mapping[str, Any]) -> ssl.SSLContext:
    authority = _content(cluster, "certificate-authority")
    context = ssl.create_default_context(cadata=authority.decode() or None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _content(section: Mapping[str, Any], key: str) -> bytes:
    """Return what stands under ``KEY-data`` in base64, or in the file under ``KEY``."""
    if section.get(f"{key}-data"):
        return base64.b64decode(section[f"{key}-data"])
    return Path(section[key]).read_bytes() if section.get(key) else b""


def _present(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # ssl reads a client's certificate and key only from a file; this one is 0600 and gone at once.
    with tempfile.NamedTemporaryFile() as pair:
        pair.write(certificate + b"\n" + key)
        pair.flush()
        context.load_cert_chain(pair.name)


def _headers(user: Mapping[str, Any]) -> dict[str, str]:
    token = str(user.get("token") or "")
    if user.get("tokenFile"):
        token = Path(user["tokenFile"]).read_text().strip()
    if token:
        return {"Authorization": f"Bearer {token}"}
    if user.get("username"):
        pair = f"{user['username']}:{user.get('password', '')}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}


def _from_plugin(plugin: Mapping[str, Any]) -> dict[str, Any]:
    """Run the program that a cloud's kubeconfig names, and return what it gives as a user's entries."""
    version = str(plugin.get("apiVersion") or _PLUGIN_VERSION)
    request = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
    given = {str(entry["name"]): str(entry["value"]) for entry in plugin.get("env") or ()}
    argv = [str(plugin["command"]), *map(str, plugin.get("args") or ())]
    try:
        done = subprocess.run(
            argv,
            env={**os.environ, **given, "KUBERNETES_EXEC_INFO": json.dumps(request)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PLUGIN_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _no_credentials(argv[0], str(error), str(plugin.get("installHint") or "")) from error
    if done.returncode != 0:
        raise _no_credentials(
            argv[0],
            done.stderr.strip() or gettext("it ended with {status}").format(status=done.returncode),
            gettext("log in with it again"),
        )
    status = json.loads(done.stdout)["status"]
    found: dict[str, Any] = {"token": status.get("token", "")}
    for name, key in (("clientCertificateData", "client-certificate"), ("clientKeyData", "client-key")):
        if status.get(name):
            found[f"{key}-data"] = base64.b64encode(status[name].encode()).decode()
    return found


def _no_credentials(program: str, why: str, fix: str) -> ClusterError:
    return ClusterError(
        gettext("{program} gives no credentials for the cluster").format(program=program),
        why=why,
        fix=fix or gettext("install {program}").format(program=program),
    )
