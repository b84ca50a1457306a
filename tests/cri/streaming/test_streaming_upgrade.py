"""The request for an upgrade, from the bytes of any client."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.cri.streaming.upgrade import parse_request, read_request, refusal, switch
from labkit.errors import ClusterError


def test_a_request_of_the_kubelets_proxy() -> None:
    request = parse_request(
        b"POST /exec/abc?x=1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: SPDY/3.1\r\n"
        b"X-Stream-Protocol-Version: v5.channel.k8s.io\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    assert request.path == "/exec/abc"
    assert request.upgrade == "spdy/3.1"
    assert request.listed("x-stream-protocol-version") == ["v5.channel.k8s.io", "v4.channel.k8s.io"]


def test_an_upgrade_counts_only_if_the_connection_header_names_it() -> None:
    assert parse_request(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n").upgrade == ""


@pytest.mark.parametrize(
    "head",
    [
        b"\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"DELETE / HTTP/1.1\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nname : value\r\n\r\n",
        b"GET / HTTP/1.1\r\n folded: value\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_malformed_requests_are_refused(head: bytes) -> None:
    with pytest.raises(ClusterError):
        parse_request(head)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_the_one_error(noise: bytes) -> None:
    with contextlib.suppress(ClusterError):
        parse_request(b"GET / HTTP/1.1\r\n" + noise + b"\r\n\r\n")


def test_a_request_that_never_ends_is_refused() -> None:
    async def read(data: bytes) -> None:
        reader = asyncio.StreamReader(limit=1024)
        reader.feed_data(data)
        reader.feed_eof()
        await read_request(reader)

    for data in (b"GET / HTTP/1.1\r\n" + b"a" * 4096, b"GET / HT", b""):
        with pytest.raises(ClusterError):
            asyncio.run(read(data))


def test_responses() -> None:
    assert refusal(404, "no").endswith(b"Content-Length: 2\r\nConnection: close\r\n\r\nno")
    assert switch("SPDY/3.1", ("A", "b")) == (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nA: b\r\n\r\n"
    )
