"""A Docker daemon of the tests' own: started by hand, ended by its pid, and the machine is as it was before.

Its images stay between runs, in labkit's cache; its containers and networks do not.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from labkit import components, paths
from labkit.cluster import nodeimage
from labkit.progress import Progress
from tests import docker_desktop, docker_runtime, inotify

_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
# Nodes beside the tests' other labs need more than the kernel's 128 (kind.sigs.k8s.io/docs/user/known-issues).
_INSTANCES = 512
_TABLES = {"filter": ("INPUT", "FORWARD", "OUTPUT"), "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")}


class CannotRunError(Exception):
    """This machine does not let a Docker daemon run; the message has what that one said."""


def missing() -> str:
    """Return what a daemon and its node image need and this machine has not; empty where it has all."""
    if os.geteuid() != 0:
        return "only root can start a Docker daemon"
    needed = ("dockerd", "docker", "containerd", "runc", "mmdebstrap", "zstd")
    lacking = [program for program in needed if shutil.which(program) is None]
    return f"{', '.join(lacking)} missing" if lacking else ""


@contextmanager
def running(*, desktop: bool = False) -> Iterator[str]:
    """Run a daemon, and have `DOCKER_HOST` lead to it; give its address.

    Parameters
    ----------
    desktop : bool
        Whether it is to be like Docker Desktop: no address of its containers is reachable.

    Raises
    ------
    CannotRunError
        It does not come up.
    """
    data = paths.cache_dir() / "test-docker"
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = Path(tempfile.mkdtemp(prefix="labkit-docker-"))
    address = f"unix://{folder}/docker.sock"
    command, place = _command(folder, data, address), ExitStack()
    if desktop:
        command = [*place.enter_context(docker_desktop.machine(folder)), *command]
        command += ["--userland-proxy-path", str(docker_desktop.proxy(folder))]
    rules, forwarding = _rules(), _FORWARDING.read_text()
    place.enter_context(inotify.at_least(_INSTANCES))
    before = os.environ.get("DOCKER_HOST")
    with (folder / "dockerd.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        os.environ["DOCKER_HOST"] = address
        _wait(process, folder / "dockerd.log")
        _remove_left()
        yield address
    finally:
        _remove_left()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        place.close()
        if before is None:
            del os.environ["DOCKER_HOST"]
        else:
            os.environ["DOCKER_HOST"] = before
        subprocess.run(["iptables-restore"], input=rules, text=True, check=True)
        _FORWARDING.write_text(forwarding)
        for cgroup in Path("/sys/fs/cgroup").glob("**/docker"):
            cgroup.rmdir()
        shutil.rmtree(folder)


@contextmanager
def with_node_image(*, desktop: bool = False) -> Iterator[None]:
    """Run a daemon that has the node image, like Docker Desktop's or not, and have kind; skip where none can run."""
    if why := missing():
        pytest.skip(why)
    with ExitStack() as stack:
        try:
            stack.enter_context(running(desktop=desktop))
        except CannotRunError as error:
            pytest.skip(str(error))
        components.ensure_optional("kind")  # only then is a lab for which nobody names a provider one of containers
        nodeimage.build(progress=Progress())
        yield


def _command(folder: Path, data: Path, address: str) -> list[str]:
    runtime = folder / "runtime"
    runtime.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {docker_runtime.__file__} "$@"\n')
    runtime.chmod(0o700)
    return [
        "dockerd",
        *("--host", address, "--data-root", str(data), "--exec-root", str(folder / "exec")),
        *("--pidfile", str(folder / "docker.pid"), "--storage-driver", "overlay2", "--bridge", "none"),
        *("--add-runtime", f"tests={runtime}", "--default-runtime", "tests", "--log-level", "warn"),
    ]


def _wait(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while subprocess.run(["docker", "version"], capture_output=True, check=False).returncode != 0:
        if process.poll() is not None or time.monotonic() > deadline:
            raise CannotRunError(f"dockerd does not serve: {log.read_text(errors='replace')[-500:].strip()}")
        time.sleep(0.1)


def _remove_left() -> None:
    """Remove all containers and networks: of tests that were cut off."""
    listing = subprocess.run(["docker", "ps", "-aq"], capture_output=True, text=True, check=False)
    if listing.stdout.strip():
        command = ["docker", "rm", "--force", "--volumes", *listing.stdout.split()]
        subprocess.run(command, capture_output=True, check=False)
    subprocess.run(["docker", "network", "prune", "--force"], capture_output=True, check=False)


def _rules() -> str:
    """Return the machine's packet filter as `iptables-restore` reads it, with every table that Docker changes."""
    saved = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    for table, chains in _TABLES.items():
        if f"*{table}\n" not in saved:
            empty = "".join(f":{chain} ACCEPT [0:0]\n" for chain in chains)
            saved += f"*{table}\n{empty}COMMIT\n"
    return saved
