"""What the containers of one pod share: the network, localhost, and volumes of every common kind."""

from __future__ import annotations

from typing import Any

import pytest

from tests import traces
from tests.pods.space import Space, config_map, container, pod, secret

pytestmark = pytest.mark.cluster

LONG = "sleep 1000"


@pytest.fixture(scope="module", autouse=True)
def _pods(space: Space) -> None:
    served = "mkdir /www && echo from the neighbour >/www/index.html && exec httpd -f -p 127.0.0.1:8000 -h /www"
    space.create(
        config_map("settings", colour="green", shape="round"),
        secret("keys", password="opensesame"),  # noqa: S106 - of no one
        pod("shared", container("server", served), container("neighbour", LONG, volumeMounts=_mounts()),
            container("third", LONG, volumeMounts=[{"name": "scratch", "mountPath": "/elsewhere"}]),
            volumes=_volumes(), labels={"kind": "shared"}),
        pod("wrong-host-path", container("main", LONG, volumeMounts=[{"name": "host", "mountPath": "/host"}]),
            volumes=[{"name": "host", "hostPath": {"path": "/no/such", "type": "Directory"}}]),
    )  # fmt: skip
    space.until_ready("shared")


def _volumes() -> list[dict[str, Any]]:
    downward = {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}
    sources = [
        {"configMap": {"name": "settings", "items": [{"key": "shape", "path": "form"}]}},
        {"secret": {"name": "keys"}},
        {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"serviceAccountToken": {"path": "token", "audience": "test"}},
    ]
    return [
        {"name": "scratch", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},
        {"name": "settings", "configMap": {"name": "settings"}},
        {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 0o400}},
        {"name": "pod", "downwardAPI": downward},
        {"name": "all", "projected": {"sources": sources}},
        {"name": "host", "hostPath": {"path": "/var/lib/labkit-test", "type": "DirectoryOrCreate"}},
    ]


def _mounts() -> list[dict[str, Any]]:
    whole = [{"name": volume["name"], "mountPath": f"/volumes/{volume['name']}"} for volume in _volumes()]
    return [*whole, {"name": "settings", "mountPath": "/etc/colour", "subPath": "colour"}]


def test_containers_reach_each_other_on_localhost(space: Space) -> None:
    assert space.exec("shared/neighbour", "wget -qO- http://localhost:8000") == "from the neighbour\n"


def test_containers_have_the_same_address(space: Space) -> None:
    addresses = {space.exec(f"shared/{name}", "hostname -i").strip() for name in ("server", "neighbour")}
    assert addresses == {space.pod("shared").status.pod_ip}


def test_containers_have_the_pods_name_as_host_name(space: Space) -> None:
    assert space.exec("shared/third", "hostname; cat /etc/hostname").split() == ["shared", "shared"]


def test_containers_have_their_own_files(space: Space) -> None:
    assert space.exec("shared/neighbour", "ls -d /www", check=False) == ""
    assert space.exec("shared/server", "ls -d /www") == "/www\n"


def test_containers_do_not_see_each_others_processes(space: Space) -> None:
    assert "httpd" in space.exec("shared/server", "ps")
    assert "httpd" not in space.exec("shared/neighbour", "ps")


def test_empty_dir_is_shared_and_starts_empty(space: Space) -> None:
    assert space.exec("shared/neighbour", "ls -A /volumes/scratch; echo word >/volumes/scratch/file") == ""
    assert space.exec("shared/third", "cat /elsewhere/file; echo answer >/elsewhere/file") == "word\n"
    assert space.exec("shared/neighbour", "cat /volumes/scratch/file") == "answer\n"


def test_empty_dir_in_memory(space: Space) -> None:
    assert space.exec("shared/neighbour", "grep ' /volumes/memory ' /proc/mounts").split()[2] == "tmpfs"


def test_config_map(space: Space) -> None:
    assert space.exec("shared/neighbour", "cd /volumes/settings && cat colour shape") == "greenround"


def test_config_map_key_by_sub_path(space: Space) -> None:
    assert space.exec("shared/neighbour", "cat /etc/colour") == "green"


def test_config_map_is_read_only(space: Space) -> None:
    done = space.run("exec", "shared", "-c", "neighbour", "--", "sh", "-c", "echo blue >/volumes/settings/colour")
    assert done.returncode != 0
    assert "Read-only" in done.stderr


def test_secret_with_its_mode(space: Space) -> None:
    assert space.exec("shared/neighbour", "cat /volumes/keys/password") == "opensesame"
    assert space.exec("shared/neighbour", "stat -L -c %a /volumes/keys/password") == "400\n"


def test_downward_api(space: Space) -> None:
    assert space.exec("shared/neighbour", "cat /volumes/pod/labels") == 'kind="shared"'


def test_projected(space: Space) -> None:
    assert space.exec("shared/neighbour", "cd /volumes/all && cat form password name") == "roundopensesameshared"
    assert space.exec("shared/neighbour", "cat /volumes/all/token").count(".") == 2  # a JWT


def test_service_account_token_is_mounted_and_serves(space: Space) -> None:
    account = "/var/run/secrets/kubernetes.io/serviceaccount"
    assert space.exec("shared/neighbour", f"cat {account}/namespace") == space.name
    token = space.exec("shared/neighbour", f"cat {account}/token")
    server = space.lab.status().api_server
    anonymous = ["--kubeconfig=/dev/null", "--insecure-skip-tls-verify", f"--server={server}", f"--token={token}"]
    name = space.kubectl(*anonymous, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
    assert name == f"system:serviceaccount:{space.name}:default"


def test_host_path_is_the_nodes_folder(space: Space) -> None:
    node = space.lab.nodes[space.pod("shared").spec.node_name]
    space.exec("shared/neighbour", "echo from the pod >/volumes/host/word")
    assert node.exec("cat /var/lib/labkit-test/word; rm -r /var/lib/labkit-test/*") == "from the pod"


def test_host_path_of_the_wrong_type_says_so(space: Space) -> None:
    events = ["get", "events", "--field-selector=reason=FailedMount", "-o", "jsonpath={..message}"]
    traces.eventually(lambda: "hostPath type check failed" in space.kubectl(*events))
    reason = "{.status.containerStatuses[*].state.waiting.reason}"
    traces.eventually(
        lambda: space.kubectl("get", "pod", "wrong-host-path", "-o", f"jsonpath={reason}") == "ContainerCreating"
    )
