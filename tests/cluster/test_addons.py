from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from labkit import components
from labkit.cluster import addons, kubeadm
from labkit.cluster.spec import LabSpec


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
