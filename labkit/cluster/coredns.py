"""CoreDNS as `kubeadm init` would install it: labkit applies it meanwhile, which saves time.

Its readiness probe is asked each second (`labkit.cluster.kubeadm.files` has the patch). kubeadm leaves the period at
ten seconds, and a kubelet that has started within the last period delays its first probe by a random part of it
(kubernetes/pkg/kubelet/prober/worker.go): a cluster that is up in ten seconds would then wait as long again for its
name service.
"""

from __future__ import annotations

import yaml

from labkit.cluster.documents import dump_all
from labkit.cluster.kubeadm import CONFIG

#: Prints what `kubeadm init` would apply; it needs no API server.
PRINT_COMMAND = ["kubeadm", "init", "phase", "addon", "coredns", "--config", CONFIG, "--print-manifest"]


def manifest(printed: str) -> str:
    """Return the YAML in what `PRINT_COMMAND` printed: kubeadm first tells that it reads the patches.

    The Deployment comes last. kubeadm prints it before the ServiceAccount of its pods. Until that is there the pods are
    refused, and the controller tries them again later each time (pkg/controller/replicaset/replica_set.go).
    """
    objects = yaml.safe_load_all(printed[printed.index("apiVersion:") :])
    return dump_all(sorted(objects, key=lambda each: bool(each["kind"] == "Deployment")))
