"""What a node has from elsewhere: its container runtime, the Kubernetes programs, images; each as a check finds it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from labkit.cluster.preflight.check import Finding
from labkit.cluster.preflight.host import Host
from labkit.language import gettext
from labkit.node.node import CRI_SOCKET

_PACKAGES = ("kubelet", "kubeadm", "kubectl")
_VERSION = re.compile(r"v(\d+\.\d+)\.\d+\S*")
#: Where kubeadm looks (cmd/kubeadm/app/constants), after that of a lab's nodes.
_SOCKETS = (CRI_SOCKET, "/run/containerd/containerd.sock", "/run/crio/crio.sock", "/run/cri-dockerd.sock")
_MIRRORS = ("etc/containerd/certs.d", "etc/docker/daemon.json", "etc/containers/registries.conf")
_SLOW = 10.0  # seconds that a Go program may take to tell its version


def engine(host: Host) -> Finding:
    """Look for a container runtime that answers."""
    runtime = _runtime(host)
    if runtime is None:
        fix = gettext("Install containerd, CRI-O, or Docker with cri-dockerd.")
        return Finding(
            "unmet",
            gettext("no runtime's socket is there ({sockets})").format(sockets=", ".join(_SOCKETS)),
            fix,
        )
    return Finding(
        "met",
        gettext("{version} answers at {runtime}").format(version=host.runtime_version(runtime), runtime=runtime),
    )


def mirrors(host: Host) -> Finding:
    """Look whether a registry mirror is configured."""
    there = [f"/{name}" for name in _MIRRORS if host.has(name)]
    if there:
        return Finding("met", gettext("configured in {files}").format(files=", ".join(there)))
    if _runtime(host) == CRI_SOCKET:
        return Finding(
            "not needed", gettext("the runtime here takes images from a catalogue on the machine, and asks nobody")
        )
    return Finding("not needed", gettext("none; images come from registry.k8s.io itself"))


def packages(host: Host) -> Finding:
    """Look for the Kubernetes programs, and whether they are of one version."""
    versions = {}
    for name in _PACKAGES:
        place = host.program(name)
        arguments = {"kubelet": ("--version",), "kubeadm": ("version", "-o", "short")}
        said = host.output(place, *arguments.get(name, ("version", "--client")), timeout=_SLOW) if place else ""
        version = _VERSION.search(said)
        unknown = gettext("runs, but tells no version") if place else gettext("missing")
        versions[name] = version[0] if version else unknown
    found = ", ".join(f"{name} {version}" for name, version in versions.items())
    minors = {version[1] if (version := _VERSION.match(text)) else text for text in versions.values()}
    if len(minors) == 1 and _VERSION.match(versions["kubelet"]):
        return Finding("met", found)
    return Finding(
        "unmet", found, host.as_root("apt-get install -y kubelet kubeadm kubectl") + gettext(", all of one version")
    )


def core_images(host: Host) -> Finding:
    """Look whether the runtime has the images that `kubeadm init` or `kubeadm join` needs."""
    runtime, kubeadm = _runtime(host), host.program("kubeadm")
    if runtime is None or kubeadm is None:
        return Finding(
            "unmet", gettext("without a runtime and kubeadm there are none"), gettext("Install these first.")
        )
    version = _VERSION.search(host.output(kubeadm, "version", "-o", "short", timeout=_SLOW))
    wanted = host.output(kubeadm, "config", "images", "list", *_of(version), timeout=_SLOW).splitlines()
    control_plane = host.has("etc/kubernetes/manifests/kube-apiserver.yaml")
    # `kubeadm join` of a worker needs no other; pause is of no use to a runtime that has no such container.
    wanted = [image for image in wanted if _needed(image, control_plane, runtime)]
    there = host.runtime_images(runtime)
    missing = [image for image in wanted if image not in there]
    kind = gettext("the control plane") if control_plane else gettext("a worker")
    if not missing:
        return Finding(
            "met",
            gettext("all {wanted} that {kind} needs: {images}").format(
                wanted=len(wanted), kind=kind, images=", ".join(map(_short, wanted))
            ),
        )
    found = gettext("{count} of {wanted} that {kind} needs are missing: {images}").format(
        count=len(missing), wanted=len(wanted), kind=kind, images=", ".join(map(_short, missing))
    )
    return Finding("unmet", found, host.as_root("kubeadm config images pull"))


def _runtime(host: Host) -> str | None:
    """Return the socket of the machine's runtime, None where there is none."""
    return next((path for path in _SOCKETS if host.has(path.lstrip("/"))), None)


def _of(version: re.Match[str] | None) -> Sequence[str]:
    """Return the option by which kubeadm does not ask the Internet for the newest version."""
    return ("--kubernetes-version", version[0]) if version else ()


def _needed(image: str, control_plane: bool, runtime: str) -> bool:
    if "/pause:" in image:
        return runtime != CRI_SOCKET
    # CoreDNS runs wherever the scheduler puts it, and is pulled there.
    return "/coredns" not in image and (control_plane or "/kube-proxy:" in image)


def _short(image: str) -> str:
    return image.rpartition("/")[2]
