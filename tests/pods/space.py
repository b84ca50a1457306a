"""A namespace of a test's own on the shared cluster, and the manifests that tests put into it."""

from __future__ import annotations

import functools
import json
import subprocess
import urllib.request
from collections.abc import Callable
from typing import Any

from kubernetes.client import CoreV1Api

from labkit import components
from labkit.lab import Lab
from labkit.lab.kubectl import Output, environment
from tests import traces

Manifest = dict[str, Any]

PATIENCE = 60.0  # seconds; pods start in less than two, but on a busy machine


class Space:
    """A namespace, and kubectl in it.

    Parameters
    ----------
    lab : Lab
        The cluster.
    name : str
        The namespace's.
    """

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab, self.name = lab, name
        self.core = CoreV1Api(lab.api)

    @functools.cached_property
    def _kubectl(self) -> list[str]:
        return [str(components.ensure().program("kubectl")), f"--namespace={self.name}"]

    @functools.cached_property
    def _environment(self) -> dict[str, str]:
        return environment(self.lab.kubeconfig, components.ensure().program("kubectl"))

    def kubectl(self, *arguments: str, stdin: str = "") -> Output:
        """Run kubectl in the namespace; it must succeed."""
        return self.lab.kubectl([f"--namespace={self.name}", *arguments], stdin=stdin)

    def run(self, *arguments: str, stdin: str = "", timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """Run kubectl in the namespace, however it ends."""
        return subprocess.run(
            [*self._kubectl, *arguments],
            env=self._environment, input=stdin, capture_output=True, text=True, check=False, timeout=timeout,
        )  # fmt: skip

    def start(self, *arguments: str, **streams: Any) -> subprocess.Popen[Any]:
        """Start kubectl in the namespace."""
        return subprocess.Popen([*self._kubectl, *arguments], env=self._environment, **streams)

    def exec(self, target: str, command: str, *, check: bool = True) -> str:
        """Run a shell command in a pod, ``"POD"`` or ``"POD/CONTAINER"``, and return what it printed."""
        pod, _, container = target.partition("/")
        choice = ["-c", container] if container else []
        done = self.run("exec", pod, *choice, "--", "sh", "-c", command)
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done.stdout

    def create(self, *objects: Manifest) -> None:
        """Create objects."""
        self.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def pod(self, name: str) -> Any:
        """Return a pod as the API server has it, as the official client's object."""
        return self.core.read_namespaced_pod(name, self.name)

    def pods(self, selector: str = "") -> list[Any]:
        """Return the pods of the namespace that a label selector chooses."""
        found: list[Any] = self.core.list_namespaced_pod(self.name, label_selector=selector).items
        return found

    def status(self, target: str) -> Any:
        """Return the status of a container, ``"POD"`` (the first) or ``"POD/CONTAINER"``; None before there is one."""
        name, _, container = target.partition("/")
        status = self.pod(name).status
        known = [*(status.init_container_statuses or []), *(status.container_statuses or [])]
        return next((each for each in known if container in {"", each.name}), None)

    def until(self, target: str, condition: Callable[[Any], object], timeout: float = PATIENCE) -> Any:
        """Wait until a condition holds for the status of a container and return that status."""
        found: list[Any] = []

        def holds() -> bool:
            found[:] = [status] if (status := self.status(target)) else []
            return bool(found and condition(found[0]))

        try:
            traces.eventually(holds, timeout)
        except AssertionError:
            raise AssertionError(f"{target} is not as it should be: {found}") from None
        return found[0]

    def terminated(self, target: str) -> Any:
        """Wait until a container has ended and return how."""
        return self.until(target, lambda status: status.state.terminated).state.terminated

    def until_ready(self, *names: str) -> None:
        """Wait until pods are Ready."""
        pods = [f"pod/{name}" for name in names]
        self.kubectl("wait", "--for=condition=Ready", f"--timeout={PATIENCE:.0f}s", *pods)


def container(name: str, script: str | None = None, **fields: Any) -> Manifest:
    """Return a container of busybox that runs a shell script."""
    command = {"command": ["sh", "-c", script]} if script is not None else {}
    return {"name": name, "image": "busybox", **command, **fields}


def pod(name: str, *containers: Manifest, labels: dict[str, str] | None = None, **spec: Any) -> Manifest:
    """Return a pod that ends at once when it is deleted."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"containers": list(containers), **pod_defaults(), **spec},
    }


def pod_defaults() -> Manifest:
    """Return what every pod of the tests has: no waiting at its end."""
    return {"terminationGracePeriodSeconds": 1}


def workload(kind: str, name: str, spec: Manifest, *containers: Manifest, **pod_spec: Any) -> Manifest:
    """Return a Deployment, DaemonSet or StatefulSet whose pods are labelled ``app=NAME``."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": list(containers), **pod_defaults(), **pod_spec}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


def service(name: str, app: str, port: int, target: int, **spec: Any) -> Manifest:
    """Return a Service in front of the pods labelled ``app=APP``."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": app}, "ports": [{"name": "http", "port": port, "targetPort": target}], **spec},
    }


def config_map(name: str, **data: str) -> Manifest:
    """Return a ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(name: str, **data: str) -> Manifest:
    """Return a Secret."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def fetch(url: str) -> str:
    """Return a page that is served on this machine's loopback address."""
    assert url.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310 - it has just been looked at
        text: str = answer.read().decode()
    return text
