"""CoreDNS as kubeadm installs it, but for how often kubelet asks whether it is ready."""

from __future__ import annotations

import yaml

from labkit.cluster.documents import dump_all
from labkit.cluster.kubeadm import CONFIG

#: Prints what `kubeadm init` would apply; it needs no API server.
PRINT_COMMAND = ["kubeadm", "init", "phase", "addon", "coredns", "--config", CONFIG, "--print-manifest"]


def with_quick_probe(manifest: str) -> str:
    """Return kubeadm's manifest of CoreDNS with a readiness probe each second.

    kubeadm leaves the period at ten seconds, and a kubelet that has started within the last period delays its first
    probe by a random part of it (kubernetes/pkg/kubelet/prober/worker.go): a cluster that is up in ten seconds would
    then wait as long again for its name service.

    Parameters
    ----------
    manifest : str
        What `PRINT_COMMAND` printed.
    """
    yaml_only = manifest[manifest.index("apiVersion:") :]  # kubeadm first tells that it reads the patches
    documents = [document for document in yaml.safe_load_all(yaml_only) if document]
    for document in documents:
        if document["kind"] == "Deployment":
            for container in document["spec"]["template"]["spec"]["containers"]:
                container["readinessProbe"]["periodSeconds"] = 1
    return dump_all(documents)
