"""Clients that send any frames in any order: whatever they do, the server logs no failure of its own and goes on."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.cri.streaming.frames import (
    Data,
    Encoder,
    Frame,
    GoAway,
    Headers,
    Ping,
    RstStream,
    Settings,
    SynReply,
    SynStream,
    WindowUpdate,
)
from tests.cri.streaming.host_backend import serving
from tests.cri.streaming.spdy_client import SpdyClient

if TYPE_CHECKING:
    from labkit.cri.streaming import StreamingServer

pytestmark = pytest.mark.programs

stream_ids = st.integers(1, 9)
headers = st.fixed_dictionaries(
    {},
    optional={
        "streamtype": st.sampled_from(["error", "stdin", "stdout", "stderr", "resize", "data", "?"]),
        "port": st.sampled_from(["1", "0", "x"]),
        "requestid": st.sampled_from(["1", "2"]),
    },
)
opens = [
    [SynStream(2 * number + 1, {"streamtype": name}) for number, name in enumerate(names)]
    for names in (["error", "stdin", "stdout", "stderr"], ["error", "stdin", "stdout", "resize"])
]
frames = st.one_of(
    st.builds(SynStream, stream_ids, headers, st.booleans(), st.booleans()),
    st.builds(SynReply, stream_ids, headers),
    st.builds(RstStream, stream_ids, st.integers(0, 12)),
    st.builds(Settings, st.lists(st.tuples(st.just(0), st.just(7), st.integers(0, 2**31)), max_size=2).map(tuple)),
    st.builds(Ping, st.integers(0, 4)),
    st.builds(GoAway, stream_ids, st.integers(0, 2)),
    st.builds(Headers, stream_ids, headers, st.booleans()),
    st.builds(WindowUpdate, st.integers(0, 9), st.integers(0, 2**31 - 1)),
    st.builds(Data, stream_ids, st.binary(max_size=50), st.booleans()),
)
URLS = ("exec", "terminal", "attach", "port-forward")


def url_of(server: StreamingServer, kind: str) -> str:
    match kind:
        case "exec":
            return server.exec_url("c1", ["cat"], tty=False, stdin=True, stdout=True, stderr=True)
        case "terminal":
            return server.exec_url("c1", ["cat"], tty=True, stdin=True, stdout=True, stderr=False)
        case "attach":
            return server.attach_url("gone", tty=False, stdin=True, stdout=True, stderr=True)
        case _:
            return server.port_forward_url("p1")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(URLS), begin=st.sampled_from([[], *opens]), more=st.lists(frames, max_size=12))
def test_any_frames_in_any_order(
    caplog: pytest.LogCaptureFixture, kind: str, begin: list[Frame], more: list[Frame]
) -> None:
    caplog.clear()
    encoder = Encoder()
    wire = b"".join(encoder.encode(frame) for frame in [*begin, *more])

    async def main() -> None:
        async with serving() as (server, _):
            protocol = "portforward.k8s.io" if kind == "port-forward" else "v4.channel.k8s.io"
            client = await SpdyClient().connect(url_of(server, kind), protocol)
            client.writer.write(wire)
            await asyncio.wait([client.reading], timeout=0.03)
            await client.close()
            client = await SpdyClient().connect(url_of(server, "attach"))
            error, *_ = (client.open(streamtype=name) for name in ("error", "stdin", "stdout", "stderr"))
            await client.until_ended(error)
            await client.close()

    asyncio.run(main())
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
