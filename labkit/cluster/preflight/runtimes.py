"""The container runtime of a machine, asked as kubelet asks it: by CRI, through its socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.cluster.preflight.host import Host
from labkit.language import gettext
from labkit.node.node import CRI_SOCKET

if TYPE_CHECKING:
    from labkit.cri import api_pb2 as api

#: That of a lab's nodes.
OWN = CRI_SOCKET
#: Where kubeadm looks (cmd/kubeadm/app/constants), after our own.
SOCKETS = (OWN, "/run/containerd/containerd.sock", "/run/crio/crio.sock", "/run/cri-dockerd.sock")
_PATIENCE = 3.0  # seconds


def find(host: Host) -> str | None:
    """Return the socket of the machine's runtime, None where there is none."""
    return next((path for path in SOCKETS if host.has(path.lstrip("/"))), None)


def version(host: Host, runtime: str) -> str:
    """Return a runtime's name and version.

    Raises
    ------
    OSError
        It does not answer.
    """
    from labkit.cri import api_pb2 as api  # noqa: PLC0415 - gRPC takes long to import, and few need it

    answer = api.VersionResponse.FromString(_ask(host, runtime, "RuntimeService/Version", api.VersionRequest()))
    return f"{answer.runtime_name} {answer.runtime_version}"


def images(host: Host, runtime: str) -> frozenset[str]:
    """Return the tags of all images that a runtime has.

    Raises
    ------
    OSError
        It does not answer.
    """
    from labkit.cri import api_pb2 as api  # noqa: PLC0415 - as above

    answer = _ask(host, runtime, "ImageService/ListImages", api.ListImagesRequest())
    listed = api.ListImagesResponse.FromString(answer).images
    return frozenset(tag for image in listed for tag in image.repo_tags)


def _ask(host: Host, runtime: str, method: str, request: api.VersionRequest | api.ListImagesRequest) -> bytes:
    import grpc  # noqa: PLC0415 - as above

    with grpc.insecure_channel(f"unix://{host.root / runtime.lstrip('/')}") as channel:
        call = channel.unary_unary(f"/runtime.v1.{method}")
        try:
            answer: bytes = call(request.SerializeToString(), timeout=_PATIENCE)
        except grpc.RpcError as error:
            raise OSError(
                gettext("the runtime at {runtime} does not answer: {code}").format(
                    runtime=runtime, code=error.code().name
                )
            ) from error
    return answer
