"""Each exercise of notebook 05: its solution is right, and a wrong answer is explained without naming the right one."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from labkit.checks import controllers
from labkit.checks.healing import DELETED, KILLED
from labkit.lab import Lab
from tests import traces
from tests.notebooks import cell

pytestmark = pytest.mark.cluster

WEB = (
    cell("05_controllers", "web = ")["web"]
    .replace("replicas: 2", "replicas: 3")
    .replace("ReadySeconds: 2", "ReadySeconds: 0")
)
SOLUTION = {KILLED: "kubelet", DELETED: "replicaset-controller"}
TIGHT = {"spec": {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}}}


@pytest.fixture(scope="module", autouse=True)
def _web(lab: Lab) -> Iterator[None]:
    lab.kubectl("apply --filename -", stdin=WEB)
    _settle(lab, "web")
    yield
    lab.kubectl("delete deployment web keep --ignore-not-found")
    lab.kubectl("delete pods --selector app=aside --grace-period=1")
    lab.kubectl("wait pods --selector app --for=delete --timeout=60s")


def test_who_heals(lab: Lab) -> None:
    assert controllers.healed(lab, "web", None).right is None
    assert "has not happened yet" in controllers.healed(lab, "web", SOLUTION).why
    killed, deleted = _pods(lab)[:2]
    kill = "(sleep 0.2; kill -9 $(pgrep -o nginx)) > /dev/null 2>&1 &"
    lab.kubectl(["exec", killed, "--", "sh", "-c", kill])
    lab.kubectl(f"delete pod {deleted}")
    lab.kubectl(["wait", "--for=jsonpath={.status.containerStatuses[0].restartCount}=1", f"pod/{killed}"])
    _settle(lab, "web")
    right = controllers.healed(lab, "web", SOLUTION)
    assert right.right
    assert "exit code 137" in right.evidence[0]
    wrong = controllers.healed(lab, "web", {KILLED: "replicaset-controller", DELETED: "kube-scheduler"})
    assert wrong.right is False
    assert f"replicaset-controller wrote about pod {killed}: nothing" in wrong.evidence
    assert "create pods/binding" in wrong.evidence[-1]
    assert "kubelet" not in repr(wrong)
    swapped = controllers.healed(lab, "web", {KILLED: "kubelet", DELETED: "kubelet"})
    assert swapped.why.startswith("1 of your 2")
    assert "patch pods/status" in swapped.evidence[-1]
    assert "replicaset-controller" not in repr(swapped)
    assert "'docker' is none of these" in controllers.healed(lab, "web", {KILLED: "docker", DELETED: "kubelet"}).why


def test_a_pod_is_taken_out(lab: Lab) -> None:
    whole = controllers.taken_out(lab, "web")
    assert whole.right is False
    assert "app=web" in whole.evidence[0]
    assert "owned by web-" in whole.evidence[1]
    pod = _pods(lab)[0]
    lab.kubectl(f"label pod {pod} app=aside --overwrite")
    _settle(lab, "web")
    right = controllers.taken_out(lab, "web")
    assert right.right
    assert "app=aside" in right.evidence[-1]
    assert right.evidence[-1].endswith("owned by nobody")
    free = [each for each in lab.owners().objects if not each.owner and each.kind == "Pod"]
    assert [each.name for each in free] == [pod]
    assert free[0].told.startswith("no owner · Running, ready")
    assert controllers.taken_out(lab, "nobody").right is None


def test_an_update_within_limits(lab: Lab) -> None:
    limits = {"most": 3, "least": 2}
    assert controllers.updated_within(lab, "nobody", **limits).right is None
    assert controllers.updated_within(lab, "web", **limits).right is None
    lab.kubectl("set image deployment/web web=nginx:1.28")
    assert "still on its way" in controllers.updated_within(lab, "web", **limits).why
    _settle(lab, "web")
    surged = controllers.updated_within(lab, "web", **limits)
    assert surged.right is False
    assert surged.why.endswith("there were 4 pods.")
    assert surged.evidence[0].count("(ready)") == 3
    assert "maxSurge 25%" in surged.evidence[1]
    assert "maxSurge 0" not in repr(surged)
    lab.kubectl(["patch", "deployment", "web", "--patch", json.dumps(TIGHT)])
    lab.kubectl("set image deployment/web web=nginx:1.29")
    _settle(lab, "web")
    kept = controllers.updated_within(lab, "web", **limits)
    assert kept.right
    briefly = any(count.alive > 3 for count in lab.rollout("web", action="update").rollout.counts())
    assert ("only for a moment" if briefly else "never had more") in kept.why
    assert "is to have 2 pods" in controllers.updated_within(lab, "web", most=2, least=2).why


def test_pods_with_a_new_owner(lab: Lab) -> None:
    lab.kubectl("create deployment keep --image=labkit/standin --replicas=2")
    _settle(lab, "keep")
    own = controllers.adopted(lab, "keep")
    assert own.right is False
    assert "2 of its 2 pods" in own.why
    assert "replica" not in repr(own)
    lab.kubectl("delete deployment keep --cascade=orphan")
    orphans = controllers.adopted(lab, "keep")
    assert orphans.right is None
    assert len(orphans.evidence) == 2
    seen = {each.kind: each for each in lab.owners().objects if each.name.startswith("keep-")}
    assert seen["ReplicaSet"].owner == ""
    assert seen["Pod"].owner == seen["ReplicaSet"].uid
    lab.kubectl("create deployment keep --image=labkit/standin --replicas=2")
    _settle(lab, "keep")
    assert controllers.adopted(lab, "keep").right


def test_an_update_that_is_taken_back(lab: Lab) -> None:
    lab.kubectl("rollout undo deployment web")
    _settle(lab, "web")
    undone = lab.rollout("web")
    assert undone.rollout.action == "update deployment web to nginx:1.28"
    assert [version.revision for version in undone.rollout.versions] == ["4", "3"]
    assert undone.rollout.counts()[-1].ready == 3


def _settle(lab: Lab, deployment: str) -> None:
    """Wait until all its pods are ready, and it says so: for a moment, a status may be that of before."""
    lab.kubectl(f"rollout status deployment {deployment} --timeout=60s")
    replicas = lab.kubectl(f"get deployment {deployment} --output jsonpath={{.spec.replicas}}")
    says = f"get deployment {deployment} --output jsonpath={{.status.readyReplicas}}"
    conditions = '{.items[*].status.conditions[?(@.type=="Ready")].status}'
    pods = ["get", "pods", "--selector", f"app={deployment}", "--output", f"jsonpath={conditions}"]
    ready = ["True"] * int(replicas)
    traces.eventually(lambda: lab.kubectl(pods).split() == ready and lab.kubectl(says) == replicas, 30)


def _pods(lab: Lab) -> list[str]:
    return lab.kubectl("get pods --selector app=web --output jsonpath={.items[*].metadata.name}").split()
