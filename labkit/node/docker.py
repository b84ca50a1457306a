"""Docker by its own command line: whether it can be used here, and what labkit asks of it.

`DOCKER_HOST` and Docker's contexts choose the daemon, as for any use of that command.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from typing import Any

from labkit.errors import LabkitError, PreflightError
from labkit.language import gettext
from labkit.node.process import run

#: The first with ``docker run --cgroupns``, which kind's nodes need (docs.docker.com/engine/release-notes/20.10).
OLDEST = (20, 10)
_ANSWERS_WITHIN = 20.0


def require() -> str:
    """Return the version of the Docker daemon.

    Raises
    ------
    PreflightError
        There is no docker command, its daemon does not run, this user may not speak to it, or it is too old.
    """
    try:
        done = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_ANSWERS_WITHIN,
        )
    except FileNotFoundError as error:
        raise PreflightError(
            gettext("Docker is not installed"),
            why=gettext("there is no program docker on PATH"),
            fix=gettext(
                "install it (Debian: apt-get install docker.io), or choose --provider rootless, which needs none"
            ),
        ) from error
    except subprocess.TimeoutExpired as error:
        raise PreflightError(
            gettext("Docker does not answer"),
            why=gettext("not within {seconds:.0f} s").format(seconds=_ANSWERS_WITHIN),
            fix=gettext("restart Docker"),
        ) from error
    version = done.stdout.strip()
    if done.returncode != 0 or not version:
        raise _unusable(done.stderr.strip())
    refuse_old(version)
    return version


def refuse_old(version: str) -> None:
    """Refuse a Docker that cannot run nodes.

    Raises
    ------
    PreflightError
        It is too old.
    """
    found = re.match(r"(\d+)\.(\d+)", version)
    if found is not None and (int(found[1]), int(found[2])) < OLDEST:
        raise PreflightError(
            gettext("Docker {version} is too old").format(version=version),
            why=gettext("a node needs a cgroup namespace of its own, which Docker {oldest} brought").format(
                oldest=".".join(map(str, OLDEST))
            ),
            fix=gettext("install a newer Docker"),
        )


def docker(*arguments: str, what: str, stdin: str = "", timeout: float = 60.0) -> str:
    """Run a docker command to its end and return what it printed.

    Parameters
    ----------
    *arguments : str
        After ``docker``.
    what : str
        What it is to do, for the error: ``"stop node master"``.
    stdin : str
        What it reads.
    timeout : float
        Seconds.

    Raises
    ------
    ClusterError
        It failed; the message is its own.
    """
    return run(["docker", *arguments], what=what, stdin=stdin, timeout=timeout)


def inspect(kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return what Docker tells of objects; those that do not exist are left out.

    Parameters
    ----------
    kind : {"container", "image", "network"}
        What they are.
    names : sequence of str
        Their names.
    """
    try:
        done = subprocess.run(["docker", kind, "inspect", *names], capture_output=True, text=True, check=False)
        found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    except (FileNotFoundError, ValueError):
        return []
    return found


def containers(label: str) -> list[str]:
    """Return the names of all containers, running or not, with a label (``KEY=VALUE``)."""
    listing = docker(
        "ps", "--all", "--filter", f"label={label}", "--format", "{{.Names}}", what=gettext("list containers")
    )
    return listing.split()


def _unusable(message: str) -> LabkitError:
    if "permission denied" in message.lower():
        return PreflightError(
            gettext("Docker is not for this user"),
            why=message,
            fix=gettext(
                "have an administrator add you to group docker (usermod -aG docker USER) and log in again, "
                "or choose --provider rootless"
            ),
        )
    return PreflightError(
        gettext("Docker does not run"),
        why=message or gettext("docker version tells of no server"),
        fix=gettext("start it (systemctl start docker, or Docker Desktop), or choose --provider rootless"),
    )
