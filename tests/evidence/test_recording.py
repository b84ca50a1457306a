"""A recording gives back what was saved, and a file that is none, or not whole, says so."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import random
import stat
import string
import struct
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.errors import EvidenceError
from labkit.evidence import recording
from labkit.evidence.audit import from_json
from labkit.evidence.model import ClusterFacts, Evidence, Loss, ProxyRecord, Revision, RuntimeCall, SchedulerLine, Span
from labkit.evidence.recording import Mark, Recording, load, save
from labkit.evidence.redaction import redacted

NOW = datetime(2026, 11, 23, 23, 43, tzinfo=UTC)

TEXT = st.text(max_size=12)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
INTEGERS = st.integers(-(2**63), 2**63 - 1)
SCALARS = TEXT | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
OBJECTS = st.dictionaries(
    TEXT,
    st.recursive(
        SCALARS | st.none(), lambda leaf: st.lists(leaf, max_size=2) | st.dictionaries(TEXT, leaf, max_size=2)
    ),
    max_size=3,
)
EVENTS = st.builds(
    lambda texts, body, time: from_json(
        {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "user": {"username": texts[0]},
            "requestReceivedTimestamp": time.isoformat(),
            "stageTimestamp": time.isoformat(),
            "objectRef": {"resource": texts[1]},
            "requestObject": body,
            **dict(zip(("auditID", "stage", "level", "verb", "requestURI"), texts[2:], strict=True)),
        }
    ),
    st.lists(TEXT, min_size=7, max_size=7),
    OBJECTS,
    TIMES,
)
SPANS = st.builds(
    Span,
    *(TEXT,) * 6,
    start=st.integers(0, 2**63),
    end=st.integers(0, 2**63),
    attributes=st.dictionaries(TEXT, SCALARS, max_size=3),
    events=st.lists(st.tuples(st.integers(0, 2**63), TEXT), max_size=2).map(tuple),
    error=TEXT,
)
EVIDENCE = st.builds(
    Evidence,
    st.builds(ClusterFacts, TEXT, TEXT, TEXT, TEXT, st.lists(TEXT).map(tuple), st.dictionaries(TEXT, TEXT, max_size=2)),
    audit=st.lists(EVENTS, max_size=2).map(tuple),
    spans=st.lists(SPANS, max_size=2).map(tuple),
    revisions=st.lists(
        st.builds(Revision, INTEGERS, TEXT, st.none() | OBJECTS, st.booleans(), INTEGERS, st.none() | OBJECTS),
        max_size=2,
    ).map(tuple),
    scheduler=st.lists(
        st.builds(SchedulerLine, INTEGERS, TIMES, TEXT, st.dictionaries(TEXT, TEXT, max_size=3)), max_size=2
    ).map(tuple),
    runtime=st.lists(
        st.builds(RuntimeCall, INTEGERS, TEXT, TIMES, st.floats(0, 100), *(TEXT,) * 7, fields=OBJECTS),
        max_size=2,
    ).map(tuple),
    proxy=st.lists(
        st.builds(ProxyRecord, st.sampled_from(["rules", "switch", "packet"]), TIMES, OBJECTS), max_size=2
    ).map(tuple),
    losses=st.lists(st.builds(Loss, st.sampled_from(["audit", "span"]), TEXT, TEXT), max_size=2).map(tuple),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EVIDENCE)
def test_what_was_saved_is_loaded_again(tmp_path: Path, evidence: Evidence) -> None:
    path = save(evidence, tmp_path / "a.labtrace")
    assert load(path).evidence == redacted(evidence)


def test_a_real_session_is_loaded_again(tmp_path: Path, sample: Evidence) -> None:
    again = load(save(sample, tmp_path / "a.labtrace")).evidence
    assert again == sample
    assert min(map(len, (again.audit, again.spans, again.revisions, again.scheduler, again.runtime))) > 10


def test_what_older_labkits_do_not_know_is_there_only_where_it_says_something(tmp_path: Path, sample: Evidence) -> None:
    assert sample.proxy == ()
    plain = save(sample, tmp_path / "plain.labtrace")
    record = ProxyRecord("rules", NOW, {"mode": "iptables", "text": "-A KUBE-SERVICES\n"})
    full = save(dataclasses.replace(sample, proxy=(record,)), tmp_path / "full.labtrace")
    with zipfile.ZipFile(plain) as before, zipfile.ZipFile(full) as after:
        assert set(after.namelist()) - set(before.namelist()) == {"kube-proxy.jsonl"}
        assert json.loads(after.read("manifest.json"))["version"] == 1
    assert load(full).evidence.proxy == (record,)


def test_a_recording_says_what_it_is(tmp_path: Path, sample: Evidence) -> None:
    marks = (Mark(NOW, "kubectl create deployment tomcat"), Mark(NOW + timedelta(microseconds=5), "kubectl get pods"))
    saved = load(save(sample, tmp_path / "a.labtrace", title="Tomcat é\u2028", marks=marks, recorded=NOW))
    assert (saved.title, saved.marks, saved.recorded) == ("Tomcat é\u2028", marks, NOW)
    assert (saved.kubernetes_version, saved.provider, saved.format_version) == ("v1.34.3", "rootless", 1)
    assert saved.labkit_version.count(".") == 2
    with zipfile.ZipFile(tmp_path / "a.labtrace") as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert (manifest["format"], manifest["version"]) == ("labkit recording", 1)
    assert manifest["lines"]["audit.jsonl"] == len(sample.audit)


def test_without_a_time_it_is_now(tmp_path: Path, sample: Evidence) -> None:
    before = datetime.now(UTC)
    assert before <= load(save(sample, tmp_path / "a.labtrace")).recorded <= datetime.now(UTC)


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parent / "data").glob("v*.labtrace")), ids=lambda path: path.stem
)
def test_every_old_version_opens(path: Path) -> None:
    old = load(path)
    assert f"v{old.format_version}" == path.stem
    assert old.marks[0].what == "kubectl create deployment tomcat --image=tomcat8"
    evidence = old.evidence
    assert evidence.cluster.nodes == ("master", "node-01", "node-02")
    assert any(
        event.verb == "create" and event.object and event.object.resource == "deployments" for event in evidence.audit
    )
    assert {span.service for span in evidence.spans} == {"apiserver", "etcd", "kubelet"}
    assert any(revision.key == "/registry/deployments/default/tomcat" for revision in evidence.revisions)
    assert any(line.message == "Plugin scored node for pod" for line in evidence.scheduler)
    assert any(call.call == "RunPodSandbox" for call in evidence.runtime)


def test_the_present_version_has_a_sample() -> None:
    assert (Path(__file__).parent / "data" / f"v{recording.FORMAT_VERSION}.labtrace").is_file()


def test_equal_content_makes_equal_bytes(tmp_path: Path, sample: Evidence) -> None:
    first = save(sample, tmp_path / "a.labtrace", recorded=NOW).read_bytes()
    turned = dataclasses.replace(
        sample, audit=tuple(from_json(dict(reversed(list(event.raw.items())))) for event in sample.audit)
    )
    os.utime(tmp_path / "a.labtrace", (0, 0))
    assert save(turned, tmp_path / "b.labtrace", recorded=NOW).read_bytes() == first


def test_only_the_owner_may_read_it(tmp_path: Path, sample: Evidence) -> None:
    old = os.umask(0)
    try:
        path = save(sample, tmp_path / "a.labtrace")
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


class InterruptingList(list[Any]):
    """Items of which the last one never comes: Ctrl+C is pressed before."""

    def __iter__(self) -> Any:
        yield from list.__iter__(self)
        raise KeyboardInterrupt


def test_an_interrupted_save_loses_nothing(tmp_path: Path, sample: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(sample, tmp_path / "a.labtrace")
    before = path.read_bytes()
    write_member = recording._write_member

    def interrupted(archive: zipfile.ZipFile, name: str, items: Any) -> None:
        write_member(archive, name, InterruptingList(items) if name == "spans.jsonl" else items)

    monkeypatch.setattr(recording, "_write_member", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(sample, path, title="another")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written(tmp_path: Path, sample: Evidence) -> None:
    with pytest.raises(EvidenceError, match="cannot be written") as raised:
        save(sample, tmp_path / "none" / "a.labtrace")
    assert "folder" in raised.value.fix


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Return a copy of a recording with other members; as whoever else makes a ZIP would write it."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    other = path.with_name("other.labtrace")
    with zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return other


@pytest.fixture
def small(tmp_path: Path, sample: Evidence) -> Path:
    evidence = dataclasses.replace(
        sample, audit=sample.audit[:3], spans=sample.spans[:3], revisions=sample.revisions[:2]
    )
    return save(evidence, tmp_path / "small.labtrace", recorded=NOW)


def refused(path: Path, match: str) -> EvidenceError:
    with pytest.raises(EvidenceError, match=match) as raised:
        load(path)
    error = raised.value
    assert str(path) in error.what
    assert error.why
    assert error.fix
    return error


def test_no_file(tmp_path: Path) -> None:
    refused(tmp_path / "none.labtrace", "There is no recording")
    refused(tmp_path, "cannot be read")


@pytest.mark.parametrize("part", [0.05, 0.5, 0.9, 0.999])
def test_a_file_cut_off(small: Path, part: float) -> None:
    data = small.read_bytes()
    small.write_bytes(data[: int(len(data) * part)])
    refused(small, "cut off or damaged")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x1f\x8b\x08", b"%PDF-1.7"])
def test_a_foreign_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.labtrace"
    path.write_bytes(content)
    refused(path, "no recording of labkit")


@pytest.mark.parametrize("manifest", [None, b"[]", b'{"format": "others", "version": 1}', b""])
def test_a_foreign_archive(small: Path, manifest: bytes | None) -> None:
    def change(members: dict[str, bytes]) -> None:
        del members["manifest.json"]
        if manifest is not None:
            members["manifest.json"] = manifest

    refused(rewritten(small, change), "no recording of labkit")


def with_manifest(**values: Any) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        members["manifest.json"] = json.dumps(json.loads(members["manifest.json"]) | values).encode()

    return change


def test_a_newer_format(small: Path) -> None:
    error = refused(rewritten(small, with_manifest(version=2, labkit="9.0.0")), r"newer labkit \(9\.0\.0\)")
    assert "version 2" in error.why
    assert "Update labkit" in error.fix


@pytest.mark.parametrize(
    "values", [{"version": "1"}, {"cluster": None}, {"cluster": {"nodes": []}}, {"recorded": "noon"}, {"lines": {}}]
)
def test_a_manifest_that_is_not_whole(small: Path, values: dict[str, Any]) -> None:
    refused(rewritten(small, with_manifest(**values)), "damaged")


@pytest.mark.parametrize("line", [b"{", b"[]\n", b'{"number": 1}\n', b"\xff\n"])
def test_a_member_that_is_not_whole(small: Path, line: bytes) -> None:
    for name in ("audit.jsonl", "spans.jsonl", "etcd.jsonl", "scheduler.jsonl", "runtime.jsonl"):

        def change(members: dict[str, bytes], name: str = name) -> None:
            members[name] += line

        refused(rewritten(small, change), "damaged")


def test_a_member_with_lines_missing(small: Path) -> None:
    error = refused(rewritten(small, lambda members: members.update({"spans.jsonl": b""})), "damaged")
    assert "0 lines of 3" in error.why
    refused(rewritten(small, lambda members: members.__delitem__("spans.jsonl")), "damaged")


def test_members_that_nobody_knows_are_left_alone(small: Path) -> None:
    other = rewritten(small, lambda members: members.update({"../evil": b"x", "notes.txt": b"y"}))
    assert load(other) == load(small)
    assert sorted(path.name for path in small.parent.iterdir()) == ["other.labtrace", "small.labtrace"]


def test_any_damaged_byte_is_found_or_harmless(small: Path) -> None:
    data = small.read_bytes()
    whole = load(small)
    dice = random.Random(4)  # noqa: S311 - damage, not secrets
    found = 0
    for _ in range(600):
        damaged = bytearray(data)
        damaged[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        small.write_bytes(damaged)
        try:
            read: Recording | None = load(small)
        except EvidenceError:
            read, found = None, found + 1
        assert read in (None, whole)
    assert found > 300


def test_a_bomb_that_says_its_size(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = rewritten(small, lambda members: members.update({"spans.jsonl": b"0" * 20_000_000}))
    assert other.stat().st_size < 100_000
    monkeypatch.setattr(recording, "_MAX_BYTES", 10_000_000)
    assert "20," in refused(other, "unreasonably large").why


def test_a_bomb_of_one_line(small: Path) -> None:
    other = rewritten(small, lambda members: members.update({"spans.jsonl": b" " * (recording._MAX_LINE + 10)}))
    refused(other, "unreasonably large")


def test_a_bomb_that_hides_its_size(small: Path) -> None:
    """The archive says 1 kB where a member holds 20 MB: no more than it says is unpacked."""
    other = rewritten(small, lambda members: members.update({"spans.jsonl": b"[]\n" * 7_000_000}))
    data = other.read_bytes()
    size = struct.pack("<I", 21_000_000)
    assert data.count(size) == 2  # the local and the central header
    other.write_bytes(data.replace(size, struct.pack("<I", 1000)))
    refused(other, "damaged")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes_in_place_of_a_recording(tmp_path: Path, data: bytes) -> None:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        archive.writestr("manifest.json", data)
    path = tmp_path / "any.labtrace"
    for content in (data, buffer.getvalue()):
        path.write_bytes(content)
        with pytest.raises(EvidenceError):
            load(path)


def test_text_is_kept_as_it_is(tmp_path: Path, sample: Evidence) -> None:
    odd = "".join(map(chr, range(32))) + string.punctuation + "</script>\u2028é\U0001f600"
    evidence = Evidence(sample.cluster, audit=(), scheduler=(SchedulerLine(1, NOW, odd, {odd: odd}),))
    assert load(save(evidence, tmp_path / "a.labtrace")).evidence.scheduler[0].fields == {odd: odd}
