"""Static pods and a kubelet's configuration on a real lab: deleted in the API, broken by a learner, repaired."""

from __future__ import annotations

import pytest

from labkit.errors import UsageError
from labkit.lab import Lab

pytestmark = pytest.mark.cluster


def test_to_delete_a_mirror_deletes_no_static_pod(lab: Lab) -> None:
    deleted = lab.static_pods.delete_mirror("kube-controller-manager")
    assert deleted.uids[0] != deleted.uids[1]
    assert deleted.hashes[0] == deleted.hashes[1]
    assert deleted.pids[0] == deleted.pids[1] != 0
    assert "deleted" in deleted.caption()


def test_a_manifest_that_is_no_yaml_is_told_and_put_back(lab: Lab) -> None:
    whole = lab.static_pods.manifest("kube-scheduler")
    pid = {each.name: each.pid for each in lab.static_pods.read().found}["kube-scheduler"]
    broken = lab.static_pods.write("kube-scheduler", whole.replace("spec:", "spec: [", 1))
    try:
        assert broken.trouble is not None
        assert "kube-scheduler.yaml" in broken.trouble.said
        assert "no Pod in YAML" in broken.trouble.cause
        assert "restore" in broken.trouble.cure
        assert broken.pids[0] == pid
    finally:
        restored = lab.static_pods.restore("kube-scheduler")
    assert restored.trouble is None
    assert lab.static_pods.manifest("kube-scheduler") == whole
    with pytest.raises(UsageError, match="was not edited"):
        lab.static_pods.restore("kube-scheduler")
    with pytest.raises(UsageError, match="There is no static pod 'nothing'"):
        lab.static_pods.manifest("nothing")


def test_a_kubelets_broken_configuration_is_told_and_repaired(lab: Lab) -> None:
    kubelet = lab.kubelet("node-01")
    whole = kubelet.config
    try:
        no_yaml = kubelet.configure(f"{whole}\n\tbad: 1")
        assert no_yaml.trouble is not None
        assert "cannot be read" in no_yaml.trouble.cause
        assert "kubeadm upgrade node" in no_yaml.trouble.cure
        no_value = kubelet.configure(f"{whole}\nimageGCLowThresholdPercent: 300")
        assert no_value.trouble is not None
        assert "imageGCLowThresholdPercent" in no_value.trouble.cause
    finally:
        repaired = kubelet.repair()
    assert repaired.trouble is None
    assert "bad" not in kubelet.config
