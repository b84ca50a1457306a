"""A real JupyterHub with labkit's spawner, and students who work in it by its own interfaces."""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen
from uuid import uuid4

from playwright.sync_api import Page
from websockets.sync.client import connect

from labkit import components
from tests.users import link

PROXY = "configurable-http-proxy"
#: The settings that docs/classroom.md gives, but for ports, folders and who may log in.
_CONFIG = """\
load_subconfig({settings!r})

c = get_config()
c.JupyterHub.port = {port}
c.JupyterHub.hub_port = {hub_port}
c.JupyterHub.db_url = "sqlite:///{folder}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = "{folder}/cookie_secret"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.ConfigurableHTTPProxy.pid_file = "{folder}/proxy.pid"
c.LabSpawner.create_accounts = True
c.LabSpawner.log_folder = "{folder}/log"
c.LabSpawner.environment = {{**c.LabSpawner.environment, **{environment!r}}}
next(each for each in c.JupyterHub.services if each["name"] == "class")["url"] = "http://127.0.0.1:{class_port}"
c.JupyterHub.services.append({{"name": "tests", "api_token": "{token}"}})
c.JupyterHub.load_roles.append(
    {{
        "name": "tests",
        "services": ["tests"],
        "scopes": ["admin:users", "admin:servers", "access:servers", "tokens"],
    }}
)
"""
_SETTINGS = Path(__file__).parents[2] / "docs/classroom/jupyterhub_config.py"
_SECONDS = 600.0


@dataclass(frozen=True)
class Hub:
    """A Hub that runs.

    Attributes
    ----------
    url, token : str
        Where its proxy listens, and what the tests show, as a service that may do all.
    names : list of str
        Who has been logged in.
    """

    url: str
    token: str
    names: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Return what the Hub, or a student's server, answers."""
        text = self.page(path, method=method, body=body)
        return json.loads(text) if text else None

    def page(self, path: str, *, method: str = "GET", body: object = None, token: str = "") -> str:
        """Return what is at a place, for who shows that token; by default the tests'."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.url}/{path}", data=data, method=method)  # noqa: S310 - our own http
        request.add_header("Authorization", f"token {token or self.token}")
        with urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - as above
            return str(answer.read().decode())

    def student(self, name: str) -> Student:
        """Log a student in."""
        self.ask("POST", f"hub/api/users/{name}")
        self.names.append(name)
        return Student(self, name)


@dataclass(frozen=True)
class Student:
    """One account."""

    hub: Hub
    name: str

    @property
    def home(self) -> Path:
        """The account's home."""
        return Path(pwd.getpwnam(self.name).pw_dir)

    def start(self) -> None:
        """Start the account's server and wait until it serves."""
        self.hub.ask("POST", f"hub/api/users/{self.name}/server")
        self._until_ready()

    def token(self) -> str:
        """Return a token of the account's own."""
        return str(self.hub.ask("POST", f"hub/api/users/{self.name}/tokens", {"note": "test"})["token"])

    @property
    def serves(self) -> bool:
        """Whether the Hub has a server of the account's."""
        return bool(self.hub.ask("GET", f"hub/api/users/{self.name}")["servers"])

    @contextmanager
    def kernel(self) -> Iterator[Callable[[str], str]]:
        """Give a kernel of the account's: a function that runs code in it, and returns what `run` does."""
        kernel = self.hub.ask("POST", f"user/{self.name}/api/kernels", {"name": "python3"})["id"]
        try:
            yield partial(self._execute, kernel)
        finally:
            self._end(kernel)

    def run(self, code: str) -> str:
        """Run code in a kernel of its own, and return what it printed; its errors are part of that."""
        with self.kernel() as run:
            return run(code)

    def _end(self, kernel: str) -> None:
        """End a kernel; one that has died is being started again, and cannot be ended until it is there."""
        end = time.monotonic() + _SECONDS
        while True:
            try:
                self.hub.ask("DELETE", f"user/{self.name}/api/kernels/{kernel}")
            except HTTPError:
                assert time.monotonic() < end, "the kernel does not end"
                time.sleep(0.2)
            else:
                return

    def _execute(self, kernel: str, code: str) -> str:
        """Speak Jupyter's messaging protocol 5 with a kernel (jupyter-client.readthedocs.io, messaging)."""
        asked = uuid4().hex
        header = {"msg_id": asked, "msg_type": "execute_request", "session": asked, "username": "", "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": True}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        url = f"{self.hub.url.replace('http', 'ws', 1)}/user/{self.name}/api/kernels/{kernel}/channels"
        printed = []
        headers = {"Authorization": f"token {self.hub.token}"}
        with connect(url, additional_headers=headers, max_size=None) as channels:
            channels.send(json.dumps(message))
            while True:
                told = json.loads(channels.recv(timeout=_SECONDS))
                if told["msg_type"] == "status" and told["content"].get("execution_state") in {"restarting", "dead"}:
                    return "the kernel died"
                if told["parent_header"].get("msg_id") != asked:
                    continue
                if told["msg_type"] == "stream":
                    printed.append(told["content"]["text"])
                elif told["msg_type"] == "error":
                    printed.append(f"{told['content']['ename']}: {told['content']['evalue']}")
                elif told["msg_type"] == "status" and told["content"]["execution_state"] == "idle":
                    return "".join(printed)

    def _until_ready(self) -> None:
        end = time.monotonic() + _SECONDS
        while True:
            servers = self.hub.ask("GET", f"hub/api/users/{self.name}")["servers"]
            if servers and servers[""]["ready"]:
                return
            assert time.monotonic() < end, f"the server of {self.name} is {servers} after {_SECONDS:.0f} s"
            time.sleep(0.1)


def log_in(page: Page, student: Student) -> None:
    """Log a student in by the Hub's own form."""
    page.goto(f"{student.hub.url}/hub/login?next=/hub/home")
    page.locator("#username_input").fill(student.name)
    page.locator("#password_input").fill("any")  # the tests' authenticator looks at names only
    page.locator("#login_submit").click()
    page.wait_for_url("**/hub/home")


def missing() -> str:
    """Return what a Hub needs and this machine has not; empty where it has all."""
    if os.geteuid() != 0:
        return "only root can run servers of several accounts"
    if find_spec("jupyterhub") is None:
        return "there is no JupyterHub: the extra classroom is not installed"
    return "" if shutil.which(PROXY) else f"there is no program {PROXY}"


@contextmanager
def classroom(folder: Path, settings: str = "") -> Iterator[Hub]:
    """Run a Hub whose students share the Kubernetes programs; then end it and their servers, and remove them."""
    present = {account.pw_name for account in pwd.getpwall()}
    programs = Path(tempfile.mkdtemp(prefix="labkit-classroom-", dir="/var/tmp"))  # every account may read it
    programs.chmod(0o755)
    for name, source in components.ensure().folders.items():
        link(source, programs / components.pins()[name].folder_name)
    hub = Hub(f"http://127.0.0.1:{_free_port()}", secrets.token_hex(16))
    try:
        with _running(hub, folder, environment={"LABKIT_COMPONENTS": str(programs)}, settings=settings):
            yield hub
    finally:
        made = {account.pw_name for account in pwd.getpwall()} - present
        for name in made & set(hub.names):
            subprocess.run(["userdel", "--remove", name], check=True, capture_output=True)
        shutil.rmtree(programs)


@contextmanager
def _running(hub: Hub, folder: Path, *, environment: Mapping[str, str], settings: str) -> Iterator[None]:
    hub_port, proxy_port, class_port = (_free_port() for _ in range(3))
    config = folder / "jupyterhub_config.py"
    text = _CONFIG.format(
        settings=str(_SETTINGS),
        port=urlsplit(hub.url).port,
        hub_port=hub_port,
        proxy_port=proxy_port,
        class_port=class_port,
        folder=folder,
        token=hub.token,
        environment=dict(environment),
    )
    config.write_text(text + settings)
    log = folder / "hub.log"
    program = Path(sys.executable).with_name("jupyterhub")
    path = os.pathsep.join((str(program.parent), os.environ["PATH"]))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "--config", config],
            cwd=folder,
            stdout=output,
            stderr=output,
            # Debian's proxy finds its parts by itself under Debian's Node.js, and under another one by this.
            env={**os.environ, "PATH": path, "NODE_PATH": "/usr/share/nodejs"},
        )
    try:
        _wait(hub, process, log)
        yield
    finally:
        process.terminate()  # it stops all servers
        process.wait(180)


def _wait(hub: Hub, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            hub.ask("GET", "hub/api/users")
        except (OSError, HTTPError):
            tail = log.read_text(errors="replace")[-2000:]
            assert process.poll() is None, tail
            assert time.monotonic() < end, tail
            time.sleep(0.1)
        else:
            return


def _free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
