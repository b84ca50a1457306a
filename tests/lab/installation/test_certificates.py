"""The certificates of a real lab: read, compared with kubeadm's own list, opened, renewed, expired."""

from __future__ import annotations

import json
import re

import pytest

from labkit.errors import UsageError
from labkit.lab import Lab
from labkit.views import figure
from tests.cli.command import here

pytestmark = pytest.mark.cluster


def test_they_are_those_that_kubeadm_lists_and_the_kubelets_own(lab: Lab) -> None:
    found = lab.certificates.read()
    kubeadm = {
        name: (authority, ends)
        for name, ends, authority in re.findall(
            r"^(\S+) +(\w+ \d+, \d+ \d+:\d+) UTC +\w+ +(\S+)? +no", lab.certificates.check_expiration(), re.MULTILINE
        )
    }
    assert len(kubeadm) == 14
    for name, (authority, ends) in kubeadm.items():
        assert f"{found[name].ends:%b %d, %Y %H:%M}" == ends
        assert found[name].signed_by == (authority if authority not in {"", "no"} else name)
    nodes = [node.name for node in lab.nodes]
    assert {each.name for each in found.found} - set(kubeadm) == {
        f"{kind}@{node}" for kind in ("kubelet.conf", "kubelet-server", "kubelet-ca") for node in nodes
    }
    for node in nodes:
        assert f"{node}:/etc/kubernetes/pki/ca.crt" in found["ca"].paths
        assert found[f"kubelet.conf@{node}"].who == f"system:node:{node} (system:nodes)"
    assert {"kubernetes.default.svc", lab.nodes[0].address, "127.0.0.1"} <= set(found["apiserver"].names)
    assert all(each.private for each in found.found)
    with pytest.raises(UsageError, match="There is no certificate 'nothing'"):
        found["nothing"]


def test_a_key_that_others_can_read_is_told_and_none_is_shown(lab: Lab) -> None:
    key = "/etc/kubernetes/pki/apiserver.key"
    lab.nodes[0].exec(["chmod", "0644", key])
    try:
        found = lab.certificates.read()
    finally:
        lab.nodes[0].exec(["chmod", "0600", key])
    assert "keys that others can read: apiserver" in found.caption()
    assert "0644" in repr(found)
    assert "PRIVATE KEY" not in repr(found._repr_html_() + repr(lab.certificates._files()))


def test_the_graph_and_the_picture_have_all_of_them(lab: Lab) -> None:
    found = lab.certificates.read()
    graph = found.graph()
    assert set(graph.successors("etcd-ca")) == {
        *("apiserver-etcd-client", "etcd-healthcheck-client", "etcd-peer", "etcd-server"),
    }
    assert graph.in_degree("ca") == 0
    drawn = found.to_svg()
    assert all(f'data-name="{each.name}"' in drawn for each in found.found)
    assert "etcd-server (master), signed by etcd-ca" in drawn
    assert figure.paint(found.scene()).axes


def test_what_each_kubeconfig_may_do_is_the_api_servers_answer(lab: Lab) -> None:
    opened = {each.name: each for each in lab.certificates.kubeconfigs().found}
    rights = {name: {right.what: right for right in each.rights} for name, each in opened.items()}
    assert opened["admin.conf"].bindings == ("cluster-admin, by kubeadm:cluster-admins",)
    assert all(right.allowed for right in rights["admin.conf"].values())
    assert rights["super-admin.conf"]["read every Secret"].why.startswith("system:masters may do everything")
    assert rights["scheduler.conf"]["choose a Pod's node"].allowed
    assert not rights["scheduler.conf"]["read every Secret"].allowed
    node = rights["kubelet.conf@node-01"]
    assert node["report the node's state"].why.startswith("the node authorizer")
    assert not node["delete the node"].allowed
    assert {each.mode for each in opened.values()} == {0o600}


def test_a_renewed_certificate_is_served_and_an_authority_is_not_renewed(lab: Lab) -> None:
    before = lab.certificates.read()["apiserver"].serial
    renewed = lab.certificates.renew("apiserver")
    old, new = renewed.files
    assert old.serial == before != new.serial
    assert [each.serial for each in renewed.served] == [old.serial, new.serial], "the API server reads the file anew"
    assert lab.certificates.read()["apiserver"].serial == new.serial
    with pytest.raises(UsageError, match="kubeadm does not renew 'ca'"):
        lab.certificates.renew("ca")


def test_a_client_certificate_is_refused_after_its_end(lab: Lab) -> None:
    expired = lab.certificates.expire()
    (_, before), (_, after) = expired.asked
    assert json.loads(before)["username"] == "short-lived"
    assert "Unauthorized" in after
    assert "certificate has expired" in expired.logged


def test_the_textbooks_kubeconfig_works_and_is_the_owners_alone(lab: Lab) -> None:
    without, *done, last = lab.copy_kubeconfig().steps
    assert not without.worked
    assert "localhost:8080 was refused" in without.printed
    assert all(step.worked for step in done)
    assert done[-1].printed == "600"
    assert all(node.name in last.printed for node in lab.nodes)


def test_the_commands(lab: Lab) -> None:
    listed = json.loads(here("certs", "--json", LABKIT_NAME=lab.name).stdout)
    assert {each["name"] for each in listed} == {each.name for each in lab.certificates.read().found}
    assert "signed by" in here("certs", LABKIT_NAME=lab.name).stdout.lower()
    renewed = here("certs", "renew", "etcd-healthcheck-client", LABKIT_NAME=lab.name)
    assert renewed.exit_code == 0, renewed.output
    assert "no process holds it" in renewed.stdout
    pods = json.loads(here("static-pods", "--json", LABKIT_NAME=lab.name).stdout)
    assert [each["name"] for each in pods] == ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]
    assert all(each["pid"] and each["uid"] and each["mode"] == "0600" for each in pods)
