"""etcd of a real lab: keys, values at a revision, histories, what is written; and that no secret is told."""

from __future__ import annotations

import base64
import json

import pytest

from labkit.errors import ClusterError, UsageError
from labkit.lab import Lab
from labkit.lab.recorded import DEFAULT, replay

pytestmark = pytest.mark.cluster

KEY = "configmaps/default/history"


def test_a_key_in_all_its_revisions_until_they_are_compacted(lab: Lab) -> None:
    with lab.etcd.watch("history") as writes:
        lab.kubectl("create configmap history --from-literal=a=one")
        first = int(lab.kubectl("get configmap history --output jsonpath={.metadata.resourceVersion}"))
        lab.kubectl(["patch", "configmap", "history", "--patch", '{"data": {"a": "two", "b": "<b>new</b>"}}'])
        lab.kubectl("delete configmap history")
    assert [each.what for each in writes] == ["created", "changed", "removed"]
    assert writes[0].revision == first, "etcd's revision is the resourceVersion"
    assert writes.caption() == "3 writes to 1 key with history"
    assert "created configmaps/default/history" in writes._repr_html_()

    history = lab.etcd.history(KEY)
    assert [each.revision for each in history] == [each.revision for each in writes]
    assert [change.path for change in history.changed(history[1].revision)] == ["data.a", "data.b"]
    assert history.at(history[2].revision - 1).value == history[1].value
    difference = lab.etcd.diff(KEY, first, history[1].revision)
    assert difference.rows() == [("data.a", '"one"', '"two"'), ("data.b", "", '"<b>new</b>"')]
    assert "<b>new" not in difference._repr_html_()
    assert lab.etcd.get(KEY, first).value["data"] == {"a": "one"}
    assert f"written at revision {first}, version 1" in repr(lab.etcd.get(KEY, first))
    assert list(lab.etcd.keys("/registry/configmaps/default/hist", first)) == [f"/registry/{KEY}"]
    with pytest.raises(UsageError, match="has no key /registry/configmaps/default/history"):
        lab.etcd.get(KEY)
    with pytest.raises(UsageError, match="has nothing of configmaps/default/history at revision"):
        history.at(first - 1)

    lab.etcd.compact(history[1].revision)
    assert lab.etcd.compacted == history[1].revision
    with pytest.raises(UsageError, match=f"Revision {first} is gone") as gone:
        lab.etcd.get(KEY, first)
    assert f"remembers revisions from {history[1].revision} on" in gone.value.why
    with pytest.raises(UsageError, match="is gone"):
        lab.etcd.compact(first)
    kept = lab.etcd.history(KEY)
    assert [each.what for each in kept] == ["changed", "removed"]
    assert f"compacted at revision {history[1].revision}" in kept.caption()


def test_what_there_is_not_is_told(lab: Lab) -> None:
    with pytest.raises(UsageError, match="There is no revision 99999999 yet"):
        lab.etcd.keys("pods/", 99_999_999)
    with pytest.raises(UsageError, match="has no key /registry/nothing"):
        lab.etcd.history("nothing")
    assert len(lab.etcd.keys("nothing")) == 0
    with lab.freeze("etcd"), pytest.raises(ClusterError, match="etcd does not answer") as silent:
        lab.etcd.get(KEY)
    assert "deadline exceeded" in silent.value.why
    with pytest.raises(ClusterError, match="A recording has no 'etcd'"):
        replay(DEFAULT).etcd  # noqa: B018


def test_no_secret_is_told(lab: Lab) -> None:
    """Every Secret's value that the cluster has is looked for in every value that etcd has."""
    lab.kubectl("create secret generic safe --from-literal=code=a-code-of-4711")
    try:
        secrets = json.loads(lab.kubectl("get secrets --all-namespaces --output json"))["items"]
        values = [value for secret in secrets for value in secret["data"].values()]
        hidden = [value for value in values if len(value) > 16]  # "true" and "system:bootstrappers" stand everywhere
        assert len(hidden) >= 2, "the code and a bootstrap token's signature key at least"
        told = repr(lab.etcd.store.values("/registry/"))
        assert "a-code-of-4711" not in told
        for value in hidden:
            assert value not in told
        assert base64.b64encode(b"a-code-of-4711").decode() in hidden
        assert set(lab.etcd.get("secrets/default/safe").value["data"]) == {"code"}
    finally:
        lab.kubectl("delete secret safe")
