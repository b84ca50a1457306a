"""Each exercise of notebook 02: its solution is right, and a wrong answer is explained without naming the right one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labkit.checks import pods
from labkit.errors import UsageError
from labkit.lab import Lab
from tests.notebooks import cell

pytestmark = pytest.mark.cluster

BLOG = cell("02_pods", "blog = ")["blog"]
TEMPLATE = cell("02_pods", "manifest = ")["manifest"]
READER = "  - name: reader\n"
VOLUME = "    volumeMounts: [{name: shared, mountPath: /data}]\n"
VOLUMES = "  volumes: [{name: shared, emptyDir: {}}]\n"


@pytest.fixture(scope="module", autouse=True)
def _blog(lab: Lab) -> Iterator[None]:
    lab.kubectl("apply --filename -", stdin=BLOG)
    lab.kubectl("wait --for=condition=Ready pod/blog --timeout=60s")
    yield
    lab.kubectl("delete --filename - --grace-period=1", stdin=BLOG)


def test_what_the_containers_share(lab: Lab) -> None:
    assert pods.shared(lab, "blog", None).right is None
    assert pods.shared(lab, "blog", {"net", "ipc", "uts"}).right
    wrong = pods.shared(lab, "blog", {"net", "mnt"})
    assert wrong.right is False
    assert "php is in mnt:[" in wrong.evidence[0]
    few = pods.shared(lab, "blog", "net")
    assert few.right is False
    assert "2 more" in few.why
    assert pods.shared(lab, "blog", {"disk"}).right is False


def test_how_the_neighbour_is_reached(lab: Lab) -> None:
    assert pods.reaches(lab, None).right is None
    right = pods.reaches(lab, "127.0.0.1:3306")
    assert right.right
    assert "MariaDB" in right.evidence[0]
    name = pods.reaches(lab, "mysql:3306")
    assert name.right is False
    assert "getaddrinfo" in name.evidence[0]
    assert pods.reaches(lab, "127.0.0.1").right is False
    closed = pods.reaches(lab, "127.0.0.1:3307")
    assert "refused" in closed.evidence[0]


def test_a_pod_of_ones_own(lab: Lab) -> None:
    assert pods.shares_a_file(lab, None).right is None
    alone = pods.shares_a_file(lab, TEMPLATE)
    assert alone.right is False
    assert alone.evidence[1:] == ("writer sees: no volume", "reader sees: no volume")
    solution = TEMPLATE.replace(READER, VOLUME + READER) + VOLUME + VOLUMES
    assert pods.shares_a_file(lab, solution).right
    refused = pods.shares_a_file(lab, TEMPLATE.replace(READER, VOLUME + READER))
    assert refused.right is False
    assert "volumeMounts[0].name" in "".join(refused.evidence)
    assert "pair" not in lab.kubectl("get pods")


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        ("spec: [", "That is no YAML."),
        ("hello", "That is no Pod: a Pod has spec.containers, each with a name."),
        ("spec: {containers: [{name: writer}]}", "The Pod has no container reader."),
    ],
)
def test_a_manifest_that_cannot_be_tried(lab: Lab, manifest: str, why: str) -> None:
    assert pods.shares_a_file(lab, manifest).why == why


def test_the_anatomy_of_a_pod(lab: Lab) -> None:
    anatomy = lab.anatomy("blog")
    assert [each.name for each in anatomy.inhabitants] == ["pause", "php", "mysql"]
    assert anatomy.shared() == ("net", "ipc", "uts")
    pause, php, mysql = anatomy.inhabitants
    assert pause.namespaces["net"] == php.namespaces["net"]
    assert "mariadbd" in mysql.processes[0]
    assert mysql.mounts == {"notes": "/notes"}
    drawn = anatomy.to_svg()
    assert "network: pause and php and mysql share one." in drawn
    assert "files: pause has its own; php has its own; mysql has its own." in drawn
    assert "volume notes: php and mysql share one." in drawn
    with pytest.raises(UsageError, match="'nobody'"):
        lab.anatomy("nobody")
