"""The runtime's records as CRI messages."""

from __future__ import annotations

import time
from collections.abc import Mapping

from labkit.cri import api_pb2 as api
from labkit.cri import stats
from labkit.cri.cni import INTERFACE
from labkit.cri.containers import Container
from labkit.cri.images import Image
from labkit.cri.sandboxes import Sandbox
from labkit.cri.stats import Usage


def selected(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Tell whether labels have all that a selector asks for."""
    return all(labels.get(key) == value for key, value in selector.items())


def sandbox_state(sandbox: Sandbox) -> api.PodSandboxState:
    """Return whether a sandbox is ready."""
    return api.SANDBOX_READY if sandbox.ready else api.SANDBOX_NOTREADY


def sandbox_status(sandbox: Sandbox) -> api.PodSandboxStatus:
    """Return all about a sandbox."""
    first, *more = sandbox.record.addresses or [""]
    return api.PodSandboxStatus(
        id=sandbox.id,
        metadata=sandbox.config.metadata,
        state=sandbox_state(sandbox),
        created_at=sandbox.record.created_at,
        network=api.PodSandboxNetworkStatus(ip=first, additional_ips=[api.PodIP(ip=address) for address in more]),
        linux=api.LinuxPodSandboxStatus(namespaces=api.Namespace(options=sandbox.namespaces)),
        labels=sandbox.config.labels,
        annotations=sandbox.config.annotations,
    )


def sandbox_item(sandbox: Sandbox) -> api.PodSandbox:
    """Return a sandbox as it is listed."""
    return api.PodSandbox(
        id=sandbox.id,
        metadata=sandbox.config.metadata,
        state=sandbox_state(sandbox),
        created_at=sandbox.record.created_at,
        labels=sandbox.config.labels,
        annotations=sandbox.config.annotations,
    )


def container_item(container: Container) -> api.Container:
    """Return a container as it is listed."""
    record, config = container.record, container.config
    return api.Container(
        id=record.id,
        pod_sandbox_id=record.sandbox_id,
        metadata=config.metadata,
        image=_image_spec(container),
        image_ref=container.image.id,
        image_id=container.image.id,
        state=record.state,
        created_at=record.created_at,
        labels=config.labels,
        annotations=config.annotations,
    )


def container_status(container: Container) -> api.ContainerStatus:
    """Return all about a container."""
    record, config, user = container.record, container.config, container.user
    return api.ContainerStatus(
        id=record.id,
        metadata=config.metadata,
        state=record.state,
        created_at=record.created_at,
        started_at=record.started_at,
        finished_at=record.finished_at,
        exit_code=record.exit_code,
        image=_image_spec(container),
        image_ref=container.image.id,
        image_id=container.image.id,
        reason=record.reason,
        message=record.message,
        labels=config.labels,
        annotations=config.annotations,
        mounts=config.mounts,
        log_path=record.log_path,
        resources=api.ContainerResources(linux=config.linux.resources),
        user=api.ContainerUser(
            linux=api.LinuxContainerUser(uid=user.uid, gid=user.gid, supplemental_groups=user.groups)
        ),
        stop_signal=config.stop_signal,
    )


def container_stats(container: Container, usage: Mapping[str, Usage]) -> api.ContainerStats:
    """Return what a container uses."""
    now = time.time_ns()
    used = usage.get(container.record.mounts, Usage())
    size, files = stats.disk(container.folder / "root")
    return api.ContainerStats(
        attributes=api.ContainerAttributes(
            id=container.id,
            metadata=container.config.metadata,
            labels=container.config.labels,
            annotations=container.config.annotations,
        ),
        cpu=_cpu(used, now),
        memory=_memory(used, now),
        writable_layer=filesystem(container.folder.as_posix(), size, files, now),
    )


def sandbox_stats(sandbox: Sandbox, containers: list[Container], usage: Mapping[str, Usage]) -> api.PodSandboxStats:
    """Return what a pod uses: its containers together."""
    now = time.time_ns()
    parts = [usage[name] for container in containers if (name := container.record.mounts) in usage]
    total = Usage(
        sum(part.cpu for part in parts),
        sum(part.memory for part in parts),
        sum(part.minor_faults for part in parts),
        sum(part.major_faults for part in parts),
        sum(part.processes for part in parts),
    )
    found = api.LinuxPodSandboxStats(
        cpu=_cpu(total, now),
        memory=_memory(total, now),
        process=api.ProcessUsage(timestamp=now, process_count=api.UInt64Value(value=total.processes)),
        containers=[container_stats(container, usage) for container in containers if container.running],
    )
    holder = sandbox.record.holder
    if holder and sandbox.own_network and (counters := stats.interface(holder.pid, INTERFACE)):
        values = [api.UInt64Value(value=counter) for counter in counters]
        received, receive_errors, sent, send_errors = values
        found.network.timestamp = now
        found.network.default_interface.CopyFrom(
            api.NetworkInterfaceUsage(
                name=INTERFACE,
                rx_bytes=received,
                rx_errors=receive_errors,
                tx_bytes=sent,
                tx_errors=send_errors,
            )
        )
    attributes = api.PodSandboxAttributes(
        id=sandbox.id,
        metadata=sandbox.config.metadata,
        labels=sandbox.config.labels,
        annotations=sandbox.config.annotations,
    )
    return api.PodSandboxStats(attributes=attributes, linux=found)


def image(entry: Image, references: list[str]) -> api.Image:
    """Return a pulled image."""
    found = api.Image(
        id=entry.id,
        repo_tags=[reference for reference in references if "@" not in reference],
        repo_digests=sorted(
            {f"{reference.partition('@')[0].rpartition(':')[0]}@{entry.id}" for reference in references}
        ),
        size=entry.size(),
        spec=api.ImageSpec(image=entry.id),
        pinned=entry.name == "pause",
    )
    found.uid.value = 0
    return found


def filesystem(path: str, size: int, files: int, now: int) -> api.FilesystemUsage:
    """Return the use of a part of a file system."""
    return api.FilesystemUsage(
        timestamp=now,
        fs_id=api.FilesystemIdentifier(mountpoint=path),
        used_bytes=api.UInt64Value(value=size),
        inodes_used=api.UInt64Value(value=files),
    )


def _cpu(used: Usage, now: int) -> api.CpuUsage:
    return api.CpuUsage(timestamp=now, usage_core_nano_seconds=api.UInt64Value(value=used.cpu))


def _memory(used: Usage, now: int) -> api.MemoryUsage:
    resident = api.UInt64Value(value=used.memory)
    return api.MemoryUsage(
        timestamp=now,
        working_set_bytes=resident,
        usage_bytes=resident,
        rss_bytes=resident,
        page_faults=api.UInt64Value(value=used.minor_faults),
        major_page_faults=api.UInt64Value(value=used.major_faults),
    )


def _image_spec(container: Container) -> api.ImageSpec:
    return api.ImageSpec(
        image=container.record.reference, user_specified_image=container.config.image.user_specified_image
    )
