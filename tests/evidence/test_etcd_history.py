"""What etcd remembers, key by key, from revisions that a real etcd told."""

from __future__ import annotations

import gzip
from base64 import b64encode
from pathlib import Path

import orjson
import pytest

from labkit.errors import ClusterError, EvidenceError, UsageError
from labkit.evidence import etcd
from labkit.evidence.etcd_history import EtcdHistory, matches
from labkit.evidence.etcd_store import EtcdStatus, EtcdStore, StoredKey, full
from labkit.evidence.model import Revision

DATA = Path(__file__).parent / "data" / "etcd.jsonl.gz"
POD = "/registry/pods/default/tomcat-6546f88bb-2ns2n"


def _revisions() -> list[Revision]:
    lines = gzip.decompress(DATA.read_bytes()).splitlines()
    return [revision for line in lines for revision in etcd.parse(orjson.loads(line))]


def test_a_pods_versions_also_after_it_was_removed() -> None:
    history = EtcdHistory()
    history.take(_revisions())
    assert [each.what for each in history.of(POD)] == ["created", "changed", "removed"]
    assert history.now(POD).removed
    assert history.revision == history.of(POD)[-1].revision
    assert POD in history.keys("tomcat PODS")
    assert history.keys("tomcat -pods") == []
    assert history.of("/registry/pods/default/nobody") == ()


def test_it_forgets_as_etcd_does() -> None:
    created, changed, removed = [each for each in _revisions() if each.key == POD]
    history = EtcdHistory()
    history.take([created, changed, removed])
    history.forget(EtcdStatus(removed.revision, created.revision))
    assert len(history.of(POD)) == 3, "the last version before the compaction stays"
    history.forget(EtcdStatus(removed.revision, changed.revision))
    assert [each.what for each in history.of(POD)] == ["changed", "removed"]
    history.forget(EtcdStatus(removed.revision + 7, created.revision))
    assert len(history.of(POD)) == 2, "a compaction that is over changes nothing"
    assert history.revision == removed.revision + 7
    history.forget(EtcdStatus(removed.revision + 7, removed.revision))
    assert history.of(POD) == ()
    assert len(history) == 0


def test_what_was_there_at_a_compaction_has_a_version() -> None:
    history = EtcdHistory([StoredKey(POD, 3, 5, 2, {"kind": "Pod"})], compacted=9)
    (version,) = history.of(POD)
    assert (version.revision, version.created, version.what) == (5, 3, "changed")
    assert history.revision == history.compacted == 9


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", True),
        ("POD default", True),
        ("-events", True),
        ("-tomcat", False),
        ("pods -", True),
        ("etcd", False),
    ],
)
def test_words_of_a_filter(words: str, found: bool) -> None:
    assert matches(POD, words) is found


def test_a_key_may_be_written_short() -> None:
    assert full(" pods/default/a ") == full("/pods/default/a") == full("/registry/pods/default/a")
    assert full("") == "/registry/"


def _answering(script: str) -> EtcdStore:
    """Return a store whose node's shell runs a script in place of etcdctl."""
    return EtcdStore(lambda _argv: ["sh", "-c", script])


def test_silence_is_told_with_what_etcdctl_said() -> None:
    said = '{"level":"warn","msg":"retrying"}\nError: context deadline exceeded'
    store = _answering(f"echo '{said}' >&2; exit 1")
    with pytest.raises(ClusterError, match="etcd does not answer") as caught:
        store.status()
    assert caught.value.why == "context deadline exceeded"
    assert "labkit status" in caught.value.fix
    with pytest.raises(EvidenceError, match="cannot be read"):
        store.since(1)


@pytest.mark.parametrize("revision", [0, -1])
def test_a_revision_that_etcd_takes_for_the_newest_is_none(revision: int) -> None:
    with pytest.raises(UsageError, match=f"There is no revision {revision}"):
        _answering("exit 1").get(POD, revision)
    with pytest.raises(UsageError, match=f"There is no revision {revision}"):
        _answering("exit 1").compact(revision)


def test_a_secret_is_redacted_before_it_leaves() -> None:
    secret = {"kind": "Secret", "data": {"code": "NDcxMQ=="}}
    stored: dict[str, str | int] = {"mod_revision": 7, "create_revision": 7, "version": 1}
    for part, text in (("key", "/registry/secrets/default/safe"), ("value", orjson.dumps(secret).decode())):
        stored[part] = b64encode(text.encode()).decode()
    answer = orjson.dumps({"header": {"revision": 7}, "kvs": [stored]}).decode()
    found = _answering(f"echo '{answer}'").get("/registry/secrets/default/safe")
    assert found is not None
    assert found.value is not None
    assert list(found.value["data"]) == ["code"]
    assert "NDcxMQ" not in repr(found)
