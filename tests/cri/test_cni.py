"""The chain of plugins, with a plugin that is a real program and writes down what it was asked."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from labkit.cri import cni
from labkit.cri.errors import StateError

PLUGIN = """#!/bin/sh
{{ printf '%s %s %s %s %s ' {name} "$CNI_COMMAND" "$CNI_NETNS" "$CNI_IFNAME" "$CNI_ARGS"; cat; echo; }} >>{calls}
{body}
"""
RESULT = '{"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.7/24"}, {"address": "fd00::7/64"}]}'
ATTACHMENT = cni.Attachment(
    "id1", "/proc/1/ns/net", ("default", "web", "uid1"), ({"hostPort": 80, "containerPort": 8080},)
)


class Plugins:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "calls"
        self.log.touch()

    def add(self, name: str, body: str = f"echo '{RESULT}'") -> None:
        program = self.folder / name
        program.write_text(PLUGIN.format(name=name, calls=self.log, body=body))
        program.chmod(0o755)

    def calls(self) -> list[tuple[str, str, dict[str, Any]]]:
        lines = [line.split(" ", 5) for line in self.log.read_text().splitlines()]
        return [(words[0], words[1], json.loads(words[5])) for words in lines]


@pytest.fixture
def plugins(tmp_path: Path) -> Plugins:
    made = Plugins(tmp_path)
    made.add("main")
    made.add("ports")
    return made


NETWORK = cni.Network(
    "pods", "1.0.0", ({"type": "main", "mtu": 1400}, {"type": "ports", "capabilities": {"portMappings": True}})
)


def test_add_goes_through_the_chain_with_the_previous_result(plugins: Plugins) -> None:
    result = asyncio.run(cni.add(NETWORK, ATTACHMENT, plugins.folder))
    assert cni.addresses(result) == ["10.0.0.7", "fd00::7"]
    first, second = plugins.calls()
    assert first == ("main", "ADD", {"type": "main", "mtu": 1400, "cniVersion": "1.0.0", "name": "pods"})
    assert second[:2] == ("ports", "ADD")
    assert second[2]["prevResult"] == json.loads(RESULT)
    assert second[2]["runtimeConfig"] == {"portMappings": [{"hostPort": 80, "containerPort": 8080}]}
    assert "capabilities" not in second[2]


def test_plugins_get_the_pods_names(plugins: Plugins) -> None:
    asyncio.run(cni.add(NETWORK, ATTACHMENT, plugins.folder))
    words = plugins.log.read_text().split(" ")
    assert words[2:4] == ["/proc/1/ns/net", "eth0"]
    assert dict(part.split("=") for part in words[4].split(";")) == {
        "IgnoreUnknown": "1",
        "K8S_POD_NAMESPACE": "default",
        "K8S_POD_NAME": "web",
        "K8S_POD_INFRA_CONTAINER_ID": "id1",
        "K8S_POD_UID": "uid1",
    }


def test_delete_goes_back_with_the_cached_result(plugins: Plugins) -> None:
    asyncio.run(cni.delete(NETWORK, ATTACHMENT, plugins.folder, json.loads(RESULT)))
    assert [call[:2] for call in plugins.calls()] == [("ports", "DEL"), ("main", "DEL")]
    assert all(call[2]["prevResult"] == json.loads(RESULT) for call in plugins.calls())


def test_a_failed_add_is_undone_and_says_what_the_plugin_said(plugins: Plugins) -> None:
    plugins.add(
        "ports", """[ $CNI_COMMAND = DEL ] || { echo '{"code": 7, "msg": "no", "details": "port taken"}'; exit 1; }"""
    )
    with pytest.raises(StateError, match="ports failed at ADD") as caught:
        asyncio.run(cni.add(NETWORK, ATTACHMENT, plugins.folder))
    assert caught.value.why == "no port taken"
    assert [call[:2] for call in plugins.calls()] == [
        ("main", "ADD"),
        ("ports", "ADD"),
        ("ports", "DEL"),
        ("main", "DEL"),
    ]


def test_a_plugin_that_only_complains_is_quoted(plugins: Plugins) -> None:
    plugins.add("main", "echo it broke >&2; exit 3")
    with pytest.raises(StateError) as caught:
        asyncio.run(cni.add(NETWORK, ATTACHMENT, plugins.folder))
    assert caught.value.why == "it broke"


def test_the_first_usable_configuration_is_taken(plugins: Plugins, tmp_path: Path) -> None:
    folder = tmp_path / "net.d"
    folder.mkdir()
    (folder / "00-notes.txt").write_text("x")
    (folder / "05-broken.conflist").write_text("{")
    (folder / "06-other.conflist").write_text('{"name": "x", "plugins": [{"type": "absent"}]}')
    (folder / "07-list.conflist").write_text('{"name": "x", "plugins": 3}')
    with pytest.raises(StateError) as caught:
        cni.load(folder, plugins.folder)
    for word in ("05-broken", "06-other.conflist needs plugin absent", "07-list"):
        assert word in caught.value.why
    (folder / "10-single.conf").write_text('{"cniVersion": "1.1.0", "name": "one", "type": "main"}')
    network = cni.load(folder, plugins.folder)
    assert (network.name, network.version, network.plugins[0]["type"]) == ("one", "1.1.0", "main")
    assert cni.parse(network.values(), "again") == network


def test_no_configuration_is_a_clear_reason(tmp_path: Path) -> None:
    with pytest.raises(StateError) as caught:
        cni.load(tmp_path / "net.d", tmp_path)
    assert "has no network configuration" in caught.value.why
    assert "add-on" in caught.value.fix
