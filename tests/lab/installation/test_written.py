"""What is seen of files that come, change and go, and of objects that are written."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from labkit.lab.installation.written import FileChange, FileWatch, object_changes


def _until(watch: FileWatch, count: int) -> dict[str, str]:
    end = time.monotonic() + 5
    while len(watch.changes) < count:
        assert time.monotonic() < end
        time.sleep(0.05)
    return {each.path: each.change for each in watch.changes}


def test_files_that_come_change_and_go_and_only_where_it_looks(tmp_path: Path) -> None:
    pki = tmp_path / "etc/kubernetes/pki"
    pki.mkdir(parents=True)
    (pki / "old.crt").write_text("old")
    (pki / "edited.crt").write_text("before")
    watch = FileWatch(tmp_path)
    with watch:
        (pki / "ca.crt").write_text("new")
        (pki / "edited.crt").write_text("after, and longer")
        (pki / "old.crt").unlink()
        (tmp_path / "elsewhere").write_text("not seen")
        seen = _until(watch, 3)
    assert seen == {
        "/etc/kubernetes/pki/ca.crt": "created",
        "/etc/kubernetes/pki/edited.crt": "changed",
        "/etc/kubernetes/pki/old.crt": "removed",
    }
    time.sleep(0.02)  # a file's own time may be some milliseconds behind the clock, by which a removal is told
    with watch:
        (pki / "again.crt").write_text("a second block goes on")
    assert [each.path for each in watch.changes][-1] == "/etc/kubernetes/pki/again.crt"
    made = next(each for each in watch.changes if each.path.endswith("/ca.crt"))
    assert made.size == 3
    assert made.time == pytest.approx((pki / "ca.crt").stat().st_mtime)


def test_whose_file_it_is() -> None:
    whose = {
        "/etc/kubernetes/admin.conf": "kubeadm",
        "/var/lib/kubelet/config.yaml": "kubeadm",
        "/var/lib/kubelet/pki/kubelet.crt": "kubelet",
        "/var/lib/etcd/member/snap/db": "etcd",
        "/etc/cni/net.d/10-labkit.conflist": "network add-on",
    }
    assert {path: FileChange(path, "created", 0, 0).who for path in whose} == whose


def _event(verb: str, resource: str, name: str, *, code: int = 201, at: str = "10", subresource: str = "") -> str:
    return json.dumps(
        {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Event",
            "auditID": name,
            "stage": "ResponseComplete",
            "level": "Metadata",
            "verb": verb,
            "requestURI": "/",
            "user": {"username": "kubernetes-admin"},
            "userAgent": "kubeadm/v1.34.3 (linux/amd64)",
            "objectRef": {"resource": resource, "name": name, "namespace": "kube-system", "subresource": subresource},
            "responseStatus": {"code": code},
            "requestReceivedTimestamp": f"2026-01-01T00:00:{at}.000000Z",
            "stageTimestamp": f"2026-01-01T00:00:{at}.500000Z",
        }
    )


def test_only_writes_that_were_granted_and_that_last(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    assert object_changes(log, 0) == ()
    events = [
        _event("create", "configmaps", "later", at="12"),
        _event("create", "configmaps", "kubeadm-config"),
        _event("get", "configmaps", "read"),
        _event("create", "configmaps", "refused", code=409),
        _event("update", "leases", "all-the-time"),
        _event("create", "pods", "bound", subresource="binding"),
        _event("patch", "nodes", "master", code=200, at="11"),
    ]
    log.write_text("\n".join(events) + "\n")
    found = object_changes(log, 0)
    assert [(each.name, each.change, each.who) for each in found] == [
        ("kubeadm-config", "created", "kubeadm"),
        ("master", "changed", "kubeadm"),
        ("later", "created", "kubeadm"),
    ]
    assert str(found[0]) == "kube-system/configmaps/kubeadm-config"
    assert [each.name for each in object_changes(log, found[2].time)] == ["later"]
