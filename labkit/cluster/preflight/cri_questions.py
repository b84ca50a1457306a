"""What a machine's container runtime is asked, as kubelet asks it: by CRI, through its socket."""

from __future__ import annotations

from pathlib import Path

import grpc

from labkit.cri import api_pb2 as api
from labkit.language import gettext

_PATIENCE = 3.0  # seconds


def version(socket: Path) -> str:
    """Return a runtime's name and version; raise `OSError` where nobody answers at its socket."""
    answer = api.VersionResponse.FromString(_ask(socket, "RuntimeService/Version", api.VersionRequest()))
    return f"{answer.runtime_name} {answer.runtime_version}"


def images(socket: Path) -> frozenset[str]:
    """Return the tags of all images that a runtime has; raise `OSError` where nobody answers at its socket."""
    answer = _ask(socket, "ImageService/ListImages", api.ListImagesRequest())
    listed = api.ListImagesResponse.FromString(answer).images
    return frozenset(tag for image in listed for tag in image.repo_tags)


def _ask(socket: Path, method: str, request: api.VersionRequest | api.ListImagesRequest) -> bytes:
    with grpc.insecure_channel(f"unix://{socket}") as channel:
        call = channel.unary_unary(f"/runtime.v1.{method}")
        try:
            answer: bytes = call(request.SerializeToString(), timeout=_PATIENCE)
        except grpc.RpcError as error:
            raise OSError(
                gettext("the runtime at {runtime} does not answer: {code}").format(
                    runtime=socket, code=error.code().name
                )
            ) from error
    return answer
