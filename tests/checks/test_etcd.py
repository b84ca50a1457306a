"""Each exercise of notebook 09: its solution is right, and a wrong answer is explained without naming the right one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labkit.checks import etcd
from labkit.checks.verdict import Verdict
from labkit.lab import Lab

pytestmark = pytest.mark.cluster

MENU = "configmaps/default/menu"


@pytest.fixture
def revisions(lab: Lab) -> Iterator[list[int]]:
    """Make a ConfigMap, change it, remove it, and give its revisions."""
    lab.kubectl("create configmap menu --from-literal=monday=soup")
    lab.kubectl(["patch", "configmap", "menu", "--patch", '{"data": {"monday": "pasta"}}'])
    lab.kubectl("delete configmap menu")
    yield [each.revision for each in lab.etcd.history(MENU)][-3:]
    lab.kubectl("delete configmap menu --ignore-not-found")


def test_where_an_object_is_kept(lab: Lab) -> None:
    assert etcd.kept_at(lab, "Node", "node-01", None).right is None
    assert etcd.kept_at(lab, "Node", "node-01", "/registry/minions/node-01").right
    assert etcd.kept_at(lab, "Node", "node-01", "minions/node-01").right
    lab.kubectl("create configmap node-01")
    namesake = etcd.kept_at(lab, "Node", "node-01", "configmaps/default/node-01")
    lab.kubectl("delete configmap node-01")
    assert namesake.right is False
    assert namesake.why == "That is the ConfigMap of the same name, another object than the Node."
    other = etcd.kept_at(lab, "Node", "node-01", "minions/node-02")
    assert other.right is False
    assert other.evidence == ("/registry/minions/node-02 holds: kind Node, name node-02",)
    guess = etcd.kept_at(lab, "Node", "node-01", "nodes/node-01")
    assert guess.right is False
    assert "/registry/minions" not in repr(guess)
    folder = etcd.kept_at(lab, "Node", "node-01", "pods/kube-system")
    assert folder.right is False
    assert "keys begin so" in folder.why


def test_which_revision_set_a_field(lab: Lab, revisions: list[int]) -> None:
    def check(answer: int | None) -> Verdict:
        return etcd.revision_that_set(lab, MENU, ("data", "monday"), "pasta", answer)

    created, changed, removed = revisions
    assert check(None).right is None
    assert check(changed).right
    early = check(created)
    assert early.right is False
    assert early.evidence[1] == "data.monday was None before it, and soup with it"
    assert "pasta" not in "".join(early.evidence)
    assert check(removed).right is False
    assert "has not been yet" in check(99_999_999).why
    lab.kubectl("create configmap other")
    other = lab.etcd.history("configmaps/default/other")[-1].revision
    assert f"Revision {other} created another key: configmaps/default/other" in check(other).why
    lab.kubectl("delete configmap other")
    lab.etcd.compact(created)
    assert "etcd has forgotten it" in check(created - 1).why
    forgotten = etcd.revision_that_set(lab, MENU, ("data", "monday"), "soup", created)
    assert forgotten.right is True, "the revision that made it is the oldest that is known"


def test_what_was_removed_is_brought_back(lab: Lab, revisions: list[int]) -> None:
    none = etcd.brought_back(lab, "menu")
    assert none.right is None
    assert none.evidence == (f"revision {revisions[2]} removed it",)
    lab.kubectl("create configmap menu --from-literal=monday=soup")
    older = etcd.brought_back(lab, "menu")
    assert older.right is False
    assert f"what it was at revision {revisions[0]}" in older.why
    assert "pasta" not in repr(older)
    lab.kubectl(["patch", "configmap", "menu", "--patch", '{"data": {"monday": "fish"}}'])
    wrong = etcd.brought_back(lab, "menu")
    assert wrong.right is False
    assert "1 of its data's values differ" in wrong.why
    assert "pasta" not in repr(wrong)
    lab.kubectl(["patch", "configmap", "menu", "--patch", '{"data": {"monday": "pasta"}}'])
    assert etcd.brought_back(lab, "menu").right
    assert etcd.brought_back(lab, "kube-root-ca.crt").right is None
    never = etcd.brought_back(lab, "nothing")
    assert never.right is None
    assert "etcd has nothing of configmaps/default/nothing" in never.why


def test_how_far_back_etcd_tells(lab: Lab) -> None:
    lab.kubectl("create configmap note --from-literal=text=one")
    try:
        old = lab.etcd.get("configmaps/default/note").revision
        lab.kubectl(["patch", "configmap", "note", "--patch", '{"data": {"text": "two"}}'])
        new = lab.etcd.get("configmaps/default/note").revision
        lab.etcd.compact(new)
        assert etcd.oldest(lab, "configmaps/default/note", None).right is None
        assert etcd.oldest(lab, "configmaps/default/note", new).right
        early = etcd.oldest(lab, "configmaps/default/note", old)
        assert early.right is False
        assert early.evidence == (f"at revision {old}: Revision {old} is gone. etcd was compacted",)
        assert str(new) not in repr(early)
        lab.kubectl(["patch", "configmap", "note", "--patch", '{"data": {"text": "three"}}'])
        late = etcd.oldest(lab, "configmaps/default/note", lab.etcd.get("configmaps/default/note").revision)
        assert late.right is False
        assert "tells of an earlier one" in late.why
    finally:
        lab.kubectl("delete configmap note")
