"""A few plain requests to the API server while a cluster comes up.

The official client takes most of a second of processor time to import, which a cluster that is starting on two cores
cannot spare; it is what users get as `lab.api`.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
from pathlib import Path
from typing import Any

import yaml

from labkit.errors import ClusterError

_TIMEOUT = 5.0


class ApiServer:
    """A connection to an API server, kept open between requests.

    Parameters
    ----------
    host, port : str, int
        Where it listens.
    context : ssl.SSLContext
        Whom to trust, and who is asking.
    """

    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        self._host, self._port, self._context = host, port, context
        self._connection = self._connect()

    def _connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._host, self._port, timeout=_TIMEOUT, context=self._context)

    @classmethod
    def from_kubeconfig(cls, path: Path) -> ApiServer:
        """Connect as the only user of a kubeconfig whose credentials are a client certificate."""
        config = yaml.safe_load(path.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        host, _, port = cluster["server"].removeprefix("https://").partition(":")
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        # ssl reads a client's certificate and key only from a file; this one is 0600 and gone at once.
        with tempfile.NamedTemporaryFile() as pair:
            for part in ("client-certificate-data", "client-key-data"):
                pair.write(base64.b64decode(user[part]) + b"\n")
            pair.flush()
            context.load_cert_chain(pair.name)
        return cls(host, int(port), context)

    @staticmethod
    def url(kubeconfig: Path) -> str:
        """Return the URL of the API server in a kubeconfig."""
        return str(yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"])

    @classmethod
    def anonymous(cls, port: int) -> ApiServer:
        """Connect to 127.0.0.1 as nobody, before the cluster's authority is known; only public objects are readable."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return cls("127.0.0.1", port, context)

    def get(self, path: str) -> dict[str, Any] | None:
        """Return an object or a list, or None where the server does not (yet) answer with one."""
        try:
            self._connection.request("GET", path, headers={"Accept": "application/json"})
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return None
        except BaseException:
            # An interrupt. The answer that is on its way must not be taken for the next one's, and http.client keeps
            # the lines of a request that it had not sent yet, even when it is closed.
            self._connection.close()
            self._connection = self._connect()
            raise
        if response.status != http.HTTPStatus.OK:
            return None
        parsed: dict[str, Any] = json.loads(body)
        return parsed

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
        what = f"{body.get('kind', 'An object')} {body['metadata']['name']} could not be made"
        try:
            self._connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            response = self._connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._connection.close()
            raise ClusterError(what, why=f"the API server does not answer: {error}", fix="labkit status") from error
        except BaseException:  # an interrupt, as in `get`
            self._connection.close()
            self._connection = self._connect()
            raise
        if response.status != http.HTTPStatus.CREATED:
            raise ClusterError(what, why=str(answer.get("message", response.status)))
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
