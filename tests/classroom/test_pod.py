"""The pod of docs/classroom/zero-to-jupyterhub.yaml: an API server takes it, and a lab runs within its very limits."""

from __future__ import annotations

import io
import json
import pwd
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from labkit.errors import ClusterError
from labkit.lab import Lab
from tests import docker_daemon
from tests.binder_image import ROOT, USER, Image, built
from tests.users import needs_root

pytestmark = pytest.mark.cluster

VALUES: Mapping[str, Any] = yaml.safe_load((ROOT / "docs/classroom/zero-to-jupyterhub.yaml").read_text())
STUDENT: Mapping[str, Any] = VALUES["singleuser"]
CONTEXT: Mapping[str, Any] = VALUES["hub"]["config"]["KubeSpawner"]["container_security_context"]
#: What each field of a container's securityContext is for `docker run`, which has the same by other names.
OPTIONS: Mapping[str, Mapping[str, list[str]]] = {
    "privileged": {"False": []},
    "allowPrivilegeEscalation": {"False": ["--security-opt=no-new-privileges"]},
    "capabilities": {"{'drop': ['ALL']}": ["--cap-drop=ALL"]},
    "seccompProfile": {"{'type': 'Unconfined'}": ["--security-opt=seccomp=unconfined"]},
    "appArmorProfile": {"{'type': 'Unconfined'}": ["--security-opt=apparmor=unconfined"]},
    "procMount": {"Unmasked": ["--security-opt=systempaths=unconfined"]},
}
#: What a student does in the first minutes.
LESSON = "labkit doctor && labkit up && labkit deploy tomcat && labkit flow tomcat && labkit down"


def pod() -> dict[str, Any]:
    """Return the pod as KubeSpawner makes it of the values, as far as they are of the pod."""
    container = {
        "name": "notebook",
        "image": f"{STUDENT['image']['name']}:{STUDENT['image']['tag']}",
        "securityContext": CONTEXT,
        "resources": {
            "requests": {"memory": STUDENT["memory"]["guarantee"], "cpu": STUDENT["cpu"]["guarantee"]},
            "limits": {"memory": STUDENT["memory"]["limit"], "cpu": STUDENT["cpu"]["limit"]},
        },
    }
    spec = {**STUDENT["extraPodConfig"], "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "student"}, "spec": spec}


CREATE = ["create", "--dry-run=server", "--validate=strict", "--output=json", "--filename=-"]


def test_an_api_server_takes_the_pod_and_drops_nothing_of_it(lab: Lab) -> None:
    stored = json.loads(lab.kubectl(CREATE, stdin=json.dumps(pod())))["spec"]
    assert stored["hostUsers"] is False
    assert stored["containers"][0]["securityContext"] == CONTEXT


def test_the_level_baseline_of_pod_security_refuses_it(lab: Lab) -> None:
    lab.kubectl("create namespace fenced")
    try:
        lab.kubectl("label namespace fenced pod-security.kubernetes.io/enforce=baseline")
        with pytest.raises(ClusterError, match="seccompProfile"):
            lab.kubectl([*CREATE, "--namespace=fenced"], stdin=json.dumps(pod()))
    finally:
        lab.kubectl("delete namespace fenced --wait=false")


@dataclass(frozen=True)
class Container:
    """Runs programs within a pod's limits, in what repo2docker makes of the repository."""

    image: Image

    def run(self, context: Mapping[str, Any], *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program; it has this machine's programs and libraries, and the image's home and environment."""
        user = pwd.getpwnam(USER)  # who is 1000 in the image
        assert (context["runAsUser"], context["runAsGroup"]) == (1000, 1000)
        limits = [f"--memory={STUDENT['memory']['limit']}", f"--cpus={STUDENT['cpu']['limit']}"]
        for name, value in context.items():
            if not name.startswith("runAs"):
                limits += OPTIONS[name][str(value)]
        mounts = ["/usr:/usr:ro", f"{self.image.home}:{self.image.home}", f"{self.image.venv}:{self.image.venv}:ro"]
        # The labs lie in the container's own file system, an overlay: nothing else lets less be mounted.
        variables = {**self.image.variables, "LABKIT_STATE": "/tmp/labkit"}  # noqa: S108 - the container's
        return subprocess.run(
            [
                *("docker", "run", "--rm", "--network=none", f"--user={user.pw_uid}:{user.pw_gid}", *limits),
                *(f"--volume={mount}" for mount in mounts),
                *(f"--env={name}={value}" for name, value in variables.items()),
                *(f"--workdir={self.image.home}", "student", *words),
            ],
            capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip


@pytest.fixture(scope="module")
def container() -> Iterator[Container]:
    if why := docker_daemon.missing():
        pytest.skip(why)
    with built() as image, docker_daemon.running():
        subprocess.run(["docker", "import", "-", "student"], input=_system(), check=True, capture_output=True)
        yield Container(image)
        subprocess.run(["docker", "rmi", "--force", "student"], check=True, capture_output=True)


def _system() -> bytes:
    """Return this machine's /etc, and the links at the root that lead to /usr."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(Path("/").iterdir()):
            if path.is_symlink() and path.readlink().parts[0] == "usr":
                archive.add(path)
        archive.add("/etc", filter=lambda entry: None if "shadow" in entry.name or "private" in entry.name else entry)
        tmp = tarfile.TarInfo("tmp")
        tmp.type, tmp.mode = tarfile.DIRTYPE, 0o1777
        archive.addfile(tmp)
    return packed.getvalue()


@needs_root
@pytest.mark.kind
@pytest.mark.timeout(600)
def test_a_lab_runs_within_the_pods_limits(container: Container) -> None:
    done = container.run(CONTEXT, "sh", "-c", LESSON)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "create deployment tomcat" in done.stdout
    assert "observed" in done.stdout


@needs_root
@pytest.mark.kind
@pytest.mark.parametrize(("fence", "told"), [("seccompProfile", "seccomp"), ("procMount", "/proc")])
def test_with_a_fence_left_on_doctor_says_what_is_in_the_way(container: Container, fence: str, told: str) -> None:
    done = container.run({name: value for name, value in CONTEXT.items() if name != fence}, "labkit", "doctor")
    assert done.returncode != 0
    assert told in done.stdout
