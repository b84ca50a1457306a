"""`kubeadm reset`: a node as it was before `kubeadm init` or `kubeadm join`."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING

from labkit.cluster import bootstrap, kubeadm
from labkit.cluster.rootless import RootlessCluster
from labkit.errors import ClusterError
from labkit.language import gettext
from labkit.node.node import CRI_SOCKET
from labkit.node.process import run
from labkit.progress import Progress

if TYPE_CHECKING:
    from labkit.lab.installation.ours import OwnCluster

_FLAGS = "var/lib/kubelet/kubeadm-flags.env"
_KUBELET_SECONDS = 15.0
_TIDY = "rm -rf /etc/cni/net.d/*"


def reset(cluster: OwnCluster, node: str, progress: Progress) -> None:
    """Run `kubeadm reset` on a node, and take away what it leaves to people.

    Its own last lines name that: the network's configuration in ``/etc/cni/net.d``.

    Parameters
    ----------
    cluster : RootlessCluster or KindCluster
        A lab's whose nodes run.
    node : str
        Which; the control plane's of a rootless lab only.
    progress : Progress
        Shows what is done.

    Raises
    ------
    ClusterError
        kubeadm failed, or the kubelet does not end.
    """
    command = ["kubeadm", "reset", "--force"]
    with progress.phase(f"kubeadm reset {node}"):
        if isinstance(cluster, RootlessCluster):
            _end_the_kubelet(cluster, node)
            command += ["--cri-socket", f"unix://{CRI_SOCKET}"]
        run(cluster.node_command(node, command), what=gettext("reset {node}").format(node=node), timeout=120.0)
        run(
            cluster.node_command(node, ["sh", "-c", _TIDY]),
            what=gettext("remove the network's configuration of {node}").format(node=node),
        )
        if isinstance(cluster, RootlessCluster) and node == cluster.spec.node_names[0]:
            shutil.rmtree(cluster.audit_log.parent, ignore_errors=True)  # the next cluster begins one of its own
            spec = cluster.respecify(network=False)
            cluster.write_init_files(kubeadm.init_documents(spec, bootstrap.new_token(), whole=True))


def _end_the_kubelet(cluster: RootlessCluster, node: str) -> None:
    """Do what kubeadm leaves to systemd, which a rootless node has not.

    Its kubelet ends when the file with its flags is gone (labkit/node/init.sh).
    """
    (cluster.node_root(node) / _FLAGS).unlink(missing_ok=True)
    deadline = time.monotonic() + _KUBELET_SECONDS
    look = cluster.node_command(node, ["pidof", "kubelet"])
    while subprocess.run(look, check=False, capture_output=True).returncode == 0:
        if time.monotonic() > deadline:
            raise ClusterError(
                gettext("The kubelet of {node} does not end").format(node=node),
                why=gettext("it still runs {seconds:.0f} s after its flags were taken away").format(
                    seconds=_KUBELET_SECONDS
                ),
                fix=gettext("labkit node stop {node}, then labkit node start {node}").format(node=node),
            )
        time.sleep(0.1)
