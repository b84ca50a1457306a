"""What a small lab does without, for machines that have a gigabyte: a second worker, and what is named here.

docs/decisions/0015-a-small-lab.md has what each saves.
"""

from __future__ import annotations

#: Beside the control plane.
WORKERS = 1
#: The node that lessons may use and a small lab has not.
SECOND_WORKER = "node-02"
#: CoreDNS' pods; kubeadm's manifest has two.
COREDNS_REPLICAS = 1

#: Controllers with nothing to do in a lab, as kube-controller-manager calls them
#: (cmd/kube-controller-manager/names/controller_names.go at v1.34.3): there are no metrics to scale by, no storage
#: drivers whose volumes could be attached or grown, no devices to claim, and no tokens of older Kubernetes. Admission
#: policies are enforced; nobody writes into their status what is odd about their types.
_IDLE = (
    "horizontal-pod-autoscaler-controller",
    "persistentvolume-attach-detach-controller",
    "persistentvolume-expander-controller",
    "resourceclaim-controller",
    "legacy-serviceaccount-token-cleaner-controller",
    "validatingadmissionpolicy-status-controller",
)
#: kubeadm's own choice of controllers (cmd/kubeadm/app/phases/controlplane/manifests.go), without the idle ones.
CONTROLLERS = ",".join(["*", "bootstrapsigner", "tokencleaner", *(f"-{name}" for name in _IDLE)])

#: How often Go collects the API server's memory, `GOGC`; less often than in other labs: what that takes, a gigabyte has
#: room for, and where labs are small, processor time is scarce, too.
API_SERVER_GOGC = "50"
