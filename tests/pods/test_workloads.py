"""What controllers make of pods: deployments, jobs, daemon sets, stateful sets, pods on a node's own network."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes.client import AppsV1Api, BatchV1Api

from tests import traces
from tests.pods.space import Manifest, Space, container, pod, service, workload

pytestmark = pytest.mark.cluster

LONG = "sleep 1000"
NODES = ("master", "node-01", "node-02")


@pytest.fixture(scope="module", autouse=True)
def _objects(space: Space) -> None:
    everywhere = [{"operator": "Exists"}]
    at_once: Any = {"replicas": 3, "strategy": {"rollingUpdate": {"maxSurge": "100%"}}}
    ordered: Any = {"replicas": 2, "serviceName": "member"}
    space.create(
        workload("Deployment", "standins", at_once, container("main", image="labkit/standin")),
        workload("DaemonSet", "agent", {}, container("main", LONG), tolerations=everywhere),
        workload("StatefulSet", "member", ordered, container("main", LONG)),
        service("member", "member", 80, 80, clusterIP="None"),
        _job("sum", {"completions": 3, "parallelism": 2}, "echo $((40 + 2))"),
        _job("hopeless", {"backoffLimit": 1, "podReplacementPolicy": "Failed"}, "exit 1"),
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": "nightly"},
            "spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": _job("x", {}, "echo by hand")["spec"]}},
        },
        pod("on-host", container("main", LONG), hostNetwork=True, nodeName="node-02"),
        pod("host-port", container("main", image="labkit/standin", ports=[{"containerPort": 8080, "hostPort": 8088}])),
        pod("nowhere", container("main", LONG), nodeSelector={"no": "such"}),
    )


def _job(name: str, spec: Manifest, script: str) -> Manifest:
    template = {"spec": {"restartPolicy": "Never", "containers": [container("main", script)]}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {**spec, "template": template}}


def test_daemon_set_has_a_pod_on_each_node(space: Space) -> None:
    space.kubectl("rollout", "status", "daemonset/agent", "--timeout=60s")
    assert sorted(found.spec.node_name for found in space.pods("app=agent")) == sorted(NODES)


def test_stateful_set_has_stable_names(space: Space) -> None:
    space.kubectl("rollout", "status", "statefulset/member", "--timeout=60s")
    assert space.exec("member-1", "hostname") == "member-1\n"
    before = space.pod("member-0")
    assert before.metadata.creation_timestamp <= space.pod("member-1").metadata.creation_timestamp
    space.kubectl("delete", "pod", "member-0")
    traces.eventually(lambda: _replaced(space, "member-0", before.metadata.uid), 60)
    space.until_ready("member-0")


def _replaced(space: Space, name: str, uid: str) -> bool:
    return any(found.metadata.name == name and found.metadata.uid != uid for found in space.pods())


def test_stateful_sets_pods_have_names_in_dns(space: Space) -> None:
    space.until_ready("member-0", "member-1")
    address = space.pod("member-0").status.pod_ip
    full = f"member-0.member.{space.name}.svc.cluster.local"

    def known() -> bool:
        answer = space.run("exec", "member-1", "--", "nslookup", "-type=A", full)
        return address in answer.stdout

    traces.eventually(known, 40)


def test_deployment_replaces_a_pod_that_is_deleted(space: Space) -> None:
    space.kubectl("rollout", "status", "deployment/standins", "--timeout=60s")
    gone = space.pods("app=standins")[0].metadata.name
    space.kubectl("delete", "pod", gone, "--wait=false")

    def three_others() -> bool:
        ready = [each.metadata.name for each in space.pods("app=standins") if not each.metadata.deletion_timestamp]
        return len(ready) == 3 and gone not in ready

    traces.eventually(three_others, 30)
    space.kubectl("rollout", "status", "deployment/standins", "--timeout=60s")


def test_rolling_update_and_undo(space: Space) -> None:
    deployments = AppsV1Api(space.lab.api)
    space.kubectl("set", "env", "deployment/standins", "COLOUR=blue")
    space.kubectl("rollout", "status", "deployment/standins", "--timeout=60s")
    assert space.kubectl("exec", "deployment/standins", "--", "sh", "-c", "echo $COLOUR") == "blue"
    space.kubectl("rollout", "undo", "deployment/standins")
    space.kubectl("rollout", "status", "deployment/standins", "--timeout=60s")
    template = deployments.read_namespaced_deployment("standins", space.name).spec.template
    assert template.spec.containers[0].env is None


def test_scaling_down_to_nothing(space: Space) -> None:
    space.kubectl("scale", "deployment/standins", "--replicas=0")
    traces.eventually(lambda: not space.pods("app=standins"), 60)


def test_host_network(space: Space) -> None:
    space.until_ready("on-host")
    node = space.lab.nodes["node-02"]
    assert space.pod("on-host").status.pod_ip == node.address
    assert node.address in space.exec("on-host", "ip addr")
    assert space.exec("on-host", "hostname") == "node-02\n"
    found = space.exec("on-host", "wget -qO- http://127.0.0.1:10248/healthz")  # the node's kubelet
    assert found == "ok"


def test_host_port(space: Space) -> None:
    space.until_ready("host-port")
    found = space.pod("host-port")
    other = next(node for node in space.lab.nodes if node.name != found.spec.node_name)
    page = other.exec(f"timeout 10 busybox wget -qO- http://{found.status.host_ip}:8088")
    assert page.startswith("pod host-port, ")


def test_pod_that_fits_nowhere_says_why(space: Space) -> None:
    traces.eventually(lambda: space.pod("nowhere").status.conditions, 30)
    condition = space.pod("nowhere").status.conditions[0]
    assert condition.reason == "Unschedulable"
    assert condition.message.startswith("0/3 nodes are available")


def test_node_describes_itself(space: Space) -> None:
    said = space.kubectl("describe", "node", "node-01")
    assert "labkit://" in said  # its container runtime
    assert "v1.34.3" in said


def test_top_is_not_available(space: Space) -> None:
    for what in ("nodes", "pods"):
        done = space.run("top", what)
        assert done.returncode == 1
        assert "Metrics API not available" in done.stderr


def test_job_completes(space: Space) -> None:
    jobs = BatchV1Api(space.lab.api)
    traces.eventually(lambda: jobs.read_namespaced_job("sum", space.name).status.completion_time, 60)
    assert jobs.read_namespaced_job("sum", space.name).status.succeeded == 3
    logs = space.kubectl("logs", "--selector=batch.kubernetes.io/job-name=sum")
    assert logs.split() == ["42"] * 3


def test_job_of_a_cron_job(space: Space) -> None:
    space.kubectl("create", "job", "now", "--from=cronjob/nightly")
    space.kubectl("wait", "--for=condition=Complete", "--timeout=60s", "job/now")
    assert space.kubectl("logs", "job/now") == "by hand"


def test_job_that_fails_gives_up(space: Space) -> None:
    jobs = BatchV1Api(space.lab.api)

    def failed() -> bool:
        conditions = jobs.read_namespaced_job("hopeless", space.name).status.conditions or []
        return any(each.type == "Failed" and each.reason == "BackoffLimitExceeded" for each in conditions)

    traces.eventually(failed, 60)
