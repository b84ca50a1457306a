"""The compressed header block of SPDY/3: names and values through one zlib stream per direction."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from labkit.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_HEADERS = 64 * 1024
"""Bytes one header block may have uncompressed; Kubernetes' need some hundred."""

_LENGTH = struct.Struct(">I")

# SPDY/3 draft, section 2.6.10.1: the words both sides know beforehand, each with its length, ...
_WORDS = """
options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow
authorization cache-control connection content-base content-encoding content-language content-length content-location
content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match
if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range
referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get
status 200_OK version HTTP/1.1 url public set-cookie keep-alive origin
"""
# ... then, run together, the status codes, dates and content types that were common in 2012.
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _dictionary() -> bytes:
    words = [word.replace("_", " ").encode() for word in _WORDS.split()]
    return b"".join(_LENGTH.pack(len(word)) + word for word in words) + _TAIL.encode()


DICTIONARY = _dictionary()
"""What zlib starts from; its Adler-32, e3c6a7c2, is in every first block."""


class HeaderPacker:
    """Header blocks in the order they are sent; each depends on the ones before."""

    def __init__(self) -> None:
        # The smallest window that holds the dictionary: 12 kB for a connection instead of 256 kB.
        self._deflate = zlib.compressobj(wbits=11, memLevel=2, zdict=DICTIONARY)

    def pack(self, headers: Mapping[str, str]) -> bytes:
        """Return the compressed block of these headers (names in lower case, ISO 8859-1)."""
        block = _LENGTH.pack(len(headers))
        for pair in headers.items():
            for text in pair:
                raw = text.encode("latin-1")
                block += _LENGTH.pack(len(raw)) + raw
        return self._deflate.compress(block) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


class HeaderUnpacker:
    """Header blocks in the order they arrive; each depends on the ones before."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def unpack(self, block: bytes) -> dict[str, str]:
        """Return the headers of a compressed block.

        Raises
        ------
        ClusterError
            The block is no zlib data, larger than `MAX_HEADERS`, or not as the draft says.
        """
        try:
            raw = self._inflate.decompress(block, MAX_HEADERS)
        except zlib.error as error:
            raise ClusterError("The peer sent a SPDY header block that does not decompress.", why=str(error)) from error
        if self._inflate.unconsumed_tail:
            raise ClusterError("The peer sent a SPDY header block that is too large.", why=f"over {MAX_HEADERS} bytes")
        try:
            return _parse(raw)
        except (struct.error, ValueError) as error:
            raise ClusterError("The peer sent a malformed SPDY header block.", why=str(error)) from error


def _parse(raw: bytes) -> dict[str, str]:
    (count,) = _LENGTH.unpack_from(raw)
    headers: dict[str, str] = {}
    offset = _LENGTH.size
    for _ in range(count):
        name, offset = _text(raw, offset)
        value, offset = _text(raw, offset)
        if not name or name != name.lower() or name.decode("latin-1") in headers:
            raise ValueError(f"header name {name!r} is empty, not in lower case, or there twice")
        headers[name.decode("latin-1")] = value.decode("latin-1")
    if offset != len(raw):
        raise ValueError(f"{len(raw) - offset} bytes after the last header")
    return headers


def _text(raw: bytes, offset: int) -> tuple[bytes, int]:
    (length,) = _LENGTH.unpack_from(raw, offset)
    start = offset + _LENGTH.size
    end = start + length
    if end > len(raw):
        raise ValueError("a header is longer than its block")
    return raw[start:end], end
