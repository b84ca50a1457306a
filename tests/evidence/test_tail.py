"""A log followed while it is rotated, emptied, removed and compressed: every line once, or a loss is told."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.evidence.spans import records
from labkit.evidence.tail import Tail


class Log:
    """A log as lumberjack writes it: at a rotation the file is renamed, and a new one made."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "audit.log"
        self.file = self.path.open("ab", buffering=0)
        self.count = self.rotations = 0

    def write(self, lines: int = 1) -> None:
        for _ in range(lines):
            self.file.write(b"line %d\n" % self.count)
            self.count += 1

    def rotate(self) -> Path:
        self.file.close()
        self.rotations += 1
        moved = self.path.with_name(f"audit-{self.rotations:04}.log")
        self.path.rename(moved)
        self.file = self.path.open("ab", buffering=0)
        return moved

    def files(self) -> list[Path]:
        rotated = sorted(self.path.parent.glob("audit-*"))
        return [*rotated, self.path] if self.path.exists() else rotated

    def lines(self, first: int = 0) -> list[bytes]:
        return [b"line %d" % number for number in range(first, self.count)]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log(tmp_path)
    yield made
    made.file.close()


@pytest.fixture
def tail(log: Log) -> Iterator[Tail]:
    made = Tail(log.files)
    yield made
    made.close()


def everything(tail: Tail) -> list[bytes]:
    pieces = tail.read()
    while not tail.at_end:
        pieces += tail.read()
    return pieces


def test_what_is_there_then_what_is_added(log: Log, tail: Tail) -> None:
    log.write(3)
    assert everything(tail) == log.lines()
    assert everything(tail) == []
    log.write(2)
    assert everything(tail) == log.lines(3)
    assert tail.take_losses() == []


def test_every_line_once_whatever_the_order_of_writes_reads_and_rotations(log: Log, tail: Tail) -> None:
    chance = random.Random(4)  # noqa: S311 - the same story each time
    seen: list[bytes] = []
    for _ in range(500):
        match chance.randrange(4):
            case 0:
                log.rotate()
            case 1:
                seen += tail.read()
            case _:
                log.write()
    seen += everything(tail)
    assert log.rotations > 50
    assert seen == log.lines()
    assert tail.take_losses() == []


def test_a_reader_that_starts_late_reads_the_rotated_files_first(log: Log) -> None:
    for _ in range(3):
        log.write(4)
        log.rotate()
    log.write()
    tail = Tail(log.files)
    assert everything(tail) == log.lines()
    tail.close()


def test_a_torn_line_waits_for_its_end(log: Log, tail: Tail) -> None:
    log.file.write(b"half a ")
    assert everything(tail) == []
    log.file.write(b"line\n")
    assert everything(tail) == [b"half a line"]
    assert tail.take_losses() == []


def test_a_line_that_never_got_its_end_is_told(log: Log, tail: Tail) -> None:
    log.file.write(b"half a ")
    assert everything(tail) == []
    log.rotate()
    log.write()
    assert everything(tail) == log.lines()
    assert [what for what, _ in tail.take_losses()] == ["the end of audit.log is cut off"]


def test_a_removed_file_is_read_while_its_writer_holds_it(log: Log, tail: Tail) -> None:
    log.write(2)
    everything(tail)
    log.path.unlink()
    log.write(2)
    assert everything(tail) == log.lines(2)
    log.file.close()
    log.file = log.path.open("ab", buffering=0)  # as an API server that starts again
    log.write(1)
    assert everything(tail) == log.lines(4)
    assert tail.take_losses() == []


def test_a_file_that_was_rotated_and_removed_unread_is_told(log: Log, tail: Tail) -> None:
    log.write()
    everything(tail)
    first = log.rotate()
    log.write()
    log.rotate()
    first.unlink()
    log.write()
    seen = everything(tail)
    assert seen == log.lines(2), "what came in between cannot be told from what was read"
    assert [what for what, _ in tail.take_losses()] == [
        "a part of the log between audit.log and audit.log may be missing"
    ]


def test_an_emptied_file_is_read_from_its_start_and_told(log: Log, tail: Tail) -> None:
    log.write(5)
    everything(tail)
    log.file.truncate(0)
    log.write()
    assert everything(tail) == log.lines(5)
    assert [what for what, _ in tail.take_losses()] == ["audit.log became shorter"]


def test_compressed_files_are_read(log: Log) -> None:
    log.write(3)
    moved = log.rotate()
    moved.with_suffix(".log.gz").write_bytes(gzip.compress(moved.read_bytes()))
    moved.unlink()
    log.write()
    tail = Tail(log.files)
    assert everything(tail) == log.lines()
    tail.close()


def test_a_damaged_compressed_file_costs_only_itself(log: Log) -> None:
    log.write(3000)
    moved = log.rotate()
    whole = gzip.compress(moved.read_bytes())
    moved.with_suffix(".log.gz").write_bytes(whole[: len(whole) // 2])
    moved.unlink()
    log.write()
    tail = Tail(log.files)
    assert everything(tail)[-1:] == log.lines()[-1:]
    assert tail.take_losses()[0][0] == "the rest of audit-0001.log.gz cannot be read"
    tail.close()


def test_no_file_yet(tmp_path: Path) -> None:
    path = tmp_path / "later"
    tail = Tail(lambda: [path] if path.exists() else [])
    assert everything(tail) == []
    assert not tail.found
    path.write_bytes(b"now\n")
    assert everything(tail) == [b"now"]
    tail.close()


def test_old_files_are_passed_over(log: Log) -> None:
    log.write(3)
    log.rotate()
    log.write(1)
    tail = Tail(log.files, since=log.path.stat().st_mtime + 60)
    assert everything(tail) == log.lines(3), "the last one is always read"
    tail.close()


def test_one_read_takes_a_bounded_part(log: Log, tail: Tail) -> None:
    log.file.write(b"x" * 99 + b"\n" + b"y" * (20 << 20) + b"\n")
    assert sum(map(len, tail.read())) < 5 << 20
    assert not tail.at_end
    assert [len(line) for line in everything(tail)] == [20 << 20]


def test_records_are_cut_by_their_lengths() -> None:
    data = b"\x03\0\0\0abc\0\0\0\0\x02\0\0\0de"
    assert records(data) == ([b"abc", b"", b"de"], b"")
    for cut in range(len(data)):
        whole, rest = records(data[:cut])
        again, end = records(rest + data[cut:])
        assert (whole + again, end) == ([b"abc", b"", b"de"], b"")
