"""Bring back what a learner removed from a cluster: kubeadm's phases make it anew, as they made it at first.

A ConfigMap that is still there stays as it is: it holds what the learner has set, kube-proxy's mode for one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import yaml

from labkit.cluster import addons, network_addon, parts, readiness
from labkit.cluster.documents import dump_all
from labkit.cluster.kubeadm import CONFIG
from labkit.cluster.parts import Missing
from labkit.cluster.protocol import Cluster
from labkit.cluster.rest import ApiServer
from labkit.errors import ClusterError
from labkit.language import gettext
from labkit.node.process import run
from labkit.progress import Progress

_TIMEOUT = 120.0
_POLL_SECONDS = 0.2
#: `kubeadm init phase` of each static pod.
_PHASES = {
    "etcd": ("etcd", "local"),
    "kube-apiserver": ("control-plane", "apiserver"),
    "kube-controller-manager": ("control-plane", "controller-manager"),
    "kube-scheduler": ("control-plane", "scheduler"),
}


@dataclass(frozen=True, slots=True)
class Repair:
    """A part that was brought back.

    Attributes
    ----------
    part : str
        ``"kube-proxy"``.
    missing : tuple of str
        What of it was missing.
    done : str
        What was done.
    """

    part: str
    missing: tuple[str, ...]
    done: str


def repair(cluster: Cluster, progress: Progress) -> tuple[Repair, ...]:
    """Bring back what is missing, and wait until all of it runs.

    Parameters
    ----------
    cluster : Cluster
        A running one; the caller holds the lab's lock.
    progress : Progress
        Shows each part as a phase.

    Raises
    ------
    ClusterError
        The control plane's node is off, a part could not be made, or what was made does not run in time.
    """
    control_plane = cluster.spec.node_names[0]
    if not cluster.node_running(control_plane):
        raise ClusterError(
            gettext("Lab {name!r} cannot be repaired now").format(name=cluster.spec.name),
            why=gettext("{control_plane} is switched off, and kubeadm works there").format(control_plane=control_plane),
            fix=f"labkit node start {control_plane}",
        )
    done = [_static_pod(cluster, each, progress) for each in parts.missing(cluster, None)]
    with closing(ApiServer.from_kubeconfig(cluster.kubeconfig)) as api:
        with progress.phase(gettext("API server")):
            _wait_for(api)
        done += [_add_on(cluster, each, api, progress) for each in parts.missing(cluster, api)]
    if done:
        with progress.phase(gettext("system pods")) as phase:
            running = [node for node in cluster.spec.node_names if cluster.node_running(node)]
            readiness.wait_until_ready(
                cluster.kubeconfig, cluster.spec, running, since=0, phase=phase, timeout=_TIMEOUT
            )
    return tuple(done)


def _wait_for(api: ApiServer) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while api.get("/api/v1/nodes") is None:
        if time.monotonic() > deadline:
            raise ClusterError(
                gettext("The lab could not be repaired"),
                why=gettext("the API server does not answer for {seconds:.0f} s").format(seconds=_TIMEOUT),
                fix=gettext("labkit status; labkit node logs master kubelet"),
            )
        time.sleep(_POLL_SECONDS)


def _static_pod(cluster: Cluster, lacking: Missing, progress: Progress) -> Repair:
    """Have kubeadm write a manifest anew; the kubelet starts what it finds there."""
    command = ["kubeadm", "init", "phase", *_PHASES[lacking.part], "--config", CONFIG]
    with progress.phase(lacking.part) as phase:
        _on_control_plane(cluster, command, gettext("make the manifest of {part}").format(part=lacking.part))
        said = " ".join(command)
        phase.advance(said)
    return Repair(lacking.part, lacking.what, said)


def _add_on(cluster: Cluster, lacking: Missing, api: ApiServer, progress: Progress) -> Repair:
    """Apply an add-on's manifest anew."""
    with progress.phase(lacking.part) as phase:
        printed, source = _manifest(cluster, lacking.part)
        wanted = [
            document for document in yaml.safe_load_all(printed) if document and not _set_by_learner(document, api)
        ]
        apply = ["kubectl", "apply", "--validate=false", "--filename", "-"]
        _on_control_plane(cluster, apply, gettext("apply {part}").format(part=lacking.part), stdin=dump_all(wanted))
        said = gettext("{source}, kubectl apply").format(source=source)
        phase.advance(said)
    return Repair(lacking.part, lacking.what, said)


def _manifest(cluster: Cluster, part: str) -> tuple[str, str]:
    """Return an add-on's manifest as YAML, and where it is from."""
    if part == parts.NETWORK:
        return network_addon.manifest_for(cluster), gettext("labkit's own manifest")
    return addons.manifest_of(cluster, part), " ".join(addons.print_command(part)[:5])


def _set_by_learner(document: dict[str, object], api: ApiServer) -> bool:
    """Whether a document is a ConfigMap that is there already."""
    metadata = document["metadata"]
    if document["kind"] != "ConfigMap" or not isinstance(metadata, dict):
        return False
    return api.get(f"/api/v1/namespaces/kube-system/configmaps/{metadata['name']}") is not None


def _on_control_plane(cluster: Cluster, command: Sequence[str], what: str, *, stdin: str = "") -> str:
    return run(cluster.node_command(cluster.spec.node_names[0], command), what=what, stdin=stdin, timeout=_TIMEOUT)
