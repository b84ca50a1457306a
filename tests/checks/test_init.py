"""Exercises of notebook 07 about `kubeadm init`: a solution is right; a wrong answer is explained, not corrected."""

from __future__ import annotations

from labkit.checks import init
from labkit.lab.installation.mistakes import Attempt
from labkit.lab.installation.phases import InitPhase, InitRun
from labkit.lab.installation.written import FileChange, ObjectChange

CERTS = InitPhase("certs", 0.5, 0.4, files=(FileChange("/etc/kubernetes/pki/ca.crt", "created", 100.7, 570),))
ETCD = InitPhase("etcd", 0.9, 0.1, files=(FileChange("/etc/kubernetes/manifests/etcd.yaml", "created", 100.95, 2400),))
KUBELET = InitPhase(
    "kubelet-start", 1.0, 0.5, files=(FileChange("/var/lib/kubelet/config.yaml", "created", 101.2, 900),)
)
UPLOAD = InitPhase(
    "upload-config",
    1.5,
    0.1,
    objects=(ObjectChange("configmaps", "kube-system", "kubeadm-config", "created", 101.55, "kubeadm"),),
)
ADDON = InitPhase(
    "addon",
    1.6,
    0.4,
    objects=(ObjectChange("daemonsets", "kube-system", "kube-proxy", "created", 101.9, "kubeadm"),),
)
RUN = InitRun((CERTS, ETCD, KUBELET, UPLOAD, ADDON), 2.0, began=100.0)
SOLUTION = {"A": "etcd", "B": "certs", "C": "kubelet-start", "D": "upload-config", "E": "addon"}


def _attempt(name: str, noticed: str, trouble: str) -> Attempt:
    return Attempt(name, f"--{name}", InitRun((CERTS,), 0.4, trouble), noticed, (), "cause", "cure")


ATTEMPTS = [_attempt("image-repository", "container runtime", "pull failed"), _attempt("ranges", "etcd", "")]


def test_in_which_phase_it_was_made() -> None:
    assert init.made(RUN, None).right is None
    assert init.made(RUN, SOLUTION).right
    wrong = init.made(RUN, SOLUTION | {"A": "certs", "D": "addon"})
    assert wrong.right is False
    assert wrong.why == "2 of 5 were not made in the phase that you say."
    assert wrong.evidence[0] == "A was made after 0.95 s; certs: 0.50 to 0.90 s"
    assert "upload-config" not in repr(wrong)
    assert "etcd" not in repr(wrong)
    assert init.made(RUN, {"A": "etcd"}).right is False
    assert init.made(RUN, SOLUTION | {"A": "<b>rain</b>"}).right is False
    assert init.made(InitRun((CERTS,), 0.4), SOLUTION).right is None


def test_who_noticed_a_mistake() -> None:
    assert init.noticed(ATTEMPTS, None).right is None
    solution = {"image-repository": "container runtime", "ranges": "etcd"}
    assert init.noticed(ATTEMPTS, solution).right
    wrong = init.noticed(ATTEMPTS, solution | {"ranges": "kubeadm"})
    assert wrong.right is False
    assert wrong.evidence == ("ranges: kubeadm init was content after certs",)
    assert "etcd" not in repr(wrong)
    assert init.noticed(ATTEMPTS, {"ranges": "etcd"}).right is False
    assert init.noticed(ATTEMPTS, solution | {"ranges": "docker"}).right is False
