"""A Docker daemon, and a registry's mirror, for the tests of labs of containers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests import docker_daemon


@pytest.fixture(scope="module")  # where it runs, `auto` may choose it: other tests are not to find it
def docker_with_node_image() -> Iterator[None]:
    """A Docker daemon with the node image."""
    with docker_daemon.with_node_image():
        yield


class _Empty(BaseHTTPRequestHandler):
    """A registry that has nothing."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/v2/" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="package")
def mirror() -> Iterator[str]:
    """The URL of a mirror that answers on this machine; at that address nothing listens on a node."""
    with HTTPServer(("127.0.0.1", 0), _Empty) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
