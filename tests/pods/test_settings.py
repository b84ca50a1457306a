"""What a container's fields set: environment, arguments, folder, user, rights, image pull policy."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pods.space import Space, config_map, container, pod, secret

pytestmark = pytest.mark.cluster

LONG = "sleep 1000"


@pytest.fixture(scope="module", autouse=True)
def _pods(space: Space) -> None:
    once: Any = {"restartPolicy": "Never"}
    env = [
        {"name": "PLAIN", "value": "as it is"},
        {"name": "COMPOSED", "value": "$(PLAIN), $$(PLAIN)"},
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "LIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
        {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "password"}}},
        {"name": "ABSENT", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "none", "optional": True}}},
    ]
    env_from: Any = [{"configMapRef": {"name": "settings"}, "prefix": "SET_"}, {"secretRef": {"name": "keys"}}]
    main = container("main", LONG, env=env, envFrom=env_from, resources={"limits": {"memory": "64Mi"}})
    missing = [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "none"}}}]
    words = "echo $0 $1 $2"
    space.create(
        config_map("settings", colour="green", shape="round"),
        secret("keys", password="opensesame"),  # noqa: S106 - of no one
        pod("env", main),
        pod("env-missing", container("main", LONG, env=missing)),
        pod("args", container("main", args=["echo", "only args"]),
            container("both", command=["sh", "-c", words], args=["zero", "one", "$(HOSTNAME)"]),
            container("command", command=["echo", "only command"]), **once),
        pod("folder", container("main", "pwd", workingDir="/var/log"),
            container("new", "pwd; touch file && ls", workingDir="/made/for/it"), **once),
        pod("user", container("main", _identity(), securityContext={"runAsUser": 1000}),
            container("group", _identity(), securityContext={"runAsUser": 1000, "runAsGroup": 3000}),
            container("root", _identity()),
            securityContext={"supplementalGroups": [5000]}, **once),
        pod("fs-group", container("main", "id -G; echo mine >/data/file && stat -c '%u %g' /data/file",
                                  securityContext={"runAsUser": 1000},
                                  volumeMounts=[{"name": "data", "mountPath": "/data"}]),
            volumes=[{"name": "data", "emptyDir": {}}], securityContext={"fsGroup": 2000}, **once),
        pod("must-not-be-root", container("main", LONG, securityContext={"runAsNonRoot": True})),
        pod("read-only", container("main", LONG, securityContext={"readOnlyRootFilesystem": True},
                                   volumeMounts=[{"name": "data", "mountPath": "/data"}]),
            volumes=[{"name": "data", "emptyDir": {}}]),
        pod("rights", container("main", LONG),
            container("without", LONG, securityContext={"capabilities": {"drop": ["ALL"]}}),
            container("with", LONG, securityContext={"capabilities": {"add": ["NET_ADMIN"]}})),
        pod("host-names", container("main", LONG),
            hostAliases=[{"ip": "192.0.2.7", "hostnames": ["printer"]}], hostname="desk", subdomain="office"),
        pod("one-process-tree", container("main", LONG), container("other", "exec tail -f /dev/null"),
            shareProcessNamespace=True),
    )  # fmt: skip
    space.until_ready("env", "read-only", "rights", "host-names", "one-process-tree")


def _identity() -> str:
    return "echo $(id -u) $(id -g) $(id -G | tr ' ' '\\n' | sort -n)"


def _logs(space: Space, name: str, container: str = "main") -> str:
    assert space.terminated(f"{name}/{container}").exit_code == 0
    return space.kubectl("logs", name, "-c", container)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PLAIN", "as it is"),
        ("COMPOSED", "as it is, $(PLAIN)"),
        ("LIMIT", "64"),
        ("COLOUR", "green"),
        ("PASSWORD", "opensesame"),
        ("SET_shape", "round"),
        ("password", "opensesame"),
        ("HOSTNAME", "env"),
        ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
    ],
)
def test_environment(environment: dict[str, str], name: str, value: str) -> None:
    assert environment[name] == value


@pytest.fixture(scope="module")
def environment(space: Space) -> dict[str, str]:
    """The variables of the pod with many."""
    return dict(line.split("=", 1) for line in space.exec("env", "env").splitlines())


def test_environment_from_the_pods_own_fields(space: Space, environment: dict[str, str]) -> None:
    found = space.pod("env")
    assert environment["POD_IP"] == found.status.pod_ip
    assert environment["NODE"] == found.spec.node_name


def test_optional_variable_is_left_out(environment: dict[str, str]) -> None:
    assert "ABSENT" not in environment


def test_missing_config_map_is_named(space: Space) -> None:
    waiting = space.until("env-missing", lambda status: status.state.waiting.reason != "ContainerCreating")
    assert waiting.state.waiting.reason == "CreateContainerConfigError"
    assert 'configmap "none" not found' in waiting.state.waiting.message


@pytest.mark.parametrize(
    ("name", "said"), [("main", "only args"), ("both", "zero one args"), ("command", "only command")]
)
def test_command_and_args(space: Space, name: str, said: str) -> None:
    if name == "both":
        said = said.replace("args", "$(HOSTNAME)")  # not a variable of the pod's own: it stays
    assert _logs(space, "args", name) == said


def test_working_dir(space: Space) -> None:
    assert _logs(space, "folder") == "/var/log"


def test_working_dir_is_made(space: Space) -> None:
    assert _logs(space, "folder", "new").split() == ["/made/for/it", "file"]


@pytest.mark.parametrize(("name", "ids"), [("main", "1000 0"), ("group", "1000 3000"), ("root", "0 0")])
def test_run_as_user_and_group(space: Space, name: str, ids: str) -> None:
    uid, gid, *groups = _logs(space, "user", name).split()
    if not _ids_exist(space):
        assert (uid, gid) == ("0", "0")
        assert f"pod {space.pod('user').metadata.name} asks for user" in _runtime_log(space, "user")
        return
    assert f"{uid} {gid}" == ids
    assert "5000" in groups


def test_fs_group_owns_volumes(space: Space) -> None:
    if not _ids_exist(space):
        pytest.skip("only id 0 exists on this machine")
    *groups, uid, gid = _logs(space, "fs-group").split()
    assert "2000" in groups
    assert (uid, gid) == ("1000", "2000")


def _ids_exist(space: Space) -> bool:
    ranges = space.lab.nodes["node-01"].exec("cat /proc/self/uid_map").split()
    return int(ranges[2]) > 1 or len(ranges) > 3


def _runtime_log(space: Space, name: str) -> str:
    return str(space.lab.nodes[space.pod(name).spec.node_name].logs("runtime"))


def test_run_as_non_root_is_kept(space: Space) -> None:
    status = space.until("must-not-be-root", lambda status: status.state.waiting.reason != "ContainerCreating")
    assert status.state.waiting.reason == "CreateContainerConfigError"
    assert "runAsNonRoot" in status.state.waiting.message


def test_read_only_root_file_system(space: Space) -> None:
    for path in ("/file", "/etc/file", "/usr/file"):
        done = space.run("exec", "read-only", "--", "touch", path)
        assert done.returncode == 1, path
        assert "Read-only file system" in done.stderr
    assert space.exec("read-only", "echo word >/data/file; cat /data/file") == "word\n"


def test_capabilities(space: Space) -> None:
    """What each is allowed, by capabilities(7): the bit of CAP_CHOWN is 0, of CAP_NET_ADMIN 12."""
    bits = {
        name: int(space.exec(f"rights/{name}", "grep CapEff /proc/$$/status").split()[1], 16)
        for name in ("main", "without", "with")
    }
    assert bits["without"] == 0
    assert bits["main"] & 1
    assert not bits["main"] >> 12 & 1
    assert bits["with"] == bits["main"] | 1 << 12


def test_capability_is_what_allows_it(space: Space) -> None:
    change = "ip link set lo down && ip link set lo up"
    assert space.run("exec", "rights", "-c", "main", "--", "sh", "-c", change).returncode != 0
    assert space.exec("rights/with", change) == ""


def test_host_aliases_host_name_and_subdomain(space: Space) -> None:
    lines = space.exec("host-names", "cat /etc/hosts").splitlines()
    assert "192.0.2.7\tprinter" in lines
    own = f"desk.office.{space.name}.svc.cluster.local"
    assert f"{space.pod('host-names').status.pod_ip}\t{own}\tdesk" in lines
    assert space.exec("host-names", "hostname") == "desk\n"


def test_shared_process_namespace(space: Space) -> None:
    assert "tail -f" in space.exec("one-process-tree/main", "ps")
