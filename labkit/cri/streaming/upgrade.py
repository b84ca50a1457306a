"""The HTTP/1.1 request that asks for an upgrade, and its answers."""

from __future__ import annotations

import asyncio
import re
from typing import NamedTuple

from labkit.errors import ClusterError

SPDY = "spdy/3.1"
WEBSOCKET = "websocket"

_REQUEST_LINE = re.compile(rb"(GET|POST) (/[!-~]*) HTTP/1\.1")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")
_REASONS = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 500: "Internal Server Error"}


class Request(NamedTuple):
    """The head of a request.

    Attributes
    ----------
    path : str
        Without the query.
    headers : dict[str, str]
        By name in lower case; those that came more than once joined by commas (RFC 9110, section 5.2).
    head : bytes
        As it arrived.
    """

    path: str
    headers: dict[str, str]
    head: bytes

    def listed(self, name: str) -> list[str]:
        """Return the members of a header that is a comma-separated list."""
        return [member.strip() for member in self.headers.get(name, "").split(",") if member.strip()]

    @property
    def upgrade(self) -> str:
        """What the client wants to speak instead, in lower case; nothing if it asks for no upgrade."""
        wanted = "upgrade" in (option.lower() for option in self.listed("connection"))
        return self.headers.get("upgrade", "").lower() if wanted else ""


def parse_request(head: bytes) -> Request:
    """Parse the head of a request (RFC 9112, sections 3 and 5).

    Raises
    ------
    ClusterError
        It is not such a head, or it announces a body.
    """
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    if (request := _REQUEST_LINE.fullmatch(first)) is None:
        raise ClusterError("The client sent no HTTP/1.1 request.", why=f"its first line is {first[:80]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        if (header := _HEADER.fullmatch(line)) is None:
            raise ClusterError("The client sent a malformed HTTP header.", why=f"{line[:80]!r}")
        name, value = header[1].decode("ascii").lower(), header[2].decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise ClusterError("The client sent a body with a request to upgrade.", fix="Send none.")
    return Request(request[2].decode("ascii").partition("?")[0], headers, head)


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Read the head of a request.

    Raises
    ------
    ClusterError
        It is malformed, too long or cut off.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise ClusterError("The client sent a request that is too long.", why=str(error)) from error
    except asyncio.IncompleteReadError as error:
        raise ClusterError("The client went away before its request was whole.", why=str(error)) from error
    return parse_request(head)


def refusal(status: int, message: str, *headers: tuple[str, str]) -> bytes:
    """Return a response that refuses the upgrade with a plain text."""
    body = message.encode()
    head = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), ("Connection", "close")]
    return _response(f"{status} {_REASONS[status]}", *head, *headers) + body


def switch(upgrade: str, *headers: tuple[str, str]) -> bytes:
    """Return the response that grants the upgrade."""
    return _response("101 Switching Protocols", ("Connection", "Upgrade"), ("Upgrade", upgrade), *headers)


def _response(status: str, *headers: tuple[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
