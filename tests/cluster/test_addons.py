from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from kubernetes.client import (
    AuthorizationV1Api,
    V1ResourceAttributes,
    V1SubjectAccessReview,
    V1SubjectAccessReviewSpec,
)

from labkit import components
from labkit.cluster import addons, kubeadm
from labkit.cluster.spec import LabSpec
from labkit.lab import Lab


@pytest.fixture(scope="module", params=[addons.COREDNS, addons.KUBE_PROXY])
def printed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What kubeadm itself prints of an add-on."""
    config: Path = tmp_path_factory.mktemp("add-on") / "init.yaml"
    documents = kubeadm.init_documents(LabSpec(), "abcdef.0123456789abcdef")
    config.write_text(documents.replace(kubeadm.PATCHES, str(config.parent)))
    command = addons.print_command(request.param)
    program, *arguments = [str(config) if word == kubeadm.CONFIG else word for word in command]
    return subprocess.check_output([components.ensure().program(program), *arguments], text=True)


def test_nothing_of_kubeadms_manifest_is_lost(printed: str) -> None:
    expected = [d for d in yaml.safe_load_all(printed[printed.index("apiVersion:") :]) if d]
    found = list(yaml.safe_load_all(addons.manifest(printed)))
    assert len(found) == len(expected) > 4
    assert all(document in found for document in expected)


def test_the_workload_comes_after_what_its_pods_need(printed: str) -> None:
    kinds = [document["kind"] for document in yaml.safe_load_all(addons.manifest(printed))]
    assert kinds[-1] in {"Deployment", "DaemonSet"}
    assert "ServiceAccount" in kinds[:-1]


@pytest.mark.cluster
def test_a_node_may_read_what_the_add_ons_mount_before_it_is_known_to_run_them_and_nothing_else(lab: Lab) -> None:
    def may(resource: str, name: str) -> bool:
        attributes = V1ResourceAttributes(namespace="kube-system", verb="list", resource=resource, name=name)
        spec = V1SubjectAccessReviewSpec(
            user="system:node:elsewhere", groups=["system:nodes"], resource_attributes=attributes
        )
        review = AuthorizationV1Api(lab.api).create_subject_access_review(V1SubjectAccessReview(spec=spec))
        return bool(review.status.allowed)

    mounted = ("coredns", "kube-proxy", "kube-root-ca.crt")
    assert all(may("configmaps", name) for name in mounted)
    assert not may("configmaps", "kubeadm-config")
    assert not any(may("secrets", name) for name in mounted)
