import asyncio
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.cri.logs import LINE_LIMIT, Formatter, LogFile, LogPump, timestamp

LINE = re.compile(rb"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (stdout|stderr) ([FP]) (.*)$", re.DOTALL)


def entries(data: bytes) -> list[tuple[bytes, bytes]]:
    found = [LINE.match(line) for line in data.split(b"\n")[:-1]]
    assert all(found)
    return [(match[3], match[4]) for match in found if match]


def test_a_timestamp_is_rfc_3339_with_nanoseconds() -> None:
    assert timestamp(1_700_000_000_000_000_042) == "2023-11-14T22:13:20.000000042Z"


def test_whole_lines_are_written_and_an_unfinished_one_waits() -> None:
    formatter = Formatter("stdout")
    assert entries(formatter.feed(b"one\ntwo\nthr", 1)) == [(b"F", b"one"), (b"F", b"two")]
    assert entries(formatter.feed(b"ee\n\n", 2)) == [(b"F", b"three"), (b"F", b"")]
    assert formatter.flush(3) == b""
    formatter.feed(b"last", 4)
    assert entries(formatter.flush(5)) == [(b"F", b"last")]


def test_a_very_long_line_is_cut_into_parts() -> None:
    found = entries(Formatter("stderr").feed(b"x" * (2 * LINE_LIMIT + 5) + b"\n", 1))
    assert [(tag, len(text)) for tag, text in found] == [(b"P", LINE_LIMIT), (b"P", LINE_LIMIT), (b"F", 5)]


@given(st.lists(st.binary(max_size=3 * LINE_LIMIT), max_size=4))
def test_however_output_comes_the_log_has_it_all(chunks: list[bytes]) -> None:
    formatter = Formatter("stdout")
    log = b"".join(formatter.feed(chunk, 1) for chunk in chunks) + formatter.flush(1)
    text = b"".join(part + (b"\n" if tag == b"F" else b"") for tag, part in entries(log))
    whole = b"".join(chunks)
    assert text == whole + (b"" if whole.endswith(b"\n") or not whole else b"\n")
    assert all(len(part) <= LINE_LIMIT for _, part in entries(log))


def test_a_pump_moves_both_streams_to_the_file_and_to_who_is_attached(tmp_path: Path) -> None:
    async def work() -> list[tuple[str, bytes]]:
        out, err = os.pipe2(os.O_NONBLOCK), os.pipe2(os.O_NONBLOCK)
        heard: list[tuple[str, bytes]] = []
        pump = LogPump({"stdout": out[0], "stderr": err[0]}, LogFile(tmp_path / "logs/a.log"))
        pump.start()
        os.write(out[1], b"hello\n")
        await asyncio.sleep(0.05)
        detach = pump.attach(lambda stream, data: heard.append((stream, data)))
        os.write(err[1], b"oh\n")
        await asyncio.sleep(0.05)
        detach()
        detach()
        os.write(out[1], b"rest")
        os.close(out[1])
        os.close(err[1])
        pump.finish()
        return heard

    assert asyncio.run(work()) == [("stderr", b"oh\n")]
    lines = (tmp_path / "logs/a.log").read_bytes()
    assert entries(lines) == [(b"F", b"hello"), (b"F", b"oh"), (b"F", b"rest")]


def test_a_log_file_is_opened_anew_after_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    log = LogFile(path)
    log.write(b"old\n")
    path.rename(tmp_path / "a.log.1")
    log.write(b"still old\n")
    log.reopen()
    log.write(b"new\n")
    log.close()
    assert (tmp_path / "a.log.1").read_bytes() == b"old\nstill old\n"
    assert path.read_bytes() == b"new\n"


def test_without_a_path_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = LogFile(None)
    log.write(b"x")
    log.reopen()
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_loses_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.symlink_to("/dev/full")
    log = LogFile(path)
    log.write(b"lost\n")
    path.unlink()  # there is room again
    log.reopen()
    log.write(b"kept\n")
    log.close()
    assert path.read_bytes() == b"kept\n"
