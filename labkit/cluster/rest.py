"""A few plain requests to the API server while a cluster comes up.

The official client takes most of a second of processor time to import, which a cluster that is starting on two cores
cannot spare; it is what users get as `lab.api`.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from labkit.cluster import kubeconfig
from labkit.cluster.kubeconfig import Access
from labkit.errors import ClusterError
from labkit.language import gettext

_TIMEOUT = 5.0
_JSON = "application/json"
# Metadata alone: kubernetes.io/docs/reference/using-api/api-concepts#metadata-only-fetches
_NAMES = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_UNREACHABLE = (OSError, http.client.HTTPException)


class ApiServer:
    """A connection to an API server, kept open between requests.

    Parameters
    ----------
    access : Access
        Where it listens, whom to trust, and who is asking.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._connection = self._connect()

    def _connect(self) -> http.client.HTTPConnection:
        return self._access.connect(_TIMEOUT)

    @classmethod
    def from_kubeconfig(cls, path: Path) -> ApiServer:
        """Connect as the only user of a kubeconfig of one cluster.

        Raises
        ------
        UsageError
            It is no kubeconfig.
        ClusterError
            The program that it names for credentials gives none.
        """
        return cls(kubeconfig.read(path))

    @staticmethod
    def url(path: Path) -> str:
        """Return the URL of the API server in a kubeconfig."""
        return str(yaml.safe_load(path.read_text())["clusters"][0]["cluster"]["server"])

    @classmethod
    def anonymous(cls, port: int) -> ApiServer:
        """Connect to 127.0.0.1 as nobody, before the cluster's authority is known; only public objects are readable."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return cls(Access("127.0.0.1", port, context=context))

    def get(self, path: str, accept: str = _JSON) -> dict[str, Any] | None:
        """Return an object or a list, or None where the server does not (yet) answer with one."""
        try:
            status, body = self._send("GET", path, {"Accept": accept})
        except _UNREACHABLE:
            return None
        if status != http.HTTPStatus.OK:
            return None
        parsed: dict[str, Any] = json.loads(body)
        return parsed

    def status(self, path: str) -> int | None:
        """Return the status of the server's answer (RFC 9110, section 15), or None where it does not (yet) answer."""
        try:
            return self._send("GET", path, {})[0]
        except _UNREACHABLE:
            return None

    def names(self, path: str) -> set[str] | None:
        """Return the names of the objects of a list, of which nothing else is sent; None as for `get`."""
        found = self.get(path, _NAMES)
        return None if found is None else {each["metadata"]["name"] for each in found["items"] or ()}

    def ask(self, path: str) -> dict[str, Any]:
        """Return an object or a list, or say why there is none.

        Raises
        ------
        ClusterError
            The server cannot be reached, does not know who asks, or refuses; the message says which.
        """
        what = gettext("The API server at {host}:{port}").format(host=self._access.host, port=self._access.port)
        try:
            status, body = self._send("GET", path, {"Accept": _JSON})
            answer: Any = json.loads(body) if status == http.HTTPStatus.OK else body
        except ssl.SSLError as error:
            raise ClusterError(
                gettext("{what} cannot be trusted, or does not trust who asks").format(what=what),
                why=str(error),
                fix=gettext("see the kubeconfig's certificate-authority and client-certificate"),
            ) from error
        except (*_UNREACHABLE, ValueError) as error:
            raise ClusterError(
                gettext("{what} cannot be reached").format(what=what),
                why=str(error) or type(error).__name__,
                fix=gettext(
                    "see whether the cluster runs, and whether this machine needs a VPN to it: kubectl version"
                ),
            ) from error
        if status == http.HTTPStatus.OK:
            return dict(answer)
        raise self._refusal(what, status, path, body)

    def _send(self, method: str, path: str, headers: Mapping[str, str], body: str | None = None) -> tuple[int, bytes]:
        """Send a request, and return the answer's status and body; after a failure the next one finds it as new."""
        try:
            self._connection.request(method, self._access.path + path, body, {**headers, **self._access.headers})
            # Closed here: what closes itself when it is forgotten swallows an interrupt that comes meanwhile.
            with self._connection.getresponse() as response:
                return response.status, response.read()
        except _UNREACHABLE:
            self._connection.close()
            raise
        except BaseException:
            # An interrupt. The answer that is on its way must not be taken for the next one's, and http.client keeps
            # the lines of a request that it had not sent yet, even when it is closed.
            self._connection.close()
            self._connection = self._connect()
            raise

    def _refusal(self, what: str, status: int, path: str, body: bytes) -> ClusterError:
        why = f"{status}: {_message(body)}"
        ended = self._access.expired
        if status == http.HTTPStatus.UNAUTHORIZED and ended is not None:
            return ClusterError(
                gettext("{what} does not know who asks: the client certificate has expired").format(what=what),
                why=gettext("it was valid until {ended:%Y-%m-%d %H:%M:%S} UTC ({why})").format(ended=ended, why=why),
                fix=gettext(
                    "get a new kubeconfig from whoever runs the cluster; with kubeadm: kubeadm certs renew admin.conf"
                ),
            )
        if status == http.HTTPStatus.UNAUTHORIZED:
            return ClusterError(
                gettext("{what} does not know who asks").format(what=what),
                why=why,
                fix=gettext("get a new token or kubeconfig from who runs the cluster"),
            )
        if status == http.HTTPStatus.FORBIDDEN:
            return ClusterError(
                gettext("{what} knows who asks, and does not allow it to read {path}").format(what=what, path=path),
                why=why,
                fix=gettext(
                    "ask who runs the cluster for the right to list and watch it, for example by ClusterRole view; or "
                    "name the namespace that is yours: kubectl config set-context --current --namespace NAME"
                ),
            )
        return ClusterError(
            gettext("{what} does not answer as one").format(what=what),
            why=gettext("to {path}: {why}").format(path=path, why=why),
            fix=gettext("see the server's URL"),
        )

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create an object and return it as it was stored.

        Parameters
        ----------
        path : str
            Of the collection: ``"/api/v1/namespaces"``.
        body : dict
            The object.

        Raises
        ------
        ClusterError
            The server refuses it or does not answer.
        """
        what = gettext("{kind} {name} could not be made").format(
            kind=body.get("kind", "An object"), name=body["metadata"]["name"]
        )
        try:
            status, sent = self._send("POST", path, {"Content-Type": _JSON}, json.dumps(body))
            answer: dict[str, Any] = json.loads(sent)
        except (*_UNREACHABLE, ValueError) as error:
            raise ClusterError(
                what, why=gettext("the API server does not answer: {error}").format(error=error), fix="labkit status"
            ) from error
        if status != http.HTTPStatus.CREATED:
            raise ClusterError(what, why=str(answer.get("message", status)))
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _message(body: bytes) -> str:
    """Return what a refusal says: a Status has a message for people."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip()[:300] or "no message"
