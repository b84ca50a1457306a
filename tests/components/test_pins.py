from __future__ import annotations

import platform
import re
from pathlib import Path

import pytest

from labkit.components import Components, Pin, pins
from labkit.components.gobuild import RECIPES
from labkit.components.pins import optional_pins
from labkit.errors import UsageError

MODULES = {
    "kubernetes": "k8s.io/kubernetes",
    "etcd": "go.etcd.io/etcd/server/v3",
    "coredns": "github.com/coredns/coredns",
    "cni": "github.com/containernetworking/plugins",
    "kind": "sigs.k8s.io/kind",
}


@pytest.mark.parametrize("name", MODULES)
def test_recipe_builds_the_pinned_version_of_every_program(name: str) -> None:
    pin = {**pins(), **optional_pins()}[name]
    go_mod = (RECIPES / pin.recipe / "go.mod").read_text("utf-8")
    assert f"{MODULES[name]} v{pin.version.removeprefix('v')}" in go_mod
    tools = re.findall(r"^(?:tool )?\t?((?:[\w.-]+\.[a-z]+/)[\w./-]+)$", go_mod, re.MULTILINE)
    made = {re.sub(r"/v\d+$", "", tool).rpartition("/")[2] for tool in tools}
    texts = [path.read_text("utf-8") for path in Path(str(RECIPES / pin.recipe)).rglob("main.go")]
    mains = {re.findall(r"^// Command (\S+)", text)[0]: text for text in texts}
    made.update(mains)
    for several, names in pin.links.items():
        made.remove(several)
        made.update(name for name in names if f'"{name}":' in mains[several])
    assert {pin.renames.get(program, program) for program in made} == set(pin.programs)


def test_staging_modules_are_replaced_by_those_of_the_same_release() -> None:
    go_mod = (RECIPES / "kubernetes" / "go.mod").read_text("utf-8")
    versions = set(re.findall(r"=> k8s\.io/\S+ (\S+)", go_mod))
    assert versions == {"v0" + pins()["kubernetes"].version.removeprefix("v1")}


@pytest.mark.parametrize("pin", [*pins().values(), *optional_pins().values()], ids=lambda pin: pin.name)
def test_every_component_can_be_had(pin: Pin) -> None:
    assert pin.download or pin.recipe
    if pin.download:
        assert re.fullmatch(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}", pin.download.hash)
        assert pin.version.removeprefix("v") in pin.download.url


def test_linker_writes_the_pinned_version() -> None:
    for pin in pins().values():
        for flag in pin.ldflags:
            if re.search(r"(gitVersion|BuildVersion)=", flag):
                assert flag.endswith(f"={pin.version}")


@pytest.mark.parametrize(("machine", "architecture"), [("arm64", "arm64"), ("x86_64", "amd64")])
def test_macos_needs_of_kubernetes_kubectl_alone(
    machine: str, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    linux = pins()["kubernetes"]
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: machine)
    (pin,) = pins.__wrapped__().values()
    assert list(pin.programs) == ["kubectl"]
    assert pin.folder_name == linux.folder_name
    assert not pin.recipe
    assert pin.download
    assert pin.download.url.endswith(f"/{linux.version}/kubernetes-client-darwin-{architecture}.tar.gz")
    assert re.fullmatch(r"sha512:[0-9a-f]{128}", pin.download.hash)
    assert list(optional_pins.__wrapped__()) == ["kind"]


def test_unknown_program_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="kube-apiserver"):
        Components(dict.fromkeys(pins(), Path())).program("docker")
