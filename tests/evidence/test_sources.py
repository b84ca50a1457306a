"""What each component left, read: samples of a real session, and what crashes leave."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from labkit.errors import ClusterError
from labkit.evidence import etcd, runtime, scheduler, spans
from labkit.evidence.audit_tail import AuditTail
from labkit.evidence.collect import AwaitedSpans, checked, without_spans
from labkit.evidence.model import ClusterFacts, Evidence, Revision, Span
from labkit.evidence.runtime import RuntimeTail
from labkit.evidence.scheduler import SchedulerTail
from labkit.evidence.spans import SpanTail
from tests import traces
from tests.evidence.test_audit import BINDING

DATA = Path(__file__).parent / "data"


def _event(number: int, **changed: object) -> bytes:
    return orjson.dumps(BINDING | {"auditID": str(number)} | changed)


# ---- audit log


def test_an_api_server_killed_in_the_middle_of_a_line_costs_that_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(_event(1) + b"\n" + _event(2)[:300])
    tail = AuditTail(path)
    assert [event.audit_id for event in tail.read()] == ["1"]
    with path.open("ab") as file:  # its successor goes on where the file ends
        file.write(_event(3) + b"\n" + _event(4) + b"\n")
    assert [event.audit_id for event in tail.read()] == ["3", "4"]
    assert [loss.what for loss in tail.take_losses()] == ["1 lines are no audit events"]
    tail.close()


def test_an_emptied_audit_log_whose_writer_goes_on_at_its_old_place(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(_event(1) + b"\n")
    tail = AuditTail(path)
    assert len(tail.read()) == 1
    size = path.stat().st_size
    os.truncate(path, 0)
    assert tail.read() == []
    with path.open("r+b") as file:
        file.seek(size)
        file.write(_event(2) + b"\n")
    assert [event.audit_id for event in tail.read()] == ["2"]
    assert [loss.what for loss in tail.take_losses()] == ["audit.log became shorter"]
    tail.close()


def test_only_what_ended_since_then_all_that_comes(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    stored = {"metadata": {"resourceVersion": "41"}}
    times = [f"2026-11-23T20:33:5{second}.000000Z" for second in range(5)]
    path.write_bytes(
        b"".join(_event(n, stageTimestamp=time, responseObject=stored) + b"\n" for n, time in enumerate(times))
    )
    tail = AuditTail(path, datetime(2026, 11, 23, 20, 33, 53, tzinfo=UTC))
    assert [event.audit_id for event in tail.read()] == ["3", "4"]
    assert tail.revision_before == 41
    with path.open("ab") as file:  # the clock went back
        file.write(_event(5, stageTimestamp=times[0]) + b"\n")
    assert [event.audit_id for event in tail.read()] == ["5"]
    tail.close()


def test_rotated_audit_logs_are_read_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "audit-2026-11-23T20-30-00.000.log").write_bytes(_event(1) + b"\n")
    (tmp_path / "audit-2026-11-23T20-31-00.000.log").write_bytes(_event(2) + b"\n")
    (tmp_path / "audit.log").write_bytes(_event(3) + b"\n")
    tail = AuditTail(tmp_path / "audit.log")
    assert [event.audit_id for event in tail.read()] == ["1", "2", "3"]
    tail.close()


# ---- spans


def test_spans_of_a_creation_join_its_audit_event_and_reach_etcd(tmp_path: Path) -> None:
    (tmp_path / "spans-00000001.otlp").write_bytes(gzip.decompress((DATA / "spans.otlp.gz").read_bytes()))
    tail = SpanTail(tmp_path)
    found = tail.read()
    tail.close()
    assert len(found) == 407
    assert {(span.service, span.node) for span in found} == {("apiserver", ""), ("kubelet", "node-02")}
    by_id = {span.span_id: span for span in found}
    stored = next(span for span in found if span.attributes.get("key") == "/deployments/default/tomcat")
    assert stored.name == "Create etcd3"
    assert stored.attributes["audit-id"] == "b80bf120-81f0-438e-8b6a-453cb4ac5779"
    assert [what for _, what in stored.events][:2] == ["About to Encode", "Encode succeeded"]
    assert by_id[stored.parent_id].name == "Create"
    assert [span.name for span in found if span.parent_id == stored.span_id] == ["etcdserverpb.KV/Txn"]
    assert stored.start < stored.end < stored.start + 10_000_000
    failed = [span for span in found if span.error]
    assert "is not in the lab's catalogue" in next(span.error for span in failed if span.name.endswith("PullImage"))


def test_a_damaged_record_costs_only_itself(tmp_path: Path) -> None:
    records, _ = spans.records(gzip.decompress((DATA / "spans.otlp.gz").read_bytes()))
    data = b"".join(len(r).to_bytes(4, "little") + r for r in (records[1], b"\xff" * 40, records[1]))
    (tmp_path / "spans-00000001.otlp").write_bytes(data + b"\x09\0\0\0cut")
    tail = SpanTail(tmp_path)
    assert len(tail.read()) == 2 * len(list(spans.parse(records[1])))
    assert [loss.what for loss in tail.take_losses()] == ["a record holds no spans"]
    tail.close()


def test_spans_that_the_receiver_removed_are_told(tmp_path: Path) -> None:
    (tmp_path / "spans-00000007.otlp").write_bytes(gzip.decompress((DATA / "spans.otlp.gz").read_bytes()))
    for since, told in ((None, True), (datetime(2026, 11, 23, 23, 0, tzinfo=UTC), True), (datetime.now(UTC), False)):
        tail = SpanTail(tmp_path, since)
        tail.read()
        assert any(loss.what == "older spans are gone" for loss in tail.take_losses()) == told
        tail.close()


def test_writes_of_which_no_span_tells_are_a_loss(tmp_path: Path) -> None:
    refused = {"responseStatus": {"code": 403}}
    events = [_event(1), _event(2), _event(3, verb="get"), _event(4, **refused), _event(5, responseStatus={})]
    (tmp_path / "audit.log").write_bytes(b"".join(event + b"\n" for event in events))
    tail = AuditTail(tmp_path / "audit.log")
    audit = tail.read()
    tail.close()
    span = Span("t", "s", "", "apiserver", "", "Create", 1, 2, attributes={"audit-id": "1"})
    assert [event.audit_id for event in without_spans(audit, [span])] == ["2"]
    facts = ClusterFacts("lab", "rootless", "v1.34.3", "master", ("master",))
    evidence = Evidence(facts, audit, [span])
    assert [loss.what for loss in checked(evidence).losses] == ["1 of the API server's writes have no span"]
    assert checked(evidence, since=audit[0].received + timedelta(seconds=1)).losses == ()


def test_spans_of_a_transaction_are_awaited_whichever_comes_first() -> None:
    facts = ClusterFacts("lab", "rootless", "v1.34.3", "master", ("master",))
    second = 1_000_000_000

    def transaction(service: str, span_id: str, parent_id: str) -> Evidence:
        span = Span("t", span_id, parent_id, service, "", "etcdserverpb.KV/Txn", second, second)
        return Evidence(facts, [], [span])

    moment = datetime.fromtimestamp(1, UTC)
    awaited = AwaitedSpans()
    awaited.take(transaction("apiserver", "a", ""))
    assert awaited.since(moment)
    assert not awaited.since(moment + timedelta(seconds=1)), "etcd will never tell of it"
    awaited.take(transaction("etcd", "b", "a"))
    assert not awaited.since(moment)
    awaited.take(transaction("etcd", "d", "c"))
    awaited.take(transaction("apiserver", "c", ""))
    assert not awaited.since(moment)


# ---- scheduler


def test_the_schedulers_own_lines_and_nothing_of_its_requests(tmp_path: Path) -> None:
    folder = tmp_path / "kube-system_kube-scheduler-master_85f6" / "kube-scheduler"
    folder.mkdir(parents=True)
    (folder / "0.log").write_bytes(gzip.decompress((DATA / "scheduler.log.gz").read_bytes()))
    tail = SchedulerTail(tmp_path)
    lines = tail.read()
    scored = [line for line in lines if line.message == "Plugin scored node for pod"]
    assert len(scored) == 8
    assert scored[0].fields == {
        "pod": "default/tomcat-6546f88bb-xslc5",
        "plugin": "TaintToleration",
        "node": "node-01",
        "score": "300",
    }
    assert scored[0].time == datetime(2026, 11, 23, 23, 41, 22, 24315, tzinfo=UTC)
    assert scored[0].number == 61
    nowhere = next(line for line in lines if line.message == "Unable to schedule pod; no fit; waiting")
    assert nowhere.fields["err"].startswith("0/2 nodes are available: 2 node(s) had untolerated taint(s).")
    assert not [line for line in lines if line.message in {"Request", "Response", "HTTP"}]
    assert [line.number for line in lines] == sorted({line.number for line in lines})
    # The scheduler is started again, and its log rotated.
    (folder / "1.log").write_bytes(b"")
    (folder / "1.log").rename(folder / "1.log.20261123-234200")
    (folder / "1.log").write_bytes(gzip.decompress((DATA / "scheduler.log.gz").read_bytes()))
    again = tail.read()
    assert [line.message for line in again] == [line.message for line in lines]
    assert again[0].number == lines[0].number + 104
    assert tail.take_losses() == []
    tail.close()


def test_of_a_schedulers_past_only_what_is_asked(tmp_path: Path) -> None:
    folder = tmp_path / "kube-system_kube-scheduler-master_85f6" / "kube-scheduler"
    folder.mkdir(parents=True)
    data = gzip.decompress((DATA / "scheduler.log.gz").read_bytes())
    older = folder / "0.log.20261123-234200"
    older.write_bytes(data)
    os.utime(older, (0, 0))
    (folder / "0.log").write_bytes(data)
    whole = SchedulerTail(tmp_path)
    every = whole.read()
    whole.close()
    middle = every[len(every) * 3 // 4].time
    tail = SchedulerTail(tmp_path, since=middle)
    asked = tail.read()
    assert [(line.time, line.message) for line in asked] == [
        (line.time, line.message) for line in every[len(every) // 2 :] if line.time >= middle
    ]
    assert 0 < len(asked) < len(every) // 2
    with (folder / "0.log").open("ab") as log:
        log.write(data)  # whatever its clock says: it is new
    assert len(tail.read()) == len(every) // 2
    tail.close()


@pytest.mark.parametrize(("clock", "zone"), [("23:41:22.024315", 0), ("00:41:22.024315", 1), ("05:11:22.024315", 5.5)])
def test_a_scheduler_in_any_time_zone(clock: str, zone: float) -> None:
    line = (
        f'2026-11-23T23:41:23.900000000Z stderr F I1123 {clock}       2 schedule_one.go:1] "Attempting" pod="a/b\\"c"'
    )
    parsed = scheduler.parse(line.encode(), 1)
    assert parsed is not None
    assert parsed.time == datetime(2026, 11, 23, 23, 41, 22, 24315, tzinfo=UTC), zone
    assert parsed.fields == {"pod": 'a/b"c'}


# ---- runtime


def test_calls_of_every_node(tmp_path: Path) -> None:
    log = tmp_path / "cri.jsonl"
    log.write_bytes((DATA / "cri.jsonl").read_bytes()[:-40])
    tail = RuntimeTail({"node-01": log, "node-02": tmp_path / "none"})
    calls = tail.read()
    assert [call.call for call in calls] == [
        *("RunPodSandbox", "PullImage", "CreateContainer", "StartContainer", "RunPodSandbox")
    ]
    assert calls[0].pod == "tomcat-6546f88bb-2ns2n"
    assert calls[0].time == datetime(2026, 11, 23, 23, 41, 38, 577644, tzinfo=UTC)
    assert (calls[3].seconds, calls[3].container, calls[3].image) == (0.02681, "tomcat8", "tomcat8")
    assert [call.number for call in calls] == [1, 2, 3, 4, 5]
    assert [loss.what for loss in tail.take_losses()] == ["node-02 has no log of calls"]
    tail.close()


def test_a_line_that_is_no_call_is_told(tmp_path: Path) -> None:
    log = tmp_path / "cri.jsonl"
    log.write_bytes(b'{"call": "RunPodSandbox"}\n[]\nnonsense\n' + (DATA / "cri.jsonl").read_bytes())
    tail = RuntimeTail({"node-01": log}, since=datetime(2026, 11, 23, 23, 41, 45, tzinfo=UTC))
    calls = tail.read()
    assert [call.number for call in calls] == [8, 9]
    assert len(tail.take_losses()) == 3
    tail.close()


def test_every_line_of_the_sample_is_a_call() -> None:
    for number, line in enumerate((DATA / "cri.jsonl").read_bytes().splitlines(), 1):
        call = runtime.parse(line, "node-01", number)
        assert call.fields["call"] == call.call


# ---- etcd


def _responses() -> list[bytes]:
    return gzip.decompress((DATA / "etcd.jsonl.gz").read_bytes()).splitlines()


def test_revisions_of_a_pods_life() -> None:
    address, created, updated, removed = (etcd.parse(orjson.loads(line)) for line in _responses())
    assert address[0].key == "/registry/masterleases/172.30.0.10"
    (pod,) = created
    assert pod.key == "/registry/pods/default/tomcat-6546f88bb-2ns2n"
    assert pod.value is not None
    assert pod.value["kind"] == "Pod"
    assert (pod.revision, pod.removed, pod.previous) == (pod.created, False, None)
    (bound,) = updated
    assert bound.value is not None
    assert bound.value["spec"]["nodeName"] == "node-01"
    assert bound.previous == pod.value
    assert bound.created == pod.revision
    (gone,) = removed
    assert (gone.removed, gone.value, gone.created) == (True, None, 0)
    assert gone.previous is not None


class _Etcd:
    """Stands where the node's shell would: real responses, from a real program's pipe."""

    def __init__(self, *outputs: str) -> None:
        self.outputs = list(outputs)
        self.asked: list[str] = []

    def __call__(self, argv: Sequence[str]) -> list[str]:
        self.asked.append(argv[-1])
        return ["sh", "-c", f"printf '%s\\n' '{self.outputs.pop(0)}'; cat >/dev/null" if self.outputs else "exit 1"]


def _until_end(watch: etcd.EtcdWatch) -> list[Revision]:
    found: list[Revision] = []
    deadline = datetime.now(UTC) + timedelta(seconds=10)
    while not watch.at_end:
        assert datetime.now(UTC) < deadline
        found += watch.read()
    return found


def test_a_watch_reads_up_to_the_newest_revision() -> None:
    _, created, updated, removed = (line.decode() for line in _responses())
    newest = json.loads(removed)["Events"][0]["kv"]["mod_revision"]
    header = json.dumps({"header": {"revision": newest}})
    watch = etcd.EtcdWatch(_Etcd("\n".join([header, created, updated, removed])), 1)
    assert [revision.removed for revision in _until_end(watch)] == [False, False, True]
    assert watch.take_losses() == []
    watch.close()


def test_compacted_revisions_are_told_and_the_rest_is_read() -> None:
    created = _responses()[1].decode()
    revision = json.loads(created)["Events"][0]["kv"]["mod_revision"]
    header = json.dumps({"header": {"revision": revision}})
    compacted = {"Header": {"revision": revision}, "Events": [], "CompactRevision": 500, "Canceled": True}
    program = _Etcd(f"{header}\n{json.dumps(compacted)}", f"{header}\n{created}")
    ended = program.__call__

    def command(argv: Sequence[str]) -> list[str]:
        first = not program.asked
        words = ended(argv)
        return [*words[:2], words[2].removesuffix("; cat >/dev/null")] if first else words

    watch = etcd.EtcdWatch(command, 7)
    assert [r.revision for r in _until_end(watch)] == [revision]
    assert program.asked == ["7", "501"]
    assert [loss.what for loss in watch.take_losses()] == ["revisions 7 to 500 are gone"]
    watch.close()


def test_an_etcd_that_answers_no_longer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd, "_SILENT_SECONDS", 0.2)
    created = _responses()[1].decode()
    revision = json.loads(created)["Events"][0]["kv"]["mod_revision"]
    header = json.dumps({"header": {"revision": revision + 1}})
    program = _Etcd(f"{header}\n{created}", f"{header}\n{created}")
    watch = etcd.EtcdWatch(program, 1)
    assert [r.revision for r in _until_end(watch)] == [revision]
    (loss,) = watch.take_losses()
    assert (loss.what, loss.why) == ("etcd's revisions cannot be read now", "etcd has not answered for 0 s")
    traces.eventually(lambda: watch.read() == [] and len(program.asked) == 2)  # and is asked again
    assert program.asked == ["1", str(revision + 1)]
    watch.close()


def test_a_cluster_without_etcds_command_is_a_loss() -> None:
    def command(argv: Sequence[str]) -> list[str]:
        raise ClusterError("Node master does not run", why="its sandbox has ended")

    watch = etcd.EtcdWatch(command, 1)
    assert _until_end(watch) == []
    (loss,) = watch.take_losses()
    assert (loss.source, loss.what) == ("etcd", "etcd's revisions cannot be read now")
    assert "its sandbox has ended" in loss.why
    watch.close()
