"""What a learner does wrong, or to the cluster itself: it is told what happened, and it can be put right."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from labkit import paths
from labkit.errors import ClusterError, PreflightError
from labkit.lab import Lab
from labkit.progress import Progress
from tests import traces

pytestmark = pytest.mark.cluster

#: No file can be made below it, not even by root.
UNWRITABLE = "/proc"
IN_A_NOTEBOOK = """
import sys
import labkit
lab = labkit.attach(sys.argv[1])
print(lab.kubectl("get nodes --output name"))
print(lab.nodes[0].exec("hostname"))
print(lab.deploy_panel("nobody").still_text())
"""


@pytest.fixture
def name(lab: Lab) -> Iterator[str]:
    """A deployment's name; what is called so is removed in the end."""
    yield "typo"
    lab.kubectl("delete deployment,service typo --ignore-not-found")


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("kind: [", "yaml"),
        ("spec: {}", "kind"),
        ("{apiVersion: v1, kind: Pod, metadata: {name: typo}, spec: {contaners: []}}", "contaners"),
    ],
)
def test_a_broken_manifest_is_refused_and_says_where(lab: Lab, manifest: str, words: str) -> None:
    with pytest.raises(ClusterError) as caught:
        lab.kubectl("apply --filename -", stdin=manifest)
    assert words in caught.value.why
    assert "typo" not in lab.kubectl("get pods --output name")


def test_a_wrong_image_is_told_with_those_that_there_are_and_can_be_changed(lab: Lab, name: str) -> None:
    with pytest.raises(ClusterError) as caught:
        lab.deploy(name, image="ngnix", progress=Progress())
    assert "ErrImagePull" in caught.value.what
    assert "nginx" in caught.value.why
    assert "describe pod typo-" in caught.value.fix
    lab.kubectl(f"set image deployment/{name} ngnix=nginx")
    lab.deploy(name, image="nginx", progress=Progress())
    assert lab.kubectl(f"get deployment {name} --output jsonpath={{.status.readyReplicas}}") == "1"


def test_deleted_system_pods_are_made_anew_and_it_is_seen_by_whom(lab: Lab) -> None:
    before = _system_pods(lab)
    proxy = next(each for each in before if each.startswith("kube-proxy-"))
    lab.kubectl(["delete", "pod", proxy, "kube-scheduler-master", "--namespace=kube-system", "--wait=false"])
    traces.eventually(lambda: _whole(lab, before, proxy), timeout=60)
    makers = {hop.source.name for hop in lab.flow(f"pod/{proxy}", "kube-system").hops}
    assert "daemon-set-controller" in makers


def _whole(lab: Lab, before: dict[str, str], gone: str) -> bool:
    """Whether all is there again that was, and the pod that was deleted is another now."""
    now = _system_pods(lab)
    mirror = "kube-scheduler-master"
    made = gone not in now and now.get(mirror) not in {None, before[mirror]}
    components = {component.name: component.state for node in lab.status().nodes for component in node.components}
    return made and len(now) == len(before) and set(components.values()) == {"running"}


def _system_pods(lab: Lab) -> dict[str, str]:
    """Return the uid of each pod that is there to stay."""
    with lab.api_server() as api:
        found: list[dict[str, Any]] = (api.get("/api/v1/namespaces/kube-system/pods") or {"items": []})["items"]
    staying = (pod["metadata"] for pod in found if "deletionTimestamp" not in pod["metadata"])
    return {metadata["name"]: metadata["uid"] for metadata in staying}


def test_a_home_that_cannot_be_written(lab: Lab) -> None:
    done = _at_home_in(UNWRITABLE, "-c", IN_A_NOTEBOOK, lab.name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:4] == ["node/master", "node/node-01", "node/node-02", "master"]
    assert "There is no deployment nobody." in done.stdout
    refused = _at_home_in(UNWRITABLE, "-m", "labkit", "up", "--name", "none", without="LABKIT_STATE")
    assert refused.returncode == PreflightError.exit_code
    assert "LABKIT_STATE" in refused.stderr
    assert "Traceback" not in refused.stderr


def _at_home_in(folder: str, *arguments: str, without: str = "") -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if key != without and not key.startswith("XDG_")}
    environment = {**kept, "HOME": folder, "LABKIT_CACHE": str(paths.cache_dir())}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
