"""How the cost of a flow grows with the audit log: events a second and peak memory, from 10,000 to 1,000,000 events.

The log is a real recording's, copied until it is as long as wanted: each copy is a minute or more later, with ids and
names of its own, so that all but one are noise. It is written to disk, and each reading runs in a process of its own.
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from labkit.evidence.audit import AuditEvent, AuditLog
from labkit.evidence.export import audit_jsonl
from labkit.evidence.model import ClusterFacts, Evidence
from labkit.evidence.recording import load
from labkit.flow import trace
from labkit.flow.names import selector
from labkit.flow.relevance import may_matter

_RECORDING = Path(__file__).parents[1] / "tests" / "evidence" / "data" / "v1.labtrace"
_SUBJECT = "deployment/tomcat"
_UUID = re.compile(rb"([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-([0-9a-f]{4}-[0-9a-f]{12})")
_MINUTE = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d)(?=:\d\d)")
_NAMES = re.compile(rb"tomcat|nowhere|crash|missing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--whole", action="store_true", help="parse every line: no quick look before")
    options = parser.parse_args()
    if options.read:
        _read(options.read, options.whole)
        return
    print(f"{'events':>10} {'MB':>6} {'seconds':>8} {'events/s':>9} {'peak MB':>8} {'hops':>5}")
    for count in options.events:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "audit.log"
            made = _write(log, count)
            extra = ["--whole"] if options.whole else []
            command = [sys.executable, __file__, "--read", str(log), *extra]
            seconds, peak, hops = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
            size = log.stat().st_size / 1e6
        rate = made / float(seconds)
        print(f"{made:10} {size:6.0f} {float(seconds):8.2f} {rate:9.0f} {float(peak):8.0f} {hops:>5}", flush=True)


def _read(log: Path, whole: bool) -> None:
    """Print the seconds from the log to the flow, the peak of the process's memory in MB, and the flow's hops."""
    subject = selector(_SUBJECT)
    started = time.perf_counter()
    events = AuditLog(log, only=None if whole else may_matter(subject))
    facts = ClusterFacts("lab", "rootless", "v1.34.3", "master", ("master", "node-01", "node-02"))
    flow = trace(Evidence(facts, audit=cast("list[AuditEvent]", events)), subject, action=0)
    seconds = time.perf_counter() - started
    assert events.unreadable == 0
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, len(flow.hops))


def _write(path: Path, count: int) -> int:
    """Write a log of at least so many events; one copy, the middle one, is the recording as it was. Return how many."""
    text = audit_jsonl(load(_RECORDING).evidence)
    lines = text.count(b"\n")
    copies = -(-count // lines)
    parts = _template(text)
    with path.open("wb") as file:
        for copy in range(copies):
            file.write(_copy(parts, copy, same_names=copy == copies // 2))
    return copies * lines


def _template(text: bytes) -> list[bytes]:
    """Return the text in parts: every second one is what differs between copies."""
    values = re.compile(b"|".join(f"(?:{pattern.pattern.decode()})".encode() for pattern in (_UUID, _MINUTE, _NAMES)))
    parts, end = [], 0
    for match in values.finditer(text):
        parts += [text[end : match.start()], match[0]]
        end = match.end()
    return [*parts, text[end:]]


def _copy(parts: list[bytes], copy: int, *, same_names: bool) -> bytes:
    mine: dict[bytes, bytes] = {}
    result = list(parts)
    for place in range(1, len(parts), 2):
        value = parts[place]
        if value not in mine:
            mine[value] = _own(value, copy, same_names=same_names)
        result[place] = mine[value]
    return b"".join(result)


def _own(value: bytes, copy: int, *, same_names: bool) -> bytes:
    if match := _UUID.fullmatch(value):
        return b"%b-%04x-%04x-%b" % (match[1], copy >> 16, copy & 0xFFFF, match[2])
    if value[:1].isdigit():
        minute = datetime.fromisoformat(value.decode()).replace(tzinfo=UTC) + timedelta(minutes=2 * copy)
        return minute.strftime("%Y-%m-%dT%H:%M").encode()
    return value if same_names else b"%b%05d" % (value[:2], copy)


if __name__ == "__main__":
    main()
