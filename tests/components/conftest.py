"""A tiny real component: a program that says its version, its release archive, a server on loopback that has it."""

from __future__ import annotations

import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from labkit.components import Pin, locate
from labkit.components.pins import Download
from labkit.progress import PhaseEvent, Progress

VERSION = "v1.2.3"


def write_program(path: Path, version: str = VERSION) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho greet {version}\n")
    path.chmod(0o755)
    return path


def release(version: str = VERSION) -> bytes:
    program = f"#!/bin/sh\necho greet {version}\n".encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in {"greet/bin/greet": program, "greet/README": b"no program", "../evil": b"outside"}.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@dataclass
class Site:
    """A web server with files, and what was asked of it."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def site() -> Iterator[Site]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.requests.append(self.path)
            content = found.files.get(self.path)
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name for it
            """Stay quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Site(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))  # looks for shutdown that often
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture
def greet(site: Site) -> Pin:
    """The component, with its release on the site."""
    archive = release()
    site.files["/greet.tgz"] = archive
    download = Download(f"{site.url}/greet.tgz", f"sha256:{hashlib.sha256(archive).hexdigest()}", "greet/bin")
    return Pin("greet", VERSION, {"greet": ("--version",)}, download=download)


@pytest.fixture
def only_greet(greet: Pin, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Mapping[str, Pin]:
    """Have labkit know this one component only."""
    known = {"greet": greet}
    monkeypatch.setattr(locate, "pins", lambda: known)
    monkeypatch.delenv("LABKIT_COMPONENTS", raising=False)
    return known


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "components"


@pytest.fixture
def events() -> list[PhaseEvent]:
    return []


@pytest.fixture
def progress(events: list[PhaseEvent]) -> Progress:
    return Progress(events.append)
