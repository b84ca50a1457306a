"""Deploying an application as a person would, and waiting until its pods run."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labkit.cluster.rest import ApiServer
from labkit.errors import ClusterError, UsageError
from labkit.language import gettext
from labkit.progress import Phase

_POLL_SECONDS = 0.1

#: Reasons of a waiting container that time alone will not mend.
_HOPELESS = (
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
)


def exists(api: ApiServer, namespace: str, name: str, image: str) -> bool:
    """Whether a deployment is there already.

    Raises
    ------
    UsageError
        It is, and runs another image.
    """
    deployment = api.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
    if deployment is None:
        return False
    images = _images(deployment["spec"]["template"])
    if images != [image]:
        raise UsageError(
            gettext("There is a deployment {name!r} of another image").format(name=name),
            why=gettext("it runs {images}, not {image}").format(images=", ".join(images), image=image),
            fix=gettext("labkit kubectl -- delete deployment {name}, or choose another name").format(name=name),
        )
    return True


def note(api: ApiServer, deployed: Path, resource: str, namespace: str, name: str) -> None:
    """Remember that labkit made an object, in a file, so that it can be told from a later one of its name."""
    found = api.get(_path(resource, namespace, name))
    if found is not None:
        with deployed.open("a") as file:
            print(resource, namespace, name, found["metadata"]["uid"], file=file)


def remove(api: ApiServer, deployed: Path, kubectl: Callable[[list[str]], object]) -> None:
    """Delete what `note` remembers, if it is there still and is the same object.

    Raises
    ------
    ClusterError
        kubectl refused.
    """
    for line in deployed.read_text().splitlines() if deployed.exists() else ():
        resource, namespace, name, uid = line.split()
        found = api.get(_path(resource, namespace, name))
        if found is not None and found["metadata"]["uid"] == uid:
            kubectl(["delete", resource, name, f"--namespace={namespace}"])
    deployed.unlink(missing_ok=True)


def wait_until_running(api: ApiServer, namespace: str, name: str, *, phase: Phase, timeout: float) -> None:
    """Wait until every pod that a deployment wants is Ready.

    Parameters
    ----------
    api : ApiServer
        The cluster's.
    namespace, name : str
        The deployment's.
    phase : Phase
        Shows how many there are.
    timeout : float
        Seconds.

    Raises
    ------
    ClusterError
        A container cannot start, or it took too long; the message has what Kubernetes says of it.
    """
    deadline = time.monotonic() + timeout
    while True:
        deployment = api.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
        if deployment is not None:
            wanted, status = deployment["spec"]["replicas"], deployment["status"]
            ready = status.get("readyReplicas", 0)
            observed = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
            if observed and ready == status.get("updatedReplicas", 0) == status.get("replicas", 0) == wanted:
                return
            phase.advance(
                gettext("{ready} of {wanted} pods Ready").format(ready=ready, wanted=wanted),
                ready / wanted if wanted else None,
            )
            pods = _pods(api, namespace, deployment["spec"]["selector"]["matchLabels"])
            # One of an image that the deployment had before is about to go: what it lacks does not matter any more.
            _refuse_hopeless([pod for pod in pods if _images(pod) == _images(deployment["spec"]["template"])])
            if time.monotonic() > deadline:
                raise ClusterError(
                    gettext("Deployment {name!r} is not ready in time").format(name=name),
                    why=gettext("after {seconds:.0f} s {ready} of {wanted} pods are Ready{more}").format(
                        seconds=timeout, ready=ready, wanted=wanted, more=_conditions(pods)
                    ),
                    fix=f"labkit kubectl -- describe pods --namespace {namespace}",
                )
        elif time.monotonic() > deadline:
            raise ClusterError(
                gettext("Deployment {name!r} cannot be seen").format(name=name),
                why=gettext("the API server does not answer with it"),
            )
        time.sleep(_POLL_SECONDS)


def _path(resource: str, namespace: str, name: str) -> str:
    group = "/apis/apps/v1" if resource == "deployments" else "/api/v1"
    return f"{group}/namespaces/{namespace}/{resource}/{name}"


def _images(pod: dict[str, Any]) -> list[str]:
    """Return the images of a pod, or of a template of pods."""
    return [container["image"] for container in pod["spec"]["containers"]]


def _pods(api: ApiServer, namespace: str, labels: dict[str, str]) -> list[dict[str, Any]]:
    selector = "%2C".join(f"{key}%3D{value}" for key, value in labels.items())
    listing = api.get(f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")
    return listing["items"] if listing else []


def _refuse_hopeless(pods: list[dict[str, Any]]) -> None:
    for pod in pods:
        status = pod["status"]
        for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
            waiting = container["state"].get("waiting") or {}
            if waiting.get("reason") in _HOPELESS:
                pod_name = pod["metadata"]["name"]
                raise ClusterError(
                    gettext("Pod {pod_name} cannot start its container {container!r}: {reason}").format(
                        pod_name=pod_name, container=container["name"], reason=waiting["reason"]
                    ),
                    why=waiting.get("message", "") or gettext("Kubernetes gives no message"),
                    fix=f"labkit kubectl -- describe pod {pod_name}",
                )


def _conditions(pods: list[dict[str, Any]]) -> str:
    messages = {
        condition["message"]
        for pod in pods
        for condition in pod["status"].get("conditions", [])
        if condition["status"] == "False" and condition.get("message")
    }
    return "".join(f"; {message}" for message in sorted(messages))
