"""The same lab for a person who is not root: with a range of subordinate ids, and without any new privilege at all."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import site
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import pytest

from labkit import components
from labkit.components.pins import optional_pins
from tests import docker_daemon, traces
from tests.users import as_user, link, needs_root, ordinary_user

pytestmark = [pytest.mark.cluster, pytest.mark.user, needs_root]

NAME = "labkit-tester"
PROJECT = Path(__file__).parents[2]
KINDS = ("request", "persist", "runtime")


@dataclass(frozen=True)
class Person:
    """An ordinary user with labkit at hand."""

    home: Path
    folder: Path

    def labkit(self, *arguments: str, variables: Mapping[str, str] | None = None) -> str:
        """Run labkit as this person and return what it printed; fail if it fails."""
        identity = as_user(NAME, no_new_privileges=False)
        environment = {
            "HOME": str(self.home),
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LABKIT_COMPONENTS": str(self.folder / "components"),
            "LANG": "C.UTF-8",
            **(variables or {}),
        }
        python = self.folder / "venv/bin/python"
        done = subprocess.run(
            [*identity, python, "-m", "labkit", *arguments],
            cwd=self.home, env=environment, capture_output=True, text=True, check=False, timeout=180,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def person() -> Iterator[Person]:
    folder = Path(tempfile.mkdtemp(prefix="labkit-user-"))
    folder.chmod(0o755)
    try:
        with ordinary_user(NAME):
            _copy_environment(folder)
            yield Person(Path(pwd.getpwnam(NAME).pw_dir), folder)
    finally:
        shutil.rmtree(folder)


def _copy_environment(folder: Path) -> None:
    """Give the user this project, its environment and its programs at a place that every user may read."""
    link(Path(sys.prefix), folder / "venv")
    packages = folder / "venv" / Path(site.getsitepackages()[0]).relative_to(sys.prefix)
    for path in packages.glob("*labkit*.pth"):
        path.unlink()  # rather than to write into the file that the project's own environment shares
    (packages / "labkit.pth").write_text(f"{folder / 'project'}\n")
    shutil.copytree(PROJECT / "labkit", folder / "project/labkit", ignore=shutil.ignore_patterns("__pycache__"))
    # A user's umask may differ from root's; what is copied must be readable all the same.
    subprocess.run(["chmod", "-R", "a+rX", folder / "project"], check=True)
    for name, source in components.ensure().folders.items():
        link(source, folder / "components" / components.pins()[name].folder_name)


@pytest.fixture
def docker(person: Person) -> Iterator[dict[str, str]]:
    """A daemon like Docker Desktop's, whose socket is this person's, as that of a member of group docker; and kind."""
    user = pwd.getpwnam(NAME)
    with docker_daemon.with_node_image(desktop=True):
        socket = Path(os.environ["DOCKER_HOST"].removeprefix("unix://"))
        socket.parent.chmod(0o711)
        os.chown(socket, 0, user.pw_gid)
        link(components.ensure_optional("kind"), person.folder / "components" / optional_pins()["kind"].folder_name)
        yield {"DOCKER_HOST": os.environ["DOCKER_HOST"]}


def test_a_whole_lab(person: Person) -> None:
    """With subordinate ids; tests/test_binder.py has one without, and without any new privileges."""
    run = person.labkit
    run("up", "--workers", "1")
    try:
        status = json.loads(run("status", "--json"))[0]
        assert [node["ready"] for node in status["nodes"]] == [True, True]
        ids = run("node", "exec", "master", "--", "cat", "/proc/self/uid_map").split()
        assert ids[:2] == ["0", str(pwd.getpwnam(NAME).pw_uid)]
        assert len(ids) > 3, "a range of ids, where it can be had"
        run("deploy", "web", "--image", "labkit/standin")
        assert "master" in run("kubectl", "get", "nodes")
        run("stop")
        run("start")
        assert "web" in run("kubectl", "get", "deployments")
    finally:
        run("down")
    _nothing_is_left(person)


@pytest.mark.kind
@pytest.mark.timeout(900)  # the node image may have to be built
def test_a_lab_of_containers_that_only_docker_desktops_ways_lead_to(person: Person, docker: dict[str, str]) -> None:
    run = partial(person.labkit, variables=docker)
    run("up", "--provider", "kind", "--workers", "1")
    try:
        assert not any(link.startswith("br-") for link in psutil.net_if_addrs()), "no container can be reached"
        run("deploy", "web", "--image", "labkit/standin")
        hops = json.loads(run("flow", "deployment/web", "--json"))["flow"]["hops"]
        seen = {kind: [hop for hop in hops if hop["kind"] == kind and hop["observed"]] for kind in KINDS}
        assert all(seen.values()), seen  # in files that root writes
        for kind in ("persist", "runtime"):  # the API server's, etcd's and a kubelet's
            assert any(each.startswith("span:") for hop in seen[kind] for each in hop["evidence"]), f"no span of {kind}"
        assert "kubelet" in run("node", "logs", "node-01", "kubelet")
        assert "lab-worker" in run("node", "exec", "node-01", "--", "hostname")
        assert "delivered" in run("proxy", "trace", "svc/web")
        url = run("open", "svc/web").strip()
        traces.eventually(lambda: _page(url), 30)
        run("stop")
        run("start")
        assert "web" in run("kubectl", "get", "deployments")
        traces.eventually(lambda: _page(url), 30)
    finally:
        run("down")
    _nothing_is_left(person)


def _page(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - of 127.0.0.1
            return str(answer.read().decode())
    except OSError:
        return ""


def _nothing_is_left(person: Person) -> None:
    traces.eventually(lambda: not traces.processes(person.home))
    assert not list((person.home / ".local/state/labkit/labs").iterdir())
