"""Mirrors of registries: containerd's file, and what answers."""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

import labkit
from labkit.cluster.mirrors import Mirror
from labkit.errors import PreflightError, UsageError


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("docker.io=https://mirror.example", "https://registry-1.docker.io"),
        ("registry.k8s.io=http://10.0.0.1:5000/k8s/", "https://registry.k8s.io"),
    ],
)
def test_containerd_asks_the_mirror_first(text: str, server: str) -> None:
    mirror = Mirror.parse(text)
    said = tomllib.loads(mirror.hosts_toml())
    assert mirror.path == f"/etc/containerd/certs.d/{text.partition('=')[0]}/hosts.toml"
    assert said["server"] == server
    assert said["host"] == {text.partition("=")[2].rstrip("/"): {"capabilities": ["pull", "resolve"]}}


def test_another_one_is_asked_before_it() -> None:
    said = tomllib.loads(Mirror.parse("docker.io=https://mirror.example").hosts_toml(after="http://127.0.0.1:5000"))
    assert list(said["host"]) == ["http://127.0.0.1:5000", "https://mirror.example"]


def test_a_folder_on_a_node_has_no_colon() -> None:
    assert Mirror.parse("own.example:5000=https://m").path == "/etc/containerd/certs.d/own.example_5000_/hosts.toml"


@pytest.mark.parametrize(
    "text", ["docker.io", "=https://m", "docker.io=", "docker.io=ftp://m", "a/../b=https://m", "A=b"]
)
def test_what_names_no_mirror(text: str) -> None:
    with pytest.raises(UsageError, match="names no mirror"):
        Mirror.parse(text)


@pytest.mark.parametrize("provider", ["rootless", "context"])
def test_who_pulls_no_images_has_no_use_for_one(provider: str) -> None:
    with pytest.raises(UsageError, match=f"{provider!r} has no use for a registry mirror"):
        labkit.up("mirrored", provider=provider, registry_mirrors=["docker.io=https://mirror.example"])
    assert "mirrored" not in labkit.lab_names()


class _Answers(BaseHTTPRequestHandler):
    """Answers with the status that the path begins with."""

    def do_GET(self) -> None:
        assert self.path.endswith("/v2/")
        self.send_response(int(self.path.split("/")[1]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Answers) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


@pytest.mark.parametrize("status", [200, 401])
def test_a_registry_answers(server: str, status: int) -> None:
    Mirror("docker.io", f"{server}/{status}").check()


@pytest.mark.parametrize("status", [404, 500])
def test_something_else_answers(server: str, status: int) -> None:
    with pytest.raises(PreflightError, match=f"it answers {status} to /v2/"):
        Mirror("docker.io", f"{server}/{status}").check()


def test_nobody_answers() -> None:
    with pytest.raises(PreflightError, match="cannot be reached"):
        Mirror("docker.io", "http://127.0.0.1:1").check()
