"""From the first init container to the last signal: order, restarts, probes, hooks and ends."""

from __future__ import annotations

from typing import Any

import pytest

from tests import traces
from tests.pods.space import Manifest, Space, container, pod

pytestmark = pytest.mark.cluster

LONG = "sleep 1000"
KEPT = "labkit.test/kept"  # a finalizer: the pod's status can still be read when its containers have ended

WATCHFUL = {"periodSeconds": 1, "failureThreshold": 1}
# The program counts its starts in a volume; only from the second start on is it as the probe wants it.
COUNT = "n=$(($(cat /count/n 2>/dev/null) + 1)); echo $n >/count/n; "
HEALS: dict[str, tuple[str, Manifest]] = {
    "exec": (COUNT + "[ $n = 1 ] || touch /ok; " + LONG, {"exec": {"command": ["test", "-e", "/ok"]}}),
    "http": (
        COUNT + "mkdir /www; [ $n = 1 ] || touch /www/ok; exec httpd -f -p 8080 -h /www",
        {"httpGet": {"path": "/ok", "port": 8080}, "initialDelaySeconds": 1},
    ),
    "tcp": (
        COUNT + "[ $n = 1 ] && " + LONG + "; exec httpd -f -p 8080",
        {"tcpSocket": {"port": 8080}, "initialDelaySeconds": 1},
    ),
}
READY: dict[str, tuple[str, Manifest]] = {
    "exec": (LONG, {"exec": {"command": ["test", "-e", "/ok"]}}),
    "http": ("mkdir /www; exec httpd -f -p 8080 -h /www", {"httpGet": {"path": "/ok", "port": 8080}}),
    "tcp": (LONG, {"tcpSocket": {"port": 8080}}),
}
MAKE_READY = {"exec": "touch /ok", "http": "touch /www/ok", "tcp": "httpd -p 8080"}


@pytest.fixture(scope="module", autouse=True)
def _pods(space: Space) -> None:
    space.create(*_starting(), *_ending(), *_probed(), *_stopped())


def _starting() -> list[Manifest]:
    """Init containers and restart policies."""
    log = {"volumeMounts": [{"name": "log", "mountPath": "/log"}]}
    volumes = [{"name": "log", "emptyDir": {}}]
    initial = [
        container("first", "test ! -e /log/all; echo first >>/log/all", **log),
        container("second", "echo second >>/log/all", **log),
    ]
    once = [{"name": "once", "emptyDir": {}}]
    at_last = "[ -e /once/more ] && exit 0; touch /once/more; exit 5"
    mount = {"volumeMounts": [{"name": "once", "mountPath": "/once"}]}
    return [
        pod("ordered", container("main", f"echo main >>/log/all; {LONG}", **log),
            initContainers=initial, volumes=volumes),
        pod("init-fails", container("main", LONG), restartPolicy="Never",
            initContainers=[container("breaks", "exit 4"), container("never", "exit 0")]),
        pod("init-retried", container("main", LONG), volumes=once,
            initContainers=[container("first", at_last, **mount)]),
        pod("sidecar", container("main", "wget -qO- http://localhost:8000/"), restartPolicy="Never",
            initContainers=[container("server", "mkdir /w; echo sidecar >/w/index.html; exec httpd -f -p 8000 -h /w",
                                      restartPolicy="Always",
                                      startupProbe={"tcpSocket": {"port": 8000}, "periodSeconds": 1})]),
        pod("always", container("main", "exit 0"), restartPolicy="Always"),
        pod("on-failure", container("main", at_last, **mount), restartPolicy="OnFailure", volumes=once),
        pod("never", container("main", "exit 3"), restartPolicy="Never"),
        pod("succeeds", container("main", "exit 0"), container("other", "sleep 1"), restartPolicy="Never"),
    ]  # fmt: skip


def _ending() -> list[Manifest]:
    """Programs that end in every way."""
    never: Any = {"restartPolicy": "Never"}
    fallback = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    return [
        pod("message", container("main", "printf 'all is done' >/dev/termination-log"), **never),
        pod("own-message", container("main", "echo here >/run/end", terminationMessagePath="/run/end"), **never),
        pod("log-message", container("main", "echo the last line; exit 1", **fallback), **never),
        pod("killed", container("main", "sh -c 'kill -KILL $PPID'; sleep 5"), **never),
        pod("crashed", container("main", "sh -c 'kill -SEGV $PPID'; sleep 5"), **never),
        pod("no-program", container("main", command=["/no/such/program"]), **never),
        pod("orphan", container("main", "sleep 1000 & exit 6"), **never),
        pod("deadline", container("main", LONG), activeDeadlineSeconds=1, **never),
    ]


def _probed() -> list[Manifest]:
    """Programs with probes."""
    volume = [{"name": "count", "emptyDir": {}}]
    mount = [{"name": "count", "mountPath": "/count"}]
    alive = [
        pod(f"alive-{kind}", container("main", script, livenessProbe={**probe, **WATCHFUL}, volumeMounts=mount),
            volumes=volume)
        for kind, (script, probe) in HEALS.items()
    ]  # fmt: skip
    ready = [
        pod(f"ready-{kind}", container("main", script, readinessProbe={**probe, **WATCHFUL}))
        for kind, (script, probe) in READY.items()
    ]
    slow: Any = {"exec": {"command": ["sleep", "5"]}, "timeoutSeconds": 1}
    hangs = container("main", LONG, readinessProbe={**slow, **WATCHFUL})
    return [*alive, *ready, pod("ready-hangs", hangs)]


def _stopped() -> list[Manifest]:
    """Programs that are asked to end."""
    says = "printf '%s' \"$1\" >/dev/termination-log"
    wait = "while :; do sleep 0.1; done"
    hook = {"preStop": {"exec": {"command": ["touch", "/hooked"]}}}
    started = {"postStart": {"exec": {"command": ["touch", "/started"]}}}
    http = {"preStop": {"httpGet": {"path": "/cgi-bin/stop", "port": 8080}}}
    cgi = "mkdir -p /w/cgi-bin; printf '#!/bin/sh\\nprintf stopped >/dev/termination-log\\necho; echo' >/w/cgi-bin/stop"
    kept = [
        pod("asked", container("main", f"say() {{ {says}; }}; trap 'say asked; exit 9' TERM; {wait}"),
            terminationGracePeriodSeconds=30),
        pod("stubborn", container("main", f"trap '' TERM; {wait}"), terminationGracePeriodSeconds=2),
        pod("hooked", container("main", f"say() {{ {says}; }}; trap 'say \"$(ls /hooked)\"; exit 0' TERM; {wait}",
                                lifecycle=hook), terminationGracePeriodSeconds=30),
        pod("hooked-http", container("main", f"{cgi}; chmod +x /w/cgi-bin/stop; exec httpd -f -p 8080 -h /w",
                                     lifecycle=http)),
    ]  # fmt: skip
    for each in kept:
        each["metadata"]["finalizers"] = [KEPT]
    return [*kept, pod("post-start", container("main", LONG, lifecycle=started))]


def test_init_containers_run_in_order_before_the_others(space: Space) -> None:
    space.until_ready("ordered")
    assert space.exec("ordered", "cat /log/all").split() == ["first", "second", "main"]


def test_failing_init_container_fails_the_pod(space: Space) -> None:
    assert space.terminated("init-fails/breaks").exit_code == 4
    traces.eventually(lambda: space.pod("init-fails").status.phase == "Failed", 20)
    for name in ("never", "main"):
        status = space.status(f"init-fails/{name}")
        assert status.state.waiting.reason == "PodInitializing"


def test_sidecar_runs_before_and_ends_after_the_main_container(space: Space) -> None:
    assert space.terminated("sidecar/main").exit_code == 0
    assert space.kubectl("logs", "sidecar", "-c", "main") == "sidecar"
    space.terminated("sidecar/server")
    traces.eventually(lambda: space.pod("sidecar").status.phase == "Succeeded", 20)


def test_restart_policy_on_failure_restarts_until_success(space: Space) -> None:
    traces.eventually(lambda: space.pod("on-failure").status.phase == "Succeeded", 30)
    assert space.status("on-failure").restart_count == 1


def test_restart_policy_never(space: Space) -> None:
    ended = space.terminated("never")
    assert (ended.exit_code, ended.reason) == (3, "Error")
    traces.eventually(lambda: space.pod("never").status.phase == "Failed", 20)
    assert space.status("never").restart_count == 0


def test_pod_succeeds_once_all_containers_have(space: Space) -> None:
    assert space.terminated("succeeds/other").reason == "Completed"
    traces.eventually(lambda: space.pod("succeeds").status.phase == "Succeeded", 20)


def test_termination_message(space: Space) -> None:
    assert space.terminated("message").message == "all is done"


def test_termination_message_from_another_path(space: Space) -> None:
    assert space.terminated("own-message").message == "here\n"


def test_termination_message_from_the_log(space: Space) -> None:
    assert space.terminated("log-message").message == "the last line\n"


@pytest.mark.parametrize(("name", "code"), [("killed", 128 + 9), ("crashed", 128 + 11)])
def test_exit_code_of_a_signal(space: Space, name: str, code: int) -> None:
    assert space.terminated(name).exit_code == code


def test_program_that_is_not_there(space: Space) -> None:
    ended = space.terminated("no-program")
    assert ended.exit_code in {127, 128}
    assert "/no/such/program" in ended.message


def test_container_ends_with_its_first_process(space: Space) -> None:
    assert space.terminated("orphan").exit_code == 6


def test_active_deadline(space: Space) -> None:
    traces.eventually(lambda: space.pod("deadline").status.reason == "DeadlineExceeded", 30)
    assert space.pod("deadline").status.phase == "Failed"


@pytest.mark.parametrize("kind", HEALS)
def test_failing_liveness_probe_restarts_the_container(space: Space, kind: str) -> None:
    status = space.until(f"alive-{kind}", lambda status: status.restart_count == 1 and status.state.running)
    assert status.last_state.terminated.exit_code in {137, 143}


@pytest.mark.parametrize("kind", READY)
def test_readiness_probe_says_when_a_pod_is_ready(space: Space, kind: str) -> None:
    assert not space.until(f"ready-{kind}", lambda status: status.state.running).ready
    space.exec(f"ready-{kind}", MAKE_READY[kind])
    assert space.until(f"ready-{kind}", lambda status: status.ready).restart_count == 0


def test_probe_that_takes_too_long_has_failed(space: Space) -> None:
    space.until("ready-hangs", lambda status: status.state.running)
    events = ["get", "events", "--field-selector=involvedObject.name=ready-hangs,reason=Unhealthy", "-o"]
    traces.eventually(lambda: "timed out" in space.kubectl(*events, "jsonpath={..message}"), 20)
    assert not space.status("ready-hangs").ready


def test_post_start_hook(space: Space) -> None:
    space.until_ready("post-start")
    assert space.exec("post-start", "ls /started") == "/started\n"


@pytest.fixture(scope="module")
def deleted(space: Space) -> Any:
    """Delete the pods that wait to be asked, and let them go at the end."""
    names = ["asked", "stubborn", "hooked", "hooked-http"]
    space.until_ready(*names)
    space.kubectl("delete", "--wait=false", "pod", *names)
    yield
    for name in names:
        space.kubectl("patch", "pod", name, "--type=merge", "-p", '{"metadata": {"finalizers": []}}')


def test_program_is_asked_to_end_by_sigterm(space: Space, deleted: None) -> None:
    ended = space.terminated("asked")
    assert (ended.message, ended.exit_code) == ("asked", 9)


def test_program_that_does_not_end_is_killed_after_its_grace_period(space: Space, deleted: None) -> None:
    ended = space.terminated("stubborn")
    assert ended.exit_code == 137
    pod = space.pod("stubborn")
    # The deletion timestamp includes the grace period of two seconds; both stamps are whole seconds.
    assert 0 <= (ended.finished_at - pod.metadata.deletion_timestamp).total_seconds() <= 5


def test_pre_stop_hook_runs_before_sigterm(space: Space, deleted: None) -> None:
    assert space.terminated("hooked").message == "/hooked"


def test_pre_stop_hook_by_http(space: Space, deleted: None) -> None:
    assert space.terminated("hooked-http").message == "stopped"


def test_succeeding_liveness_probe_leaves_the_container_alone(space: Space) -> None:
    # They have been probed many times while the other tests ran.
    assert [space.status(f"alive-{kind}").restart_count for kind in HEALS] == [1, 1, 1]


def test_failing_init_container_is_tried_again(space: Space) -> None:
    space.until_ready("init-retried")
    assert space.status("init-retried/first").restart_count == 1
    assert space.status("init-retried/main").restart_count == 0


def test_restart_policy_always_restarts_success_and_backs_off(space: Space) -> None:
    # The kubelet tries again at once, and notes the back-off when it next looks at the pod, ten seconds later.
    status = space.until("always", lambda status: status.state.waiting and status.restart_count)
    assert status.state.waiting.reason == "CrashLoopBackOff"
    assert "back-off" in status.state.waiting.message
    assert status.last_state.terminated.reason == "Completed"
    assert status.last_state.terminated.exit_code == 0
