"""Pages of Services: kept as urllib fetches them, and given again to urllib under addresses that say so.

``http://127.0.0.1:PORT/`` of a lab is ``recorded://svc.tomcat/`` in a session: nobody listens, and nobody is called.
"""

from __future__ import annotations

import email.message
import http.client
import io
import urllib.error
import urllib.request
from typing import TYPE_CHECKING
from urllib.response import addinfourl

from labkit.lab.session.tape import Session, Tape

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEME = "recorded"


def address(target: str, port: int | None) -> str:
    """Return where a Service is found in a session: ``recorded://svc.tomcat``."""
    return f"{SCHEME}://{target.replace('/', '.')}" + (f":{port}" if port else "")


class Keeping(urllib.request.HTTPHandler):
    """Fetches pages as urllib does, and keeps those of the lab's Services.

    Parameters
    ----------
    tape : Tape
        Takes them.
    """

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self._tape = tape
        self.known: dict[str, str] = {}  # addresses in a session, by host and port

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        """Fetch a page."""
        own = self.known.get(request.host)
        if own is None:
            return super().http_open(request)
        call = _call(request, own)
        try:
            response = super().http_open(request)
            body = response.read()
        except OSError as error:
            self._tape.keep(call, {"failed": str(getattr(error, "reason", error))})
            raise
        kept = {"status": response.status, "type": response.headers.get("Content-Type", ""), "body": body}
        self._tape.keep(call, kept)
        return _response(request, kept)  # type: ignore[return-value]


class Giving(urllib.request.BaseHandler):
    """Gives pages of a session.

    Parameters
    ----------
    session : Session
        Has them.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def recorded_open(self, request: urllib.request.Request) -> addinfourl:
        """Give the next answer that there was to a request; urllib calls this by the scheme's name.

        Raises
        ------
        NotRecordedError
            Nobody asked for that page.
        urllib.error.URLError
            It failed then, too.
        """
        kept = self._session.answer(_call(request, f"{SCHEME}://{request.host}"))
        if "failed" in kept:
            raise urllib.error.URLError(kept["failed"])
        response = _response(request, kept)
        if kept["status"] >= http.HTTPStatus.BAD_REQUEST:
            raise urllib.error.HTTPError(request.full_url, kept["status"], "recorded", response.headers, response)
        return response


def install(handler: urllib.request.BaseHandler) -> None:
    """Have `urllib.request.urlopen` of this process use a handler."""
    urllib.request.install_opener(urllib.request.build_opener(handler))


def _call(request: urllib.request.Request, own: str) -> str:
    data = f" < {request.data!r}" if request.data else ""
    return f"{request.get_method()} {own}{request.selector or '/'}{data}"


def _response(request: urllib.request.Request, kept: Mapping[str, object]) -> addinfourl:
    headers = email.message.Message()
    headers["Content-Type"] = str(kept["type"])
    body, status = kept["body"], kept["status"]
    assert isinstance(body, bytes)  # noqa: S101 - as `Keeping` keeps it
    assert isinstance(status, int)  # noqa: S101 - as above
    return _Response(io.BytesIO(body), headers, request.full_url, status)


class _Response(addinfourl):
    """An answer; of it, urllib reads ``msg``."""

    @property
    def msg(self) -> str:
        return http.client.responses.get(self.code or 0, "")
