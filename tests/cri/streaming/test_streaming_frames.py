"""The SPDY codec: what goes in comes out, however it is cut, and nothing else than ClusterError is ever raised."""

import contextlib
import struct
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.cri.streaming.frames import (
    MAX_CONTROL,
    Data,
    Decoder,
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
from labkit.cri.streaming.header_block import DICTIONARY, MAX_HEADERS, HeaderPacker, HeaderUnpacker
from labkit.errors import ClusterError

stream_ids = st.integers(1, 2**31 - 1)
words = st.integers(0, 2**32 - 1)
bits31 = st.integers(0, 2**31 - 1)
names = st.text(st.characters(max_codepoint=255, exclude_categories=["Lu"]), min_size=1, max_size=20)
headers = st.dictionaries(names, st.text(st.characters(max_codepoint=255), max_size=50), max_size=6)
frames = st.one_of(
    st.builds(SynStream, stream_ids, headers, st.booleans(), st.booleans(), bits31, st.integers(0, 7)),
    st.builds(SynReply, stream_ids, headers, st.booleans()),
    st.builds(RstStream, stream_ids, words),
    st.builds(
        Settings,
        st.lists(st.tuples(st.integers(0, 255), st.integers(0, 2**24 - 1), words), max_size=5).map(tuple),
    ),
    st.builds(Ping, words),
    st.builds(GoAway, bits31, words),
    st.builds(Headers, stream_ids, headers, st.booleans()),
    st.builds(WindowUpdate, bits31, bits31),
    st.builds(Data, stream_ids, st.binary(max_size=300), st.booleans()),
)


def control(kind: int, body: bytes, version: int = 3) -> bytes:
    return struct.pack(">HHI", 0x8000 | version, kind, len(body)) + body


def joined(parts: list[Frame]) -> list[Frame]:
    """Put the pieces of DATA frames together, so that they compare whatever the cut."""
    whole: list[Frame] = []
    for part in parts:
        last = whole[-1] if whole else None
        if isinstance(part, Data) and isinstance(last, Data) and last.stream_id == part.stream_id and not last.fin:
            whole[-1] = Data(part.stream_id, last.data + part.data, part.fin)
        else:
            whole.append(part)
    return whole


def decode(data: bytes, cuts: list[int]) -> list[Frame]:
    decoder = Decoder()
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [frame for start, end in pairwise(edges) for frame in decoder.feed(data[start:end])]


@given(st.lists(frames, max_size=8), st.lists(st.integers(0, 5000), max_size=12))
def test_frames_survive_the_wire_however_they_are_cut(sent: list[Frame], cuts: list[int]) -> None:
    encoder = Encoder()
    wire = b"".join(encoder.encode(frame) for frame in sent)
    assert joined(decode(wire, cuts)) == joined(sent)


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=5))
def test_arbitrary_bytes_raise_nothing_but_the_one_error(noise: bytes, cuts: list[int]) -> None:
    with contextlib.suppress(ClusterError):
        decode(noise, cuts)


@given(st.lists(frames, min_size=1, max_size=4), st.data())
def test_a_damaged_byte_raises_nothing_but_the_one_error(sent: list[Frame], draw: st.DataObject) -> None:
    encoder = Encoder()
    wire = bytearray(b"".join(encoder.encode(frame) for frame in sent))
    wire[draw.draw(st.integers(0, len(wire) - 1))] ^= draw.draw(st.integers(1, 255))
    with contextlib.suppress(ClusterError):
        decode(bytes(wire), [])


@given(st.integers(0, 12), st.binary(max_size=60))
def test_a_control_frame_of_any_content_raises_nothing_but_the_one_error(kind: int, body: bytes) -> None:
    with contextlib.suppress(ClusterError):
        decode(control(kind, body), [])


def test_a_frame_has_the_bytes_that_the_draft_draws() -> None:
    encoder = Encoder()
    assert encoder.encode(Data(5, b"hi", fin=True)) == bytes.fromhex("00000005 01000002 6869")
    assert encoder.encode(Ping(7)) == bytes.fromhex("80030006 00000004 00000007")
    assert encoder.encode(RstStream(3, 5)) == bytes.fromhex("80030003 00000008 00000003 00000005")
    assert encoder.encode(GoAway(9, 0)) == bytes.fromhex("80030007 00000008 00000009 00000000")
    assert encoder.encode(WindowUpdate(1, 65536)) == bytes.fromhex("80030009 00000008 00000001 00010000")
    assert encoder.encode(Settings(((0, 7, 65536),))) == bytes.fromhex(
        "80030004 0000000c 00000001 00000007 00010000"
    )  # fmt: skip
    syn = encoder.encode(SynStream(1, {}, priority=3))
    assert syn[:4] == bytes.fromhex("80030001")
    assert syn[8:18] == bytes.fromhex("00000001 00000000 6000")


def test_a_data_frame_is_passed_on_before_it_is_whole() -> None:
    decoder = Decoder()
    assert list(decoder.feed(bytes.fromhex("00000001 01ffffff") + b"abc")) == [Data(1, b"abc", fin=False)]


def test_unknown_control_frames_are_skipped() -> None:
    assert decode(control(10, b"credential") + control(6, b"\0\0\0\1"), []) == [Ping(1)]


@pytest.mark.parametrize(
    ("wire", "what"),
    [
        (control(6, b"\0\0\0\1", version=2), "does not speak SPDY/3.1"),
        (struct.pack(">HHI", 0x8003, 6, MAX_CONTROL + 1), "too long"),
        (control(6, b"\0"), "wrong length"),
        (control(4, b"\0\0\0\2" + bytes(8)), "wrong length"),
        (struct.pack(">II", 0, 1) + b"x", "stream 0"),
        (control(3, bytes(8)), "stream 0"),
        (control(2, b"\0\0\0\1not zlib"), "does not decompress"),
    ],
)
def test_what_is_wrong_is_said(wire: bytes, what: str) -> None:
    with pytest.raises(ClusterError, match=what):
        decode(wire, [])


def test_the_dictionary_is_the_published_one() -> None:
    assert len(DICTIONARY) == 1423
    assert zlib.adler32(DICTIONARY) == 0xE3C6A7C2


@given(st.lists(headers, max_size=5))
def test_header_blocks_share_their_compression(blocks: list[dict[str, str]]) -> None:
    packer, unpacker = HeaderPacker(), HeaderUnpacker()
    assert [unpacker.unpack(packer.pack(block)) for block in blocks] == blocks


def test_repeated_headers_cost_little() -> None:
    packer = HeaderPacker()
    block = {"streamtype": "error", "port": "8080", "requestid": "12"}
    assert len(packer.pack(block)) > 3 * len(packer.pack(block))


def deflated(raw: bytes) -> bytes:
    deflate = zlib.compressobj(zdict=DICTIONARY)
    return deflate.compress(raw) + deflate.flush(zlib.Z_SYNC_FLUSH)


def pair(name: bytes, value: bytes) -> bytes:
    return struct.pack(">I", len(name)) + name + struct.pack(">I", len(value)) + value


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        struct.pack(">I", 2**32 - 1),
        struct.pack(">II", 1, 2**31) + b"name",
        struct.pack(">I", 1) + pair(b"", b"value"),
        struct.pack(">I", 1) + pair(b"StreamType", b"error"),
        struct.pack(">I", 2) + pair(b"a", b"1") + pair(b"a", b"2"),
        struct.pack(">I", 1) + pair(b"a", b"1") + b"more",
        struct.pack(">I", 1) + pair(b"bomb", bytes(MAX_HEADERS)),
    ],
)
def test_malformed_header_blocks_are_refused(raw: bytes) -> None:
    with pytest.raises(ClusterError, match="header block"):
        HeaderUnpacker().unpack(deflated(raw))
