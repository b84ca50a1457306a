"""The components of a real lab, as their processes, sockets and certificates tell."""

from __future__ import annotations

import pytest

from labkit.errors import UsageError
from labkit.lab import Lab, sockets

SS = """\
    1 Ss   bwrap --unshare-pid
    6 Sl   python -I -m labkit.cri
   75 Tl   kube-apiserver --etcd-certfile=/etc/kubernetes/pki/apiserver-etcd-client.crt --secure-port=6443
   86 Sl   etcd
=== labkit ===
LISTEN 0      4096   127.0.0.1:2379  0.0.0.0:* users:(("etcd",pid=86,fd=6))
LISTEN 1      4096             *:6443        *:* users:(("kube-apiserver",pid=75,fd=3))
0      0      127.0.0.1:35112                127.0.0.1:2379  users:(("kube-apiserver",pid=75,fd=65))
0      0      [::ffff:172.30.0.10]:6443 [::ffff:172.30.0.11]:42018 users:(("kube-apiserver",pid=75,fd=9))
0      0      127.0.0.1:2379                 127.0.0.1:35112 users:(("etcd",pid=86,fd=12))
0      0      172.30.0.10:22                 172.30.0.1:5000
u_str 0      0      /run/labkit/cri.sock 3695436 * 3695875 users:(("python",pid=6,fd=19))
u_str 0      0                         * 3695875 * 3695436 users:(("etcd",pid=86,fd=6))
u_str 0      0                         * 3695808 * 3695809 users:(("python",pid=6,fd=9))
u_str 0      0                         * 3695809 * 3695808 users:(("python",pid=6,fd=10))
"""


def test_sockets_are_given_to_their_processes() -> None:
    found = sockets.parse(SS)
    assert set(found) == {1, 6, 75, 86}
    assert found[75].listens == {"*:6443"}
    assert found[75].connections == {
        ("127.0.0.1:35112", "127.0.0.1:2379"),
        ("172.30.0.10:6443", "172.30.0.11:42018"),
    }
    assert found[86].connections == {("127.0.0.1:2379", "127.0.0.1:35112"), ("*", "/run/labkit/cri.sock")}
    assert found[6].listens == {"/run/labkit/cri.sock"}
    assert not found[6].connections
    assert (found[75].state, found[86].state) == ("Tl", "Sl")
    assert found[75].flag("secure-port") == "6443"
    assert not found[75].flag("secure")


@pytest.mark.cluster
def test_every_component_is_found_with_what_proves_it(lab: Lab) -> None:
    components = lab.components()
    names = {each.name for each in components.found if each.node == "node-01"}
    assert sorted(names - {"coredns"}) == ["container runtime", "kube-proxy", "kubelet", "labkit-network"]
    (server,) = components.named("kube-apiserver")
    assert "etcd" in {peer.name for peer in server.calls}
    assert server.listens == ("*:6443",)
    assert server.certificate.startswith("kube-apiserver, until 20")
    (scheduler,) = components.named("kube-scheduler")
    assert {peer.name for peer in scheduler.calls} == {"kube-apiserver"}
    assert scheduler.identity == "system:kube-scheduler"
    assert scheduler.started_by == "kubelet, from a file (static pod)"
    kubelets = {each.node: each.identity for each in components.named("kubelet")}
    assert all("container runtime" in {peer.name for peer in each.calls} for each in components.named("kubelet"))
    assert kubelets == {node.name: f"system:node:{node.name} (system:nodes)" for node in lab.nodes}
    assert {each.identity for each in components.named("coredns")} == {"system:serviceaccount:kube-system:coredns"}
    assert all(":53" in "".join(each.listens) for each in components.named("coredns"))
    assert "kube-apiserver (172.30.0.10:6443)" in components._repr_html_()
    with pytest.raises(UsageError, match="'docker'"):
        components.named("docker")
