"""What a CRI call is about: ids, and the names that people know."""

from __future__ import annotations

from typing import Any

from labkit.cri import api_pb2 as api
from labkit.cri.containers import Containers
from labkit.cri.sandboxes import Sandboxes

_COPIED = {"pod_sandbox_id", "container_id", "image_ref", "exit_code", "timeout"}


class Subjects:
    """Finds the names behind a call's ids.

    Parameters
    ----------
    sandboxes, containers
        What exists on the node.
    """

    def __init__(self, sandboxes: Sandboxes, containers: Containers) -> None:
        self._sandboxes = sandboxes
        self._containers = containers

    def before(self, request: Any) -> dict[str, Any]:
        """Return what a request is about, from what exists before it is answered."""
        found = _copied(request)
        if "cmd" in request.DESCRIPTOR.fields_by_name:
            found["command"] = list(request.cmd)
        if isinstance(request, api.PullImageRequest | api.RemoveImageRequest):
            found["image"] = request.image.user_specified_image or request.image.image
        container = self._containers.find(found.get("container_id", ""))
        if isinstance(request, api.CreateContainerRequest):
            found |= _container(request.config)
        elif container:
            found |= _container(container.config) | {"pod_sandbox_id": container.record.sandbox_id}
        sandbox = self._sandboxes.find(found.get("pod_sandbox_id", ""))
        if isinstance(request, api.RunPodSandboxRequest):
            found |= _pod(request.config)
        elif isinstance(request, api.PullImageRequest) and request.HasField("sandbox_config"):
            found |= _pod(request.sandbox_config)  # whom kubelet pulls it for
        elif sandbox:
            found |= _pod(sandbox.config)
        return found

    @staticmethod
    def after(response: Any) -> dict[str, Any]:
        """Return what a response adds: new ids, an exit code; nothing where the call failed."""
        return _copied(response) if response is not None else {}


def _copied(message: Any) -> dict[str, Any]:
    names = _COPIED & set(message.DESCRIPTOR.fields_by_name)
    return {name: getattr(message, name) for name in sorted(names)}


def _container(config: api.ContainerConfig) -> dict[str, Any]:
    image = config.image.user_specified_image or config.image.image
    return {"container": config.metadata.name, "attempt": config.metadata.attempt, "image": image}


def _pod(config: api.PodSandboxConfig) -> dict[str, Any]:
    return {"pod": config.metadata.name, "namespace": config.metadata.namespace, "uid": config.metadata.uid}
